"""Timetables between a start and an end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.domain.trigger.interval import NEVER
from rota.domain.trigger.spec import IntervalTrigger, ManualTrigger, parse_cron
from rota.domain.trigger.timetable import timetable_within

EVERY_10 = IntervalTrigger(10, 3, "UTC")
INSTANTS = range(-97, 200, 10)
SMALL = st.integers(-60, 160)


@given(start=st.none() | SMALL, end=st.none() | SMALL, after=SMALL, until=SMALL)
def test_a_bounded_timetable_has_the_instants_from_its_start_to_its_end(
    start: int | None, end: int | None, after: int, until: int
) -> None:
    times = timetable_within(EVERY_10, start, end)
    assert times is not None
    inside = [i for i in INSTANTS if (start is None or i >= start) and (end is None or i <= end)]
    between = [i for i in inside if after < i <= until]
    assert times.next(after) == next((i for i in inside if i > after), None)
    assert times.prev(after) == next((i for i in reversed(inside) if i < after), None)
    assert times.last_at_or_before(until, after) == (between[-1] if between else None)
    assert times.count(after, until) == len(between)


def test_equal_bounds_share_a_timetable_and_none_are_none() -> None:
    rule = parse_cron("0 2 * * *", "UTC")
    assert timetable_within(rule, 5, None) is timetable_within(rule, 5, None)
    assert timetable_within(rule, None, None) is timetable_within(rule, None, None)
    assert timetable_within(ManualTrigger(), 5, 9) is None


def test_never_has_no_instants() -> None:
    assert (NEVER.next(0), NEVER.prev(0), NEVER.last_at_or_before(9, 0), NEVER.count(0, 9)) == (None, None, None, 0)
