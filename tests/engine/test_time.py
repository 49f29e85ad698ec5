"""The planner against the clock: civil days, clocks that are set, and what moves a timetable (nothing but time)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, from_micros, parse_rfc3339
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from tests.contract.store_world import a_command, cron, every
from tests.support.clock import NOON
from tests.support.world import Process, World


async def test_a_job_fires_when_it_is_due(world: World, daemon: Process) -> None:
    await world.a_job()
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.advance(59)
    assert await world.runs() == []
    await world.advance(1)
    assert await world.runs("nominal, state") == [(NOON + MINUTE, "succeeded")]


async def test_a_daily_job_runs_once_per_civil_day_over_both_clock_changes_of_a_year(world: World) -> None:
    world.clock.set_wall(parse_rfc3339("2026-01-01T00:00:00Z"))
    daemon = await world.start()
    await world.a_job("nightly", cron("0 2 * * *", "America/New_York"))
    daemon.launcher.jobs_changed()
    await world.quiet()
    for _ in range(365):
        await world.to_next_due()
    zone = ZoneInfo("America/New_York")
    local = [from_micros(instant).astimezone(zone) for instant in await world.runs("nominal")]
    assert [moment.toordinal() for moment in local] == list(
        range(datetime(2026, 1, 1).toordinal(), datetime(2026, 1, 1).toordinal() + 365)
    )
    assert [moment.isoformat() for moment in local if moment.hour != 2] == ["2026-03-08T03:00:00-04:00"]
    assert await world.runs("id", "state <> 'succeeded' OR queued_at <> nominal") == []
    assert await world.ledger() == []


async def test_a_clock_set_back_by_an_hour_fires_nothing_twice(world: World, daemon: Process) -> None:
    await world.a_job("often", every(600))
    daemon.launcher.jobs_changed()
    await world.quiet()
    for _ in range(6):
        await world.to_next_due()
    world.clock.set_wall(world.clock.now() - HOUR)
    for _ in range(70):
        await world.advance(60)
    assert await world.runs("nominal") == [NOON + i * 600 * SECOND for i in range(1, 8)]
    assert await world.ledger() == []


async def test_a_clock_set_back_by_a_day_fires_nothing_twice(world: World, daemon: Process) -> None:
    await world.a_job("hourly", cron("0 * * * *"))
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.to_next_due()
    world.clock.set_wall(world.clock.now() - DAY)
    for _ in range(3):
        await world.advance(3600)
    assert await world.runs("nominal") == [NOON + HOUR]
    await world.to_next_due()
    assert await world.runs("nominal") == [NOON + HOUR, NOON + 2 * HOUR]


async def test_a_clock_set_forward_counts_as_downtime(world: World, daemon: Process) -> None:
    await world.a_job("hourly", cron("0 * * * *"))
    daemon.launcher.jobs_changed()
    await world.quiet()
    world.clock.set_wall(NOON + 5 * HOUR + 30 * MINUTE)
    await world.advance(5)  # noticed within the planner's longest sleep
    assert await world.ledger("reason, first_nominal, last_nominal, count") == [
        (Reason.MISSED, NOON + HOUR, NOON + 5 * HOUR, 5)
    ]
    assert await world.runs() == []


async def test_what_passed_while_no_daemon_ran_is_accounted_for_at_the_start(world: World) -> None:
    await world.a_job("hourly", cron("0 * * * *"))
    world.clock.advance(3 * 3600 + 1800)
    await world.start()
    assert await world.ledger() == [(Reason.MISSED, 3)]


async def test_neither_a_manual_run_nor_a_failing_one_moves_the_timetable(world: World, daemon: Process) -> None:
    job = await world.a_job("hourly", cron("0 * * * *"), steps=[a_command()])
    daemon.launcher.jobs_changed()
    await world.advance(1800)
    before = await world.sql("SELECT * FROM due")
    run_id = await world.trigger(daemon, job)
    assert await world.sql("SELECT * FROM due") == before
    world.connector.live[0].ends(1)
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.FAILED
    assert await world.sql("SELECT * FROM due") == before
    await world.advance(1800)
    assert await world.runs("nominal", "kind = 'cron'") == [NOON + HOUR]


async def test_a_disabled_job_does_not_fire_until_it_is_enabled(world: World, daemon: Process) -> None:
    job = await world.a_job()
    job = await world.change(job, enabled=False)
    daemon.launcher.jobs_changed()
    for _ in range(5):
        await world.advance(60)
    assert (await world.runs(), await world.ledger()) == ([], [])
    await world.change(job, enabled=True)
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.to_next_due()
    assert await world.runs("nominal") == [NOON + 6 * MINUTE]


async def test_a_disabled_job_can_be_run_by_hand(world: World, daemon: Process) -> None:
    job = await world.a_job()
    job = await world.change(job, enabled=False)
    assert await world.verdict(await world.trigger(daemon, job)) == (RunState.SUCCEEDED, None, None)


async def test_a_job_saved_by_another_process_is_seen_in_time(world: World, daemon: Process) -> None:
    await world.a_job("later", cron("5 12 * * *"))
    for _ in range(5):
        await world.advance(60)
    assert await world.runs("nominal, state") == [(NOON + 5 * MINUTE, "succeeded")]


async def test_a_herd_of_two_thousand_in_one_second_all_end_exactly_once(world: World, daemon: Process) -> None:
    await world.cap(100_000)
    for i in range(2000):
        await world.a_job(f"job-{i:04}")
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.advance(60)
    while await world.used() or await world.next_due() == NOON + MINUTE:
        await world.quiet()
    assert await world.runs("count(*), count(DISTINCT job_id), min(state), max(state), min(nominal), max(nominal)") == [
        (2000, 2000, "succeeded", "succeeded", NOON + MINUTE, NOON + MINUTE)
    ]
    assert await world.attempts("count(*), min(state)") == [(2000, "succeeded")]
    assert await world.one("SELECT count(*) FROM outbox") == 2000


async def test_a_herd_under_a_cap_of_five_is_worked_off_and_never_overshoots(world: World, daemon: Process) -> None:
    for i in range(40):
        await world.a_job(f"job-{i}", steps=[a_command()])
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.advance(60)
    while world.connector.live:
        assert len(world.connector.live) <= 5
        world.connector.live[-1].ends()
        await world.quiet()
    assert await world.runs("count(*), min(state)") == [(40, "succeeded")]
    assert await world.ledger() == []
