"""`rota calendars`: when nothing may start, or when things may."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Group
from rota.cli.definition import in_flags
from rota.cli.emit import emit
from rota.cli.options import Faults, dry_run, with_options
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.cli.texts import labelled, short_id
from rota.domain.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.domain.step import Json
    from rota.usecases.shapes import Calendar

_NOT_REMOVED = 7
_RULES_SHOWN = 20
_SCOPES = "all, tag:KEY=VALUE, group:NAME; :defer behind it waits"


@click.group(
    "calendars",
    cls=Group,
    example='rota calendars add freeze --window "2026-12-20..2027-01-03" --apply all\n'
    'rota calendars add office --allow --window "business-days DE"',
)
def calendars() -> None:
    """Say when nothing may start (blackouts), or when alone things may (allow calendars).

    A schedule names its calendars itself (--calendar NAME), or a calendar concerns a tag, a group of hosts or all.
    """


def _content(command: Callable[..., object]) -> Callable[..., object]:
    """The options that say what a calendar is."""
    return with_options(
        command,
        click.option("--allow/--blackout", "allow", default=None, help="Start only then, or never then (default)."),
        click.option("--window", "windows", metavar="TIMES", multiple=True, help="See docs/calendars.md; repeatable."),
        click.option("--apply", "applies", metavar="WHOM", multiple=True, help=f"{_SCOPES}; repeatable."),
        click.option("--timezone", metavar="ZONE", help="IANA zone of the times. Default: this machine's."),
        click.option("--description", metavar="TEXT", help="What it is for, in your words."),
    )


@calendars.command("list", example="rota calendars list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the calendars."""
    with session.client() as client:
        page = client.calendars()

    def people() -> None:
        titles = ["NAME", "EFFECT", "WINDOWS", "CONCERNS"]
        rows = [[one["name"], one["effect"], _rules(one), _concerns(one)] for one in page["items"]]
        if rows:
            out(render(titles, rows, width=session.terminal_width, elastic=(2, 3)))
        else:
            say('No calendars yet. Make one:\n  rota calendars add freeze --window "12-24..01-01" --apply all')

    emit(session, page, people=people)


@calendars.command("show", example="rota calendars show freeze")
@click.argument("name")
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show a calendar, whom it concerns, and its next windows."""
    with session.client() as client:
        calendar = client.calendar(name)
    emit(session, calendar, people=lambda: _show(calendar))


@calendars.command(
    "add",
    example='rota calendars add freeze --window "2026-12-20..2027-01-03" --apply all\n'
    'rota calendars add nights --allow --window "daily 22:00-06:00" --apply tag:env=prod:defer',
)
@click.argument("name")
@_content
@dry_run
@click.pass_obj
def add(
    session: Session,
    name: str,
    allow: bool | None,
    windows: Sequence[str],
    applies: Sequence[str],
    timezone: str | None,
    description: str | None,
    dry_run: bool,
) -> None:
    """Make a calendar."""
    faults = Faults()
    if not windows:
        faults.add("--window", "missing", expected='such as "mon-fri 08:00-18:00", 2026-12-24 or "holidays DE"')
    faults.raise_any(hint='such as: rota calendars add freeze --window "12-24..01-01" --apply all')
    body = {"name": name, **_body(allow, windows, applies, timezone or _here(session), description)}
    with session.client(may_create=not dry_run, may_pretend=dry_run) as client:
        calendar = in_flags(lambda: client.add_calendar(body, dry_run=dry_run))
    emit(session, calendar, people=lambda: _tell(calendar, "would be added" if dry_run else "added"))


@calendars.command("update", example='rota calendars update freeze --window "2026-12-20..2027-01-06"')
@click.argument("name")
@_content
@dry_run
@click.pass_obj
def update(
    session: Session,
    name: str,
    allow: bool | None,
    windows: Sequence[str],
    applies: Sequence[str],
    timezone: str | None,
    description: str | None,
    dry_run: bool,
) -> None:
    """Change a calendar; --window and --apply take the place of those before. --apply "" takes all away."""
    body = _body(allow, windows, applies, timezone, description)
    if not body:
        raise InvalidInput("nothing to change", expected="an option that names what to change")
    with session.client() as client:
        calendar = in_flags(lambda: client.update_calendar(name, body, dry_run=dry_run))
    emit(session, calendar, people=lambda: _tell(calendar, "would be updated" if dry_run else "updated"))


@calendars.command("remove", example="rota calendars remove freeze --yes")
@click.argument("name")
@dry_run
@click.pass_obj
def remove(session: Session, name: str, dry_run: bool) -> int:
    """Remove a calendar. What it has put off starts, unless another one holds it."""
    with session.client() as client:
        calendar = client.calendar(name)
        answer = {"removed": calendar["name"], "id": calendar["id"]}
        if not dry_run:
            if not session.confirm(f'Remove calendar "{calendar["name"]}"? What it has put off starts.'):
                say("Not removed.")
                return _NOT_REMOVED
            client.remove_calendar(name)
    word = "would be removed" if dry_run else "removed"
    emit(session, answer, people=lambda: out(f'Calendar "{calendar["name"]}" {word}'), name="removed")
    return 0


@calendars.command("import", example="rota calendars import holidays.ics --name holidays --apply all")
@click.argument("file", metavar="FILE")
@click.option("--name", metavar="NAME", help="What it is called. Default: the file's name.")
@click.option("--allow/--blackout", "allow", default=None, help="Start only then, or never then (default).")
@click.option("--apply", "applies", metavar="WHOM", multiple=True, help=f"{_SCOPES}; repeatable.")
@click.option("--timezone", metavar="ZONE", help="Zone of times without one. Default: this machine's.")
@click.pass_obj
def import_(
    session: Session, file: str, name: str | None, allow: bool | None, applies: Sequence[str], timezone: str | None
) -> None:
    """Make a calendar of the events of an iCalendar file (.ics), or give one these windows; - reads standard input."""
    called = name or Path(file).stem
    body = {"name": called, "ics": _read(file), **_body(allow, (), applies, timezone or _here(session), None)}
    with session.client(may_create=True) as client:
        calendar = in_flags(lambda: client.import_calendar(body))
    windows = f"{len(calendar['rules'])} windows" if len(calendar["rules"]) != 1 else "1 window"
    emit(session, calendar, people=lambda: _tell(calendar, f"has {windows} of {file}"))
    for skipped in calendar.get("skipped", []):
        say(f"Left out: {skipped}")


def _body(
    allow: bool | None,
    windows: Sequence[str],
    applies: Sequence[str],
    timezone: str | None,
    description: str | None,
) -> dict[str, Json]:
    """What was typed, in the API's fields."""
    typed: dict[str, Json] = {
        "effect": None if allow is None else "allow" if allow else "blackout",
        "rules": [*windows] or None,
        "applies_to": [text for text in applies if text] if applies else None,
        "timezone": timezone,
        "description": description,
    }
    return {field: value for field, value in typed.items() if value is not None}


