"""What a clock that was set leaves in the store, on every store: what is taken back, what stays, what is told."""

from __future__ import annotations

from functools import partial

import pytest

from rota.domain.calendars import Scope
from rota.domain.clocks import Change, Kind
from rota.domain.fanout import FanOut, Throttle
from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, Micros
from rota.domain.job import NamedTrigger
from rota.domain.policy import Missed, Overlap, Patience, Policies
from rota.domain.reasons import Reason
from rota.storage import clock_changes
from rota.storage.pauses import insert_pause
from rota.storage.work import Park, Report
from tests.contract.store_world import StoreWorld, cron
from tests.support.clock import NOON

HOURLY = cron("0 * * * *")
YEAR = 365 * DAY


def set_back(at: Micros, by: Micros) -> Change:
    return Change(kind=Kind.SET_BACK, at=at, by=by)


async def goes_back(world: StoreWorld, by: Micros, *, is_live: bool = True) -> bool:
    """Set the clock back, and settle that as a daemon does."""
    world.clock.set_wall(world.clock.now() - by)
    change = set_back(world.clock.now(), by)
    await world.store.write(clock_changes.take_back)
    return await world.store.write(partial(clock_changes.set_back, change=change, said="so it was", is_live=is_live))


async def a_year_ahead(world: StoreWorld, missed: Missed = Missed.SKIP) -> None:
    await world.a_job("hourly", HOURLY, missed=missed)
    world.clock.set_wall(NOON + YEAR)
    world.clock.advance(1800)
    await world.plan()


async def test_nothing_is_taken_back_while_nothing_lies_ahead(world: StoreWorld) -> None:
    await world.a_job("hourly", HOURLY)
    assert not await world.store.read(clock_changes.settled_ahead)
    before = await world.sql("SELECT * FROM due")
    assert await world.store.write(clock_changes.take_back) == 0
    assert await world.sql("SELECT * FROM due") == before


async def test_a_schedule_settled_a_year_ahead_is_due_again_within_the_hour(world: StoreWorld) -> None:
    await a_year_ahead(world)
    world.clock.set_wall(NOON + MINUTE)
    assert await world.store.read(clock_changes.settled_ahead)
    assert await world.store.write(clock_changes.take_back) == 1
    assert await world.next_due() == NOON + HOUR
    assert not await world.store.read(clock_changes.settled_ahead)
    assert await world.store.write(clock_changes.take_back) == 0


