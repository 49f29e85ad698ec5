"""The end of remote work: TERM to the process group, a grace, KILL, and then a look whether anything is left.

Over a channel of its own, as the account that the command runs as. What a command put into a session of its own is
found by the token in its environment; what took that off as well cannot be found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rota.domain.step import Command

# The token that is sought comes by a variable that no other process has; so the seekers do not find themselves.
SOUGHT: Final = "ROTA_SOUGHT"

# `marked` says the living processes that carry the token, `_t`, and the shell around the command, known by its words;
# `grouped` those of its process group, `_g`. Zombies do not count. Where there is no /proc, `ps axeww` shows arguments
# and environments (BSD, macOS). No -F: with it busybox's grep sees nothing behind a NUL byte. Tokens are plain words.
PROCESSES: Final = rf"""
_t=${SOUGHT} _proc=/proc _own=ROTA_ATTEMPT_TOKEN=${SOUGHT}
_words='_t=[$]1 _n=[$]2'
marked() {{
  if [ -r "$_proc/self/environ" ]; then
    for _p in $(grep -ls -e "$_own" "$_proc"/[0-9]*/environ); do
      [ -d "${{_p%/*}}" ] && _p=${{_p%/*}} && echo "${{_p##*/}}"
    done
    for _p in $(grep -ls -e "$_t" "$_proc"/[0-9]*/cmdline); do
      grep -qs -e "$_words" "$_p" && _p=${{_p%/*}} && echo "${{_p##*/}}"
    done
  else
    ps axeww 2>/dev/null | grep -e "$_t" | grep -v -e {SOUGHT}= | grep -e "$_own" -e "$_words" |
      while read -r _p _x; do echo "$_p"; done
  fi
}}
grouped() {{
  kill -0 "-$_g" 2>/dev/null || return 0
  if [ -r "$_proc/self/stat" ]; then
    for _f in "$_proc"/[0-9]*/stat; do
      _s=
      while read -r _x; do _s=$_x; done < "$_f"
      [ -n "$_s" ] && echo "${{_f%/stat}} ${{_s##*) }}"
    done 2>/dev/null | while read -r _f _z _x _p _x; do
      [ "$_p" = "$_g" ] && case $_z in Z|X) ;; *) echo "${{_f##*/}}" ;; esac
    done
  else
    ps -A -o pid= -o pgid= -o stat= 2>/dev/null | while read -r _p _x _z; do
      [ "$_x" = "$_g" ] && case $_z in Z*) ;; *) echo "$_p" ;; esac
    done
  fi
}}
look() {{ _m=$(marked) _l=$(grouped); }}
"""

# $1 is the group, 0 where it is not known. One that is led by a stranger is not ours: numbers of processes come again,
# though not while a group of that number has members.
_GROUP: Final = r"""
_g=$1
[ "$_g" -gt 1 ] || _g=x
look
if kill -0 "$_g" 2>/dev/null; then
  case " $(echo $_m) " in *" $_g "*) ;; *) _g=x; look ;; esac
fi
"""

# $2 is the grace in tenths of a second.
_KILL: Final = r"""
nap() { sleep 0.1 2>/dev/null || { sleep 1; _n=$((_n+9)); }; }
stirs() {
  kill -0 "-$_g" 2>/dev/null && return 0
  for _p in $_m; do kill -0 "$_p" 2>/dev/null && return 0; done
  return 1
}
strike() {
  kill "-$1" "-$_g" 2>/dev/null
  for _p in $_m; do kill "-$1" "$_p" 2>/dev/null; done
}
wait_for() {
  _n=0
  while [ $_n -lt "$1" ]; do
    if [ $((_n%5)) -eq 4 ] || ! stirs; then
      look
      [ -z "$_m$_l" ] && return 0
      [ $_signal = KILL ] && strike KILL
    fi
    nap
    _n=$((_n+1))
  done
  return 1
}
_signal=TERM
strike TERM
strike CONT
if ! wait_for "$2"; then
  _signal=KILL
  look
  strike KILL
  wait_for 30
fi
look
"""

_SAY: Final = r"""
for _p in $_m $_l; do echo "left $_p"; done
echo done
"""

_LEFT = re.compile(rb"^left (\d{1,11})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Survivors:
    """What lives of an attempt. None: nobody could look."""

    pids: frozenset[int] | None

    @property
    def count(self) -> int:
        """For `Exit.left_running`: where nobody could look, at least one."""
        return 1 if self.pids is None else len(self.pids)


NOBODY_LOOKED: Final = Survivors(None)


def kill_command(token: str, group: int, *, grace_seconds: float, run_as: str | None) -> Command:
    """The order that ends an attempt. `survivors` reads what it says."""
    tenths = str(round(grace_seconds * 10))
    argv = ("/bin/sh", "-c", PROCESSES + _GROUP + _KILL + _SAY, "rota-kill", str(group), tenths)
    return Command(argv=argv, env={SOUGHT: token}, run_as=run_as)


def count_command(token: str, group: int, *, run_as: str | None) -> Command:
    """The order that says what lives of an attempt whose command has ended. `survivors` reads what it says."""
    argv = ("/bin/sh", "-c", PROCESSES + _GROUP + _SAY, "rota-count", str(group))
    return Command(argv=argv, env={SOUGHT: token}, run_as=run_as)


def survivors(said: bytes) -> Survivors:
    """Read the answer of the orders above. One without its last line is none."""
    if not said.rstrip().endswith(b"done"):
        return NOBODY_LOOKED
    return Survivors(frozenset(int(pid) for pid in _LEFT.findall(said)))
