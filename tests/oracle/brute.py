"""A second opinion on when cron fires: walk along real time and look at the wall clock.

Slow and plain. It imports nothing of rota (a test asserts it), and expressions are drawn together with the sets and
rules that they mean, so that not even a parser is shared. Debian's rule is stated the way its daemon works: at each
minute, fixed jobs of every wall minute that was not shown before are due, wildcard jobs if the minute on the wall
matches. The other rules for clock changes are stated of readings: when was it shown, and how often?
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from math import gcd
from random import Random
from zoneinfo import ZoneInfo

MINUTE = 60
HOUR = 3_600
DAY = 24 * HOUR
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
ALL_MONTHS = frozenset(range(1, 13))
ALL_WEEKDAYS = frozenset(range(7))

DayTest = Callable[[date], bool]


@dataclass(frozen=True)
class Meaning:
    """An expression and what it means, both made by `draw`."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 = Sunday
    both_days: bool  # a day field begins with a star, so that a day must match both
    is_wildcard: bool  # the minute or the hour begins with a star
    day_rules: tuple[DayTest, ...] = ()
    weekday_rules: tuple[DayTest, ...] = ()
    seconds: frozenset[int] = frozenset({0})
    years: frozenset[int] | None = None
    traits: tuple[str, ...] = ()  # what is in it, for the printed mix
    _days: dict[date, bool] = field(default_factory=dict, compare=False)

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.second not in self.seconds:
            return False
        day = wall.date()
        known = self._days.get(day)
        if known is None:
            known = self._days[day] = self.matches_day(day)
        return known

    def matches_day(self, day: date) -> bool:
        if day.month not in self.months or (self.years is not None and day.year not in self.years):
            return False
        by_day = day.day in self.days or any(rule(day) for rule in self.day_rules)
        by_weekday = day.isoweekday() % 7 in self.weekdays or any(rule(day) for rule in self.weekday_rules)
        return (by_day and by_weekday) if self.both_days else (by_day or by_weekday)


# Rules about days, as their manuals say them


def _days_of_month(day: date) -> list[date]:
    first = day.replace(day=1)
    days = [first + timedelta(days=n) for n in range(31)]
    return [other for other in days if other.month == day.month]


def before_the_last(back: int) -> DayTest:
    """`L`, `L-3`: so many days before the last of the month."""
    return lambda day: [*reversed(_days_of_month(day))][back : back + 1] == [day]


def last_workday(day: date) -> bool:
    """`LW`: the last Monday to Friday."""
    return [other for other in _days_of_month(day) if other.isoweekday() <= 5][-1] == day


def nearest_workday(number: int) -> DayTest:
    """`15W`: of all Mondays to Fridays of the month the one with the least distance, if there is such a day."""

    def holds(day: date) -> bool:
        days = _days_of_month(day)
        if number > len(days):
            return False
        return min((o for o in days if o.isoweekday() <= 5), key=lambda other: abs(other.day - number)) == day

    return holds


def nth_weekday(weekday: int, nth: int) -> DayTest:
    """`5#3`: the third Friday; `5L`: the last one (nth = -1)."""

    def holds(day: date) -> bool:
        same = [other for other in _days_of_month(day) if other.isoweekday() % 7 == weekday]
        return same[nth - 1 if nth > 0 else nth : nth if nth > 0 else None] == [day]

    return holds


# Drawing


@dataclass
class _Drawn:
    text: str
    values: frozenset[int]
    rules: tuple[DayTest, ...] = ()


def draw(random: Random, near: date, *, seconds: bool = False) -> Meaning:
    """Draw an expression that is likely to fire around the day `near`; with `seconds` one of six or seven fields."""
    traits: set[str] = set()
    minute = _draw_numbers(random, 0, 59, traits, star=0.25)
    hour = _draw_numbers(random, 0, 23, traits, star=0.25, favour=(0, 1, 2, 3))
    day = _draw_day(random, near, traits)
    month = _draw_month(random, near.month, traits)
    weekday = _draw_weekday(random, near, traits)
    parts = [minute.text, hour.text, day.text, month.text, weekday.text]
    second, years = frozenset({0}), None
    if seconds:
        drawn = _draw_numbers(random, 0, 59, traits, star=0.3)
        second, parts = drawn.values, [drawn.text, *parts]
        traits.add("seconds")
        if random.random() < 0.5:
            year = _draw_year(random, near.year)
            years, parts = year.values, [*parts, year.text]
            traits.add("years")
    wildcard = minute.text[0] in "*?" or hour.text[0] in "*?"
    both = day.text[0] in "*?" or weekday.text[0] in "*?"
    traits |= {"wildcard" if wildcard else "fixed", "both days" if both else "either day"}
    return Meaning(
        " ".join(parts),
        minutes=minute.values,
        hours=hour.values,
        days=day.values,
        months=month.values,
        weekdays=weekday.values,
        both_days=both,
        is_wildcard=wildcard,
        day_rules=day.rules,
        weekday_rules=weekday.rules,
        seconds=second,
        years=years,
        traits=tuple(sorted(traits)),
    )


