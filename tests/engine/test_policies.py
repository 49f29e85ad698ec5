"""Policies as an engine carries them out, on a clock moved by hand: queues, catching up, patience, further tries."""

from __future__ import annotations

from typing import Any

import pytest

from rota.domain.instant import MINUTE, SECOND
from rota.domain.policy import Missed, Overlap, Policies
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.domain.step import Backoff, Exit, OnLost
from rota.domain.trigger.spec import ContinuousTrigger
from tests.contract.store_world import a_command, cron
from tests.engine.scripted import Flight
from tests.support.clock import NOON
from tests.support.world import Process, World


async def started(world: World) -> list[float]:
    """When the start orders of all attempts left, in seconds after noon."""
    return [(at - NOON) / SECOND for (at,) in await world.sql("SELECT intended_at FROM attempt ORDER BY id")]


async def seconds_pass(world: World, seconds: int, *, at_a_time: int = 1) -> None:
    for _ in range(seconds // at_a_time):
        await world.advance(at_a_time)


def succeeds(_: Flight) -> Exit:
    return Exit(exit_code=0)


def fails(_: Flight) -> Exit:
    return Exit(exit_code=75)


# overlap and missed


async def test_runs_of_twenty_minutes_on_a_fifteen_minute_cron_queue_and_none_expires(
    world: World, daemon: Process
) -> None:
    await world.a_job("backup", cron("*/15 * * * *"), steps=[a_command(timeout_seconds=3000.0)], overlap=Overlap.QUEUE)
    daemon.launcher.jobs_changed()
    for minute in range(100):
        for flight in world.connector.live:
            (began,) = (await world.sql("SELECT max(intended_at) FROM attempt"))[0]
            if world.clock.now() - began >= 20 * MINUTE:
                flight.ends(0)
        await world.quiet()
        await world.advance(60)
        assert len(world.connector.live) <= 1, minute
    starts = await started(world)
    assert [round(start / 60) for start in starts[:4]] == [15, 35, 55, 75]
    assert set(await world.runs("state")) <= {"succeeded", "running", "waiting"}


async def test_a_daemon_that_was_down_for_ten_hours_catches_up_five_runs_one_by_one(world: World) -> None:
    world.connector.answer = succeeds
    daemon = await world.start()
    await world.a_job("poll", cron("*/5 * * * *"), steps=[a_command()], missed=Missed.RUN_ALL,
                      policies=Policies(catch_up_max=5))  # fmt: skip
    await world.kill(daemon)
    world.clock.set_wall(NOON + 600 * MINUTE + 2 * MINUTE)
    await world.start("own_b")
    await seconds_pass(world, 10)
    assert [start - 602 * 60 for start in await started(world)] == [0, 1, 2, 3, 4]
    assert await world.runs("state, catch_up") == [("succeeded", 1)] * 5
    assert await world.ledger() == [(Reason.MISSED, 115)]


async def test_a_daemon_that_dies_in_the_middle_of_catching_up_is_followed_by_one_that_goes_on(world: World) -> None:
    world.connector.answer = succeeds
    await world.a_job("poll", cron("*/5 * * * *"), steps=[a_command()], missed=Missed.RUN_ALL,
                      policies=Policies(catch_up_max=5))  # fmt: skip
    world.clock.advance(3600 + 120)
    first = await world.start()
    await seconds_pass(world, 2)
    await world.kill(first)
    await world.start("own_b")
    await seconds_pass(world, 10)
    assert await world.runs() == ["succeeded"] * 5
    assert len(world.connector.started) == 5


# patience


async def test_a_run_that_waits_for_a_slot_longer_than_it_may_expires_by_itself(world: World, daemon: Process) -> None:
    await world.cap(1)
    slow = await world.a_job("slow", steps=[a_command()], enabled=False)
    hasty = await world.a_job("hasty", steps=[a_command()], enabled=False)
    await world.trigger(daemon, slow)
    run_id = await world.trigger(daemon, hasty, patience=Policies(queue_timeout_seconds=90.0).patience)
    await world.advance(89)
    assert (await world.verdict(run_id))[0] is RunState.WAITING
    await world.advance(1)
    assert (await world.verdict(run_id))[:2] == (RunState.EXPIRED, Reason.QUEUE_EXPIRED)


async def test_patience_outlives_the_daemon(world: World) -> None:
    await world.cap(0)
    await world.a_job("hasty", cron("0 * * * *"), policies=Policies(start_within_seconds=600.0))
    daemon = await world.start()
    await world.to_next_due()
    assert await world.runs() == ["waiting"]
    await world.kill(daemon)
    world.clock.advance(1200)
    await world.cap(5)
    await world.start("own_b")
    assert await world.runs("state, reason") == [("expired", Reason.PAST_DEADLINE)]


async def test_a_command_expires_its_own_run(world: World) -> None:
    await world.cap(0)
    command = await world.start("own_c", oversees=False)
    run_id = await world.trigger(command, patience=Policies(queue_timeout_seconds=5.0).patience)
    await world.advance(5)
    assert (await world.verdict(run_id))[0] is RunState.EXPIRED


# further tries


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"retry_delay_seconds": 60.0}, [0, 60, 120, 180]),
        ({"retry_delay_seconds": 2.0, "retry_backoff": Backoff.EXPONENTIAL, "retry_jitter": 0.0}, [0, 2, 6, 14]),
        ({"retry_delay_seconds": 2.0, "retry_on": ("exit:75",)}, [0, 2, 4, 6]),
        ({"retry_delay_seconds": 2.0, "retry_on": ("exit:1-9", "timed_out")}, [0]),
        ({"retry_delay_seconds": 60.0, "total_timeout_seconds": 130.0}, [0, 60, 120]),
    ],
)
async def test_a_failing_step_is_tried_again_when_it_says(
    world: World, daemon: Process, fields: dict[str, Any], expected: list[float]
) -> None:
    world.connector.answer = fails
    await world.trigger(daemon, steps=[a_command(retries=3, **fields)])
    await seconds_pass(world, 200)
    assert await started(world) == expected


