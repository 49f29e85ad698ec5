"""Carries out lines, one after another: each as if it had been typed after `rota`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rota.cli.failure import report
from rota.cli.repl.schedules import schedule_lines
from rota.cli.repl.translate import Own, translate
from rota.cli.session import Session, out
from rota.domain.errors import RotaError


def converse(session: Session, lines: Iterable[str]) -> int:
    """Carry out every line; one that fails does not keep the next from being tried.

    Returns the exit code of the first that failed, so that a script sees it; 0 if none did.
    """
    first_failure = 0
    for text in lines:
        code = _carry_out(session, text)
        if code is None:
            break
        first_failure = first_failure or code
    return first_failure


def _carry_out(session: Session, text: str) -> int | None:
    """The exit code of one line; None to leave."""
    from rota.cli.main import run

    try:
        line = translate(text)
        match line.own:
            case Own.LEAVE:
                return None
            case Own.NOTHING:
                return 0
            case Own.SCHEDULES:
                with session.client() as client:
                    page = client.jobs()
                out("\n".join(schedule_lines(page["items"])))
                return 0
            case None:
                return run([*line.args], replace(session))  # what a line sets is not set for the next
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1
    except (RotaError, KeyboardInterrupt) as error:
        return report(error)
