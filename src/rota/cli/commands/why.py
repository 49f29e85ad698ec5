"""`rota why`: the reason, in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from rota.cli import times
from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.session import Session, out
from rota.domain.errors import InvalidInput


@click.command(
    "why",
    cls=Command,
    example="rota why daily-backup\n"
    "rota why run_1a2b3c4d\n"
    "rota why run_1a2b3c4d web-1\n"
    'rota why daily-backup --at "2026-03-04 02:00"',
)
@click.argument("ref")
@click.argument("host", required=False)
@click.option("--at", metavar="TIME", help="Ask about a moment in the past. Default: now.")
@click.pass_obj
def why(session: Session, ref: str, host: str | None, at: str | None) -> None:
    """Say why a schedule or a run is as it is: why it ran, waits, failed, or did not run.

    With a HOST it answers for that host of the run, or of the schedule's latest run. A TIME without an offset is this
    machine's local time.
    """
    moment = None if at is None else _instant(at)
    with session.client() as client:
        found = client.why(ref, at=moment, host=host)

    def people() -> None:
        out(found["answer"])
        for line in found["lines"]:
            out(f"  {line}")
        if found["next_look_at"]:
            out(f"Next look at {times.utc(found['next_look_at'])} UTC")

    emit(session, found, people=people, name="subject")


def _instant(text: str) -> str:
    """What was typed as an RFC 3339 instant in UTC."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except ValueError as error:
        raise InvalidInput(
            f'--at: "{text}" is not a time', expected='such as "2026-03-04 02:00" or 2026-03-04T02:00:00Z'
        ) from error
