"""Continuous triggers and those that are due when a daemon starts; and jobs that end."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from rota.domain.errors import RotaError
from rota.domain.instant import HOUR, MINUTE, SECOND, Micros
from rota.domain.job import NamedTrigger
from rota.domain.policy import Overlap
from rota.domain.reasons import Reason
from rota.domain.step import Exit
from rota.domain.trigger.spec import ContinuousTrigger, OnStartTrigger
from rota.storage.zonedata import release_at, use_release
from tests.contract.store_world import a_command, cron, every
from tests.engine.scripted import Flight
from tests.support.clock import NOON
from tests.support.world import Process, World

PAUSE_10S = ContinuousTrigger(gap=10 * SECOND, backoff=5 * MINUTE)
ON_START = OnStartTrigger()


def since_noon(instants: list[Micros]) -> list[float]:
    return [(instant - NOON) / SECOND for instant in instants]


async def started(world: World) -> list[float]:
    """When each run was planned, in seconds after the clock's start."""
    return since_noon(await world.runs("created_at"))


async def a_continuous_job(world: World, daemon: Process, rule: ContinuousTrigger = PAUSE_10S) -> None:
    await world.a_job("always", rule, steps=[a_command()])
    daemon.launcher.jobs_changed()
    await world.quiet()


async def end_run(world: World, exit_code: int = 0) -> None:
    """End the one run that is at work, and let time pass for the daemon to hear of it."""
    (flight,) = world.connector.live
    flight.ends(exit_code)
    await world.quiet()


# continuous


async def test_a_continuous_job_starts_at_once_and_again_after_each_end_and_a_pause(
    world: World, daemon: Process
) -> None:
    await a_continuous_job(world, daemon)
    assert await started(world) == [0]
    await world.advance(25)
    assert await started(world) == [0]
    await end_run(world)
    await world.advance(9)
    assert await started(world) == [0]
    await world.advance(1)
    assert await started(world) == [0, 35]
    assert await world.ledger() == []


async def test_a_continuous_job_that_fails_waits_longer_each_time(world: World, daemon: Process) -> None:
    def fail(_: Flight) -> Exit:
        return Exit(exit_code=1, output=b"", output_total=0)

    world.connector.answer = fail
    await a_continuous_job(world, daemon)
    for _ in range(4):
        await world.to_next_due()
    assert await started(world) == [0, 10, 30, 70, 150]


async def test_a_success_makes_the_pause_short_again(world: World, daemon: Process) -> None:
    await a_continuous_job(world, daemon)
    for exit_code in (1, 1, 0):
        await end_run(world, exit_code)
        await world.to_next_due()
    assert await started(world) == [0, 10, 30, 40]


async def test_a_manual_run_holds_the_continuous_one_off_and_writes_nothing_down(world: World, daemon: Process) -> None:
    job = await world.a_job("always", PAUSE_10S, steps=[a_command()], enabled=False)
    await world.trigger(daemon, job)
    await world.change(job, enabled=True)
    daemon.launcher.jobs_changed()
    await world.advance(200)
    assert await started(world) == [0]
    assert await world.ledger() == []
    await end_run(world)
    await world.advance(10)
    assert await started(world) == [0, 210]


async def test_a_continuous_job_survives_the_death_of_its_daemon(world: World) -> None:
    daemon = await world.start()
    await a_continuous_job(world, daemon)
    await world.kill(daemon)
    await world.advance(3600)
    (flight,) = world.connector.live
    flight.ends(0)
    successor = await world.start("own_b")
    for _ in range(3):
        await world.advance(30)
    assert len(await world.runs("id")) >= 2
    assert await world.ledger() == []
    assert successor.owner == "own_b"


async def test_a_continuous_job_whose_run_ended_while_no_daemon_ran_goes_on_at_its_start(world: World) -> None:
    daemon = await world.start()
    await a_continuous_job(world, daemon)
    await end_run(world)
    await world.kill(daemon)
    world.clock.set_wall(NOON + HOUR)
    await world.start("own_b")
    assert await started(world) == [0, 3600]


async def test_a_clock_set_back_does_not_hold_a_continuous_job_up(world: World, daemon: Process) -> None:
    await a_continuous_job(world, daemon)
    world.clock.set_wall(NOON - 24 * HOUR)
    await end_run(world)
    await world.advance(10)
    assert len(await world.runs("id")) == 2
    assert len(set(await world.runs("nominal"))) == 2


