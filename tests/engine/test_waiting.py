"""Targets that wait hold no coroutine and come back by themselves: retries, offline hosts, throttles, batches."""

from __future__ import annotations

import pytest

from rota.domain.fanout import FanOut, read_fan_out
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.domain.step import Exit
from rota.storage import limits
from tests.contract.store_world import a_command
from tests.engine.scripted import Flight
from tests.support.world import Process, World

SUCCEEDED = (RunState.SUCCEEDED, None, None)
REFUSED = Exit(unreached=Reason.CONNECT_REFUSED, failure="it refused the connection")


def rules(**given: object) -> FanOut:
    found, faults = read_fan_out(given)  # type: ignore[arg-type]  # JSON values
    assert faults == []
    return found


class Away:
    """Hosts that refuse connections while they are in `names`; elsewhere every command succeeds at once."""

    def __init__(self, world: World, *names: str) -> None:
        self.names, self.looks = set(names), 0
        world.connector.answer = self.answer
        self._hosts = world.connector.hosts

    def answer(self, flight: Flight) -> Exit:
        if self._hosts[flight.token].name in self.names:
            self.looks += 1
            return REFUSED
        return Exit(exit_code=0)


async def target_states(world: World) -> list[tuple[str, str | None]]:
    return [(state, reason) for state, reason in await world.sql("SELECT state, reason FROM run_target ORDER BY id")]


async def test_between_two_tries_nothing_is_held(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=1, retry_delay_seconds=60.0)])
    world.connector.live[0].ends(1)
    await world.quiet()
    assert daemon.worker.held_runs == set()
    assert await world.sql("SELECT state, waiting_for FROM run_target") == [("queued", "retry")]
    assert (await world.verdict(run_id))[0] is RunState.RUNNING


async def test_a_retry_in_the_middle_of_a_plan_sees_what_was_registered(world: World, daemon: Process) -> None:
    steps = [
        a_command("ask", "colour", register="asked"),
        a_command("use", "echo {{ asked.stdout }}", retries=1, retry_delay_seconds=10.0),
    ]
    run_id = await daemon.launcher.launch(await world.request(steps=steps))
    await world.until_started(1)
    world.connector.live[0].ends(output=b"blue", output_total=4)
    await world.until_started(2)
    world.connector.live[0].ends(1)
    await world.quiet()
    await world.advance(10)
    await world.until_started(3)
    assert world.connector.live[0].command == "echo 'blue'"
    world.connector.live[0].ends()
    assert await world.over(daemon, run_id) == SUCCEEDED


async def test_a_daemon_takes_up_the_retry_that_a_dead_one_had_parked(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(retries=1, retry_delay_seconds=600.0)])
    world.connector.live[0].ends(1)
    await world.quiet()
    await world.kill(daemon)
    await world.advance(300)
    await world.start("own_b")
    await world.advance(300)
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED


async def test_an_offline_host_is_unreachable_unless_the_run_says_otherwise(world: World, daemon: Process) -> None:
    Away(world, "host-1")
    run_id = await world.trigger(daemon, targets=3, steps=[a_command()])
    assert (await world.verdict(run_id))[:2] == (RunState.PARTIAL, Reason.CONNECT_REFUSED)
    assert (await target_states(world))[1] == ("unreachable", "connect_refused")


async def test_an_offline_host_may_be_skipped_and_the_run_succeeds_on_the_others(world: World, daemon: Process) -> None:
    Away(world, "host-1")
    run_id = await world.trigger(daemon, targets=3, steps=[a_command(retries=3)], fan_out=rules(on_offline="skip"))
    assert await world.verdict(run_id) == (RunState.SUCCEEDED, None, "skipped as offline: 1 of 3 hosts")
    assert await world.runs("ok") == [2]
    assert (await target_states(world))[1] == ("skipped", "host_offline")


async def test_a_run_whose_hosts_were_all_skipped_has_not_succeeded(world: World, daemon: Process) -> None:
    Away(world, "host-0", "host-1")
    run_id = await world.trigger(daemon, targets=2, steps=[a_command()], fan_out=rules(on_offline="skip"))
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.HOST_OFFLINE)


async def test_an_offline_host_is_looked_for_again_until_it_is_there(world: World, daemon: Process) -> None:
    away = Away(world, "host-1")
    run_id = await world.trigger(daemon, targets=2, steps=[a_command()], fan_out=rules(on_offline="wait"))
    for _ in range(3):
        await world.advance(30)
    assert away.looks == 4
    away.names.clear()
    await world.advance(30)
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.attempts("number, state") == [(1, "succeeded"), (1, "succeeded")]


async def test_at_the_end_of_the_run_a_host_that_was_waited_for_is_unreachable(world: World, daemon: Process) -> None:
    away = Away(world, "host-1")
    run_id = await world.trigger(
        daemon, targets=2, steps=[a_command()], run_timeout=100_000_000, fan_out=rules(on_offline="wait")
    )
    for _ in range(4):
        await world.advance(30)
    assert (await world.verdict(run_id))[:2] == (RunState.PARTIAL, Reason.CONNECT_REFUSED)
    assert away.looks == 4
    assert (await target_states(world))[1] == ("unreachable", "connect_refused")


