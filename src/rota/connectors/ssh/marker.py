"""Start markers: a file on the host for each attempt that began there, so that a repeated order does nothing.

`~/.rota/TOKEN` holds the process group, then `rc N` once the command has ended. It tells what became of an attempt
whose connection was lost. Markers go once the result is durable here, several at a time; forgotten ones after a week.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rota.connectors.ssh.killing import PROCESSES, SOUGHT
from rota.connectors.ssh.wrapper import FOLDER
from rota.domain.instant import SECOND, Micros, format_rfc3339
from rota.domain.step import Command

KEPT_DAYS: Final = 7

# $1: how many seconds to wait for an end. Where nobody is alive the marker is read once more: it may have ended while
# we looked. Where there is no marker, it tells whether one could be made now: a command that ran without one, because
# the disk was full, may have mended just that, and then it noted its end all the same.
_LOOK: Final = (
    PROCESSES
    + rf"""
_d=$HOME/{FOLDER} _left=$1 _n=0
_m=$_d/$_t
noted() {{
  _g=0 _rc=
  if [ -r "$_m" ]; then
    while read -r _a _b; do
      case $_a in rc) _rc=$_b ;; *) _g=$_a ;; esac
    done < "$_m"
  fi
}}
while :; do
  noted
  [ -n "$_rc" ] && break
  if [ $((_n%5)) -eq 0 ]; then
    _alive=$(marked)
    [ -n "$_alive" ] || noted
  fi
  [ -n "$_alive" ] || break
  [ $_n -lt "$_left" ] || {{ echo "running $_g"; break; }}
  sleep 1
  _n=$((_n+1))
done
if [ -n "$_rc" ]; then
  echo "ended $_rc $(stat -c %Y "$_m" 2>/dev/null || stat -f %m "$_m" 2>/dev/null)"
elif [ -e "$_m" ]; then
  [ -n "$_alive" ] || echo "gone"
elif [ -z "$_alive" ]; then
  {{ [ -d "$_d" ] || mkdir -m 700 "$_d"
    echo test > "$_d/.test.$$" && rm -f "$_d/.test.$$" && echo "never"; }} 2>/dev/null || echo "unknown"
fi
"""
)

_CLEAN: Final = (
    f'cd "$HOME/{FOLDER}" 2>/dev/null || exit 0; rm -f -- "$@"; '
    f"find . -type f -mtime +{KEPT_DAYS} -exec rm -f -- {{}} +"
)

_ANSWER = re.compile(
    rb"^(?:(ended) (\d{1,3})(?: (\d{1,12}))?|(running) (\d{1,11})|(gone|never|unknown))\s*$", re.MULTILINE
)


class Trace(StrEnum):
    ENDED = "ended"
    RUNNING = "running"
    GONE = "gone"  # it began, and is no more; how it ended is not known
    NEVER = "never"  # it did not begin: it would have left a marker
    UNKNOWN = "unknown"  # no marker, but none could be made either


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a host knows of an attempt. `at` is when it ended, by the host's own clock."""

    trace: Trace
    exit_code: int | None = None
    at: Micros | None = None
    group: int = 0

    @property
    def evidence(self) -> str:
        """In words for people."""
        match self.trace:
            case Trace.ENDED:
                when = f" at {format_rfc3339(self.at)} by the host's clock" if self.at is not None else ""
                return f"exit code {self.exit_code}{when}"
            case Trace.RUNNING:
                return f"still running, process group {self.group}" if self.group else "still running"
            case Trace.GONE:
                return "gone without a result"
            case Trace.NEVER:
                return "it never started there"
            case Trace.UNKNOWN:
                return "no trace of it, and the host can keep none"


def look_command(token: str, *, wait_seconds: int = 0) -> Command:
    """The order that says what became of an attempt, at its end or after `wait_seconds`. `found` reads its answer."""
    return Command(argv=("/bin/sh", "-c", _LOOK, "rota-look", str(wait_seconds)), env={SOUGHT: token})


def found(said: bytes) -> Found | None:
    """Read the answer of `look_command`; None where there is none."""
    answer = _ANSWER.search(said)
    if answer is None:
        return None
    _, code, at, _, group, other = answer.groups()
    if code is not None:
        return Found(trace=Trace.ENDED, exit_code=int(code), at=int(at) * SECOND if at else None)
    if group is not None:
        return Found(trace=Trace.RUNNING, group=int(group))
    return Found(trace=Trace(other.decode()))


def clean_command(tokens: Iterable[str]) -> Command:
    """The order that removes these markers, and whatever is older than KEPT_DAYS."""
    return Command(argv=("/bin/sh", "-c", _CLEAN, "rota-clean", *tokens))
