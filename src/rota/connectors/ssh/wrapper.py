"""What stands around a command on the other side: POSIX sh that marks its start, says who it is, and notes its end.

The first line that it says is `NONCE PGID STATE SHELL`: whatever login noise came before is not ours. From then on
output is the command's. It forks once, for the command, and starts no program of its own: on a busy fleet the hosts'
CPU is what caps hosts a second. No word of it needs more than POSIX and a shell such as dash, bash, busybox ash, mksh
or FreeBSD's sh.

What the login shell reads must mean the same to sh, zsh, csh and fish, and everybody on the host may see it in the
process list. So only printable ASCII without `!` (csh) and `\\` (fish) goes there, and no value of a variable but
Rota's own; everything else goes by stdin, line by line, before the command's own input.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rota.connectors.ssh.credentials import Secret
from rota.connectors.ssh.sudo import Elevation
from rota.domain.step import Command

FOLDER: Final = ".rota"  # of markers, in the account's home
TOKEN_NAME: Final = "ROTA_ATTEMPT_TOKEN"  # noqa: S105 - the keeper's mark too: by it what escaped a group is found
UNMARKED: Final = "-"  # stands for a token: the command leaves no marker

PLAIN_SHELLS: Final = frozenset({"sh", "dash", "ash"})
"""Login shells that read POSIX sh, and no start-up file that might have changed what its words mean. They run the
wrapper themselves: another sh would cost the host as much again."""

_LONGEST_LINE = 16_384  # of the remote command; longer ones meet limits of old shells
_PLAIN = re.compile(r"[\x20\x22-\x5b\x5d-\x7e]*")  # printable ASCII without ! and backslash

# The values come as arguments: the token, the nonce, how many lines of stdin are ours, whether the rest of stdin is the
# command's, the folder to begin in; then NAME=VALUE …, `--`, argv. Lines of stdin hold such an assignment and `set`
# themselves. The last of three characters in IFS is the newline that could not be written here.
_TAKE = "_t=$1 _n=$2 _l=$3 _i=$4 _d=$5; shift 5; "
_RECEIVE = (
    "if [ $_l -gt 0 ]; then _w=${IFS#??} _p=; while [ $_l -gt 0 ]; do IFS= read -r _x || exit 96; "
    '_p=$_p$_x$_w _l=$((_l-1)); done; eval "$_p"; fi; '
)
_ENTER = 'cd "$_d" 2>/dev/null || { echo "$_n nowhere"; exit 97; }; '
_READY = '[ $_i = 1 ] || exec </dev/null; until [ "$1" = -- ]; do export "$1"; shift; done; shift; '
_BECOME = f'{_READY}exec "$@"'
_EVALUATE = f'{_READY}shift 2; eval "$1"'  # of `/bin/sh -c SCRIPT`

# A marker is made by `set -C` (O_EXCL), and what is in braces happens only where it was: where it is there already, the
# order was here before, and nothing is run. Where none can be made (disk full, no home) the command waits for a line
# from us, so that we know of it before it runs: what was started without a marker is never sent again. The traps are
# handlers, which a child does not inherit: the shell outlives a TERM to its group by the moment it takes to note how
# the command ended. To whom the first line cannot be said any more, nothing is run: a login that took too long was
# given up.
_BEFORE = (
    f"{_TAKE}{_RECEIVE}"
    f'if [ -n "$_d" ]; then {_ENTER}fi; '
    '_g=$$; kill -0 "-$$" 2>/dev/null || _g=$(ps -o pgid= -p "$$" 2>/dev/null); '
    f"_f=$HOME/{FOLDER} _m=$HOME/{FOLDER}/$_t; "
    f'if [ "$_t" = {UNMARKED} ]; then _s=unmarked _m=/dev/null; else '
    '[ -d "$_f" ] || mkdir -m 700 "$_f" 2>/dev/null; _s=absent; set -C; '
    '{ { _s=made; echo "$_g"; } > "$_m"; } 2>/dev/null; set +C; '
    'if [ $_s = absent ] && [ -e "$_m" ]; then _s=taken; fi; '
    f"export {TOKEN_NAME}=$_t; fi; "
    'if [ $_s = taken ]; then echo "$_n 0 taken"; exit 98; fi; '
    "trap : TERM INT HUP; "
    'echo "$_n $((_g+0)) $_s ${SHELL:-unknown}" || exit 95; '
    "if [ $_s = absent ]; then IFS= read -r _x || exit 99; fi; exec 2>/dev/null; "
)
_AFTER = '_r=$?; [ -d "$_f" ] || mkdir -m 700 "$_f"; echo "rc $_r" >> "$_m"; exit $_r'
WRAPPER: Final = f"{_BEFORE}( exec 2>&1; {_BECOME} ); {_AFTER}"
# Not in the wrapper's own shell, though that would save 0.25 of 3.2 ms: a line ended by force would leave words of that
# shell in its output, and could disturb what notes its end.
WRAPPER_OF_SCRIPTS: Final = f"{_BEFORE}( exec 2>&1; {_EVALUATE} ); {_AFTER}"

# What shows a script the shell that it runs in: these words, and variables but for ordinary ones. `.` and `eval` read
# what cannot be seen here.
_TELLING_WORDS = frozenset({
    ".", "alias", "break", "builtin", "command", "continue", "enable", "eval", "export", "getopts", "jobs", "local",
    "readonly", "return", "set", "shift", "source", "times", "trap", "type", "unalias", "wait",
})  # fmt: skip
_SEPARATORS = re.compile(r"[\s;&|(){}<>'\"\\`]+")
_TELLING_SIGNS = re.compile(
    r"\$(?![?!(]|\{?[A-Za-z])"  # $$, $0, $1, $#, $@, $-, ${#name} …
    r"|\$\{?(?:PPID|SHLVL|LINENO|OLDPWD|SECONDS|FUNCNAME|BASH)"
    r"|(?<![A-Za-z0-9_])_[A-Za-z]"  # the wrapper's own
)

# Behind sudo: another account's environment and folder, entered only once sudo has let us in.
INNER: Final = (
    f"{_TAKE}"
    'echo "$_n in" || exit 95; '
    f"{_RECEIVE}"
    f'if [ -n "$_d" ]; then {_ENTER}else cd 2>/dev/null || cd /; fi; '
    'echo "$_n ready"; '
    f'[ "$_t" = {UNMARKED} ] || export {TOKEN_NAME}=$_t; '
    f"{_BECOME}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """An order as it travels. `preamble` is what our own code reads of stdin, `stdin` what the command reads."""

    line: str = field(repr=False)  # what the login shell is told
    nonce: str
    preamble: bytes = field(default=b"", repr=False)
    stdin: bytes = field(default=b"", repr=False)
    prompt: str = ""  # what sudo asks with; empty where nobody will ask
    password: Secret | None = None
    is_elevated: bool = False


def seal(
    command: Command, *, token: str | None, elevation: Elevation | None = None, shell: str | None = None
) -> Sealed:
    """Make of a command what is sent. Without a `token` it leaves no marker, and carries none.

    `shell`: the name of the login shell where that is one of PLAIN_SHELLS, and runs the wrapper itself.
    Raises ValueError where a program's name begins with a dash, which no shell could start.
    """
    if command.argv[0].startswith("-"):
        raise ValueError(f"no program can have the name {command.argv[0]!r}")
    nonce = f"rota:{secrets.token_hex(8)}"
    mark = token or UNMARKED
    arguments, preamble = _arguments(command)
    given = _flag(command.stdin)
    if elevation is None:
        words = (mark, nonce, _lines(preamble), given, *arguments)
        wrapper = WRAPPER_OF_SCRIPTS if shell in (None, "sh") and _is_discreet(command) else WRAPPER
        return Sealed(line=_line(words, shell, wrapper), nonce=nonce, preamble=preamble, stdin=command.stdin)
    prompt = f"rota-password:{secrets.token_hex(8)}" if elevation.password is not None else ""
    inner = ("/bin/sh", "-c", INNER, "rota", mark, nonce, _lines(preamble), given, *arguments)
    needs_stdin = _flag(command.stdin or preamble or prompt)
    words = (mark, nonce, "0", needs_stdin, "", "--", *elevation.argv(prompt), *inner)
    return Sealed(
        line=_line(words, shell, WRAPPER), nonce=nonce, preamble=preamble, stdin=command.stdin,
        prompt=prompt, password=elevation.password, is_elevated=True,
    )  # fmt: skip


def _arguments(command: Command) -> tuple[tuple[str, ...], bytes]:
    """Folder, variables and argv: as words that anybody may see, or else as lines for stdin."""
    folder = command.cwd or ""
    pairs = tuple(f"{name}={value}" for name, value in command.env.items())
    words = (folder, *pairs, "--", *command.argv)
    if _is_public(command.env) and all(map(_PLAIN.fullmatch, words)) and sum(map(len, words)) < _LONGEST_LINE:
        return words, b""
    text = f"_d={shlex.quote(folder)}\nset -- {shlex.join(words[1:])}\n"
    return ("",), text.encode(errors="surrogateescape")


def _is_public(env: Mapping[str, str]) -> bool:
    return all(name.startswith("ROTA_") for name in env)


def _lines(preamble: bytes) -> str:
    return str(preamble.count(b"\n"))


def _flag(value: object) -> str:
    return "1" if value else "0"


def _line(words: tuple[str, ...], shell: str | None, wrapper: str) -> str:
    quoted = " ".join(map(_quoted, words))
    return f"exec /bin/sh -c {_quoted(wrapper)} /bin/sh {quoted}" if shell is None else f"set -- {quoted}; {wrapper}"


def _is_discreet(command: Command) -> bool:
    """Whether it is a script for /bin/sh that cannot tell the child of a /bin/sh from a /bin/sh of its own. That child
    reads it then: to start another shell costs the host more CPU than all the rest of the wrapper (0.8 of 2.3 ms)."""
    if len(command.argv) != 3 or command.argv[:2] != ("/bin/sh", "-c") or not _is_public(command.env):
        return False
    script = command.argv[2]
    return not _TELLING_SIGNS.search(script) and _TELLING_WORDS.isdisjoint(_SEPARATORS.split(script))


def _quoted(word: str) -> str:
    """A word in single quotes as every login shell reads them; it holds neither newline nor `!` nor backslash."""
    return "'" + word.replace("'", "'\\''") + "'"
