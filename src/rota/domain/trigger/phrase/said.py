"""What the clauses of one sentence say, gathered before it is decided which trigger that is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum, auto
from typing import Literal

from rota.domain.instant import Micros
from rota.domain.trigger.phrase.tokens import Span

PeriodUnit = Literal["day", "week", "month", "quarter", "year"]
Mode = Literal["continuous", "manual", "on_start"]


class Twice(Exception):
    """A clause says what another clause of the sentence has said already, and not the same."""

    def __init__(self, earlier: Span, later: Span) -> None:
        self.earlier, self.later = earlier, later


@dataclass(frozen=True, slots=True)
class Period:
    """Every `count`-th day, week … of the calendar."""

    count: int
    unit: PeriodUnit


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a day, in seconds: both ends belong to it. `end` below `start` goes past midnight."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DayItem:
    """A day of a month: `15`; `last`; `last but one`; or the workday nearest to its beginning or end.

    `cron` is how cron writes it, `number` how a calendar trigger does (None where it cannot).
    """

    cron: str
    number: int | None

    @classmethod
    def numbered(cls, day: int) -> DayItem:
        return cls(str(day), day)


LAST_DAY, LAST_BUT_ONE = DayItem("L", -1), DayItem("L-1", -2)
FIRST_WORKDAY, LAST_WORKDAY = DayItem("1W", None), DayItem("LW", None)


@dataclass(frozen=True, slots=True)
class Day:
    """One date, as it was said. Which date that is follows from today's.

    `in_days`: so many from today; `ahead`: also, at the time of day that it is now. `this` and `next`: that
    weekday (0 = Monday) of this week, or of the next.
    `date`: itself.
    """

    kind: Literal["in_days", "ahead", "this", "next", "date"]
    number: int = 0
    date: date | None = None


class Half(Enum):
    """How the half of the day was told."""

    SAID = auto()  # am, pm, noon, in the evening
    BY_24_HOURS = auto()  # 17:00, 09:00, 0
    UNSAID = auto()  # 9, 9:30: taken as on a 24-hour clock where nothing speaks against it


@dataclass(frozen=True, slots=True)
class Clock:
    """`second` of the day as it was said; `half` says whether it can also mean one half a day later."""

    second: int
    span: Span
    half: Half
    word: str = ""  # noon, midnight

    @property
    def is_midnight(self) -> bool:
        """Said as a word, which may be the beginning or the end of a day."""
        return self.word == "midnight"


@dataclass(slots=True)
class Said:
    """One sentence. Filled clause by clause; `put` refuses what contradicts."""

    mode: Mode | None = None
    gap: Micros | None = None
    all_day: bool = False  # "around the clock", which adds nothing beside a rhythm
    length: Micros | None = None  # real time between occurrences
    minutes: tuple[int, ...] | None = None  # past every hour
    period: Period | None = None
    per: int | None = None  # so many times in each period
    clocks: tuple[Clock, ...] | None = None
    part: str | None = None  # of the day: morning …
    window: Window | None = None
    weekdays: frozenset[int] | None = None  # 0 = Monday
    nth: tuple[tuple[int, int], ...] | None = None  # (n, weekday)
    days: tuple[DayItem, ...] | None = None
    months: frozenset[int] | None = None
    no_weekdays: frozenset[int] = frozenset()
    no_days: frozenset[int] = frozenset()
    no_months: frozenset[int] = frozenset()
    no_times: frozenset[int] = frozenset()
    day: Day | None = None
    after: Micros | None = None  # real time from now
    is_once: bool = False
    start: date | None = None
    zone: str | None = None
    is_recurring: bool = False
    spans: dict[str, Span] = field(default_factory=dict)

    def copy(self) -> Said:
        return replace(self, spans=dict(self.spans))

    def put(self, name: str, value: object, span: Span) -> None:
        """Note what a clause says. Raises Twice if another one has said something else."""
        if getattr(self, name) is not None and getattr(self, name) != value:
            raise Twice(self.spans[name], span)
        setattr(self, name, value)
        self.spans.setdefault(name, span)

    @property
    def times(self) -> tuple[int, ...] | None:
        """The seconds of the day that were said, ascending."""
        return None if self.clocks is None else tuple(sorted({clock.second for clock in self.clocks}))

    @property
    def midnight(self) -> Span | None:
        """Where the word stands, which may be the beginning or the end of a day."""
        return next((clock.span for clock in self.clocks or () if clock.is_midnight), None)

    @property
    def has_days(self) -> bool:
        return any(part is not None for part in (self.weekdays, self.nth, self.days, self.months))

    @property
    def is_mixed(self) -> bool:
        """Whether it says two things at once: that no clock decides, one moment, or a routine."""
        routine = self.has_days or self.length is not None or self.period is not None
        once = self.day is not None or self.after is not None
        clocked = routine or once or self.clocks is not None
        return (self.mode is not None and clocked) or (routine and once)

    @property
    def has_exceptions(self) -> bool:
        return bool(self.no_weekdays or self.no_days or self.no_months or self.no_times)