async def test_a_continuous_job_that_a_wrong_clock_looked_at_is_looked_at_again_within_a_minute(
    world: World, daemon: Process
) -> None:
    await a_continuous_job(world, daemon)
    world.clock.set_wall(NOON + 3 * 24 * HOUR)
    await world.advance(70)  # it has a run, and is looked at in a minute of that clock
    world.clock.set_wall(NOON + 2 * MINUTE)
    await world.advance(5)
    assert await world.one("SELECT fire_at FROM due") <= world.clock.now() + MINUTE


async def test_a_clock_set_back_in_a_pause_does_not_make_it_longer(world: World, daemon: Process) -> None:
    await a_continuous_job(world, daemon)
    await end_run(world, exit_code=1)
    world.clock.set_wall(NOON - HOUR)
    await world.advance(70)
    assert len(await world.runs("id")) == 2


async def test_a_cancelled_run_does_not_end_a_continuous_job(world: World, daemon: Process) -> None:
    await a_continuous_job(world, daemon)
    (run_id,) = await world.runs("id")
    await daemon.launcher.cancel(run_id, reason=Reason.USER_CANCELLED)
    await world.quiet()
    await world.advance(10)
    assert len(await world.runs("id")) == 2


async def test_a_continuous_job_without_hosts_says_so_and_looks_again_after_its_longest_pause(
    world: World, daemon: Process
) -> None:
    await world.a_job("always", PAUSE_10S, steps=[a_command()], target="group:none")
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.advance(60)
    assert await world.ledger("reason") == [Reason.NO_TARGETS]
    await world.advance(240)
    assert await world.ledger("reason") == [Reason.NO_TARGETS] * 2


async def test_disabling_a_continuous_job_stops_it_and_enabling_starts_it_again(world: World, daemon: Process) -> None:
    job = await world.a_job("always", PAUSE_10S, steps=[a_command()])
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.change(job, enabled=False)
    await end_run(world)
    await world.advance(600)
    assert await started(world) == [0]
    await world.change(job, enabled=True)
    daemon.launcher.jobs_changed()
    await world.quiet()
    assert await started(world) == [0, 600]


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_to_it_a_continuous_job_goes_on(world: World, seed: int) -> None:
    dice = random.Random(seed)
    job = await world.a_job("always", PAUSE_10S, steps=[a_command()])
    daemons = [await world.start("own_0")]
    for step in range(40):
        daemon = daemons[-1]
        match dice.choice(["end", "fail", "cancel", "crash", "clock", "manual", "edit", "wait"]):
            case "end" | "fail" as word:
                for flight in world.connector.live:
                    flight.ends(int(word == "fail"))
            case "cancel":
                for run_id in await world.runs("id", "finished_at IS NULL"):
                    await daemon.launcher.cancel(run_id, reason=Reason.USER_CANCELLED)
            case "crash":
                await world.kill(daemon)
                world.clock.advance(dice.choice([1, 500]))
                daemons.append(await world.start(f"own_{step + 1}"))
            case "clock":
                world.clock.set_wall(world.clock.now() + dice.choice([-1, 1]) * dice.choice([MINUTE, 30 * 24 * HOUR]))
            case "manual":
                with suppress(RotaError):
                    await world.trigger(daemon, job)
            case "edit":
                job = await world.change(job, description=f"edit {step}")
                daemon.launcher.jobs_changed()
        await world.advance(dice.choice([0, 1, 30]))
    for _ in range(20):  # the faults have ended: two more runs come within twenty minutes, pauses included
        for flight in world.connector.live:
            flight.ends(0)
        await world.advance(60)
    before = len(await world.runs("id"))
    for _ in range(4):
        for flight in world.connector.live:
            flight.ends(0)
        await world.advance(30)
    assert len(await world.runs("id")) >= before + 2
    assert set(await world.ledger("reason")) <= {Reason.OVERLAP_SKIP}


# on_start


async def test_an_on_start_job_runs_once_at_each_start_of_a_daemon(world: World) -> None:
    daemon = await world.start()
    await world.a_job("hello", ON_START)
    daemon.launcher.jobs_changed()
    await world.advance(600)
    assert await started(world) == []
    await world.kill(daemon)
    second = await world.start("own_b")
    assert await started(world) == [600]
    await world.advance(3600)
    await world.kill(second)
    await world.start("own_c")
    assert await started(world) == [600, 4200]
    assert await world.ledger() == []


async def test_a_disabled_or_removed_on_start_trigger_stays_silent(world: World) -> None:
    await world.a_job("off", ON_START, enabled=False)
    removed = await world.a_job("edited", ON_START)
    await world.change(removed, triggers=(NamedTrigger(name="nightly", rule=cron("0 2 * * *")),))
    await world.start()
    assert await started(world) == []


# max_runs, start_at, end_at


