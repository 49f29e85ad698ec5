"""What pauses and calendars make of one start, and what becomes of a trigger's instants under them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.calendars import (
    Binding,
    Calendar,
    Effect,
    Fate,
    OnHit,
    Pause,
    Rules,
    Scope,
    fate_of,
    read_calendar,
    verdict_at,
)
from rota.domain.instant import HOUR, MINUTE, SECOND, Micros, format_rfc3339
from rota.domain.policy import Missed
from rota.domain.reasons import Reason
from rota.domain.reckoning import Course, Pending, Reckoning, Refused, Start, foresee, reckon
from rota.domain.spreading import Spreading
from rota.domain.trigger.interval import IntervalTimes
from tests.support.clock import NOON

MISSED, PAUSED, BLACKOUT = Reason.MISSED, Reason.PAUSED, Reason.BLACKOUT
EVERY_10 = IntervalTimes(10 * MINUTE, NOON)
GRACE = MINUTE


def t(minutes: float) -> Micros:
    """Minutes after noon."""
    return NOON + round(minutes * MINUTE)


def blackout(first: float, last: float, on_hit: OnHit = OnHit.SKIP, name: str = "change") -> Binding:
    """A blackout between two moments, in minutes after noon."""
    rule = f"{format_rfc3339(t(first))}..{format_rfc3339(t(last))}"
    return Binding(read_calendar(name, Effect.BLACKOUT, (rule,), "UTC"), on_hit)


def allow(rule: str, on_hit: OnHit = OnHit.SKIP) -> Binding:
    return Binding(read_calendar("hours", Effect.ALLOW, (rule,), "UTC"), on_hit)


def pause(first: float, last: float | None = None, **fields: Any) -> Pause:
    until = None if last is None else t(last)
    given: dict[str, Any] = {"public_id": "1", "scope": Scope.ALL, "key": "", "job_id": None, "reason": "", "by": "ada"}
    return Pause(since=t(first), until=until, **given | fields)


def rules(*held: Binding | Pause) -> Rules:
    return Rules([one for one in held if isinstance(one, Pause)], [one for one in held if isinstance(one, Binding)])


DEFER = OnHit.DEFER


def test_without_rules_a_start_happens_when_it_is_due() -> None:
    assert fate_of(t(0), rules()) == Fate(t(0))


def test_a_blackout_refuses_what_is_due_in_it_and_nothing_else() -> None:
    held = rules(blackout(10, 20))
    assert [fate_of(t(minute), held).reason for minute in (9, 10, 19, 20)] == [None, BLACKOUT, BLACKOUT, None]
    assert fate_of(t(10), held).by == 'calendar "change"'


def test_an_allow_calendar_refuses_what_is_due_outside_it() -> None:
    held = rules(allow("daily 12:10-12:20"))
    assert [fate_of(t(minute), held).reason for minute in (9, 10, 19, 20)] == [BLACKOUT, None, None, BLACKOUT]


def test_a_deferring_calendar_puts_a_start_off_until_its_window_is_over() -> None:
    assert fate_of(t(15), rules(blackout(10, 20, DEFER))) == Fate(t(20), None, 'calendar "change"')


def test_a_deferring_allow_calendar_puts_a_start_off_until_it_opens() -> None:
    assert fate_of(t(15), rules(allow("daily 14:00-15:00", DEFER))).fire_at == t(120)


def test_a_start_that_is_put_off_into_another_window_is_put_off_again() -> None:
    held = rules(blackout(10, 20, DEFER), blackout(20, 30, DEFER, "second"))
    assert fate_of(t(15), held) == Fate(t(30), None, 'calendar "second"')


def test_a_start_that_is_put_off_into_a_window_that_skips_is_refused() -> None:
    held = rules(blackout(10, 20, DEFER), blackout(20, 30, name="freeze"))
    assert fate_of(t(15), held) == Fate(t(20), BLACKOUT, 'calendar "freeze"')


def test_what_would_be_put_off_for_ever_is_refused() -> None:
    assert fate_of(t(15), rules(allow("2020-01-01", DEFER))).reason is BLACKOUT


def test_skipping_outweighs_deferring_and_a_pause_outweighs_both() -> None:
    held = [blackout(0, 60, DEFER, "soft"), blackout(0, 60, name="hard")]
    assert fate_of(t(5), rules(*held)).by == 'calendar "hard"'
    assert fate_of(t(5), rules(*held, pause(0, 30))).reason is PAUSED


def test_a_pause_lasts_from_its_beginning_up_to_its_end() -> None:
    held = rules(pause(10, 20))
    assert [fate_of(t(minute), held).reason for minute in (9, 10, 19, 20)] == [None, PAUSED, PAUSED, None]


def test_a_pause_says_who_until_when_and_why() -> None:
    held = rules(pause(0, 60, reason="storage migration"))
    assert fate_of(t(5), held).by == "everything is paused by ada until 2026-03-04T13:00:00Z: storage migration"


def test_a_calendar_that_cannot_be_read_holds_every_start_and_says_so() -> None:
    broken = Binding(Calendar("broken", Effect.BLACKOUT, (), fault="the library is gone"), OnHit.DEFER)
    assert fate_of(t(0), rules(broken)).by == 'calendar "broken" cannot be read: the library is gone'


BINDINGS = st.builds(
    lambda first, length, on_hit: blackout(first, first + length, on_hit),
    st.integers(0, 200), st.integers(1, 60), st.sampled_from(OnHit),
)  # fmt: skip
PAUSES = st.builds(lambda first, length: pause(first, first + length), st.integers(0, 200), st.integers(1, 60))
HELD = st.lists(
    st.one_of(BINDINGS, PAUSES, st.just(allow("daily 12:30-14:00")), st.just(allow("daily 12:30-14:00", DEFER))),
    max_size=4,
)


@given(HELD, st.integers(0, 250))
def test_a_verdict_holds_up_to_the_instant_that_it_names(held: list[Binding | Pause], minute: int) -> None:
    found = verdict_at(t(minute), rules(*held))
    assert found.until > t(minute)
    for later in range(minute, min(250, (found.until - NOON) // MINUTE)):
        if t(later) < found.until:
            assert verdict_at(t(later), rules(*held))[1:3] == found[1:3]


# what has come due


def settled(
    *held: Binding | Pause, now: float, due: float = 0, deferred_by: str | None = None, fire_at: float | None = None,
    grace: Micros = GRACE, missed: Missed = Missed.SKIP, spreading: Spreading | None = None,
) -> Reckoning:  # fmt: skip
    """What has become of a job that is due every ten minutes from noon on, at `now`."""
    course = Course(EVERY_10, spreading, rules(*held))
    pending = Pending(t(due), t(due) if fire_at is None else t(fire_at), deferred_by)
    return reckon(course, pending, now=t(now), grace=grace, missed=missed)


def told(reckoning: Reckoning) -> list[tuple[Any, ...]]:
    """Starts as (minute,) or (minute, due minute); refusals as (reason, first, last, count)."""

    def minute(at: Micros) -> float:
        return (at - NOON) / MINUTE

    return [
        ((minute(one.nominal),) if one.nominal == one.due_at else (minute(one.nominal), minute(one.due_at)))
        if isinstance(one, Start)
        else (one.reason, minute(one.first), minute(one.last), one.occurrences)
        for one in reckoning.outcomes
    ]


def following(reckoning: Reckoning) -> tuple[float, float, str | None]:
    assert reckoning.next is not None
    nominal, fire_at, by = reckoning.next
    return (nominal - NOON) / MINUTE, (fire_at - NOON) / MINUTE, by


def test_what_is_due_in_time_starts() -> None:
    found = settled(now=0.5)
    assert told(found) == [(0,)]
    assert following(found) == (10, 10, None)
    assert found.high_water == t(0)


def test_what_was_missed_is_one_span() -> None:
    assert told(settled(now=35)) == [(MISSED, 0, 30, 4)]


def test_what_was_missed_while_it_was_paused_counts_as_paused() -> None:
    assert told(settled(pause(15, 45), now=65)) == [(MISSED, 0, 10, 2), (PAUSED, 20, 40, 3), (MISSED, 50, 60, 2)]


def test_what_was_missed_in_a_blackout_counts_as_blackout() -> None:
    assert told(settled(blackout(15, 35), now=45)) == [(MISSED, 0, 10, 2), (BLACKOUT, 20, 30, 2), (MISSED, 40, 40, 1)]


def test_what_a_window_puts_off_waits_for_its_end_and_is_not_settled() -> None:
    found = settled(blackout(-5, 35, DEFER), now=0.5)
    assert told(found) == []
    assert following(found) == (0, 35, 'calendar "change"')
    assert found.high_water < t(0)


def test_when_the_window_is_over_one_start_stands_for_all_that_were_put_off() -> None:
    found = settled(blackout(-5, 35, DEFER), now=35, fire_at=35, deferred_by='calendar "change"')
    assert told(found) == [(0, 35), (BLACKOUT, 10, 30, 3)]
    assert found.outcomes[0] == Start(t(0), t(35), deferred_by='calendar "change"')
    assert following(found) == (40, 40, None)


def test_an_instant_at_the_windows_end_is_on_its_own() -> None:
    found = settled(blackout(-5, 30, DEFER), now=30, fire_at=30, deferred_by="x")
    assert told(found) == [(0, 30), (BLACKOUT, 10, 20, 2), (30,)]


def test_what_was_put_off_is_missed_if_nobody_was_there_when_the_window_ended() -> None:
    found = settled(blackout(-5, 35, DEFER), now=65, fire_at=35, deferred_by="x")
    assert told(found) == [(MISSED, 0, 60, 7)]


def test_a_daemon_that_comes_back_within_the_window_puts_off_what_it_had_not_seen() -> None:
    found = settled(blackout(5, 100, DEFER), now=65)
    assert told(found) == [(MISSED, 0, 0, 1)]
    assert following(found) == (10, 100, 'calendar "change"')


def test_a_calendar_that_was_changed_lets_go_of_what_it_put_off() -> None:
    found = settled(now=15, fire_at=15, deferred_by='calendar "change"')
    assert told(found) == [(0, 15), (BLACKOUT, 10, 10, 1)]


def test_a_calendar_that_was_changed_may_put_it_off_again() -> None:
    found = settled(blackout(-5, 90, DEFER, "longer"), now=15, fire_at=15, deferred_by="x")
    assert told(found) == []
    assert following(found) == (0, 90, 'calendar "longer"')


def test_what_was_put_off_and_is_paused_when_its_time_comes_is_refused_with_all_that_waited() -> None:
    found = settled(pause(30, 60), now=35, fire_at=35, deferred_by="x")
    assert told(found) == [(PAUSED, 0, 30, 4)]


def test_the_newest_that_was_missed_is_caught_up() -> None:
    found = settled(now=35, missed=Missed.RUN_ONCE)
    assert told(found) == [(MISSED, 0, 20, 3), (30, 35)]
    assert isinstance(found.outcomes[-1], Start) and found.outcomes[-1].catch_up


def test_what_was_paused_is_not_caught_up() -> None:
    found = settled(pause(15, 45), now=48, missed=Missed.RUN_ONCE)
    assert told(found) == [(MISSED, 0, 0, 1), (10, 48), (PAUSED, 20, 40, 3)]


def test_nothing_is_caught_up_while_it_is_paused() -> None:
    found = settled(pause(33, 60), now=35, missed=Missed.RUN_ONCE)
    assert told(found) == [(MISSED, 0, 20, 3), (PAUSED, 30, 30, 1)]


def test_nothing_is_caught_up_within_a_blackout() -> None:
    found = settled(blackout(33, 60), now=35, missed=Missed.RUN_ONCE)
    assert told(found) == [(MISSED, 0, 20, 3), (BLACKOUT, 30, 30, 1)]


def test_what_is_caught_up_within_a_window_that_defers_waits_for_its_end() -> None:
    found = settled(blackout(33, 60, DEFER), now=35, missed=Missed.RUN_ONCE)
    assert told(found) == [(MISSED, 0, 20, 3)]
    assert following(found) == (30, 60, 'calendar "change"')
    assert found.high_water == t(20)


def test_of_a_long_outage_nothing_older_than_what_waits_is_caught_up() -> None:
    found = settled(blackout(5, 100, DEFER), now=65, missed=Missed.RUN_ONCE)
    assert told(found) == [(MISSED, 0, 0, 1)]
    assert following(found) == (10, 100, 'calendar "change"')


def test_a_spread_start_is_judged_when_it_really_happens() -> None:
    late = Spreading("late", 5 * MINUTE)
    assert late.fixed > MINUTE, "the hash of this name"
    moved = late.fixed / MINUTE
    found = settled(blackout(0, moved / 2), now=moved, fire_at=moved, spreading=late)
    assert told(found) == [(0, moved)]
    assert following(found) == (10, 10 + moved, None)


def test_a_spread_start_is_late_only_after_its_own_moment() -> None:
    late = Spreading("late", 5 * MINUTE)
    moved = late.fixed / MINUTE
    assert told(settled(now=moved + 0.5, fire_at=moved, spreading=late)) == [(0, moved)]
    assert told(settled(now=moved + 2, fire_at=moved, spreading=late)) == [(MISSED, 0, 0, 1)]


@given(
    held=HELD,
    now=st.integers(0, 250),
    grace=st.integers(1, 60),
    missed=st.sampled_from(Missed),
    spreading=st.one_of(st.none(), st.builds(Spreading, st.text(max_size=5), st.just(4 * MINUTE), st.just(5 * MINUTE))),
)
def test_every_instant_that_has_passed_is_settled_exactly_once(
    held: list[Binding | Pause], now: int, grace: int, missed: Missed, spreading: Spreading | None
) -> None:
    course = Course(EVERY_10, spreading, rules(*held))
    pending = Pending(t(0), course.fire_at(t(0)))
    found = reckon(course, pending, now=t(now), grace=grace * MINUTE, missed=missed)
    covered: list[Micros] = []
    for outcome in found.outcomes:
        if isinstance(outcome, Refused):
            covered += range(outcome.first, outcome.last + 1, 10 * MINUTE)
            assert outcome.occurrences == 1 + (outcome.last - outcome.first) // (10 * MINUTE)
        else:
            covered.append(outcome.nominal)
    assert found.next is not None
    assert covered == list(range(t(0), found.next.nominal, 10 * MINUTE))
    assert found.high_water < found.next.nominal
    assert found.next.fire_at > t(now), "all that is due is settled"


@given(
    held=HELD,
    missed=st.sampled_from(Missed),
    spreading=st.one_of(st.none(), st.builds(Spreading, st.text(max_size=5), st.just(4 * MINUTE), st.just(5 * MINUTE))),
)
def test_a_preview_shows_what_a_daemon_that_is_never_late_then_does(
    held: list[Binding | Pause], missed: Missed, spreading: Spreading | None
) -> None:
    course = Course(EVERY_10, spreading, rules(*held))
    end = t(300)
    shown = [(one.nominal, one.fire_at) for one in islice(foresee(course, after=t(-1)), 60) if one.reason is None]
    done: list[tuple[Micros, Micros]] = []
    pending: Pending | None = Pending(t(0), course.fire_at(t(0)))
    while pending is not None and pending.fire_at < end:
        found = reckon(course, pending, now=pending.fire_at, grace=GRACE, missed=missed)
        done += [(one.nominal, one.due_at) for one in found.outcomes if isinstance(one, Start)]
        pending = found.next
    assert [one for one in shown if one[1] < end] == done


def test_a_preview_names_what_is_dropped_once_with_its_count() -> None:
    course = Course(EVERY_10, None, rules(pause(5, 45)))
    first, dropped, second = islice(foresee(course, after=t(-1)), 3)
    assert (first.nominal, first.reason) == (t(0), None)
    assert (dropped.nominal, dropped.last, dropped.occurrences, dropped.reason) == (t(10), t(40), 4, PAUSED)
    assert (second.nominal, second.reason) == (t(50), None)


def test_a_preview_of_what_is_paused_without_an_end_ends() -> None:
    (only,) = foresee(Course(EVERY_10, None, rules(pause(5))), after=t(5))
    assert (only.reason, only.last, only.occurrences) == (PAUSED, None, None)


@pytest.mark.parametrize("name", ["a", "backup", "nightly-report"])
def test_the_same_job_is_always_moved_by_the_same_length(name: str) -> None:
    one, again = (Spreading(name, 600 * SECOND, 60 * SECOND) for _ in range(2))
    assert [one.offset(t(minute)) for minute in range(5)] == [again.offset(t(minute)) for minute in range(5)]
    assert all(0 <= one.offset(t(minute)) < 660 * SECOND for minute in range(200))


def test_jobs_are_spread_over_the_whole_length() -> None:
    offsets: Sequence[Micros] = [Spreading(f"job-{number}", HOUR).fixed for number in range(600)]
    tenths = [sum(tenth * HOUR // 10 <= offset < (tenth + 1) * HOUR // 10 for offset in offsets) for tenth in range(10)]
    assert all(30 < count < 90 for count in tenths)


def test_jitter_differs_from_start_to_start() -> None:
    one = Spreading("job", jitter=HOUR)
    assert len({one.offset(t(minute)) for minute in range(100)}) > 90
