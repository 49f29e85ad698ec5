"""What keeps a due job from starting: pauses, and calendars that black times out or allow nothing else.

`verdict_at` says what they make of one instant and for how long that stays so; `fate_of` follows a start to its end.
The planner and every preview ask these two and nobody else, so that what is shown is what happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from rota.domain.errors import RotaError
from rota.domain.instant import Micros, format_rfc3339
from rota.domain.reasons import Reason
from rota.domain.windows.rules import read_rule
from rota.domain.windows.spans import FOREVER, Windows, end_of_union, first_start, gathered, upcoming

_MOST_DEFERRALS = 100  # a start that is put off more often than that has no end to wait for


class Effect(StrEnum):
    """What a calendar says about the times that its windows cover."""

    BLACKOUT = "blackout"  # nothing starts then
    ALLOW = "allow"  # nothing starts at any other time


class OnHit(StrEnum):
    """What becomes of a start that a calendar forbids."""

    SKIP = "skip"  # a ledger row, reason blackout
    DEFER = "defer"  # one start when the window is over


class Scope(StrEnum):
    """Whom a pause or a calendar concerns."""

    ALL = "all"
    TAG = "tag"
    GROUP = "group"  # jobs that have a host of that group among their targets
    JOB = "job"


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: it is a key of caches, and may be large
class Calendar:
    """A named set of windows. `fault` says why it cannot be read (any more): nothing starts under it then."""

    name: str
    effect: Effect
    windows: tuple[Windows, ...]
    fault: str | None = None

    def held_until(self, at: Micros) -> Micros | None:
        """When a start at `at` would be allowed again; None if it is, FOREVER if that never comes."""
        return FOREVER if self.fault is not None else _held_until(self, at)

    def free_until(self, at: Micros) -> Micros:
        """Up to when starts are allowed, where one at `at` is."""
        return _free_until(self, at)

    def upcoming(self, after: Micros, count: int) -> list[tuple[Micros, Micros | None]]:
        """The next windows, one that is open among them: (start, end), None for no end."""
        return [(start, None if end == FOREVER else end) for start, end in upcoming(self.windows, after, count)]


# A herd that is due at one instant asks the same question for every job.
@lru_cache(maxsize=16_384)
def _held_until(calendar: Calendar, at: Micros) -> Micros | None:
    end = end_of_union(calendar.windows, at)
    if calendar.effect is Effect.BLACKOUT:
        return end
    return first_start(calendar.windows, at) if end is None else None


@lru_cache(maxsize=16_384)
def _free_until(calendar: Calendar, at: Micros) -> Micros:
    if calendar.effect is Effect.BLACKOUT:
        return first_start(calendar.windows, at)
    return end_of_union(calendar.windows, at) or at + 1


@lru_cache(maxsize=1024)
def read_calendar(name: str, effect: Effect, rules: tuple[str, ...], zone: str) -> Calendar:
    """The calendar of stored rules. Never raises: what cannot be read holds every start, and says why."""
    try:
        return Calendar(name, effect, gathered([read_rule(rule, zone).windows for rule in rules]))
    except RotaError as error:  # such as a library of holidays that was uninstalled
        return Calendar(name, effect, (), fault=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Nothing of its scope starts by itself in [since, until). `until` None: until somebody resumes."""

    public_id: str
    scope: Scope
    key: str  # tag as written (`k` or `k=v`), job name; empty for all
    job_id: int | None
    since: Micros
    until: Micros | None
    reason: str
    by: str

    @property
    def said(self) -> str:
        """`paused by ada until 2026-03-05T06:00:00Z: storage migration`."""
        what = {Scope.ALL: "everything is paused", Scope.TAG: f"tag {self.key} is paused"}.get(self.scope, "paused")
        until = "until it is resumed" if self.until is None else f"until {format_rfc3339(self.until)}"
        return f"{what} by {self.by} {until}" + (f": {self.reason}" if self.reason else "")

    def concerns(self, job_id: int | None, tags: Mapping[str, str]) -> bool:
        match self.scope:
            case Scope.ALL:
                return True
            case Scope.TAG:
                return has_tag(tags, self.key)
            case _:
                return self.job_id == job_id


class Binding(NamedTuple):
    """A calendar as it binds one job."""

    calendar: Calendar
    on_hit: OnHit

    @property
    def said(self) -> str:
        if self.calendar.fault is not None:
            return f'calendar "{self.calendar.name}" cannot be read: {self.calendar.fault}'
        return f'calendar "{self.calendar.name}"' if self.calendar.name else "the job's own windows"


class Rules(NamedTuple):
    """All that may hold one job."""

    pauses: Sequence[Pause] = ()
    bindings: Sequence[Binding] = ()


NO_RULES = Rules()


class Verdict(NamedTuple):
    """What the rules make of a start at one instant, and of every start from then up to `until`.

    `reason`: it is refused. `deferred_to`: it is put off until then. Neither: it may start. `by` names the rule.
    """

    until: Micros
    reason: Reason | None = None
    deferred_to: Micros | None = None
    by: str | None = None


class Fate(NamedTuple):
    """What becomes of a start. `fire_at`: when it happens; where `reason` says that it does not, when that is decided.

    `by`: the calendar that moved it, or what refused it.
    """

    fire_at: Micros
    reason: Reason | None = None
    by: str | None = None


def verdict_at(at: Micros, rules: Rules) -> Verdict:
    """Judge a start at `at`. A pause outweighs calendars, and a calendar that skips one that defers."""
    changes = [pause.since for pause in rules.pauses if pause.since > at]
    for pause in rules.pauses:
        if pause.since <= at and (pause.until is None or at < pause.until):
            return Verdict(pause.until or FOREVER, Reason.PAUSED, by=pause.said)
    deferring: list[tuple[Micros, Binding]] = []
    for binding in rules.bindings:
        held = binding.calendar.held_until(at)
        if held is None:
            changes.append(binding.calendar.free_until(at))
        elif binding.on_hit is OnHit.SKIP or held == FOREVER:
            return Verdict(min([held, *changes]), Reason.BLACKOUT, by=binding.said)
        else:
            deferring.append((held, binding))
    if not deferring:
        return Verdict(min(changes, default=FOREVER))
    held, binding = max(deferring, key=lambda one: one[0])
    return Verdict(min([*(end for end, _ in deferring), *changes]), deferred_to=held, by=binding.said)


def fate_of(fire_at: Micros, rules: Rules) -> Fate:
    """Follow a start that is due at `fire_at`: it is refused, or it happens then or after the windows in its way."""
    at, by = fire_at, None
    for _ in range(_MOST_DEFERRALS):
        verdict = verdict_at(at, rules)
        if verdict.reason is not None:
            return Fate(at, verdict.reason, verdict.by)
        if verdict.deferred_to is None:
            return Fate(at, None, by)
        at, by = verdict.deferred_to, verdict.by
    return Fate(at, Reason.BLACKOUT, f"{by} and others leave no time to start")


def has_tag(tags: Mapping[str, str], wanted: str) -> bool:
    """`k` asks for the tag with any value, `k=v` for exactly that one."""
    key, equals, value = wanted.partition("=")
    return key in tags and (not equals or tags[key] == value)
