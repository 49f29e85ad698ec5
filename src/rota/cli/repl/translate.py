"""From a line of the shell to a command line of `rota`.

    /schedule NAME every 5m          schedule update NAME --when "every 5m"
    /schedule NAME weekdays 9am      schedule update NAME --when "weekdays 9am", and any other phrase
    /schedule NAME --when … --do …   schedule create --name NAME --when … --do …
    /schedule pause|resume NAME      pause NAME, resume NAME
    /schedule list                   seed 3's list
    /run NAME   /logs NAME           run NAME, schedule logs NAME
    /jobs show NAME   jobs show NAME   rota jobs show NAME                      as it stands

The words of `rota schedule` are therefore no names of schedules here: `/schedule list` is never about a job "list".
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum, auto

from rota.cli.commands.schedule import schedule
from rota.domain.errors import InvalidInput

_SWITCHES = ("pause", "resume")


class Own(Enum):
    """What the shell does itself."""

    NOTHING = auto()  # an empty line, a comment
    LEAVE = auto()
    SCHEDULES = auto()


@dataclass(frozen=True, slots=True)
class Line:
    """A command line without `rota` before it, or something of the shell's own."""

    args: tuple[str, ...] = ()
    own: Own | None = None


def translate(text: str) -> Line:
    """Read one line, with the quotes and comments of a POSIX shell. Raises InvalidInput."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError as fault:
        raise InvalidInput(f"the line cannot be read: {fault}", hint='close the quotes: "daily backup"') from fault
    if words and words[0] == "rota":
        words = words[1:]
    if not words:
        return Line(own=Own.NOTHING)
    is_slashed, first, rest = words[0].startswith("/"), words[0].removeprefix("/"), words[1:]
    match first:
        case "exit" | "quit":
            return Line(own=Own.LEAVE)
        case "help" | "?":
            return Line((*rest, "--help"))
        case "shell":
            raise InvalidInput("this is the shell already", hint="leave it with: exit")
        case "logs":
            return Line(("schedule", "logs", *rest))
        case "schedule" | "schedules" if is_slashed or rest[:1] in [[word] for word in _SWITCHES]:
            return _schedule(rest)
    return Line((first, *rest))


def _schedule(rest: list[str]) -> Line:
    if not rest:
        return Line(("schedule", "--help"))
    name, more = rest[0], rest[1:]
    if name in ("list", "ls") and not more:
        return Line(own=Own.SCHEDULES)
    if name in _SWITCHES:
        return Line((name, *more))
    if name in schedule.lazy or name in schedule.aliases or name.startswith("-"):
        return Line(("schedule", *rest))
    if not more:
        return Line(("schedule", "show", name))
    if more[0].startswith("-"):
        return Line(("schedule", "create", "--name", name, *more))
    return Line(("schedule", "update", name, "--when", " ".join(more)))
