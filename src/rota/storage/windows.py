"""Calendars, and which rules hold which job. With no calendar and no pause in the store that is two quick questions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, select, update

from rota.domain.calendar_spec import CalendarSpec, CalendarUse, JobWindow
from rota.domain.calendars import (
    NO_RULES,
    Binding,
    Calendar,
    Effect,
    OnHit,
    Pause,
    Rules,
    Scope,
    has_tag,
    read_calendar,
)
from rota.domain.errors import Conflict
from rota.domain.ids import Kind
from rota.domain.instant import Micros
from rota.domain.job import JobSpec, canonical
from rota.domain.selector import Term, parse
from rota.domain.windows.spans import gathered
from rota.ports import Hint, Member, Tx
from rota.storage import inventory, tables
from rota.storage.insert import insert_row
from rota.storage.pauses import pauses_since
from rota.storage.references import find_named, names_of, unknown


class CalendarRow(NamedTuple):
    id: int
    public_id: str
    spec: CalendarSpec
    created_at: Micros
    created_by: str
    updated_at: Micros
    updated_by: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What pauses and calendars are matched with: a job, its tags, what it runs on, and what it names itself."""

    job_id: int | None
    tags: Mapping[str, str] = field(default_factory=dict)
    members: Sequence[Member] = ()
    calendars: Sequence[CalendarUse] = ()
    windows: Sequence[Binding] = ()

    @property
    def names_rules(self) -> bool:
        return bool(self.calendars or self.windows)


@dataclass(frozen=True, slots=True)
class Book:
    """All pauses and calendars of the store that matter now. `hosts_of`: those of each group a calendar concerns."""

    pauses: Sequence[Pause] = ()
    calendars: Mapping[str, CalendarSpec] = field(default_factory=dict)
    hosts_of: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.pauses or self.calendars)

    def rules_for(self, subject: Subject) -> Rules:
        """What holds this job. Where several attachments bring the same calendar, skipping outweighs deferring."""
        pauses = [pause for pause in self.pauses if pause.concerns(subject.job_id, subject.tags)]
        hits: dict[str, OnHit] = {}
        for use in subject.calendars:
            _add(hits, use.name, use.on_hit)
        for spec in self.calendars.values():
            for attached in spec.applies_to:
                if self._concerns(attached.scope, attached.key, subject):
                    _add(hits, spec.name, attached.on_hit)
        bound = [Binding(self._calendar(name), on_hit) for name, on_hit in hits.items()]
        return Rules(pauses, [*bound, *subject.windows]) if pauses or bound or subject.windows else NO_RULES

    def _concerns(self, scope: Scope, key: str, subject: Subject) -> bool:
        match scope:
            case Scope.TAG:
                return has_tag(subject.tags, key)
            case Scope.GROUP:
                hosts = self.hosts_of.get(key, frozenset())
                return any(member.host in hosts for member in subject.members)
            case _:
                return True

    def _calendar(self, name: str) -> Calendar:
        spec = self.calendars.get(name)
        # A calendar that jobs use cannot be removed; should it be gone all the same, nothing starts unnoticed.
        return Calendar(name, Effect.BLACKOUT, (), fault="it does not exist") if spec is None else spec.calendar


NOBODY, EMPTY_BOOK = Subject(None), Book()


def load_book(tx: Tx, *, since: Micros) -> Book:
    """The book as it stands. `since`: the oldest instant that is judged; a pause that was over then is left out."""
    pauses = pauses_since(tx, since)
    rows = tx.driver.execute("SELECT spec FROM calendar ORDER BY name").fetchall()
    if not rows:
        return Book(pauses)
    specs = [_spec_of(text) for (text,) in rows]
    groups = {one.key for spec in specs for one in spec.applies_to if one.scope is Scope.GROUP}
    return Book(pauses, {spec.name: spec for spec in specs}, _hosts_of(tx, groups))


def subject_of(job_id: int | None, spec: JobSpec, members: Sequence[Member]) -> Subject:
    return Subject(job_id, spec.tags, members, spec.calendars, own_windows(spec))


def own_windows(spec: JobSpec) -> tuple[Binding, ...]:
    """The job's own windows together, as an allow calendar without a name. One of them that defers speaks for all."""
    if not spec.windows:
        return ()
    on_hit = OnHit.DEFER if any(window.on_hit is OnHit.DEFER for window in spec.windows) else OnHit.SKIP
    return (Binding(_own_calendar(spec.windows), on_hit),)