def _draw_numbers(
    random: Random, low: int, high: int, traits: set[str], *, star: float, favour: tuple[int, ...] = ()
) -> _Drawn:
    if random.random() < star:
        step = min(random.choice((1, 1, 2, 3, 5, 7, 30)), high - low)
        mark = random.choice("**?") if step == 1 else "*"
        if mark == "?":
            traits.add("?")
        if step > 1:
            traits.add("*/n")
        return _Drawn(mark if step == 1 else f"*/{step}", frozenset(range(low, high + 1, step)))
    items, chosen = [], set[int]()
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
                traits.add("a-b")
            case "stepped":
                end, step = random.randint(start, high), random.randint(1, 6)
                items.append(f"{start}-{end}/{step}")
                chosen.update(range(start, end + 1, step))
                traits.add("a-b/n")
            case _:
                step = random.randint(1, 6)
                items.append(f"{start}/{step}")
                chosen.update(range(start, high + 1, step))
                traits.add("a/n")
    if len(items) > 1:
        traits.add("list")
    return _Drawn(",".join(items), frozenset(chosen))


def _draw_day(random: Random, near: date, traits: set[str]) -> _Drawn:
    drawn = _draw_numbers(random, 1, 31, traits, star=0.65)
    if random.random() < 0.15:
        left = len(_days_of_month(near)) - near.day
        rules = [
            ("L", before_the_last(0)),
            (f"L-{max(left, 1)}", before_the_last(max(left, 1))),
            ("LW", last_workday),
            (f"{near.day}W", nearest_workday(near.day)),
            (f"{(other := random.randint(1, 31))}w", nearest_workday(other)),
        ]
        return _with_rules(random, drawn, rules, "L W", traits)
    return drawn


def _draw_weekday(random: Random, near: date, traits: set[str]) -> _Drawn:
    drawn = _draw_numbers(random, 0, 7, traits, star=0.55)
    values = frozenset(number % 7 for number in drawn.values)
    if drawn.text.isdigit() and random.random() < 0.5:
        traits.add("names")
        return _Drawn(random.choice((str, str.lower))(WEEKDAYS[int(drawn.text) % 7]), values)
    today = near.isoweekday() % 7
    if random.random() < 0.15:
        nth, other = (near.day + 6) // 7, random.randint(0, 7)
        rules = [
            (f"{today}L", nth_weekday(today, -1)),
            (f"L{other}", nth_weekday(other % 7, -1)),
            (f"{today or 7}#{nth}", nth_weekday(today, nth)),
            (f"{WEEKDAYS[today]}#{(any_nth := random.randint(1, 5))}", nth_weekday(today, any_nth)),
        ]
        return _with_rules(random, _Drawn(drawn.text, values), rules, "L #", traits)
    return _Drawn(drawn.text, values)


def _with_rules(
    random: Random, drawn: _Drawn, rules: list[tuple[str, DayTest]], trait: str, traits: set[str]
) -> _Drawn:
    """One or two rules in place of the numbers, or behind them."""
    traits.add(trait)
    chosen = random.sample(rules, random.choice((1, 1, 2)))
    tests = tuple(rule for _, rule in chosen)
    texts = [text for text, _ in chosen]
    if random.random() < 0.7:
        return _Drawn(",".join(texts), frozenset(), tests)
    return _Drawn(",".join([drawn.text, *texts]), drawn.values, tests)


def _draw_month(random: Random, near: int, traits: set[str]) -> _Drawn:
    if random.random() < 0.75:
        return _Drawn("*", ALL_MONTHS)
    other = random.randint(1, 12)
    if random.random() < 0.5:
        traits.add("names")
        return _Drawn(f"{MONTHS[near - 1]},{MONTHS[other - 1].lower()}", frozenset({near, other}))
    return _Drawn(f"{near},{other}", frozenset({near, other}))


