"""A target goes through its steps in order; each step's own words say when, how often and how long."""

from __future__ import annotations

import asyncio
import json

import pytest

from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.domain.step import Exit, Step
from tests.contract.store_world import a_command
from tests.engine.scripted import Flight
from tests.support.world import Process, World

SUCCEEDED = (RunState.SUCCEEDED, None, None)


async def test_steps_run_one_after_the_other(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a", "one"), a_command("b", "two")])
    [first] = world.connector.live
    assert first.command == "one"
    first.ends()
    await world.quiet()
    [second] = world.connector.live
    assert (second.command, (await world.verdict(run_id))[0]) == ("two", RunState.RUNNING)
    second.ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.attempts() == [(0, 1, "succeeded", None), (1, 1, "succeeded", None)]


async def test_the_intent_is_durable_before_the_order_leaves(world: World, daemon: Process) -> None:
    seen: list[object] = []

    def answer(flight: Flight) -> Exit:
        seen.append(world.store._writer.driver.execute("SELECT step, state FROM attempt").fetchall())
        return Exit(exit_code=0)

    world.connector.answer = answer
    await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    assert seen == [[(0, "running")], [(0, "succeeded"), (1, "running")]]


async def test_a_failing_step_ends_the_target(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("copy"), a_command("never")])
    world.connector.live[0].ends(3)
    await world.quiet()
    state, reason, message = await world.verdict(run_id)
    assert (state, reason) == (RunState.FAILED, Reason.STEP_FAILED)
    assert message is not None
    assert message.startswith("copy: ")
    assert await world.attempts("exit_code, state") == [(3, "failed")]


async def test_a_failing_step_that_says_so_lets_the_next_one_run(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a", continue_on_error=True), a_command("b")])
    world.connector.live[0].ends(1)
    await world.quiet()
    world.connector.live[0].ends(0)
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.attempts("state") == ["failed", "succeeded"]


async def test_a_command_that_cannot_start_fails_the_step(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    world.connector.live[0].end_with(Exit(failure="no such file or directory: /bin/nope"))
    await world.quiet()
    state, _, message = await world.verdict(run_id)
    assert state is RunState.FAILED
    assert "/bin/nope" in (message or "")


async def test_a_step_for_another_system_is_skipped(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("w", os="windows"), a_command("l", "here", os="linux")])
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.attempts("state") == ["skipped", "succeeded"]


async def test_later_steps_see_what_an_earlier_one_registered(world: World, daemon: Process) -> None:
    world.connector.answer = lambda flight: Exit(exit_code=0, output=b"blue", output_total=4)
    steps = [
        a_command("ask", "colour", register="asked"),
        a_command("use", "echo {{ asked.stdout }}"),
        a_command("skip", "no", when="asked.stdout == 'red'"),
        a_command("go", "yes", when="asked.stdout == 'blue'"),
    ]
    run_id = await daemon.launcher.launch(await world.request(steps=steps))
    assert await world.over(daemon, run_id) == SUCCEEDED
    commands = [flight.command for flight in world.connector.flights.values()]
    assert commands == ["colour", "echo 'blue'", "yes"]
    assert await world.attempts("state") == ["succeeded", "succeeded", "skipped", "succeeded"]
    [registered] = [text for text in await world.attempts("registered") if text]
    assert json.loads(registered)["stdout"] == "blue"


async def test_a_failing_step_is_tried_again_as_often_as_it_says(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=2, retry_delay_seconds=30.0)])
    for tried in (1, 2):
        world.connector.live[0].ends(1)
        await world.quiet()
        for _ in range(29):
            await world.advance(1)
        assert len(world.connector.started) == tried
        await world.advance(1)
        assert len(world.connector.started) == tried + 1
    world.connector.live[0].ends(1)
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.FAILED
    assert await world.attempts("number, state") == [(1, "failed"), (2, "failed"), (3, "failed")]


async def test_a_retry_that_succeeds_makes_the_step_succeed(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=3, retry_delay_seconds=1.0)])
    world.connector.live[0].ends(1)
    await world.quiet()
    await world.advance(1)
    assert world.connector.live[0].environment["ROTA_ATTEMPT"] == "2"
    world.connector.live[0].ends(0)
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED


async def test_a_step_that_takes_too_long_is_timed_out(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(timeout_seconds=20.0)])
    assert world.connector.live[0].timeout == 20.0
    await world.advance(20)
    assert (await world.verdict(run_id))[:2] == (RunState.TIMED_OUT, Reason.STEP_TIMEOUT)
    assert await world.attempts("state, reason") == [("timed_out", Reason.STEP_TIMEOUT)]


async def test_a_step_has_five_minutes_if_it_does_not_say(world: World, daemon: Process) -> None:
    await world.trigger(daemon, steps=[a_command()])
    assert world.connector.live[0].timeout == 300.0


async def test_a_timed_out_step_may_be_tried_again(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(timeout_seconds=20.0, retries=1, retry_delay_seconds=1.0)])
    await world.advance(20)
    await world.advance(1)
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED


