"""Steps of the clock, sleeps of the machine, clocks that cannot be right: judged from readings alone."""

from __future__ import annotations

import pytest

from rota.domain.clocks import EARLIEST, Change, Kind, Reading, changes, doubt
from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, Micros
from tests.support.clock import NOON

BEFORE = Reading(NOON, 100.0, 500.0)


def later(*, wall: Micros, monotonic: float, boot: float) -> list[tuple[Kind, Micros]]:
    """What is found when so much has passed on each clock."""
    now = Reading(NOON + wall, 100.0 + monotonic, 500.0 + boot)
    return [(change.kind, change.by) for change in changes(BEFORE, now)]


def test_clocks_that_go_on_together_tell_nothing() -> None:
    assert later(wall=HOUR, monotonic=3600, boot=3600) == []


@pytest.mark.parametrize("drift", [-SECOND, SECOND])
def test_a_second_is_drift_and_no_change(drift: Micros) -> None:
    assert later(wall=2 * SECOND + drift, monotonic=2, boot=2) == []


def test_a_wall_clock_that_gained_was_set_forward() -> None:
    assert later(wall=HOUR + 2 * SECOND, monotonic=2, boot=2) == [(Kind.SET_FORWARD, HOUR)]


def test_a_wall_clock_that_lost_was_set_back() -> None:
    assert later(wall=2 * SECOND - DAY, monotonic=2, boot=2) == [(Kind.SET_BACK, DAY)]


def test_time_since_boot_that_gained_on_monotonic_time_is_a_sleep_and_no_step() -> None:
    assert later(wall=14 * HOUR, monotonic=2, boot=14 * 3600) == [(Kind.SLEPT, 14 * HOUR - 2 * SECOND)]


def test_a_clock_that_is_set_while_the_machine_sleeps_is_both() -> None:
    assert later(wall=2 * HOUR, monotonic=0, boot=3600) == [(Kind.SLEPT, HOUR), (Kind.SET_FORWARD, HOUR)]


def test_a_change_knows_what_the_clock_said_before_it() -> None:
    assert Change(kind=Kind.SET_BACK, at=NOON, by=HOUR).came_from == NOON + HOUR
    assert Change(kind=Kind.SET_FORWARD, at=NOON, by=HOUR).came_from == NOON - HOUR


def test_1970_is_certainly_wrong() -> None:
    found = doubt(5 * MINUTE, None)
    assert found is not None
    assert found.is_certain
    assert found.said == "this machine's clock says 1970-01-01 00:05 UTC, before there was this program"


def test_a_clock_more_than_a_day_behind_the_newest_record_may_be_wrong() -> None:
    found = doubt(NOON - 2 * DAY, NOON)
    assert found is not None
    assert not found.is_certain
    assert "the newest record here is of 2026-03-04 12:00 UTC" in found.said


@pytest.mark.parametrize(("wall", "newest"), [(NOON, None), (NOON - HOUR, NOON), (NOON + 900 * DAY, NOON)])
def test_other_clocks_are_believed(wall: Micros, newest: Micros | None) -> None:
    assert doubt(wall, newest) is None


def test_the_earliest_time_that_is_believed_has_passed() -> None:
    assert EARLIEST < NOON
