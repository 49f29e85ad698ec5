"""Runs that people ask for, and the process without a daemon that carries out just those."""

from __future__ import annotations

import pytest

from rota.domain.errors import Skipped
from rota.domain.policy import Overlap
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from tests.contract.store_world import a_command
from tests.support.world import Process, World

SUCCEEDED = (RunState.SUCCEEDED, None, None)


async def test_a_run_asked_for_starts_at_once(world: World, daemon: Process) -> None:
    job = await world.a_job()
    run_id = await world.trigger(daemon, job)
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.runs("kind, trigger_id, nominal") == [("manual", None, None)]


async def test_a_second_one_is_skipped_with_a_reason_and_a_ledger_row(world: World, daemon: Process) -> None:
    job = await world.a_job(overlap=Overlap.SKIP, steps=[a_command()])
    first = await world.trigger(daemon, job)
    with pytest.raises(Skipped) as caught:
        await world.trigger(daemon, job)
    assert caught.value.reason == Reason.OVERLAP_SKIP
    assert await world.ledger("reason, blocked_by, kind") == [(Reason.OVERLAP_SKIP, first, "manual")]


async def test_allow_lets_three_run_at_once(world: World, daemon: Process) -> None:
    job = await world.a_job(overlap=Overlap.ALLOW, steps=[a_command()])
    for _ in range(3):
        await world.trigger(daemon, job)
    with pytest.raises(Skipped):
        await world.trigger(daemon, job)


async def test_the_same_key_gives_the_same_run(world: World, daemon: Process) -> None:
    job = await world.a_job(steps=[a_command()])
    first = await world.trigger(daemon, job, key="k")
    assert await world.trigger(daemon, job, key="k") == first
    assert len(world.connector.started) == 1


async def test_an_ad_hoc_run_has_no_overlap(world: World, daemon: Process) -> None:
    runs = [await world.trigger(daemon, steps=[a_command()]) for _ in range(4)]
    assert len(world.connector.live) == len(runs) == 4


async def test_what_exceeds_the_cap_waits_and_then_runs(world: World, daemon: Process) -> None:
    await world.cap(1)
    await world.trigger(daemon, steps=[a_command()])
    second = await world.trigger(daemon)
    assert (await world.verdict(second))[0] is RunState.WAITING
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(second) == SUCCEEDED


async def test_a_command_carries_out_its_own_run_and_touches_no_other(world: World) -> None:
    waiting, _ = await world.make(owner=None)
    await world.a_job()
    command = await world.start("own_c", oversees=False)
    own = await world.trigger(command, targets=15, targets_at_once=2)
    for _ in range(5):
        await world.advance(60)
    assert await world.verdict(own) == SUCCEEDED
    assert (await world.verdict(waiting))[0] is RunState.QUEUED
    assert await world.runs("count(*)") == [2]  # nothing was planned
    assert await world.ledger() == []


async def test_a_command_does_not_wait_behind_what_nobody_will_start(world: World) -> None:
    await world.cap(0)
    left = [(await world.make(owner=None))[0] for _ in range(5)]
    await world.cap(3)
    blocked = await world.a_job(steps=[a_command()])
    command = await world.start("own_c", oversees=False)
    runs = [await world.trigger(command, blocked, overlap=None) for _ in range(4)]
    world.connector.live[0].ends()
    await world.quiet()
    assert (await world.verdict(runs[-1]))[0] is RunState.RUNNING
    assert (await world.verdict(left[0]))[0] is RunState.WAITING


async def test_a_command_rescues_nobody(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.kill(daemon)
    await world.start("own_c", oversees=False)
    await world.advance(600)
    assert (await world.verdict(run_id))[0] is RunState.RUNNING


async def test_a_daemon_started_beside_a_command_leaves_its_run_alone(world: World) -> None:
    command = await world.start("own_c", oversees=False)
    run_id = await world.trigger(command, steps=[a_command()])
    await world.start("own_a")
    await world.advance(600)
    assert world.connector.started == ["att-1"]
    assert await world.sql("SELECT owner FROM run_target WHERE run_id = ?", run_id) == [("own_c",)]


async def test_a_daemon_without_its_planner_runs_what_is_asked_for_and_plans_nothing(world: World) -> None:
    job = await world.a_job()
    daemon = await world.start(plans=False)
    assert await world.verdict(await world.trigger(daemon, job)) == SUCCEEDED
    await world.advance(3600)
    assert len(await world.runs()) == 1