@pytest.mark.parametrize(
    "reason", [Reason.AUTH_FAILED, Reason.HOST_KEY_CHANGED, Reason.HOST_KEY_UNKNOWN, Reason.CREDENTIAL_MISSING]
)
@pytest.mark.parametrize("policy", ["skip", "wait"])
async def test_a_host_that_does_not_let_us_in_is_unreachable_at_once(
    world: World, daemon: Process, reason: Reason, policy: str
) -> None:
    world.connector.answer = lambda flight: Exit(unreached=reason, failure="no")
    run_id = await world.trigger(daemon, targets=2, steps=[a_command(retries=5)], fan_out=rules(on_offline=policy))
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, reason)
    assert len(world.connector.started) == 2


async def test_a_host_that_goes_away_in_the_middle_of_its_plan_is_not_skipped(world: World, daemon: Process) -> None:
    away = Away(world)
    world.connector.answer = lambda flight: REFUSED if flight.command == "two" else Exit(exit_code=0)
    run_id = await world.trigger(
        daemon, targets=2, steps=[a_command("a", "one"), a_command("b", "two")], fan_out=rules(on_offline="skip")
    )
    assert away.looks == 0
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.CONNECT_REFUSED)


async def test_a_throttled_run_starts_its_hosts_one_by_one_in_time(world: World, daemon: Process) -> None:
    Away(world)
    run_id = await world.trigger(daemon, targets=4, steps=[a_command()], fan_out=rules(throttle="2/s"))
    started = [len(world.connector.started)]
    for _ in range(3):
        await world.advance(0.5)
        started.append(len(world.connector.started))
    assert started == [1, 2, 3, 4]
    assert await world.verdict(run_id) == SUCCEEDED


async def test_batches_follow_each_other_after_their_pause(world: World, daemon: Process) -> None:
    Away(world)
    run_id = await world.trigger(
        daemon, targets=5, steps=[a_command()], fan_out=rules(batch="1, 2", batch_pause_seconds=60)
    )
    started = [len(world.connector.started)]
    for _ in range(2):
        await world.advance(59)
        started.append(len(world.connector.started))
        await world.advance(1)
        started.append(len(world.connector.started))
    assert started == [1, 1, 3, 3, 5]
    assert await world.verdict(run_id) == SUCCEEDED


async def test_a_canary_that_fails_stops_the_rest(world: World, daemon: Process) -> None:
    world.connector.answer = lambda flight: Exit(exit_code=1)
    run_id = await world.trigger(daemon, targets=20, steps=[a_command()], fan_out=rules(batch="1, 100%"))
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.STEP_FAILED)
    assert len(world.connector.started) == 1
    assert (await target_states(world))[1:] == [("skipped", "max_fail")] * 19


async def test_two_runs_that_lock_their_hosts_take_turns(world: World, daemon: Process) -> None:
    for _ in range(2):
        await world.trigger(daemon, targets=2, steps=[a_command()], fan_out=rules(lock_hosts=True))
    assert [world.connector.hosts[flight.token].name for flight in world.connector.live] == ["host-0", "host-1"]
    world.connector.live[1].ends()
    await world.quiet()
    assert [world.connector.hosts[flight.token].name for flight in world.connector.live] == ["host-0", "host-1"]
    while world.connector.live:
        world.connector.live[0].ends()
        await world.quiet()
    assert await world.runs() == ["succeeded", "succeeded"]


async def test_a_limit_that_is_raised_lets_more_start_at_once(world: World, daemon: Process) -> None:
    await world.store.write(lambda tx: limits.set_limit(tx, "targets", 1))
    await world.trigger(daemon, targets=5, steps=[a_command()])
    assert len(world.connector.live) == 1
    await world.store.write(lambda tx: limits.set_limit(tx, "targets", 3))
    daemon.launcher.limits_changed()
    await world.quiet()
    assert len(world.connector.live) == 3


async def test_a_lock_that_another_process_gives_back_is_noticed(world: World, daemon: Process) -> None:
    command = await world.start("own_c", oversees=False)
    await world.trigger(command, targets=2, steps=[a_command()], fan_out=rules(lock_hosts=True))
    own = await world.trigger(daemon, targets=2, steps=[a_command()], fan_out=rules(lock_hosts=True))
    for flight in world.connector.live:
        flight.ends()
    await world.quiet()
    await world.advance(5)
    assert len(world.connector.live) == 2
    assert (await world.verdict(own))[0] is RunState.RUNNING


async def test_a_command_takes_up_what_it_parked_itself(world: World) -> None:
    command = await world.start("own_c", oversees=False)
    run_id = await world.trigger(command, steps=[a_command(retries=1, retry_delay_seconds=20.0)])
    world.connector.live[0].ends(1)
    await world.quiet()
    await world.advance(20)
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED


async def test_an_idle_engine_is_woken_by_nothing(world: World, daemon: Process) -> None:
    """Once everything has ended, time makes nobody write."""
    Away(world)
    await world.trigger(daemon, targets=3, steps=[a_command()], fan_out=rules(throttle="1/s", batch="1"))
    for _ in range(5):
        await world.advance(1)
    turns = 0
    look_in = daemon.worker.claimer.look_in

    def counted(*args: object, **kwargs: object) -> object:
        nonlocal turns
        turns += 1
        return look_in(*args, **kwargs)  # type: ignore[arg-type]  # as it was called

    daemon.worker.claimer.look_in = counted  # type: ignore[method-assign,assignment]
    for _ in range(60):
        await world.advance(10)
    assert turns == 0
