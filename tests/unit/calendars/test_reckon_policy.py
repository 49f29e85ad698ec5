"""Reckoning with every missed-run policy: each instant is settled exactly once, in order, whatever the outage."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.calendars import OnHit
from rota.domain.instant import HOUR, MINUTE, SECOND, Micros
from rota.domain.policy import CatchUp, Missed
from rota.domain.reasons import Reason
from rota.domain.reckoning import Course, Pending, Reckoning, Refused, Start, reckon
from rota.domain.trigger.interval import IntervalTimes
from tests.support.clock import NOON
from tests.unit.calendars.test_fate import blackout, pause, rules

T0: Micros = NOON
EVERY_FIVE = IntervalTimes(5 * MINUTE, T0)


def reckoned(outage: Micros, missed: Missed, course: Course | None = None, **rules: Any) -> Reckoning:
    """What becomes of a five-minute schedule that nobody planned since T0."""
    pending = Pending(T0, T0)
    return reckon(course or Course(EVERY_FIVE), pending, now=T0 + outage, grace=MINUTE, missed=missed,
                  catch_up=CatchUp(**rules))  # fmt: skip


def settled(reckoning: Reckoning) -> list[Micros]:
    """Every instant that the outcomes cover, in the order of the outcomes."""
    found: list[Micros] = []
    for outcome in reckoning.outcomes:
        if isinstance(outcome, Start):
            found.append(outcome.nominal)
        else:
            covered = list(range(outcome.first, outcome.last + 1, 5 * MINUTE))
            assert len(covered) == outcome.occurrences
            found += covered
    return found


OUTAGES = st.integers(0, 3 * 24 * HOUR)
RULES = st.fixed_dictionaries({"most": st.integers(1, 50), "window": st.none() | st.integers(SECOND, 48 * HOUR)})


@given(outage=OUTAGES, missed=st.sampled_from(Missed), rules=RULES)
def test_each_instant_is_settled_exactly_once_and_in_order(
    outage: Micros, missed: Missed, rules: dict[str, Any]
) -> None:
    reckoning = reckoned(outage, missed, **rules)
    assert settled(reckoning) == list(range(T0, T0 + outage + 1, 5 * MINUTE))
    assert reckoning.next is not None
    assert reckoning.next.nominal > T0 + outage


@given(outage=OUTAGES, rules=RULES)
def test_run_all_catches_up_the_newest_that_are_within_its_window_and_no_more(
    outage: Micros, rules: dict[str, Any]
) -> None:
    now = T0 + outage
    reckoning = reckoned(outage, Missed.RUN_ALL, **rules)
    caught = [one.nominal for one in reckoning.outcomes if isinstance(one, Start) and one.catch_up]
    late = [instant for instant in range(T0, now + 1, 5 * MINUTE) if instant < now - MINUTE]
    fresh = [instant for instant in late if rules["window"] is None or instant >= now - rules["window"]]
    assert caught == fresh[-rules["most"] :]
    refused = [one for one in reckoning.outcomes if isinstance(one, Refused)]
    assert len(refused) <= 1


@given(outage=OUTAGES, rules=RULES)
def test_what_is_caught_up_comes_with_what_is_in_time_in_one_turn(outage: Micros, rules: dict[str, Any]) -> None:
    starts = [one for one in reckoned(outage, Missed.RUN_ALL, **rules).outcomes if isinstance(one, Start)]
    assert len({one.in_turn for one in starts}) <= 1
    assert any(one.catch_up for one in starts) == any(one.in_turn for one in starts)


class Counted:
    """A timetable that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        self.asked += 1
        return getattr(EVERY_FIVE, name)


@pytest.mark.parametrize("missed", Missed)
def test_a_year_costs_no_more_questions_than_an_hour(missed: Missed) -> None:
    asked = []
    for outage in (2 * HOUR, 365 * 24 * HOUR):
        times = Counted()
        reckoned(outage, missed, Course(times), most=10)
        asked.append(times.asked)
    assert asked[0] == asked[1] <= 20


def starts(reckoning: Reckoning) -> list[Start]:
    return [one for one in reckoning.outcomes if isinstance(one, Start)]


def test_a_pause_that_holds_now_has_them_refused_with_its_reason() -> None:
    course = Course(EVERY_FIVE, rules=rules(pause(9 * 60)))
    reckoning = reckoned(10 * HOUR, Missed.RUN_ALL, course, most=5)
    assert starts(reckoning) == []
    assert {one.reason for one in reckoning.outcomes if isinstance(one, Refused)} == {Reason.MISSED, Reason.PAUSED}
    assert settled(reckoning) == list(range(T0, T0 + 10 * HOUR + 1, 5 * MINUTE))


def test_what_a_pause_had_refused_is_not_caught_up() -> None:
    course = Course(EVERY_FIVE, rules=rules(pause(0, 9 * 60)))
    reckoning = reckoned(10 * HOUR, Missed.RUN_ALL, course, most=50)
    assert min(one.nominal for one in starts(reckoning)) == T0 + 9 * HOUR
    assert settled(reckoning) == list(range(T0, T0 + 10 * HOUR + 1, 5 * MINUTE))


def test_a_calendar_that_puts_off_has_them_start_when_its_window_is_over() -> None:
    course = Course(EVERY_FIVE, rules=rules(blackout(9 * 60 + 58, 11 * 60, OnHit.DEFER)))
    reckoning = reckoned(10 * HOUR + 2 * MINUTE, Missed.RUN_ALL, course, most=3)
    caught = [one for one in starts(reckoning) if one.catch_up]
    assert len(caught) == 3
    assert {one.due_at for one in caught} == {T0 + 11 * HOUR}
