"""Calendars: add, list, show, change, remove, import. What they hold is decided by `domain.calendars`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.calendar_spec import Attachment, CalendarSpec, read_attachment
from rota.domain.calendars import Effect, Scope
from rota.domain.errors import Conflict, FieldError, InvalidInput, NotFound, near
from rota.domain.ids import Kind, public
from rota.domain.instant import DAY
from rota.domain.job import JobSpec
from rota.domain.windows.ics import read_ics
from rota.ports import Tx
from rota.storage import audit, inventory, jobs, windows
from rota.storage.windows import CalendarRow
from rota.usecases import resources, shapes
from rota.usecases.context import Context

SHOWN_WINDOWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDraft:
    """None = not said: the default, or as it was. `rules` and `applies_to` take the place of those before."""

    description: str | None = None
    effect: Effect | None = None
    timezone: str | None = None
    rules: Sequence[str] | None = None
    applies_to: Sequence[str] | None = None
    faults: Sequence[FieldError] = ()

    def applied_to(self, spec: CalendarSpec) -> CalendarSpec:
        """The spec with what is said. Raises InvalidInput with every fault."""
        faults = list(self.faults)
        attached: list[Attachment] = []
        for place, text in enumerate(self.applies_to or ()):
            try:
                attached.append(read_attachment(text))
            except InvalidInput as error:
                faults += error.as_faults(f"applies_to[{place}]")
        changed = replace(
            spec,
            description=spec.description if self.description is None else self.description,
            effect=self.effect or spec.effect,
            zone=self.timezone or spec.zone,
            rules=spec.rules if self.rules is None else tuple(self.rules),
            applies_to=spec.applies_to if self.applies_to is None else tuple(attached),
        )
        told = {fault.field for fault in faults}
        tidy, found = changed.tidied()
        faults += [fault for fault in found if fault.field not in told]
        if faults:
            raise InvalidInput.of(faults)
        return tidy


async def list_all(ctx: Context, principal: Principal) -> shapes.Calendars:
    """By name."""
    authorize(principal, Verb.READ, "calendars")

    def read(tx: Tx) -> list[shapes.Calendar]:
        return [resources.calendar(row, _users(tx, row.spec.name)) for row in windows.list_calendars(tx)]

    return {"items": await ctx.store.read(read), "next": None}


async def show(ctx: Context, principal: Principal, ref: str) -> shapes.Calendar:
    """One calendar with its next windows. Raises NotFound with a near name."""
    authorize(principal, Verb.READ, f"calendar {ref}")
    return await ctx.store.read(lambda tx: _whole(tx, windows.get_calendar(tx, ref)))


async def add(
    ctx: Context, principal: Principal, name: str, draft: CalendarDraft, *, dry_run: bool = False
) -> shapes.Calendar:
    """Save a new calendar. Raises InvalidInput with every fault, NotFound for groups, Conflict for a taken name."""
    authorize(principal, Verb.WRITE, f"calendar {name}")

    def wanted(tx: Tx) -> CalendarSpec:
        spec = draft.applied_to(CalendarSpec(name=name))
        _require_groups(tx, spec)
        windows.require_free_name(tx, name)
        return spec

    def would_be(tx: Tx) -> shapes.Calendar:
        spec = wanted(tx)
        return _whole(tx, CalendarRow(0, "0" * 16, spec, tx.at, principal.name, tx.at, principal.name))

    def save(tx: Tx) -> shapes.Calendar:
        row = windows.insert_calendar(tx, wanted(tx), principal.name)
        _record(tx, principal, "add", row)
        return _whole(tx, row)

    return await ctx.store.read(would_be) if dry_run else await _write(ctx, save)


async def change(
    ctx: Context, principal: Principal, ref: str, draft: CalendarDraft, *, dry_run: bool = False
) -> shapes.Calendar:
    """Change what is said; starts that it has put off are judged again. Raises as `add` does, and NotFound."""
    authorize(principal, Verb.WRITE, f"calendar {ref}")

    def wanted(tx: Tx) -> tuple[CalendarRow, CalendarSpec]:
        row = windows.get_calendar(tx, ref)
        spec = draft.applied_to(row.spec)
        _require_groups(tx, spec)
        return row, spec

    def would_be(tx: Tx) -> shapes.Calendar:
        row, spec = wanted(tx)
        return _whole(tx, row._replace(spec=spec))

    def save(tx: Tx) -> shapes.Calendar:
        row, spec = wanted(tx)
        if spec == row.spec:
            return _whole(tx, row)
        changed = windows.change_calendar(tx, row, spec, principal.name)
        _record(tx, principal, "update", changed)
        return _whole(tx, changed)

    return await ctx.store.read(would_be) if dry_run else await _write(ctx, save)


async def remove(ctx: Context, principal: Principal, ref: str) -> shapes.Removed:
    """Raises Conflict naming the jobs that name it."""
    authorize(principal, Verb.WRITE, f"calendar {ref}")

    def delete(tx: Tx) -> str:
        row = windows.get_calendar(tx, ref)
        if users := _users(tx, row.spec.name):
            raise Conflict(
                f'calendar "{row.spec.name}" is used by {", ".join(users)}',
                hint=f"let them do without it: rota schedule update {users[0]} --calendar OTHERS",
            )
        windows.delete_calendar(tx, row)
        _record(tx, principal, "remove", row)
        return row.spec.name

    name = await ctx.store.write(delete)
    ctx.launcher.jobs_changed()
    return {"deleted": name}


async def import_ics(ctx: Context, principal: Principal, name: str, text: str, draft: CalendarDraft) -> shapes.Calendar:
    """Make a calendar of the events of an iCalendar text, or give an existing one these windows in place of its own.

    Events that cannot be taken are left out and named in `skipped`. Raises InvalidInput where none can be taken.
    """
    authorize(principal, Verb.WRITE, f"calendar {name}")

    now, before = await ctx.store.read(lambda tx: (tx.at, windows.find_calendar(tx, name)))
    zone = draft.timezone or (CalendarSpec(name=name) if before is None else before.spec).zone
    # In a thread, before the transaction: a file from anywhere must not hold up the planner.
    read = await asyncio.to_thread(read_ics, text, zone=zone, since=now - DAY)
    filled = replace(draft, rules=read.rules, timezone=zone)

    def save(tx: Tx) -> shapes.Calendar:
        known = windows.find_calendar(tx, name)
        spec = filled.applied_to(CalendarSpec(name=name) if known is None else known.spec)
        _require_groups(tx, spec)
        if known is None:
            row = windows.insert_calendar(tx, spec, principal.name)
        else:
            row = windows.change_calendar(tx, known, spec, principal.name)
        _record(tx, principal, "import", row)
        return {**_whole(tx, row), "skipped": list(read.skipped)}

    return await _write(ctx, save)


def missing_calendars(tx: Tx, spec: JobSpec) -> list[FieldError]:
    """A fault for each calendar that a job names and that does not exist."""
    if not spec.calendars:
        return []
    known = windows.calendar_names(tx)
    return [
        FieldError(
            field="calendars", message=f'there is no calendar "{use.name}"', got=use.name, hint=near(use.name, known)
        )
        for use in spec.calendars
        if use.name not in known
    ]


async def _write(ctx: Context, save: Callable[[Tx], shapes.Calendar]) -> shapes.Calendar:
    calendar = await ctx.store.write(save)
    ctx.launcher.jobs_changed()
    return calendar


def _whole(tx: Tx, row: CalendarRow) -> shapes.Calendar:
    shown = resources.calendar(row, _users(tx, row.spec.name))
    shown["next_windows"] = [
        {"start": resources.rfc3339(start), "end": resources.instant(end)}
        for start, end in row.spec.calendar.upcoming(tx.at, SHOWN_WINDOWS)
    ]
    return shown


def _users(tx: Tx, name: str) -> list[str]:
    """The jobs that name the calendar."""
    found = jobs.users_of(tx, f'"{name}:')  # as `CalendarUse` is written, with what it does on a hit
    return [job for job, spec in found if any(use.name == name for use in spec.calendars)]


def _require_groups(tx: Tx, spec: CalendarSpec) -> None:
    wanted = {one.key for one in spec.applies_to if one.scope is Scope.GROUP}
    if not wanted:
        return
    known = inventory.load(tx).groups
    missing = [
        FieldError(field="applies_to", message=f'there is no group "{name}"', got=name, hint=near(name, known))
        for name in sorted(wanted - {*known})
    ]
    if missing:
        raise NotFound("; ".join(map(str, missing)), errors=missing, hint="see: rota groups list")


def _record(tx: Tx, principal: Principal, verb: str, row: CalendarRow) -> None:
    detail = {**row.spec.to_dict(), "rules": list(row.spec.rules[:20])}
    audit.record(tx, principal.name, verb, f"calendar {public(Kind.CALENDAR, row.public_id)}", detail)