async def test_max_runs_ends_a_job_after_so_many_runs_of_its_clock(world: World, daemon: Process) -> None:
    job = await world.a_job("thrice", every(60), max_runs=3)
    daemon.launcher.jobs_changed()
    await world.trigger(daemon, job)  # by hand: it does not count
    for _ in range(6):
        await world.advance(60)
    assert await world.runs("kind") == ["manual", "interval", "interval", "interval"]
    assert await world.next_due() is None
    assert await world.ledger() == []


async def test_max_runs_holds_over_all_triggers_of_a_job(world: World, daemon: Process) -> None:
    await world.a_job("twice", every(60), every(60), cron("* * * * *"), max_runs=2, overlap=Overlap.ALLOW)
    daemon.launcher.jobs_changed()
    for _ in range(3):
        await world.advance(60)
    assert len(await world.runs("id")) == 2


async def test_more_max_runs_let_a_job_go_on(world: World, daemon: Process) -> None:
    job = await world.a_job("once", every(60), max_runs=1)
    daemon.launcher.jobs_changed()
    await world.advance(60)
    await world.change(job, max_runs=3)
    daemon.launcher.jobs_changed()
    for _ in range(5):
        await world.advance(60)
    assert len(await world.runs("id")) == 3


async def test_max_runs_holds_while_missed_instants_are_caught_up(world: World) -> None:
    daemon = await world.start()
    await world.a_job("twice", every(10), max_runs=2, overlap=Overlap.ALLOW, grace_seconds=600)
    daemon.launcher.jobs_changed()
    await world.kill(daemon)
    world.clock.set_wall(NOON + 5 * MINUTE)
    await world.start("own_b")
    assert len(await world.runs("id")) == 2


async def test_a_job_starts_and_ends_when_it_says(world: World, daemon: Process) -> None:
    await world.a_job("window", every(60), start_at=NOON + 5 * MINUTE, end_at=NOON + 8 * MINUTE)
    daemon.launcher.jobs_changed()
    await world.quiet()
    for _ in range(15):
        await world.advance(60)
    assert since_noon(await world.runs("nominal")) == [300, 360, 420, 480]
    assert await world.next_due() is None


async def test_what_is_missed_after_the_end_is_not_missed(world: World) -> None:
    daemon = await world.start()
    await world.a_job("window", every(60), end_at=NOON + 3 * MINUTE)
    daemon.launcher.jobs_changed()
    await world.quiet()
    await world.kill(daemon)
    world.clock.set_wall(NOON + HOUR)
    await world.start("own_b")
    assert await world.ledger("reason, count") == [(Reason.MISSED, 3)]


async def test_a_continuous_job_ends_when_it_says(world: World, daemon: Process) -> None:
    await world.a_job("always", PAUSE_10S, steps=[a_command()], end_at=NOON + 15 * SECOND)
    daemon.launcher.jobs_changed()
    await world.quiet()
    for _ in range(3):
        if world.connector.live:
            await end_run(world)
        await world.advance(10)
    assert await started(world) == [0, 10]


# time zone data


async def test_a_new_release_of_the_zone_database_moves_what_is_to_come(world: World) -> None:
    await world.a_job("nightly", cron("0 2 * * *", "Europe/Zurich"))
    await world.a_job("often", every(60))
    await world.store.write(lambda tx: use_release(tx, "2025b"))
    right = await world.sql("SELECT trigger_id, nominal, fire_at FROM due ORDER BY 1")
    # As if the old release had believed in another offset:
    await world.sql(
        "UPDATE due SET nominal = nominal + 3600000000, fire_at = fire_at + 3600000000 WHERE trigger_id = 1"
    )
    assert await world.store.write(lambda tx: use_release(tx, "2025b")) == 0
    assert await world.store.write(lambda tx: use_release(tx, "2026a")) == 1
    assert await world.sql("SELECT trigger_id, nominal, fire_at FROM due ORDER BY 1") == right


async def test_the_release_an_occurrence_was_computed_with_is_known(world: World) -> None:
    await world.store.write(lambda tx: use_release(tx, "2025b"))
    world.clock.set_wall(NOON + HOUR)
    await world.store.write(lambda tx: use_release(tx, "2026a"))
    for at, release in ((NOON - 1, None), (NOON, "2025b"), (NOON + HOUR - 1, "2025b"), (NOON + HOUR, "2026a")):
        assert await world.store.read(lambda tx, at=at: release_at(tx, at)) == release  # type: ignore[misc]


async def test_a_daemon_notes_the_release_that_it_uses(world: World, daemon: Process) -> None:
    ((version, since),) = await world.sql("SELECT version, since FROM zone_data")
    assert version and since == NOON
    await world.kill(daemon)
    await world.start("own_b")
    assert await world.sql("SELECT count(*) FROM zone_data") == [(1,)]