async def test_the_run_timeout_covers_all_steps_and_is_not_retried(world: World, daemon: Process) -> None:
    steps = [a_command("a", timeout_seconds=50.0), a_command("b", timeout_seconds=50.0, retries=5)]
    run_id = await world.trigger(daemon, steps=steps, run_timeout=70_000_000)
    await world.advance(45)
    world.connector.live[0].ends()
    await world.quiet()
    assert world.connector.live[0].timeout == 25.0
    await world.advance(25)
    assert (await world.verdict(run_id))[:2] == (RunState.TIMED_OUT, Reason.RUN_TIMEOUT)


async def test_a_step_after_the_run_timeout_is_never_ordered(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")], run_timeout=70_000_000)
    world.clock.advance(70)
    world.connector.live[0].ends()
    await world.quiet()
    assert (await world.verdict(run_id))[:2] == (RunState.TIMED_OUT, Reason.RUN_TIMEOUT)
    assert len(world.connector.started) == 1


async def test_a_retry_that_would_come_after_the_run_timeout_is_not_waited_for(world: World, daemon: Process) -> None:
    step = a_command(retries=3, retry_delay_seconds=100.0)
    run_id = await world.trigger(daemon, steps=[step], run_timeout=70_000_000)
    world.connector.live[0].ends(1)
    await world.quiet()
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.STEP_FAILED)


async def test_a_step_done_in_process_is_ended_at_its_timeout(world: World, daemon: Process) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # and never answer
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    step = Step(name="ask", action="http", params={"url": f"http://127.0.0.1:{port}/"}, timeout_seconds=0.1)
    run_id = await daemon.launcher.launch(await world.request(steps=[step]))
    assert (await world.over(daemon, run_id))[:2] == (RunState.TIMED_OUT, Reason.STEP_TIMEOUT)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(("at_once", "live"), [(2, 2), (10, 5)])
async def test_targets_run_side_by_side_as_many_as_the_run_allows(
    world: World, daemon: Process, at_once: int, live: int
) -> None:
    run_id = await world.trigger(daemon, targets=5, targets_at_once=at_once, steps=[a_command()])
    ended = 0
    while world.connector.live:
        assert len(world.connector.live) == min(live, 5 - ended)
        world.connector.live[0].ends(1 if ended == 3 else 0)
        await world.quiet()
        ended += 1
    assert ended == 5
    assert (await world.verdict(run_id))[0] is RunState.PARTIAL


async def test_a_target_that_hangs_holds_up_no_other(world: World, daemon: Process) -> None:
    await world.trigger(daemon, steps=[a_command(text="hangs")])
    other = await world.trigger(daemon, steps=[a_command(text="quick")])
    world.connector.live[1].ends()
    await world.quiet()
    assert await world.verdict(other) == SUCCEEDED


async def test_children_are_told_who_they_are(world: World, daemon: Process) -> None:
    await world.trigger(daemon, title="daily", steps=[a_command()])
    public = await world.one("SELECT public_id FROM run")
    [flight] = world.connector.live
    assert flight.environment == {
        "ROTA_RUN_ID": f"run_{public}", "ROTA_JOB": "daily", "ROTA_HOST": "@controller", "ROTA_ATTEMPT": "1",
        "ROTA_DUE_AT": "2026-03-04T12:00:00Z", "ROTA_TRIGGER": "adhoc",
    }  # fmt: skip


async def test_output_is_stored_before_the_attempt_ends(world: World, daemon: Process) -> None:
    run_id = await daemon.launcher.launch(await world.request(steps=[a_command()]))
    await world.quiet()
    [flight] = world.connector.live
    flight.prints(b"hello\n")
    flight.prints(b"world\n")
    flight.ends()
    assert await world.over(daemon, run_id) == SUCCEEDED
    items = await world.output.after(run_id, 0, 10)
    assert b"".join(item.data for item in items) == b"hello\nworld\n"
    assert await world.attempts("output_bytes") == [12]


async def test_output_can_be_read_while_the_step_runs(world: World, daemon: Process) -> None:
    run_id = await daemon.launcher.launch(await world.request(steps=[a_command()]))
    await world.quiet()
    with daemon.events.watch(run_id) as changed:
        world.connector.live[0].prints(b"so far\n")
        await world.quiet()
        await world.advance(0.2)
        await changed.wait()
    assert [item.data for item in await world.output.after(run_id, 0, 10)] == [b"so far\n"]
    world.connector.live[0].ends()
    await world.over(daemon, run_id)


async def test_an_attempt_is_forgotten_only_after_its_verdict_is_durable(world: World, daemon: Process) -> None:
    known: list[list[object]] = []
    forget = world.connector.forget

    def note(token: str, *, is_ours: bool = True) -> None:
        rows = world.store._writer.driver.execute("SELECT state FROM attempt").fetchall()
        known.append([state for (state,) in rows])
        forget(token, is_ours=is_ours)

    world.connector.forget = note  # type: ignore[method-assign]
    await world.trigger(daemon, steps=[a_command()])
    world.connector.live[0].ends()
    await world.quiet()
    assert (known, world.connector.forgotten) == ([["succeeded"]], ["att-1"])


async def test_whether_anything_changed_is_remembered_over_the_steps(world: World, daemon: Process) -> None:
    await world.trigger(daemon, steps=[a_command("a"), Step(name="b", action="noop")])
    world.connector.live[0].ends()
    await world.quiet()
    [changed] = await world.sql("SELECT changed FROM run_target")
    assert changed == (max(await world.attempts("coalesce(changed, 0)")),)
