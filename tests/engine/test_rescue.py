"""A daemon dies, and the next one finds out what became of everything it held."""

from __future__ import annotations

import asyncio

import pytest

from rota.domain.reasons import Reason
from rota.domain.states import Fate, RunState
from rota.domain.step import Exit, Step
from tests.contract.store_world import a_command
from tests.support.world import Process, World

SUCCEEDED = (RunState.SUCCEEDED, None, None)
CRASHED = (RunState.CANCELLED, Reason.DAEMON_CRASHED, "daemon crashed during execution")


async def test_a_child_that_still_runs_is_followed_to_its_end(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    await world.kill(daemon)
    world.connector.fates["att-1"] = Fate.LIVE
    await world.start("own_b")
    child = await world.followed("att-1")
    assert (await world.verdict(run_id))[0] is RunState.RUNNING
    child.ends()
    await world.quiet()
    world.connector.flights["att-2"].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert world.connector.started == ["att-1", "att-2"]


async def test_a_child_that_ended_meanwhile_counts_with_its_real_end(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.kill(daemon)
    world.connector.flights["att-1"].ends(7)
    world.connector.fates["att-1"] = Fate.ENDED
    second = await world.start("own_b")
    assert (await world.over(second, run_id))[:2] == (RunState.FAILED, Reason.STEP_FAILED)
    assert await world.attempts("exit_code") == [7]


async def test_output_that_nobody_had_stored_is_stored_by_the_next(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.kill(daemon)
    flight = world.connector.flights["att-1"]
    flight.output = b"said while nobody listened\n"
    flight.ends()
    world.connector.fates["att-1"] = Fate.ENDED
    second = await world.start("own_b")
    assert await world.over(second, run_id) == SUCCEEDED
    [item] = await world.output.after(run_id, 0, 10)
    assert item.data == b"said while nobody listened\n"


async def test_output_that_cannot_be_stored_changes_no_verdict(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.kill(daemon)
    world.connector.fates["att-1"] = Fate.LIVE
    world.output.path.write_text("not a database any more" * 100)
    second = await world.start("own_b")
    child = await world.followed("att-1")
    child.ends()
    assert await world.over(second, run_id) == SUCCEEDED


async def test_an_order_that_never_arrived_is_given_as_the_same_attempt(world: World, daemon: Process) -> None:
    run_id, _ = await world.make(owner="own_a", steps=[a_command()])
    await world.kill(daemon)
    world.connector.fates["att-1"] = Fate.NEVER_STARTED
    await world.start("own_b")
    assert world.connector.started == ["att-1"]
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.attempts() == [(0, 1, "succeeded", None)]


@pytest.mark.parametrize("fate", [Fate.GONE, Fate.STILL_RUNNING])
async def test_a_child_whose_keeper_died_too_is_unknown(world: World, daemon: Process, fate: Fate) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=5), a_command("never")])
    await world.kill(daemon)
    world.connector.fates["att-1"] = fate
    await world.start("own_b")
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.KEEPER_LOST)
    assert await world.attempts() == [(0, 1, "unknown", Reason.KEEPER_LOST)]
    assert await world.sql("SELECT state, reason FROM run_target") == [("unknown", Reason.KEEPER_LOST)]


