"""`schedule preview`: when a schedule starts, or when an expression or a phrase would have it start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Command
from rota.cli.definition import in_flags
from rota.cli.emit import emit
from rota.cli.month import month_lines
from rota.cli.options import Faults
from rota.cli.session import Session, out, say
from rota.domain.errors import FieldError, InvalidInput, NotFound

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.usecases.shapes import Preview, Upcoming

_CURRENT = "current"


@click.command(
    "preview",
    cls=Command,
    example="rota schedule preview daily-backup --month\n"
    'rota schedule preview "every weekday at 9am"\n'
    'rota schedule preview --cron "0 2 * * *" --timezone Asia/Tokyo --prev',
)
@click.argument("what", metavar="[SCHEDULE|TEXT]", required=False)
@click.option("--when", metavar="TEXT", help='In words: "every weekday at 9am", "+90s".')
@click.option("--cron", metavar="EXPRESSION", help='A cron expression: "0 2 * * *".')
@click.option("--every", metavar="DURATION", help="An interval: 20s, 15m, 1h30m.")
@click.option("--at", metavar="TIME", help='One instant: "2026-12-01 02:00".')
@click.option("--rrule", metavar="RULE", help='An RFC 5545 rule: "FREQ=MONTHLY;BYDAY=2TU".')
@click.option("--timezone", metavar="ZONE", help="IANA zone of the times. Default: this machine's.")
@click.option("--count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many.")
@click.option("--prev", is_flag=True, help="Also as many before now.")
@click.option(
    "--month", metavar="[YYYY-MM]", is_flag=False, flag_value=_CURRENT, help="As a calendar. Default: this month."
)
@click.pass_obj
def preview(
    session: Session,
    what: str | None,
    when: str | None,
    cron: str | None,
    every: str | None,
    at: str | None,
    rrule: str | None,
    timezone: str | None,
    count: int,
    prev: bool,
    month: str | None,
) -> None:
    """Show when a schedule starts next, or when a text would have it start.

    The text is a cron expression, a short form or plain English; a schedule of that name comes first. Times are those
    of the schedule's zone, then UTC, and this machine's where they differ. What a clock change, a calendar, a pause or
    spread moves or drops is marked.
    """
    rules = {"when": when, "cron": cron, "every": every, "at": at, "rrule": rrule}
    named = [f"--{name}" for name, text in rules.items() if text is not None]
    faults = Faults()
    faults.at_most_one([*(["SCHEDULE"] if what is not None else []), *named])
    if what is not None and timezone is not None and not named:
        rules["when"] = what  # a schedule has zones of its own
    faults.raise_any()
    if what is None and not named:
        raise InvalidInput(
            "nothing to preview",
            expected="a schedule's name, a text that says when, or one of --when --cron --every --at --rrule",
            hint='such as: rota schedule preview "every weekday at 9am"',
        )
    from rota.localzone import local_zone_name

    here = local_zone_name(session.env)
    asked = {"month": month, "viewer": here}
    previous = count if prev else 0

    def of_text(client: Client) -> Preview:
        zone = timezone or here
        return in_flags(lambda: client.preview(count=count, previous=previous, timezone=zone, **rules, **asked))

    with session.client(may_pretend=True) as client:
        if what is None or rules["when"] is not None:
            found = of_text(client)
        else:
            name = what
            found = _job_or_text(
                name,
                lambda: client.preview_job(name, count=count, previous=previous, **asked),
                lambda: in_flags(
                    lambda: client.preview(count=count, previous=previous, timezone=here, when=name, **asked)
                ),
            )
        emit(session, found, people=lambda: out("\n".join(_lines(session, found, count))))
        for warning in found.get("warnings", []):
            say(f"Warning: {warning}")


def _job_or_text(name: str, of_job: Callable[[], Preview], of_text: Callable[[], Preview]) -> Preview:
    """A name wins. Where it is neither, both are told."""
    try:
        return of_job()
    except NotFound as no_job:
        try:
            return of_text()
        except InvalidInput as no_text:
            no_schedule = FieldError(field="SCHEDULE", message=no_job.happened, hint=no_job.hint)
            faults = [*no_text.as_faults(), no_schedule]  # several words are hardly a name, one word hardly a time
            raise InvalidInput.of(faults if " " in name else reversed(faults)) from no_text


def _lines(session: Session, found: Preview, count: int) -> Iterator[str]:
    yield _head(found)
    if "days" in found:
        yield from month_lines(found["days"], found["timezone"], today=_today(session, found["timezone"]))
        return
    if "previous_runs" in found:
        yield from _block("Previous", found["previous_runs"])
    yield from _block("Next", found["next_runs"], otherwise=found.get("no_next", ""))


def _head(found: Preview) -> str:
    """`0 9 * * 1-5 (Every Monday to Friday at 09:00; 09:00 is assumed)`."""
    reading = "; ".join(found.get("readings", [])) or found["trigger_text"]
    short = found["trigger_short"]
    return reading if short.lower() == reading.lower() else f"{short} ({reading})"


def _block(title: str, moments: list[Upcoming], *, otherwise: str = "") -> Iterator[str]:
    """`Next 5 runs:` and a line for each, with this machine's time where it is another."""
    if not moments:
        yield f"{title} runs: none" + (f", as {otherwise}" if otherwise else "")
        return
    starts = sum("reason" not in moment for moment in moments)
    yield f"{title} run:" if starts == 1 == len(moments) else f"{title} {starts} runs:"
    yield from (f"  {_moment(moment)}" for moment in moments)


def _moment(moment: Upcoming) -> str:
    text, viewer = times.upcoming(moment), moment.get("viewer")
    if viewer is None or viewer[:19] in (moment["local"][:19], times.utc(moment["at"])):
        return text
    here = viewer[11:] if viewer[:10] == moment["local"][:10] else viewer
    head, gap, note = text.partition("  ")
    return f"{head} = {here} here{gap}{note}"


def _today(session: Session, zone: str) -> str:
    from rota.domain.instant import from_micros
    from rota.domain.trigger.tzversion import zone_info

    return f"{from_micros(session.now()).astimezone(zone_info(zone)):%Y-%m-%d}"
