"""The kinds of trigger, as plain values. `spec` reads and writes them; `timetable` says when they are due.

Equal values share one timetable, so nothing here belongs to one job alone except a cron `seed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal

from rota.domain.instant import MINUTE, SECOND, Micros

DEFAULT_BACKOFF: Micros = 5 * MINUTE  # the longest pause of a continuous job that keeps failing


class Gap(StrEnum):
    """What becomes of a fixed time that the wall clock leaves out (spring)."""

    RUN_AFTER = "run_after"  # once, at the end of the gap, as Debian's cron does
    SKIP = "skip"


class Fold(StrEnum):
    """On which pass a fixed time runs that the wall clock shows twice (autumn)."""

    FIRST = "first"  # as Debian's cron does
    SECOND = "second"
    BOTH = "both"


class Unit(StrEnum):
    """What a calendar trigger counts. A week begins on Monday (ISO 8601)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Overflow(StrEnum):
    """What "the 31st" means in a month that has none."""

    SKIP = "skip"  # nothing that month
    LAST_DAY = "last_day"


@dataclass(frozen=True, slots=True)
class CronTrigger:
    """Due when the wall clock of `zone` matches `expression`.

    `seed` is what `H` and `~` are hashed from, and is empty where the expression has neither: else equal
    expressions of many jobs could not share a timetable.
    """

    kind: ClassVar[Literal["cron"]] = "cron"
    expression: str
    zone: str
    gap: Gap = Gap.RUN_AFTER
    fold: Fold = Fold.FIRST
    seed: str = ""


@dataclass(frozen=True, slots=True)
class IntervalTrigger:
    """Due at `anchor` ± every whole multiple of `every`: the anchor is a phase, not a start.

    Real time, so no clock change moves it; `zone` is for showing, and for the default anchor.
    """

    kind: ClassVar[Literal["interval"]] = "interval"
    every: Micros
    anchor: Micros
    zone: str


@dataclass(frozen=True, slots=True)
class OnceTrigger:
    """Due at one instant. `zone` is for showing."""

    kind: ClassVar[Literal["once"]] = "once"
    at: Micros
    zone: str


@dataclass(frozen=True, slots=True)
class CalendarTrigger:
    """Due at `times` on chosen days of every `every`-th day, week, month or year, by the calendar of `zone`.

    Which periods: those that lie a whole multiple of `every` from the one that holds the date `anchor`, before
    it as well as after: the anchor is a phase, as for an interval. Which days of such a period, all of:

    - `months` (1-12), `weekdays` (0 = Monday … 6): the day must be in one of each; empty = any;
    - `month_days` (1-31; -1 = the last, -2 the last but one) or `nth` ((2, 1) = the second Tuesday of the month,
      (-1, 4) = the last Friday): the day must be one of all these together; both empty = any.

    So `month_days` 13 with `weekdays` 4 is Friday the 13th. What `overflow` says is asked of 29 to 31 only. A
    month and a year are counted from day 1 each time, so "the 31st" never drifts. All tuples are sorted.
    """

    kind: ClassVar[Literal["calendar"]] = "calendar"
    every: int
    unit: Unit
    times: tuple[int, ...]  # seconds of the day, at least one
    anchor: str  # a date, such as 2026-03-05
    zone: str
    weekdays: tuple[int, ...] = ()
    nth: tuple[tuple[int, int], ...] = ()  # (n, weekday): n is 1 to 5, or -1 to -5 from the month's end
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    overflow: Overflow = Overflow.SKIP
    gap: Gap = Gap.RUN_AFTER
    fold: Fold = Fold.FIRST


@dataclass(frozen=True, slots=True)
class ContinuousTrigger:
    """Due `gap` after the job's last run ended, whoever started that; at once if it has none.

    After failures in a row the pause doubles from `gap` (at least a second) up to `backoff`.
    """

    kind: ClassVar[Literal["continuous"]] = "continuous"
    gap: Micros = SECOND
    backoff: Micros = DEFAULT_BACKOFF


@dataclass(frozen=True, slots=True)
class OnStartTrigger:
    """Due once each time a daemon starts."""

    kind: ClassVar[Literal["on_start"]] = "on_start"


@dataclass(frozen=True, slots=True)
class ManualTrigger:
    """Never due by itself; a person, or another job, triggers it."""

    kind: ClassVar[Literal["manual"]] = "manual"


TriggerSpec = (
    CronTrigger | IntervalTrigger | OnceTrigger | CalendarTrigger | ContinuousTrigger | OnStartTrigger | ManualTrigger
)
ZonedTrigger = CronTrigger | IntervalTrigger | OnceTrigger | CalendarTrigger
"""Those that name a zone."""
