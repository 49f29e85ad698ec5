"""A second opinion on when cron fires: walk every minute of real time and look at the wall clock.

Slow, plain, and imports nothing of rota's evaluator; expressions are drawn together with the sets they mean, so
not even a parser is shared. It states Debian's rule the way its daemon works: each minute, fixed jobs of every
wall minute that has not been shown before are due; wildcard jobs are due when the minute on the wall matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

MINUTE = 60
HOUR = 3_600


@dataclass(frozen=True)
class Meaning:
    """An expression and what it means, both made by `draw`."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 = Sunday

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        by_day, by_weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        _, _, day, _, weekday = self.text.split()
        either_has_star = day[0] in "*?" or weekday[0] in "*?"
        return (by_day and by_weekday) if either_has_star else (by_day or by_weekday)

    @property
    def is_wildcard(self) -> bool:
        minute, hour, *_ = self.text.split()
        return minute[0] in "*?" or hour[0] in "*?"


def draw(random: Random, *, month: int) -> Meaning:
    """Draw an expression that is likely to fire on a given day of `month`."""
    minute = _draw_field(random, 0, 59, star=0.25)
    hour = _draw_field(random, 0, 23, star=0.25, favour=(0, 1, 2, 3))
    day = _draw_field(random, 1, 31, star=0.7)
    months = ("*", frozenset(range(1, 13))) if random.random() < 0.8 else (str(month), frozenset({month}))
    weekday = _draw_field(random, 0, 7, star=0.6)
    text = " ".join((minute[0], hour[0], day[0], months[0], weekday[0]))
    return Meaning(text, minute[1], hour[1], day[1], months[1], frozenset(n % 7 for n in weekday[1]))


def _draw_field(
    random: Random, low: int, high: int, *, star: float, favour: tuple[int, ...] = ()
) -> tuple[str, frozenset[int]]:
    if random.random() < star:
        step = random.choice((1, 1, 2, 3, 5, 7, min(30, high - low)))
        mark = random.choice("**?") if step == 1 else "*"
        step = min(step, high - low)
        return (mark if step == 1 else f"*/{step}"), frozenset(range(low, high + 1, step))
    items, chosen = [], set()
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        start = random.choice(favour) if favour and random.random() < 0.7 else random.randint(low, high)
        match random.choice(("one", "one", "range", "stepped", "open")):
            case "one":
                items.append(str(start))
                chosen.add(start)
            case "range":
                end = random.randint(start, high)
                items.append(f"{start}-{end}")
                chosen.update(range(start, end + 1))
            case "stepped":
                end, step = random.randint(start, high), random.randint(1, 6)
                items.append(f"{start}-{end}/{step}")
                chosen.update(range(start, end + 1, step))
            case _:
                step = random.randint(1, 6)
                items.append(f"{start}/{step}")
                chosen.update(range(start, high + 1, step))
    return ",".join(items), frozenset(chosen)


@dataclass(frozen=True)
class Window:
    """Minutes of real time with the wall minute shown at each: the same for every expression in that zone."""

    zone: str
    first: int  # seconds since the epoch; occurrences after this and up to `last` are asked for
    last: int
    shown: tuple[tuple[int, datetime], ...]  # from two days before `first`, so that what was shown is known

    @classmethod
    def around(cls, zone: str, instant: int, *, hours: int = 30) -> Window:
        info = ZoneInfo(zone)
        first, last = instant - hours * HOUR, instant + hours * HOUR
        first -= first % MINUTE
        shown = tuple(
            (second, datetime.fromtimestamp(second, info).replace(tzinfo=None))
            for second in range(first - 48 * HOUR, last + 1, MINUTE)
        )
        return cls(zone, first, last, shown)

    def fires(self, meaning: Meaning) -> list[int]:
        """Return the instants (seconds) in (first, last] at which the expression is due."""
        found = []
        latest = self.shown[0][1]
        for second, wall in self.shown[1:]:
            if meaning.is_wildcard:
                due = meaning.matches(wall)
            else:
                due = any(meaning.matches(minute) for minute in _minutes_between(latest, wall))
            latest = max(latest, wall)
            if due and second > self.first:
                found.append(second)
        return found


def _minutes_between(after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the wall minutes in (after, until], backwards: the usual single one first."""
    minute = until
    while minute > after:
        yield minute
        minute -= timedelta(minutes=1)


def transitions(zone: str, first_year: int, last_year: int) -> list[int]:
    """Return the instants at which the zone's offset changes, to the minute, found by looking at every day."""
    info = ZoneInfo(zone)
    found = []
    low = int(datetime(first_year, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(last_year + 1, 1, 1, tzinfo=UTC).timestamp())
    for day in range(low, end, 24 * HOUR):
        if _offset(day, info) != _offset(day + 24 * HOUR, info):
            change = next(
                minute
                for minute in range(day, day + 24 * HOUR + 1, MINUTE)
                if _offset(minute, info) != _offset(day, info)
            )
            found.append(change)
    return found


def _offset(second: int, info: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(second, info).utcoffset()
