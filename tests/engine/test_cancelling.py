"""Cancelling reaches a target wherever it is: waiting, queued, at work, between two tries, in Rota's own process."""

from __future__ import annotations

import asyncio

from rota.domain.policy import Overlap
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.domain.step import Exit, Step
from tests.contract.store_world import a_command
from tests.support.world import Process, World

CANCELLED = (RunState.CANCELLED, Reason.USER_CANCELLED)


async def cancel(world: World, process: Process, run_id: int) -> bool:
    done = await process.launcher.cancel(run_id, reason=Reason.USER_CANCELLED)
    await world.quiet()
    return done


async def test_a_step_at_work_is_ended(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=5), a_command("never")])
    assert await cancel(world, daemon, run_id)
    assert (await world.verdict(run_id))[:2] == CANCELLED
    assert await world.attempts() == [(0, 1, "cancelled", Reason.USER_CANCELLED)]
    assert await world.used() == 0


async def test_the_run_ends_only_when_its_children_have(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    world.connector.live[0].stubborn = True
    await cancel(world, daemon, run_id)
    assert (await world.verdict(run_id))[0] is RunState.RUNNING
    world.connector.live[0].end_with(Exit(signal=9, cause=Reason.USER_CANCELLED))
    await world.quiet()
    assert (await world.verdict(run_id))[:2] == CANCELLED


async def test_children_that_could_not_be_ended_are_told(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    world.connector.live[0].stubborn = True
    await cancel(world, daemon, run_id)
    world.connector.live[0].end_with(Exit(signal=9, cause=Reason.USER_CANCELLED, left_running=2))
    await world.quiet()
    state, reason, message = await world.verdict(run_id)
    assert (state, reason) == (RunState.CANCELLED, Reason.CANCEL_UNCONFIRMED)
    assert "2 processes may still be running" in (message or "")


async def test_a_step_that_was_faster_than_the_cancel_counts_and_the_next_does_not_start(
    world: World, daemon: Process
) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    world.connector.live[0].stubborn = True
    await cancel(world, daemon, run_id)
    world.connector.live[0].ends(0)
    await world.quiet()
    assert (await world.verdict(run_id))[:2] == CANCELLED
    assert await world.attempts("step, state") == [(0, "succeeded")]


async def test_between_two_tries_no_other_follows(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=5, retry_delay_seconds=600.0)])
    world.connector.live[0].ends(1)
    await world.quiet()
    await cancel(world, daemon, run_id)
    await world.advance(600)
    assert (await world.verdict(run_id))[:2] == CANCELLED
    assert len(world.connector.started) == 1


async def test_what_waits_for_a_slot_ends_at_once(world: World, daemon: Process) -> None:
    await world.cap(0)
    run_id = await world.trigger(daemon, steps=[a_command()])
    await cancel(world, daemon, run_id)
    assert (await world.verdict(run_id))[:2] == CANCELLED
    assert world.connector.started == []


async def test_targets_that_never_started_end_with_those_at_work(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, targets=6, targets_at_once=2, steps=[a_command()])
    await cancel(world, daemon, run_id)
    assert (await world.verdict(run_id))[:2] == CANCELLED
    assert len(world.connector.started) == 2
    assert await world.sql("SELECT DISTINCT state FROM run_target") == [("cancelled",)]


async def test_a_step_in_rotas_own_process_is_ended(world: World, daemon: Process) -> None:
    asked = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    run_id = await daemon.launcher.launch(
        await world.request(steps=[Step(name="ask", action="http", params={"url": url})])
    )
    await asked.wait()
    await daemon.launcher.cancel(run_id, reason=Reason.USER_CANCELLED)
    assert (await world.over(daemon, run_id))[:2] == CANCELLED
    server.close()
    await server.wait_closed()


async def test_cancelling_what_has_ended_is_told(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon)
    assert not await cancel(world, daemon, run_id)
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED


async def test_a_cancel_asked_for_by_another_process_arrives(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.cancel(run_id)
    for _ in range(5):
        await world.advance(1)
    assert (await world.verdict(run_id))[:2] == CANCELLED


async def test_a_slot_that_a_cancel_frees_is_used_at_once(world: World, daemon: Process) -> None:
    await world.cap(1)
    first = await world.trigger(daemon, steps=[a_command()])
    second = await world.trigger(daemon)
    assert (await world.verdict(second))[0] is RunState.WAITING
    await cancel(world, daemon, first)
    assert (await world.verdict(second))[0] is RunState.SUCCEEDED


async def test_the_new_run_of_cancel_running_starts_when_the_old_one_is_gone(world: World, daemon: Process) -> None:
    job = await world.a_job(overlap=Overlap.CANCEL_RUNNING, steps=[a_command()])
    old = await world.trigger(daemon, job)
    world.connector.live[0].stubborn = True
    new = await world.trigger(daemon, job)
    await world.advance(30)
    assert (await world.verdict(new))[0] is RunState.WAITING
    world.connector.live[0].end_with(Exit(signal=15, cause=Reason.OVERLAP_REPLACED))
    await world.quiet()
    assert (await world.verdict(old))[:2] == (RunState.CANCELLED, Reason.OVERLAP_REPLACED)
    assert (await world.verdict(new))[0] is RunState.RUNNING


async def test_a_planned_run_takes_the_place_of_one_that_waits_for_a_slot(world: World, daemon: Process) -> None:
    await world.cap(1)
    await world.trigger(daemon, steps=[a_command()])
    await world.a_job(overlap=Overlap.CANCEL_RUNNING)
    daemon.launcher.jobs_changed()
    for _ in range(2):
        await world.to_next_due()
    assert await world.runs() == ["running", "skipped", "waiting"]
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.runs() == ["succeeded", "skipped", "succeeded"]


async def test_shutdown_cancels_what_runs_and_claims_nothing_more(world: World, daemon: Process) -> None:
    await world.cap(1)
    first = await world.trigger(daemon, steps=[a_command()])
    second = await world.trigger(daemon, steps=[a_command()])
    stopping = asyncio.create_task(daemon.engine.stop("cancel", grace_seconds=60))
    await world.quiet()
    await world.advance(1)
    await stopping
    await daemon.task
    assert (await world.verdict(first))[:2] == (RunState.CANCELLED, Reason.SHUTDOWN)
    assert (await world.verdict(second))[0] is RunState.QUEUED
    assert len(world.connector.started) == 1
    assert await world.one("SELECT ended_at IS NOT NULL FROM owner") == 1