def _here(session: Session) -> str:
    from rota.localzone import local_zone_name

    return local_zone_name(session.env)


def _read(file: str) -> str:
    """Raises Unavailable where the file cannot be read. Bytes that are no UTF-8 are some title's."""
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Unavailable(
            f"{file} cannot be read: {error.strerror}", hint="name an .ics file, or - for standard input"
        ) from error
    return raw.decode(errors="replace").removeprefix("\ufeff")


def _rules(calendar: Calendar) -> str:
    rules = calendar["rules"]
    return ", ".join(rules[:3]) + (f" and {len(rules) - 3} more" if len(rules) > 3 else "")


def _concerns(calendar: Calendar) -> str:
    """Whom it concerns: `all, tag:env=prod (defer), job nightly`."""
    said = []
    for text in calendar["applies_to"]:
        whom, _, on_hit = text.rpartition(":")
        said.append(f"{whom} (defer)" if on_hit == "defer" else whom)
    return ", ".join([*said, *(f"job {name}" for name in calendar["jobs"])]) or "nobody"


def _tell(calendar: Calendar, word: str) -> None:
    out(f'Calendar "{calendar["name"]}" {word}')
    out("\n".join(_windows(calendar)))
    if not calendar["applies_to"] and not calendar["jobs"]:
        say(f"It concerns nobody yet: rota schedule update NAME --calendar {calendar['name']}, or --apply all")


def _windows(calendar: Calendar) -> list[str]:
    """`Nothing starts:` or `Things may start:` and a line for each of the next windows."""
    head = "Nothing starts" if calendar["effect"] == "blackout" else "Things may start only"
    windows = calendar.get("next_windows", [])
    if not windows:
        return [f"{head}: at no time to come"]
    return [f"{head}:", *(f"  {times.utc(one['start'])} to {times.utc(one['end'])} UTC" for one in windows)]


def _show(calendar: Calendar) -> None:
    rules = calendar["rules"]
    more = [f"and {len(rules) - _RULES_SHOWN} more"] if len(rules) > _RULES_SHOWN else []
    rows = [
        ("Name", calendar["name"]),
        ("ID", short_id(calendar["id"])),
        ("Description", calendar["description"] or times.NONE),
        ("Effect", calendar["effect"]),
        ("Timezone", calendar["timezone"]),
        ("Windows", "\n".join([*rules[:_RULES_SHOWN], *more])),
        ("Concerns", _concerns(calendar)),
        ("Updated By", calendar["updated_by"]),
        ("Updated At", times.instant(calendar["updated_at"])),
    ]
    if calendar["fault"]:
        rows.append(("Fault", f"{calendar['fault']}; nothing that it concerns starts"))
    out("\n".join(labelled(rows)))
    out("")
    out("\n".join(_windows(calendar)))
