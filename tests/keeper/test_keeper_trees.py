"""Ends that are wished for: the whole tree goes, or what stays is told."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.keeper.keeper_world import World, an_order, gone, living

SLEEP = "sleep 300"
DOUBLE_FORK = "setsid sh -c 'sleep 300 >/dev/null 2>&1 & echo $! ' "


async def killed(world: World, id_: str, *, grace: float | None = None) -> None:
    world.keeper.kill(id_, cause="cancelled", grace_seconds=grace)


async def test_a_plain_command_ends_by_term_with_the_given_cause(world: World, id_: str) -> None:
    world.start(id_, "sleep", "300")
    await world.owner.started(id_)
    world.keeper.kill(id_, cause="user_cancelled")
    ended = await world.owner.ended(id_)
    assert (ended.signal, ended.cause, ended.left_running) == (signal.SIGTERM, "user_cancelled", ())


async def test_a_command_may_end_cleanly_within_its_grace(world: World, id_: str) -> None:
    world.sh(id_, "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    await world.owner.grown(id_, 6)
    world.keeper.kill(id_, cause="cancelled")
    ended = await world.owner.ended(id_)
    assert (ended.exit_code, ended.cause) == (5, "cancelled")
    assert (await world.output(id_)).endswith(b"bye\n")


async def test_a_child_that_ignores_term_is_killed_after_its_grace(world: World, id_: str) -> None:
    world.sh(id_, f"trap '' TERM; echo ready; {SLEEP} & {SLEEP}", grace_seconds=0.2)
    await world.owner.grown(id_, 6)
    world.keeper.kill(id_, cause="cancelled")
    ended = await world.owner.ended(id_)
    assert (ended.signal, ended.left_running) == (signal.SIGKILL, ())
    assert living(id_) == set()


async def test_a_stopped_child_acts_on_term(world: World, id_: str) -> None:
    world.start(id_, "sleep", "300")
    os.kill((await world.owner.started(id_)).pid, signal.SIGSTOP)
    world.keeper.kill(id_, cause="cancelled")
    assert (await world.owner.ended(id_)).signal == signal.SIGTERM


@pytest.mark.parametrize(
    "script",
    [
        f"{SLEEP} & {SLEEP} & echo ready; wait",
        f"setsid {SLEEP} & echo ready; wait",
        f"(setsid {SLEEP} >/dev/null 2>&1 &) ; echo ready; {SLEEP}",
        f"(trap '' TERM; setsid sh -c '{SLEEP}; {SLEEP}' </dev/null >/dev/null 2>&1 &) ; echo ready; {SLEEP}",
    ],
    ids=["background", "setsid child", "double-forked daemon", "double-forked daemon that ignores TERM"],
)
async def test_the_whole_tree_is_killed(world: World, id_: str, script: str) -> None:
    world.sh(id_, script, grace_seconds=0.3)
    await world.owner.grown(id_, 6)
    world.keeper.kill(id_, cause="cancelled")
    assert (await world.owner.ended(id_)).left_running == ()
    assert living(id_) == set()


async def test_a_timeout_kills_the_whole_tree(world: World, id_: str) -> None:
    world.sh(id_, f"trap '' TERM; (setsid {SLEEP} &); {SLEEP}", timeout_seconds=0.8, grace_seconds=0.2)
    ended = await world.owner.ended(id_)
    assert (ended.signal, ended.cause, ended.left_running) == (signal.SIGKILL, "timeout", ())
    assert living(id_) == set()


async def test_endless_output_ends_at_its_timeout(world: World, id_: str) -> None:
    ended = await world.result_of(id_, "yes", timeout_seconds=0.3, head_bytes=1000, tail_bytes=1000)
    assert ended.cause == "timeout"
    assert ended.output_total > 1_000_000
    assert len(await world.output(id_)) == 2000


async def test_a_daemon_that_the_command_leaves_is_left_alone_and_told(world: World, id_: str) -> None:
    world.sh(id_, f"setsid {SLEEP} >/dev/null 2>&1 & echo $!")
    ended = await world.owner.ended(id_)
    pid = int(await world.output(id_))
    assert (ended.exit_code, ended.left_running, ended.held) == (0, (pid,), False)
    os.kill(pid, signal.SIGKILL)


async def test_a_daemon_with_an_empty_environment_is_told_by_its_session(world: World, id_: str) -> None:
    world.sh(id_, f"env -i {SLEEP} >/dev/null 2>&1 & echo $!")
    ended = await world.owner.ended(id_)
    pid = int(await world.output(id_))
    assert ended.left_running == (pid,)
    os.kill(pid, signal.SIGKILL)


async def test_what_one_command_left_is_not_told_of_another(world: World, id_: str) -> None:
    world.sh(id_, f"setsid {SLEEP} >/dev/null 2>&1 & echo $!")
    await world.owner.ended(id_)
    assert (await world.result_of("other", "true")).left_running == ()
    os.kill(int(await world.output(id_)), signal.SIGKILL)


async def test_leftovers_are_ended_on_request(world: World, id_: str) -> None:
    world.sh(id_, f"setsid {SLEEP} >/dev/null 2>&1 & exit 3", end_leftovers=True)
    ended = await world.owner.ended(id_)
    assert (ended.exit_code, ended.cause, ended.left_running) == (3, None, ())
    assert living(id_) == set()


async def test_a_held_output_does_not_hold_up_the_end(world: World, id_: str) -> None:
    world.sh(id_, f"{SLEEP} & echo $!")
    ended = await world.owner.ended(id_)
    pid = int(await world.output(id_))
    assert (ended.exit_code, ended.held, ended.left_running) == (0, True, (pid,))
    os.kill(pid, signal.SIGKILL)


async def test_the_end_of_output_is_not_the_end_of_the_command(world: World, id_: str) -> None:
    ended = await world.result_of(id_, "sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 9")
    assert ended.exit_code == 9
    assert ended.ended_at - ended.started_at >= 300_000


async def test_an_order_still_in_the_queue_is_taken_back(world: World, id_: str) -> None:
    world.keeper.order([an_order(f"filler.{number}", "true") for number in range(200)])
    world.start(id_, "true")
    world.keeper.kill(id_, cause="user_cancelled")
    failed = await world.owner.failed(id_)
    assert failed.stage == "cancelled"
    assert "user_cancelled" in failed.message


async def test_killing_what_is_unknown_or_ended_changes_nothing(world: World, id_: str) -> None:
    await world.result_of(id_, "true")
    world.keeper.kill(id_, cause="late")
    world.keeper.kill("never-heard-of", cause="late")
    assert (await world.result_of("after", "true")).cause is None


async def test_a_shorter_grace_overtakes_a_longer_one(world: World, id_: str) -> None:
    world.sh(id_, f"trap '' TERM; echo ready; {SLEEP}", grace_seconds=300)
    await world.owner.grown(id_, 6)
    world.keeper.kill(id_, cause="first")
    world.keeper.kill(id_, cause="second", grace_seconds=0)
    ended = await world.owner.ended(id_)
    assert (ended.signal, ended.cause) == (signal.SIGKILL, "first")


async def test_stop_ends_everything_with_the_cause_shutdown_and_leaves_no_process(world: World) -> None:
    for number in range(20):
        world.sh(f"stop.{number}", f"trap '' TERM; echo ready; {SLEEP}")
    for number in range(20):
        await world.owner.grown(f"stop.{number}", 6)
    world.owner.acknowledge_to(world.keeper)
    await world.keeper.stop(grace_seconds=0.2)
    endings = [await world.owner.ended(f"stop.{number}") for number in range(20)]
    assert {ending.cause for ending in endings} == {"shutdown"}
    await asyncio.wait_for(gone(world.keeper.pid), 5)
    world.keeper.lost.set()