async def test_all_tries_of_a_step_share_its_total_timeout(world: World, daemon: Process) -> None:
    step = a_command(retries=5, retry_delay_seconds=10.0, timeout_seconds=60.0, total_timeout_seconds=100.0)
    run_id = await world.trigger(daemon, steps=[step])
    await world.advance(60)
    await world.advance(10)
    assert world.connector.live[0].timeout == 30.0
    await world.advance(30)
    assert (await world.verdict(run_id))[:2] == (RunState.TIMED_OUT, Reason.STEP_TIMEOUT)


async def test_two_hosts_that_fail_together_do_not_come_back_together(world: World, daemon: Process) -> None:
    world.connector.answer = fails
    step = a_command(retries=1, retry_delay_seconds=100.0, retry_jitter=0.5)
    await world.trigger(daemon, steps=[step], targets=2)
    await seconds_pass(world, 160)
    starts = await started(world)
    assert len(starts) == 4
    assert len(set(starts[2:])) == 2


@pytest.mark.parametrize(
    ("fields", "state", "orders"),
    [
        ({}, RunState.FAILED, 1),
        ({"on_lost": OnLost.STOP, "idempotent": True}, RunState.FAILED, 1),
        ({"on_lost": OnLost.CONTINUE}, RunState.SUCCEEDED, 2),
        ({"idempotent": True, "retry_delay_seconds": 0.0}, RunState.SUCCEEDED, 3),
    ],
)
async def test_what_follows_a_lost_attempt_is_what_on_lost_says(
    world: World, daemon: Process, fields: dict[str, Any], state: RunState, orders: int
) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("first", **fields), a_command("second")])
    world.connector.answer = succeeds
    world.connector.live[0].loses_its_keeper()
    await world.quiet()
    assert (await world.verdict(run_id))[0] is state
    assert len(world.connector.started) == orders


async def test_the_jobs_step_timeout_is_that_of_steps_without_one(world: World, daemon: Process) -> None:
    job = await world.a_job(
        "long", steps=[a_command("a"), a_command("b", timeout_seconds=7.0)], enabled=False,
        policies=Policies(step_timeout_seconds=3000.0),
    )  # fmt: skip
    await world.trigger(daemon, job)
    assert world.connector.live[0].timeout == 3000.0
    world.connector.live[0].ends(0)
    await world.quiet()
    assert world.connector.live[0].timeout == 7.0


# a continuous job cannot die


async def test_a_continuous_job_goes_on_after_a_lost_run(world: World, daemon: Process) -> None:
    await world.a_job("always", ContinuousTrigger(gap=10 * SECOND, backoff=5 * MINUTE), steps=[a_command()])
    daemon.launcher.jobs_changed()
    await world.quiet()
    world.connector.live[0].loses_its_keeper()
    await world.quiet()
    await world.advance(10)
    assert len(await world.runs("id")) == 2


async def test_a_continuous_job_whose_runs_find_no_slot_in_time_goes_on_at_growing_pauses(
    world: World, daemon: Process
) -> None:
    await world.cap(0)
    await world.a_job(
        "always", ContinuousTrigger(gap=10 * SECOND, backoff=5 * MINUTE), steps=[a_command()],
        policies=Policies(queue_timeout_seconds=30.0),
    )  # fmt: skip
    daemon.launcher.jobs_changed()
    await world.quiet()
    await seconds_pass(world, 200)
    made = [(at - NOON) / SECOND for at in await world.runs("created_at")]
    assert made == [0, 40, 90, 160]
    await world.cap(5)
    await seconds_pass(world, 100, at_a_time=10)
    assert len(world.connector.live) == 1