async def test_a_span_that_reaches_beyond_now_is_shortened_and_one_beyond_now_goes(world: StoreWorld) -> None:
    await a_year_ahead(world)
    assert await world.ledger("reason, count") == [(Reason.MISSED, YEAR // HOUR)]
    world.clock.set_wall(NOON + 5 * HOUR + MINUTE)
    await world.store.write(clock_changes.take_back)
    assert await world.ledger("first_nominal, last_nominal, count") == [(NOON + HOUR, NOON + 5 * HOUR, 5)]
    world.clock.set_wall(NOON - 10 * DAY)
    await world.store.write(clock_changes.take_back)
    assert await world.ledger("count") == []


@pytest.mark.parametrize("later", ["*/25 * * * *", "10 * * * *"])
async def test_a_span_is_shortened_by_the_rhythm_that_it_was_written_by(world: StoreWorld, later: str) -> None:
    job = await world.a_job("job", HOURLY)
    world.clock.set_wall(NOON + YEAR)
    world.clock.advance(1800)
    await world.plan()
    world.clock.advance(1)
    await world.change(job, triggers=(NamedTrigger(name="t0", rule=cron(later)),))
    world.clock.set_wall(NOON + 5 * HOUR + MINUTE)
    await world.store.write(clock_changes.take_back)
    assert await world.ledger("first_nominal, last_nominal, count") == [(NOON + HOUR, NOON + 5 * HOUR, 5)]


async def test_a_span_that_began_by_another_rhythm_is_shortened_to_what_was_due(world: StoreWorld) -> None:
    """The job is edited right after an instant that both rhythms have."""
    job = await world.a_job("job", HOURLY)
    await world.store.write(
        partial(insert_pause, scope=Scope.ALL, key="", job_id=None, until=None, reason="quiet", by="someone")
    )
    world.clock.set_wall(NOON + 2 * HOUR + MINUTE)
    await world.plan()
    await world.change(job, triggers=(NamedTrigger(name="t0", rule=cron("*/20 * * * *")),))
    world.clock.set_wall(NOON + YEAR)
    await world.plan()
    world.clock.set_wall(NOON + 2 * HOUR + 41 * MINUTE)
    await world.store.write(clock_changes.take_back)
    spans = await world.ledger("reason, last_nominal, count")
    assert [reason for reason, *_ in spans] == [Reason.PAUSED] * len(spans)
    assert sum(count for *_, count in spans) == 4  # 13:00, 14:00, 14:20, 14:40
    assert max(last for _, last, _ in spans) == NOON + 2 * HOUR + 40 * MINUTE


async def test_an_instant_that_ran_ahead_of_its_time_is_passed_over_when_it_comes(world: StoreWorld) -> None:
    await a_year_ahead(world, Missed.RUN_ONCE)
    (early,) = await world.runs("nominal")
    world.clock.set_wall(NOON + MINUTE)
    await world.store.write(clock_changes.take_back)
    world.clock.set_wall(early - HOUR)
    await world.plan()
    for _ in range(3):
        world.clock.advance(3600)
        await world.plan()
    runs = await world.runs("nominal")
    assert runs.count(early) == 1
    assert len(runs) == len(set(runs))
    assert await world.next_due() == early + 3 * HOUR


async def test_a_disabled_schedule_stays_so(world: StoreWorld) -> None:
    job = await world.a_job("hourly", HOURLY)
    world.clock.set_wall(NOON + YEAR)
    await world.change(job, enabled=False)
    world.clock.set_wall(NOON)
    await world.store.write(clock_changes.take_back)
    assert await world.next_due() is None


async def test_a_parked_target_waits_no_longer_than_it_was_to(world: StoreWorld) -> None:
    _, (work,) = await world.make()
    failed = world.report(work).attempt
    park = Park(until=NOON + MINUTE, waiting_for="retry", reason=None, message=None)
    await world.settle(Report(work=work, attempt=failed, park=park))
    await goes_back(world, DAY)
    assert await world.one("SELECT not_before FROM run_target") == NOON - DAY + MINUTE


async def test_a_run_s_patience_is_as_long_as_it_was_to_be(world: StoreWorld) -> None:
    await world.make(owner=None, slots=0, patience=Patience(queue_timeout=10 * MINUTE))
    world.clock.advance(1)
    await goes_back(world, HOUR)
    assert await world.one("SELECT expires_at FROM run_turn") == world.clock.now() + 10 * MINUTE


async def is_seen_late(world: StoreWorld, by: Micros) -> None:
    """Another daemon, which slept or was cut off, notices that the clock was set back when it was settled long ago."""
    change = set_back(world.clock.now(), by)
    await world.store.write(partial(clock_changes.set_back, change=change, said="again", is_live=True))


async def test_what_waits_for_a_retry_is_moved_once(world: StoreWorld) -> None:
    _, (work,) = await world.make()
    failed = world.report(work).attempt
    park = Park(until=NOON + 10 * MINUTE, waiting_for="retry", reason=None, message=None)
    await world.settle(Report(work=work, attempt=failed, park=park))
    await goes_back(world, DAY)
    world.clock.advance(90)
    await is_seen_late(world, DAY)
    assert await world.one("SELECT not_before FROM run_target") == NOON - DAY + 10 * MINUTE
    for by in (5 * SECOND, HOUR):  # that the clock is set back again moves it by no more than that
        await goes_back(world, by)
    assert await world.one("SELECT not_before FROM run_target") == world.clock.now() + 10 * MINUTE - 90 * SECOND


async def test_a_run_s_patience_is_not_shortened_by_what_is_seen_late(world: StoreWorld) -> None:
    await world.make(owner=None, slots=0, patience=Patience(queue_timeout=10 * MINUTE))
    world.clock.advance(1)
    await goes_back(world, HOUR)
    ends_at = world.clock.now() + 10 * MINUTE
    world.clock.advance(90)
    await is_seen_late(world, HOUR)
    assert await world.one("SELECT expires_at FROM run_turn") == ends_at
    await goes_back(world, 5 * SECOND)
    assert await world.one("SELECT expires_at FROM run_turn") == ends_at - 5 * SECOND


async def test_what_is_caught_up_keeps_its_rate_though_a_change_is_seen_late(world: StoreWorld) -> None:
    policies = Policies(catch_up_max=3, catch_up_rate=Throttle(2, "m"))
    await world.a_job("minutely", cron("* * * * *"), missed=Missed.RUN_ALL, policies=policies, overlap=Overlap.ALLOW)
    world.clock.set_wall(NOON + 2 * DAY)
    await world.plan()
    await goes_back(world, 2 * DAY)
    world.clock.advance(90)
    assert await world.admit() == [1]
    await is_seen_late(world, 2 * DAY)
    assert await world.admit() == []
    world.clock.advance(30)
    assert await world.admit() == [2]


async def test_a_throttle_waits_for_one_turn_at_most(world: StoreWorld) -> None:
    await world.make(targets=3, fan_out=FanOut(throttle=Throttle(1, "m")), owner=None, slots=0)
    await world.sql("UPDATE run_fanout SET next_start_at = ?", NOON + MINUTE)
    await goes_back(world, DAY)
    assert await world.one("SELECT next_start_at FROM run_fanout") == NOON - DAY + MINUTE


async def a_backlog(world: StoreWorld) -> None:
    """Two runs that are caught up, the second a minute after the first."""
    await world.a_job("hourly", HOURLY, missed=Missed.RUN_ALL, policies=Policies(catch_up_rate=Throttle(1, "m")))
    world.clock.advance(2 * 3600 + 1800)
    await world.plan()


async def test_a_run_that_is_caught_up_waits_for_one_turn_at_most(world: StoreWorld) -> None:
    """It was made by the right clock, and the run before it started by one that was ahead."""
    await a_backlog(world)
    now = world.clock.now()
    world.clock.set_wall(now + 2 * DAY)
    assert await world.admit() == [1]
    for by in (DAY, DAY):  # set right in two steps
        await goes_back(world, by)
    assert await world.sql("SELECT run_id, not_before FROM run_turn") == [(2, now + MINUTE)]


async def test_what_a_calendar_put_off_waits_for_its_moment_though_the_clock_is_set_back(world: StoreWorld) -> None:
    await a_backlog(world)
    morning = world.clock.now() + 9 * HOUR
    await world.sql("UPDATE run SET deferred_by = 'night'")
    await world.sql("UPDATE run_turn SET not_before = ?", morning)
    world.clock.advance(60)
    await goes_back(world, 3 * SECOND)
    assert await world.sql("SELECT not_before FROM run_turn") == [(morning,), (morning,)]


async def test_what_happened_can_be_read_again(world: StoreWorld) -> None:
    await goes_back(world, HOUR)
    found = await world.store.read(lambda tx: clock_changes.latest(tx, Kind.SET_BACK))
    assert found is not None
    assert (found.kind, found.start, found.until, found.said) == (Kind.SET_BACK, NOON, NOON - HOUR, "so it was")
    assert await world.store.read(lambda tx: clock_changes.latest(tx, Kind.SLEPT)) is None


async def test_of_several_daemons_one_writes_it_down(world: StoreWorld) -> None:
    """On a store that has them: the other sees the same step a moment later."""
    assert await goes_back(world, HOUR)
    is_shared = await world.store.read(lambda tx: not tx.is_exclusive)
    again = set_back(world.clock.now() + SECOND, HOUR + SECOND)
    told = await world.store.write(partial(clock_changes.set_back, change=again, said="again", is_live=True))
    assert told is not is_shared


async def test_a_second_start_does_not_tell_again_what_the_first_told(world: StoreWorld) -> None:
    assert await goes_back(world, HOUR, is_live=False)
    world.clock.advance(60)
    again = set_back(world.clock.now(), HOUR - MINUTE)
    assert not await world.store.write(partial(clock_changes.set_back, change=again, said="again", is_live=False))


async def told_once(
    world: StoreWorld, change: Change, machine: str | None, known: clock_changes.Recorded | None = None
) -> clock_changes.Recorded | None:
    return await world.store.write(
        partial(clock_changes.record_once, change=change, said="so it was", machine=machine, known=known)
    )


async def lines(world: StoreWorld) -> int:
    count: int = await world.one("SELECT count(*) FROM audit WHERE subject = ?", clock_changes.SUBJECT)
    return count


async def test_a_step_forward_is_one_line_however_many_daemons_see_it(world: StoreWorld) -> None:
    is_shared = await world.store.read(lambda tx: not tx.is_exclusive)
    step = Change(kind=Kind.SET_FORWARD, at=world.clock.now(), by=HOUR)
    await told_once(world, step, None)
    await told_once(world, Change(kind=Kind.SET_FORWARD, at=step.at + 9 * SECOND, by=HOUR), None)
    assert await lines(world) == (1 if is_shared else 2)


async def test_a_second_step_like_the_first_has_a_line_of_its_own(world: StoreWorld) -> None:
    step = Change(kind=Kind.SET_FORWARD, at=world.clock.now(), by=5 * SECOND)
    first = await told_once(world, step, None)
    world.clock.advance(20)
    again = Change(kind=Kind.SET_FORWARD, at=world.clock.now(), by=5 * SECOND)
    assert await told_once(world, again, None, known=first) != first
    assert await lines(world) == 2


async def test_each_machine_that_slept_has_a_line_of_its_own(world: StoreWorld) -> None:
    is_shared = await world.store.read(lambda tx: not tx.is_exclusive)
    slept = Change(kind=Kind.SLEPT, at=world.clock.now(), by=HOUR)
    await told_once(world, slept, "atlas")
    await told_once(world, slept, "atlas")  # another daemon there
    assert await lines(world) == (1 if is_shared else 2)
    line = await told_once(world, slept, "hera")
    assert line is not None
    assert line.machine == "hera"
