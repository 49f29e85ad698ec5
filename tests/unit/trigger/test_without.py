"""A timetable less some instants answers as if they were not there, and agrees with a plain enumeration."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.domain.trigger.interval import IntervalTimes
from rota.domain.trigger.without import WithoutTimes

EVERY, LAST = 7, 700  # all instants that are looked at: 0, 7, 14 …
TIMES = IntervalTimes(EVERY, 0)
_INSTANTS = st.integers(0, LAST)


@given(gone=st.sets(_INSTANTS, max_size=60), after=_INSTANTS, until=_INSTANTS)
def test_every_question_is_answered_as_by_a_list_without_them(gone: set[int], after: int, until: int) -> None:
    times = WithoutTimes(TIMES, gone)
    left = [instant for instant in range(0, LAST + 100 * EVERY, EVERY) if instant not in gone]
    assert times.next(after) == next(instant for instant in left if instant > after)
    before = [instant for instant in left if instant < after]
    assert max(times.prev(after) or 0, 0) == max(before, default=0)
    between = [instant for instant in left if after < instant <= until]
    assert times.count(after, until) == len(between)
    assert times.last_at_or_before(until, after) == max(between, default=None)


def test_what_is_no_instant_of_it_takes_nothing_away() -> None:
    assert WithoutTimes(TIMES, [1, 2, 3]).count(0, 70) == 10
