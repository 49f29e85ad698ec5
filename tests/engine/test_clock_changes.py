"""A clock that is set, a machine that sleeps, a clock that cannot be right: told, nothing twice, nothing frozen.

On the virtual clock; real daemons under a faked clock: tests/fault/test_clock_steps.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from rota.domain.clocks import PATIENCE_SECONDS, Kind
from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, Micros, parse_rfc3339
from rota.domain.policy import Missed
from rota.domain.reasons import Reason
from rota.domain.states import Fate
from rota.domain.step import Backoff
from rota.storage import audit, clock_changes
from tests.contract.store_world import MANUAL, a_command, cron
from tests.support.clock import NOON
from tests.support.world import Process, World

YEAR = 365 * DAY
HOURLY = cron("0 * * * *")


async def set_clock(world: World, by: Micros) -> None:
    """Set it, and let the next look at it come."""
    world.clock.set_wall(world.clock.now() + by)
    await world.advance(2)


async def hours(world: World, count: int) -> None:
    for _ in range(count * 12):
        await world.advance(300)


async def written_down(world: World) -> list[tuple[Any, ...]]:
    return await world.sql("SELECT verb FROM audit WHERE subject = ? ORDER BY id", clock_changes.SUBJECT)


@pytest.mark.parametrize(
    ("by", "kind", "said"),
    [
        (-3 * SECOND, Kind.SET_BACK, "set back by 3s"),
        (-HOUR, Kind.SET_BACK, "set back by 1h"),
        (-3 * DAY, Kind.SET_BACK, "set back by 3d"),
        (5 * SECOND, Kind.SET_FORWARD, "set forward by 5s"),
        (400 * DAY, Kind.SET_FORWARD, "set forward by 400d"),
    ],
)
async def test_a_clock_that_is_set_is_told_within_two_seconds_and_written_down(
    world: World, daemon: Process, by: Micros, kind: Kind, said: str
) -> None:
    await set_clock(world, by)
    ((told, words),) = world.told
    assert told is kind
    assert said in words
    assert await written_down(world) == [(kind,)]


async def test_a_sleep_is_told_and_what_came_due_in_it_was_missed(world: World, daemon: Process) -> None:
    await world.a_job("hourly", HOURLY)
    daemon.launcher.jobs_changed()
    await world.quiet()
    world.clock.suspend(14 * 3600 + 600)
    await world.advance(2)
    assert [kind for kind, _ in world.told] == [Kind.SLEPT]
    assert await world.ledger("reason, count") == [(Reason.MISSED, 14)]


async def test_what_is_due_is_looked_at_as_soon_as_a_step_is_noticed(world: World, daemon: Process) -> None:
    """Not only when the planner, who looks each five seconds, would have seen it."""
    await world.a_job("hourly", HOURLY)
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.advance(0.5)
    await set_clock(world, HOUR - 3 * SECOND)
    await world.advance(1)
    assert await world.runs("nominal") == [NOON + HOUR]


async def test_a_clock_set_back_and_right_again_doubles_and_loses_nothing(world: World, daemon: Process) -> None:
    await world.a_job("hourly", HOURLY)
    daemon.launcher.jobs_changed()
    await hours(world, 3)
    await set_clock(world, -2 * HOUR)
    await hours(world, 1)
    await set_clock(world, 2 * HOUR)
    await hours(world, 2)
    runs = await world.runs("nominal")
    assert runs == [NOON + i * HOUR for i in range(1, 4 + 3)]
    assert await world.ledger() == []


async def a_year_ahead(world: World, daemon: Process, **fields: Any) -> None:
    """An hourly job is planned while the clock is a year ahead for an hour; then it is set right."""
    await world.a_job("hourly", HOURLY, **fields)
    daemon.launcher.jobs_changed()
    await hours(world, 2)
    await set_clock(world, YEAR)
    await hours(world, 1)
    await set_clock(world, -YEAR)


async def test_a_clock_that_was_a_year_ahead_silences_no_schedule_for_a_year(world: World, daemon: Process) -> None:
    await a_year_ahead(world, daemon)
    await hours(world, 3)
    here = [nominal for nominal in await world.runs("nominal") if nominal < NOON + YEAR]
    assert here == [NOON + i * HOUR for i in (1, 2, 4, 5, 6)]
    assert (Reason.MISSED, NOON + 3 * HOUR, 1) in await world.ledger("reason, last_nominal, count")
    assert any("what was settled far ahead goes on from now" in said for _, said in world.told)


async def test_what_was_written_off_while_the_clock_was_ahead_is_taken_back(world: World, daemon: Process) -> None:
    await a_year_ahead(world, daemon)
    spans = await world.ledger("first_nominal, last_nominal, count")
    assert all(last <= world.clock.now() for _, last, _ in spans)
    assert sum(count for *_, count in spans) <= 1


async def test_what_ran_while_the_clock_was_ahead_does_not_run_again_when_that_time_comes(
    world: World, daemon: Process
) -> None:
    await a_year_ahead(world, daemon, missed=Missed.RUN_ONCE)
    early = await world.runs("nominal", f"nominal > {NOON + YEAR - DAY}")
    assert len(early) >= 2
    world.clock.set_wall(early[0] - 30 * MINUTE)  # the year has passed, without a daemon, say
    await hours(world, 4)
    runs = await world.runs("nominal", f"nominal > {NOON + YEAR - DAY}")
    assert len(runs) == len(set(runs))
    assert set(early) < set(runs)
    assert max(runs) >= max(early) + HOUR


async def test_each_instant_is_covered_once_though_the_clock_was_a_year_ahead(world: World, daemon: Process) -> None:
    await a_year_ahead(world, daemon)
    await hours(world, 3)
    world.clock.set_wall(NOON + YEAR + DAY)
    await hours(world, 1)
    runs = await world.runs("nominal", "nominal IS NOT NULL")
    missed = sum(await world.ledger("count"))
    until = (world.clock.now() - NOON) // HOUR
    assert len(runs) == len(set(runs))
    assert len(runs) + missed == until


async def test_a_job_made_while_the_clock_was_ahead_begins_when_it_is_right(world: World, daemon: Process) -> None:
    await set_clock(world, YEAR)
    await world.a_job("hourly", HOURLY)
    daemon.launcher.jobs_changed()
    await world.advance(10)
    await set_clock(world, -YEAR)
    await hours(world, 2)
    assert await world.runs("nominal") == [NOON + HOUR, NOON + 2 * HOUR]


async def test_a_retry_waits_as_long_as_it_was_meant_to_though_the_clock_is_set_back(
    world: World, daemon: Process
) -> None:
    step = a_command(retries=1, retry_delay_seconds=60.0, retry_backoff=Backoff.FIXED)
    job = await world.a_job("flaky", MANUAL, steps=[step])
    await world.trigger(daemon, job)
    world.connector.live[0].ends(1)
    await world.quiet()
    await set_clock(world, -DAY)
    await world.advance(70)
    assert len(world.connector.started) == 2


async def test_a_clock_that_was_set_back_while_no_daemon_ran_is_noticed_by_the_records(world: World) -> None:
    first = await world.start()
    await world.a_job("hourly", HOURLY)
    first.launcher.jobs_changed()
    await hours(world, 2)
    await world.kill(first)
    world.clock.set_wall(world.clock.now() - 90 * MINUTE)
    for name in ("own_b", "own_c"):
        process = await world.start(name)
        await world.kill(process)
    assert [kind for kind, _ in world.told] == [Kind.SET_BACK]  # by the first start that saw it
    await world.start("own_d")
    await hours(world, 3)
    assert await world.runs("nominal") == [NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR]


async def test_what_waits_is_put_right_at_a_start_though_something_was_recorded_since(world: World) -> None:
    first = await world.start()
    await world.a_job("hourly", HOURLY)
    await set_clock(world, 3 * DAY)
    await world.advance(61)
    job = await world.a_job("flaky", MANUAL, steps=[a_command(retries=1, retry_delay_seconds=60.0)])
    await world.trigger(first, job)
    world.connector.live[0].ends(1)
    await world.quiet()
    orders = len(world.connector.started)
    await world.kill(first)
    world.clock.set_wall(NOON + 10 * MINUTE)
    await world.make(owner=None)  # nobody notices: the newest records are of the right time
    await world.store.write(lambda tx: audit.record(tx, "someone", "run", "something"))
    await world.start("own_b")
    await world.advance(130)
    assert len(world.connector.started) == orders + 1
    assert await world.next_due() == NOON + HOUR


# A clock that cannot be right


async def test_a_daemon_that_starts_in_1970_begins_nothing_and_goes_on_when_the_clock_is_right(world: World) -> None:
    job = await world.a_job("hourly", HOURLY)
    world.clock.set_wall(MINUTE)
    daemon = await world.start()
    run = await world.trigger(daemon, job)
    await hours(world, 2)
    assert world.told[0][0] is Kind.DOUBTED
    assert await world.runs("state") == ["queued"]
    world.clock.set_wall(NOON + 90 * MINUTE)
    await world.advance(3)
    assert [kind for kind, _ in world.told] == [Kind.DOUBTED, Kind.BELIEVED]
    assert (await world.verdict(run))[0] == "succeeded"
    assert await world.ledger("reason, count") == [(Reason.MISSED, 1)]
    await hours(world, 1)
    assert await world.runs("nominal", "nominal IS NOT NULL") == [NOON + 2 * HOUR]


async def test_what_a_dead_daemon_held_is_taken_over_once_the_clock_is_right(world: World) -> None:
    first = await world.start()
    job = await world.a_job("one", MANUAL, steps=[a_command()])
    run = await world.trigger(first, job)
    await world.kill(first)
    world.connector.fates["att-1"] = Fate.LIVE
    world.clock.set_wall(MINUTE)
    second = await world.start("own_b")
    await world.advance(10)
    assert second.worker.is_idle
    world.clock.set_wall(NOON + MINUTE)
    await world.advance(3)
    (await world.followed("att-1")).ends()
    assert (await world.over(second, run))[0] == "succeeded"
    assert world.connector.started == ["att-1"]


async def test_a_clock_far_behind_the_records_is_believed_when_nobody_sets_it_for_ten_minutes(world: World) -> None:
    first = await world.start()
    await world.a_job("hourly", HOURLY)
    first.launcher.jobs_changed()
    await hours(world, 2)
    await world.kill(first)
    world.clock.set_wall(NOON - 40 * DAY)
    await world.start("own_b")
    await world.advance(PATIENCE_SECONDS - 10)
    assert [kind for kind, _ in world.told] == [Kind.DOUBTED]
    await world.advance(12)
    assert [kind for kind, _ in world.told] == [Kind.DOUBTED, Kind.BELIEVED, Kind.SET_BACK]
    await hours(world, 2)
    assert await world.runs("nominal", f"nominal < {NOON}") == [NOON - 40 * DAY + i * HOUR for i in (1, 2)]


async def test_a_clock_that_is_trusted_is_not_doubted(world: World) -> None:
    await world.a_job("hourly", HOURLY)
    world.clock.set_wall(parse_rfc3339("2001-01-01T00:00:00Z"))
    await world.start(trusts_clock=True)
    assert Kind.DOUBTED not in [kind for kind, _ in world.told]


# A clock that is not the store's


async def test_skew_between_the_store_and_the_machine_is_told_once_and_so_is_its_end(world: World) -> None:
    ahead = [0]
    world.clock_ahead = lambda: ahead[0]
    await world.start()
    for ahead[0] in (SECOND, 40 * SECOND, 41 * SECOND, 0):
        await world.advance(10)
        await world.advance(10)
    assert [kind for kind, _ in world.told] == [Kind.SKEW, Kind.SKEW]
    assert "differ by 40s: the database's decides" in world.told[0][1]
    assert "agree again" in world.told[1][1]


# What is forgotten for its age


async def test_history_is_not_forgotten_for_a_day_after_the_clock_was_set_far(world: World, daemon: Process) -> None:
    settled = [daemon.watch.is_settled]
    await set_clock(world, YEAR)
    for wait in (0, 23, 2):
        await hours(world, wait)
        settled.append(daemon.watch.is_settled)
    assert settled == [True, False, False, True]
