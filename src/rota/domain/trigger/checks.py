"""The door for triggers from outside: each function checks what was asked for and gives the plain value.

All faults of one trigger are told at once. What a field may hold is said by `kinds`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from rota.domain.instant import DAY, SECOND, WEEK, Micros, format_span, from_micros
from rota.domain.trigger.calendar import calendar_times
from rota.domain.trigger.calendar_words import read_date
from rota.domain.trigger.dialect import needs_seed, read_cron, tidy
from rota.domain.trigger.faults import Faults
from rota.domain.trigger.kinds import (
    DEFAULT_BACKOFF,
    CalendarTrigger,
    ContinuousTrigger,
    CronTrigger,
    Fold,
    Gap,
    IntervalTrigger,
    OnceTrigger,
    Overflow,
    Unit,
)
from rota.domain.trigger.zones import parse_zone, zone_named

_DAY_SECONDS = DAY // SECOND
MOST_PERIODS = 1000  # every 1000 years is still a rule; more is a typing error
MOST_TIMES = 1440


def parse_cron(
    expression: str, zone: str, *, gap: Gap = Gap.RUN_AFTER, fold: Fold = Fold.FIRST, seed: str = ""
) -> CronTrigger:
    """Check both; keep the expression as written but for spaces. Raises InvalidInput naming every fault.

    `seed` is kept only where the expression asks for it (`H`, `~`).
    """
    faults = Faults()
    faults.attempt("expression", lambda: read_cron(expression, seed))
    name = faults.attempt("zone", lambda: parse_zone(zone))
    faults.raise_any()
    return CronTrigger(tidy(expression), name or zone, gap, fold, seed if needs_seed(expression) else "")


def parse_interval(
    every: Micros, zone: str, *, created: Micros | None = None, anchor: Micros | None = None
) -> IntervalTrigger:
    """Check an interval of at least one second.

    Without an `anchor`, an interval that divides a day is anchored at midnight in `zone` of the day of
    `created`, so that `every 15m` means :00 :15 :30 :45; any other is anchored at `created` itself. Raises
    InvalidInput.
    """
    faults = Faults()
    if every < SECOND:
        faults.add("every", f"{format_span(every)} is too short", expected="at least 1s", hint="try: --every 20s")
    if anchor is None and created is None:
        faults.add("anchor", "is missing", expected="an instant", hint='such as "2026-03-05T00:00:00Z"')
    name = faults.attempt("zone", lambda: parse_zone(zone)) or zone
    faults.raise_any()
    if anchor is None and created is not None:
        anchor = _midnight(created, name) if DAY % every == 0 else created
    return IntervalTrigger(every, anchor or 0, name)


def parse_once(at: Micros, zone: str) -> OnceTrigger:
    """Check the zone. Whether `at` has passed is for the caller, who knows the time. Raises InvalidInput."""
    return OnceTrigger(at, parse_zone(zone))


def parse_continuous(gap: Micros = SECOND, backoff: Micros = DEFAULT_BACKOFF) -> ContinuousTrigger:
    """Check both lengths: 0 to a week, and a back-off no shorter than the gap. Raises InvalidInput."""
    faults = Faults()
    for field, length in (("gap_seconds", gap), ("backoff_seconds", backoff)):
        if not 0 <= length <= WEEK:
            faults.add(field, f"{format_span(length)} is out of range", expected="0 to 7d", hint="such as 1")
    faults.raise_any()
    return ContinuousTrigger(gap, max(gap, backoff))


def parse_calendar(
    unit: Unit,
    times: Iterable[int],
    zone: str,
    *,
    every: int = 1,
    anchor: str = "",
    created: Micros | None = None,
    weekdays: Iterable[int] = (),
    nth: Iterable[tuple[int, int]] = (),
    month_days: Iterable[int] = (),
    months: Iterable[int] = (),
    overflow: Overflow = Overflow.SKIP,
    gap: Gap = Gap.RUN_AFTER,
    fold: Fold = Fold.FIRST,
) -> CalendarTrigger:
    """Check a calendar rule and fill in what the anchor says (see `CalendarTrigger`).

    Without an `anchor` it is the date of `created` in `zone`. A week without weekdays takes the anchor's; a month
    without days takes the anchor's day; a year also its month. Where every period is due the anchor is dropped,
    so that equal rules made on different days share a timetable. Raises InvalidInput, also for what is never due.
    """
    faults = Faults()
    chosen = {
        "times": _set(faults, "times", times, range(_DAY_SECONDS), "times of day, 00:00 to 23:59:59"),
        "weekdays": _set(faults, "weekdays", weekdays, range(7), "0 (Monday) to 6"),
        "month_days": _set(faults, "month_days", month_days, _signed(31), "1 to 31, or -1 (the last) to -31"),
        "months": _set(faults, "months", months, range(1, 13), "1 to 12"),
    }
    places = tuple(sorted(set(nth)))
    if any(n not in _signed(5) or weekday not in range(7) for n, weekday in places):
        faults.add(
            "nth", "names no day of a month", expected="1 to 5 or -1 to -5, and a weekday", hint='such as "2 tue"'
        )
    if not chosen["times"]:
        faults.add("times", "is missing", expected="one time of day or more", hint='such as ["09:00"]')
    if len(chosen["times"]) > MOST_TIMES:
        faults.add("times", f"has {len(chosen['times'])} times", expected=f"at most {MOST_TIMES}")
    if not 1 <= every <= MOST_PERIODS:
        faults.add("every", f"{every} is out of range", expected=f"1 to {MOST_PERIODS} {unit}s")
    name = faults.attempt("zone", lambda: parse_zone(zone))
    day = faults.attempt("anchor", lambda: _anchor_day(anchor, created, name or "UTC"))
    faults.raise_any()
    assert day is not None and name is not None  # or there was a fault
    has_days = bool(chosen["weekdays"] or chosen["month_days"] or places)
    if unit is Unit.WEEK and not has_days:
        chosen["weekdays"] = (day.weekday(),)
    if unit in (Unit.MONTH, Unit.YEAR) and not has_days:
        chosen["month_days"] = (day.day,)
    if unit is Unit.YEAR and not chosen["months"]:
        chosen["months"] = (day.month,)
    phase = "" if every == 1 else day.isoformat()
    spec = CalendarTrigger(
        every, unit, anchor=phase, zone=name, nth=places, overflow=overflow, gap=gap, fold=fold, **chosen
    )
    if calendar_times(spec).next(0) is None:
        faults.add("months" if spec.months else "month_days", "is a day that never comes", expected="days that exist",
                   hint='such as month_days 28, or overflow "last_day"')  # fmt: skip
        faults.raise_any()
    return spec


def _set(
    faults: Faults, field: str, given: Iterable[int], allowed: range | frozenset[int], expected: str
) -> tuple[int, ...]:
    found = sorted(set(given))
    wrong = [number for number in found if number not in allowed]
    if wrong:
        faults.add(field, f"{', '.join(map(str, wrong))} is out of range", expected=expected)
    return tuple(number for number in found if number in allowed)


def _signed(most: int) -> frozenset[int]:
    return frozenset(range(-most, most + 1)) - {0}


def _anchor_day(anchor: str, created: Micros | None, zone: str) -> date:
    if not anchor:
        wall = zone_named(zone).wall_at((created or 0) // SECOND)
        return from_micros(wall * SECOND).date()
    return read_date(anchor)


def _midnight(instant: Micros, zone: str) -> Micros:
    table = zone_named(zone)
    wall = table.wall_at(instant // SECOND)
    return table.first_reaching(wall - wall % _DAY_SECONDS) * SECOND