@lru_cache(maxsize=4096)
def _own_calendar(windows: tuple[JobWindow, ...]) -> Calendar:
    read = [read_calendar("", Effect.ALLOW, (window.rule,), window.zone) for window in windows]
    fault = next((calendar.fault for calendar in read if calendar.fault is not None), None)
    return Calendar("", Effect.ALLOW, gathered([one for calendar in read for one in calendar.windows]), fault)


def rules_of(tx: Tx, book: Book, job_id: int | None, spec: JobSpec) -> Rules:
    """What holds a job with the hosts that its selector picks now. For previews; the planner has frozen its own."""
    members: Sequence[Member] = ()
    if book.hosts_of and spec.target is not None:
        known = inventory.load(tx)
        members = known.members(known.pick(parse(spec.target)))
    return book.rules_for(subject_of(job_id, spec, members))


# the calendars themselves


def list_calendars(tx: Tx) -> list[CalendarRow]:
    """By name."""
    return [_row(row) for row in tx.execute(select(tables.calendar).order_by(tables.calendar.c.name))]


def get_calendar(tx: Tx, ref: str) -> CalendarRow:
    """Raises NotFound with a near name, InvalidInput for an ambiguous id."""
    calendar_id = find_named(tx, tables.calendar, Kind.CALENDAR, ref)
    if calendar_id is None:
        raise unknown("calendar", ref, calendar_names(tx), see="rota calendars list")
    return _row(tx.execute(select(tables.calendar).where(tables.calendar.c.id == calendar_id)).one())


def find_calendar(tx: Tx, name: str) -> CalendarRow | None:
    """The calendar of exactly that name."""
    row = tx.execute(select(tables.calendar).where(tables.calendar.c.name == name)).first()
    return None if row is None else _row(row)


def calendar_names(tx: Tx) -> list[str]:
    return names_of(tx, tables.calendar)


def require_free_name(tx: Tx, name: str) -> None:
    """Raise Conflict if a calendar has that name."""
    if find_calendar(tx, name) is not None:
        raise Conflict(f'there is a calendar "{name}" already', hint=f"change it: rota calendars update {name}")


def insert_calendar(tx: Tx, spec: CalendarSpec, principal: str) -> CalendarRow:
    """Raises Conflict if the name is taken."""
    require_free_name(tx, spec.name)
    (public_id,) = tx.new_public_ids(1)
    values = (tx.take_ids("calendar"), public_id, spec.name, canonical(spec.to_dict()))
    insert_row(tx, tables.calendar, (*values, tx.at, principal, tx.at, principal))
    return CalendarRow(values[0], public_id, spec, tx.at, principal, tx.at, principal)


def change_calendar(tx: Tx, row: CalendarRow, spec: CalendarSpec, principal: str) -> CalendarRow:
    """Save another content under the same name. What it has put off is judged again at once."""
    calendar = tables.calendar
    values = {"spec": canonical(spec.to_dict()), "updated_at": tx.at, "updated_by": principal}
    tx.execute(update(calendar).where(calendar.c.id == row.id).values(values))
    judge_again(tx)
    return row._replace(spec=spec, updated_at=tx.at, updated_by=principal)


def delete_calendar(tx: Tx, row: CalendarRow) -> None:
    """What it has put off is judged again at once. The caller has made sure that no job names it."""
    tx.execute(delete(tables.calendar).where(tables.calendar.c.id == row.id))
    judge_again(tx)


def judge_again(tx: Tx) -> None:
    """Have the planner look at every start that a calendar has put off: the calendar is not what it was."""
    tx.driver.execute("UPDATE due SET fire_at = ? WHERE deferred_by IS NOT NULL AND fire_at > ?", (tx.at, tx.at))
    tx.tell(Hint.JOBS)


def _hosts_of(tx: Tx, groups: Iterable[str]) -> dict[str, frozenset[str]]:
    """The hosts of these groups; one that does not exist has none."""
    wanted = sorted(groups)
    if not wanted:
        return {}
    known = inventory.load(tx)
    return {name: frozenset(known.pick(Term("group", name), include_disabled=True)) for name in wanted}


@lru_cache(maxsize=256)
def _spec_of(text: str) -> CalendarSpec:
    """A stored calendar; the same text is read once, however many batches ask."""
    return CalendarSpec.from_dict(json.loads(text))


def _add(hits: dict[str, OnHit], name: str, on_hit: OnHit) -> None:
    hits[name] = OnHit.SKIP if OnHit.SKIP in (on_hit, hits.get(name)) else on_hit


def _row(row: Row[Any]) -> CalendarRow:
    spec = _spec_of(row.spec)
    return CalendarRow(row.id, row.public_id, spec, row.created_at, row.created_by, row.updated_at, row.updated_by)