async def test_a_child_of_which_no_keeper_knows_makes_the_run_cancelled(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.kill(daemon)
    await world.start("own_b")
    assert await world.verdict(run_id) == CRASHED
    assert await world.attempts("state, reason") == [("unknown", Reason.DAEMON_CRASHED)]


async def test_a_step_in_the_dead_process_itself_is_unknown(world: World, daemon: Process) -> None:
    asked = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    step = Step(name="ask", action="http", params={"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"})
    run_id = await daemon.launcher.launch(await world.request(steps=[step]))
    await asked.wait()
    await world.kill(daemon)
    await world.start("own_b")
    assert await world.verdict(run_id) == CRASHED
    server.close()
    await server.wait_closed()


async def test_what_succeeded_before_the_crash_is_not_done_again(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a", "one", register="a"), a_command("b", "{{ a.stdout }}")])
    world.connector.live[0].ends(output=b"two", output_total=3)
    await world.until_started(2)
    await world.kill(daemon)
    world.connector.started.remove("att-2")  # the order was lost on its way
    world.connector.fates["att-2"] = Fate.NEVER_STARTED
    second = await world.start("own_b")
    await world.until_started(2)
    world.connector.live[0].ends()
    assert await world.over(second, run_id) == SUCCEEDED
    assert world.connector.started == ["att-1", "att-2"]
    assert world.connector.flights["att-2"].command == "'two'"


async def test_a_target_that_stood_between_two_tries_is_tried_again(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=1, retry_delay_seconds=60.0)])
    world.connector.live[0].ends(1)
    await world.quiet()
    await world.kill(daemon)
    await world.start("own_b")
    await world.advance(59)
    assert world.connector.live == []
    await world.advance(1)
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.attempts("number, state") == [(1, "failed"), (2, "succeeded")]


async def test_after_unknown_only_an_idempotent_step_is_tried_again(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(idempotent=True, retry_delay_seconds=1.0)])
    await world.kill(daemon)
    await world.start("own_b")
    await world.advance(1)
    world.connector.flights["att-2"].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.attempts("number, state") == [(1, "unknown"), (2, "succeeded")]


async def test_a_cancelled_run_is_not_tried_again_after_unknown(world: World, daemon: Process) -> None:
    await world.trigger(daemon, steps=[a_command(idempotent=True, retry_delay_seconds=0.0)])
    await world.cancel(1)
    await world.kill(daemon)
    await world.start("own_b")
    await world.advance(5)
    assert world.connector.started == ["att-1"]
    assert await world.one("SELECT count(*) FROM run WHERE finished_at IS NULL") == 0


async def test_a_cancel_that_the_dead_had_not_heard_of_is_carried_out(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.cancel(run_id)
    await world.kill(daemon)
    world.connector.fates["att-1"] = Fate.LIVE
    second = await world.start("own_b")
    assert (await world.over(second, run_id))[:2] == (RunState.CANCELLED, Reason.USER_CANCELLED)


async def test_a_keeper_that_dies_under_a_living_daemon_makes_the_attempt_unknown(
    world: World, daemon: Process
) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=3)])
    world.connector.live[0].loses_its_keeper()
    await world.quiet()
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.KEEPER_LOST)
    assert await world.attempts("state, reason") == [("unknown", Reason.KEEPER_LOST)]


async def test_what_is_known_of_some_targets_is_kept_beside_the_unknown(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, targets=3, steps=[a_command()])
    world.connector.live[0].ends()
    await world.quiet()
    await world.kill(daemon)
    await world.start("own_b")
    assert (await world.verdict(run_id))[:2] == (RunState.PARTIAL, Reason.DAEMON_CRASHED)


async def test_a_living_owner_is_left_alone(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    await world.start("own_b", plans=False)
    await world.advance(60)
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert world.connector.started == ["att-1"]


async def test_one_who_only_seemed_dead_can_change_nothing(world: World, daemon: Process) -> None:
    """It wakes after its work was taken over: its verdict is refused by the fence."""
    run_id = await world.trigger(daemon, steps=[a_command()])
    flight = world.connector.flights["att-1"]
    world.connector.fates["att-1"] = Fate.GONE
    world.dead.add("own_a")
    await world.start("own_b", plans=False)
    flight.end_with(Exit(exit_code=0))
    await world.quiet()
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.KEEPER_LOST)
    assert await world.attempts("state") == ["unknown"]


async def test_the_slots_of_the_dead_come_back(world: World, daemon: Process) -> None:
    await world.cap(2)
    for _ in range(2):
        await world.trigger(daemon, steps=[a_command()])
    waits = await world.trigger(daemon)
    await world.kill(daemon)
    await world.start("own_b")
    assert await world.verdict(waits) == SUCCEEDED
    assert await world.used() == 0
    assert await world.sql("SELECT id FROM owner WHERE ended_at IS NULL") == [("own_b",)]