def _draw_year(random: Random, near: int) -> _Drawn:
    near = min(near, 2099)
    match random.choice(("star", "one", "span", "step")):
        case "star":
            return _Drawn("*", frozenset(range(1, 10_000)))
        case "one":
            return _Drawn(str(near), frozenset({near}))
        case "span":
            low, high = random.randint(1970, near), random.randint(near, 2099)
            return _Drawn(f"{low}-{high}", frozenset(range(low, high + 1)))
        case _:
            return _Drawn("*/2", frozenset(range(1970, 2100, 2)))


# Walking


@dataclass(frozen=True)
class Window:
    """Real time in steps, with the wall reading shown at each: the same for every expression in that zone."""

    zone: str
    first: int  # seconds since the epoch; occurrences after this and up to `last` are asked for
    last: int
    step: int
    shown: tuple[tuple[int, datetime], ...]  # begins early and ends late enough to know what is shown twice

    @classmethod
    def around(cls, zone: str, instant: int, *, hours: float = 5, by_seconds: bool = False) -> Window:
        info = ZoneInfo(zone)
        reach = round(hours * HOUR)
        offsets = [_offset(second, info) for second in (instant - reach, instant + reach)]
        # Monrovia was 44:30 behind until 1972: its minutes begin at half past ours.
        step = 1 if by_seconds else gcd(MINUTE, *offsets)
        edge = 2 * abs(offsets[1] - offsets[0]) + HOUR
        first, last = instant - reach, instant + reach
        first -= first % MINUTE
        shown = tuple(
            (second, datetime.fromtimestamp(second, info).replace(tzinfo=None))
            for second in range(first - edge, last + edge + 1, step)
        )
        return cls(zone, first, last, step, shown)

    def fires(self, meaning: Meaning, gap: str = "run_after", fold: str = "first") -> list[int]:
        """Return the instants (seconds) in (first, last] at which the expression is due."""
        if meaning.is_wildcard:
            due = [second for second, wall in self.shown if meaning.matches(wall)]
        elif (gap, fold) == ("run_after", "first"):
            due = list(self._by_daemon(meaning))
        else:
            due = sorted(set(self._by_readings(meaning, gap, fold)))
        return [second for second in due if self.first < second <= self.last]

    def _by_daemon(self, meaning: Meaning) -> Iterator[int]:
        """Debian's cron: wakes at every step, and makes up for the readings that were jumped over."""
        latest = self.shown[0][1]
        pause = timedelta(seconds=self.step)
        for second, wall in self.shown[1:]:
            reading = wall
            while reading > latest:
                if meaning.matches(reading):
                    yield second
                    break
                reading -= pause
            latest = max(latest, wall)

    def _by_readings(self, meaning: Meaning, gap: str, fold: str) -> Iterator[int]:
        for reading, seconds in self._readings.items():
            if not meaning.matches(reading):
                continue
            if len(seconds) == 0:
                if gap == "run_after":
                    yield next(second for second, wall in self.shown if wall > reading)
            else:
                yield from {"first": seconds[:1], "second": seconds[-1:], "both": seconds}[fold]

    @cached_property
    def _readings(self) -> dict[datetime, list[int]]:
        """Every reading from the lowest to the highest, with the instants that showed it."""
        when = defaultdict[datetime, list[int]](list)
        for second, wall in self.shown:
            when[wall].append(second)
        low, high = min(when), max(when)
        pause = timedelta(seconds=self.step)
        return {low + n * pause: when.get(low + n * pause, []) for n in range((high - low) // pause + 1)}


def transitions(zone: str, first: int, end: int) -> list[int]:
    """Return the instants in [first, end) at which the zone's offset changes, found by looking at every day."""
    info = ZoneInfo(zone)
    found = []
    for day in range(first, end, DAY):
        before = _offset(day, info)
        if before != _offset(day + DAY, info):
            low, high = day, day + DAY
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(middle, info) == before else (low, middle)
            found.append(high)
    return found


def year_begins(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


def _offset(second: int, info: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(second, info).utcoffset()
    assert offset is not None
    return round(offset.total_seconds())


def mix(meanings: list[Meaning]) -> str:
    """Say what was among the expressions: `1200 expressions: fixed 63 %, wildcard 37 %, …`."""
    counts = Counter(trait for meaning in meanings for trait in meaning.traits)
    shares = ", ".join(f"{trait} {count * 100 / len(meanings):.0f} %" for trait, count in counts.most_common())
    return f"{len(meanings)} expressions: {shares}"
