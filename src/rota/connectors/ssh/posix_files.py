"""File steps as a POSIX sh script: with sudo, where SFTP is denied, and for a folder with all that is in it.

Nothing beyond POSIX.1-2008, so Linux with GNU or busybox tools, BSD and macOS. The script answers with one line,
`@WORD detail`, from which the answer is made here; the content of a file follows it, or comes by stdin.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from rota.connectors.ssh import answers
from rota.connectors.ssh.answers import PARENTS, SYSTEM, Answer, Wrong
from rota.connectors.ssh.sudo import ROOT
from rota.domain.fileop import LARGEST_READ
from rota.domain.step import Command, Exit, FileOp

# $1 operation, $2 path, $3 mode in octal or -, $4 parents, $5 recursive (1 or 0), $6 a name nobody else has.
_SCRIPT: Final = (
    r"""
LC_ALL=C
export LC_ALL
op=$1 path=$2 mode=$3 parents=$4 recursive=$5 own=$6
case $path in "~"|"~/"*) path=$HOME${path#"~"} ;; esac
folder=${path%/*} name=${path##*/}
folder=${folder:-/}
say() { echo "@$*"; exit 0; }
try() { said=$("$@" 2>&1) || say "error $said"; }
permissions() {
  set -- $(ls -ldn -- "$1" 2>/dev/null)
  bits=$1 owner=${3:-}:${4:-} octal=0
  case $bits in ?r*) octal=$((octal+256)) ;; esac
  case $bits in ??w*) octal=$((octal+128)) ;; esac
  case $bits in ???[xs]*) octal=$((octal+64)) ;; esac
  case $bits in ????r*) octal=$((octal+32)) ;; esac
  case $bits in ?????w*) octal=$((octal+16)) ;; esac
  case $bits in ??????[xs]*) octal=$((octal+8)) ;; esac
  case $bits in ???????r*) octal=$((octal+4)) ;; esac
  case $bits in ????????w*) octal=$((octal+2)) ;; esac
  case $bits in ?????????[xt]*) octal=$((octal+1)) ;; esac
  case $bits in ???[sS]*) octal=$((octal+2048)) ;; esac
  case $bits in ??????[sS]*) octal=$((octal+1024)) ;; esac
  case $bits in ?????????[tT]*) octal=$((octal+512)) ;; esac
}
no_link() { [ -h "$1" ] && say "link $(readlink "$1" 2>/dev/null || ls -ld "$1" | sed 's/.* -> //')"; }
do_write() {
  [ -n "$name" ] || say kind
  [ "$parents" = 1 ] && [ ! -d "$folder" ] && try mkdir -p -- "$folder"
  [ -d "$folder" ] || say "error No such file or directory"
  no_link "$path"
  [ -e "$path" ] && [ ! -f "$path" ] && say kind
  new=$folder/.$own
  trap 'rm -f -- "$new"' EXIT
  trap 'exit 143' TERM HUP INT
  said=$( { umask 077; set -C; cat > "$new"; } 2>&1 ) || say "error $said"
  if [ -e "$path" ]; then
    word=written
    permissions "$path"
    [ "$mode" = - ] && mode=$(printf %o "$octal")
    if cmp -s -- "$new" "$path"; then
      [ "$octal" -eq $((0$mode)) ] && say same
      try chmod "$mode" -- "$path"
      say mode
    fi
    was=$owner
    permissions "$new"
    [ "$owner" = "$was" ] || try chown "$was" -- "$new"
  else
    word=created
    [ "$mode" = - ] && mode=$(printf %o $((0666 & ~0$(umask))))
  fi
  try chmod "$mode" -- "$new"
  try mv -f -- "$new" "$path"
  say "$word"
}
do_read() {
  [ -e "$path" ] || say "error No such file or directory"
  [ -f "$path" ] || say kind
  said=$( { size=$(wc -c) && echo "$size"; } 2>&1 < "$path") || say "error Permission denied"
  [ "$((said))" -le """
    + str(LARGEST_READ)
    + r""" ] || say large
  echo @content
  cat -- "$path"
}
do_mkdir() {
  word=same
  if [ ! -d "$path" ]; then
    [ "$parents" = 1 ] && [ ! -d "$folder" ] && try mkdir -p -- "$folder"
    if said=$(mkdir -- "$path" 2>&1); then word=made
    elif [ ! -d "$path" ]; then say "error $said"
    fi
  fi
  if [ "$mode" != - ]; then
    permissions "$path/."
    if [ "$octal" -ne $((0$mode)) ]; then
      [ -h "$path" ] && say folderlink
      try chmod "$mode" -- "$path"
      [ $word = made ] || word=mode
    fi
  fi
  say "$word"
}
do_remove() {
  [ -e "$path" ] || [ -h "$path" ] || say none
  if [ -h "$path" ] || [ ! -d "$path" ]; then
    try rm -f -- "$path"
    say removed
  fi
  real=$(cd -- "$path" 2>/dev/null && pwd -P) || say "error Permission denied"
  case $real in """
    + "|".join(SYSTEM)
    + r""") say precious ;; esac
  above=${real%/*}
  case ${above:-/} in """
    + "|".join(PARENTS)
    + r""") say precious ;; esac
  [ "$real" = "$(cd 2>/dev/null && pwd -P)" ] && say precious
  mounted=$(df -P -- "$real" 2>/dev/null | { read -r x; read -r x x x x x at; echo "$at"; })
  [ "$mounted" = "$real" ] && say precious
  if [ "$recursive" = 1 ]; then
    try rm -rf -- "$path"
    say all
  fi
  [ -z "$(ls -A -- "$path" 2>/dev/null)" ] || say full
  try rmdir -- "$path"
  say removed
}
do_chmod() {
  no_link "$path"
  [ -e "$path" ] || say none
  permissions "$path"
  [ "$octal" -eq $((0$mode)) ] && say same
  try chmod "$mode" -- "$path"
  say mode
}
"do_$op"
"""
)

_ANSWER = re.compile(rb"^@(\w+)(?: ([^\n]*))?\n?", re.MULTILINE)


def command_for(op: FileOp) -> Command:
    """The order that carries `op` out. `read_answer` makes of its exit the one that actions read.

    Raises Wrong for a path that no host could mean.
    """
    mode = "-" if op.mode is None else f"{op.mode:o}"
    argv = (
        "/bin/sh", "-c", _SCRIPT, "rota-file", op.op, answers.path_of(op), mode,
        _flag(op.parents), _flag(op.recursive), f"rota-{secrets.token_hex(8)}",
    )  # fmt: skip
    return Command(argv=argv, stdin=op.content, run_as=ROOT if op.sudo else None)


def read_answer(op: FileOp, ended: Exit) -> Exit:
    """Make of what the script said what an action reads. What did not end by itself stays as it is."""
    if ended.failure is not None or ended.unreached or ended.lost or ended.cause or ended.exit_code != 0:
        return ended
    said = _ANSWER.search(ended.output)
    if said is None:
        return ended
    try:
        content = ended.output[said.end() :]
        return _answer(op, said[1].decode(), (said[2] or b"").decode(errors="replace"), content).exit()
    except Wrong as error:
        return answers.failed(str(error))


def _answer(op: FileOp, word: str, detail: str, content: bytes) -> Answer:
    path = answers.path_of(op)
    written = op.content if op.op == "write" else None
    mode = op.mode or 0
    match word:
        case "created" | "written":
            return answers.written(path, op.content, is_new=word == "created")
        case "same" if op.op == "chmod":
            return Answer(changed=False, message=f"unchanged: {path} is {mode:04o}")
        case "same":
            return answers.unchanged(path, written)
        case "mode" if op.op == "mkdir":
            return Answer(changed=True, message=f"mode changed: {path}")
        case "mode":
            return answers.mode_set(path, mode, written)
        case "made":
            return Answer(changed=True, message=f"created: {path}")
        case "content":
            return answers.was_read(path, content)
        case "none" if op.op == "remove":
            return Answer(changed=False, message=f"unchanged: there is no {path}")
        case "removed":
            return Answer(changed=True, message=f"removed: {path}")
        case "all":
            return Answer(changed=True, message=f"removed: {path} with all that was in it")
    raise _wrong(op, path, word, detail)


def _wrong(op: FileOp, path: str, word: str, detail: str) -> Wrong:
    match word:
        case "link":
            return answers.is_link(path, detail)
        case "folderlink":
            return Wrong(f"{path} is a symbolic link; name the folder itself to change its mode")
        case "kind":
            return answers.not_a_file(path)
        case "large":
            return answers.too_large(path)
        case "full":
            return answers.not_empty(path)
        case "precious":
            return answers.precious(path)
        case "none":
            return answers.no_such(path)
        case _:
            hint = "; try sudo: true" if "ermission denied" in detail and not op.sudo else ""
            return Wrong(f"cannot {op.op} {op.path}: {detail}{hint}")


def _flag(value: bool) -> str:
    return "1" if value else "0"
