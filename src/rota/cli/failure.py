"""The one place where an error becomes words on stderr and an exit code."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence

import click

from rota.cli.session import say
from rota.domain.errors import (
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    Refused,
    RotaError,
    Skipped,
    Unavailable,
)

USAGE = 2
INTERNAL = 70
INTERRUPTED = 130
BROKEN_PIPE = 141  # 128 + SIGPIPE, as of any program whose reader has left

_EXIT_OF_ERROR: tuple[tuple[type[RotaError], int], ...] = (
    (InvalidInput, USAGE),
    (NotFound, 4),
    (Conflict, 5),
    (Unavailable, 6),
    (Refused, 7),
    (Skipped, 9),
)


def report(error: BaseException) -> int:
    """Tell the user about `error` and return the exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            say(error.format_message())
            return USAGE
        case click.ClickException():
            _tell(*_words_of_click(error))
            return USAGE
        case KeyboardInterrupt() | click.Abort():
            say("")  # the terminal has printed ^C
            return INTERRUPTED
        case RotaError() if code := _exit_code(error):
            _tell(*words_of(error))
            return code
        case _:
            return _internal(error)


def words_of(error: RotaError) -> tuple[list[str], list[str]]:
    """What happened, line by line, and what to do next. Every fault is named, once."""
    faults = [fault for fault in getattr(error, "errors", ()) if isinstance(fault, FieldError)]
    hints = [error.hint] if error.hint else []
    if len(faults) > 1:
        return [f"{len(faults)} things are wrong", *_several(faults)], hints
    if faults:
        return [faults[0].said], list(dict.fromkeys(filter(None, [faults[0].hint, *hints])))
    return [error.happened + (f" (expected {error.expected})" if error.expected else "")], hints


def _several(faults: Sequence[FieldError]) -> Iterator[str]:
    """A line for each, and its hint below it."""
    for fault in faults:
        yield f"  {fault.said}"
        if fault.hint:
            yield f"    Hint: {fault.hint}"


def _exit_code(error: RotaError) -> int:
    """0 for an error of no family: that is a bug, ours or the server's."""
    return next((code for family, code in _EXIT_OF_ERROR if isinstance(error, family)), 0)


def _words_of_click(error: click.ClickException) -> tuple[list[str], list[str]]:
    usage = f"{error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
    match error:
        case click.exceptions.NoSuchCommand():
            happened, near = f'there is no command "{error.command_name}"', error.possibilities
        case click.exceptions.NoSuchOption():
            happened, near = f"there is no option {error.option_name}", error.possibilities
        case _:
            happened, near = error.format_message().removesuffix("."), None
    hints = [f"did you mean {near[0]}?"] if near else []
    return [happened], [*hints, usage] if usage else hints


def _tell(lines: list[str], hints: list[str]) -> None:
    first, *rest = lines
    say("\n".join([f"Error: {first}", *rest, *(f"Hint: {hint}" for hint in hints)]))


def _internal(error: BaseException) -> int:
    """A bug: a short message, and the trace where it can be found and is not in the way."""
    if os.environ.get("ROTA_DEBUG") == "1":
        traceback.print_exception(error)
        return INTERNAL
    request_id = getattr(error, "request_id", "")
    where = f"the server's log has the trace under {request_id}" if request_id else _kept_trace(error, os.environ)
    what = str(error) if isinstance(error, RotaError) else f"{type(error).__name__}: {error}"
    _tell([f"a bug in Rota: {what}"], [where])
    return INTERNAL


def _kept_trace(error: BaseException, env: Mapping[str, str]) -> str:
    import tempfile

    try:
        with tempfile.NamedTemporaryFile("w", prefix="rota-", suffix=".trace", delete=False) as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return "ROTA_DEBUG=1 prints the trace"
    return f"the trace is in {file.name}; ROTA_DEBUG=1 prints it"
