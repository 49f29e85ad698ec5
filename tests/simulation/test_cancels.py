"""What is cancelled ends soon while there is a daemon: how that is judged where one leaves and the next comes late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.domain.reasons import Reason
from tests.simulation.check_bounds import CANCELLED_WITHIN, check_bounds
from tests.simulation.facts import Facts
from tests.simulation.mutants import ALL
from tests.simulation.people import request_of
from tests.simulation.process import Process
from tests.simulation.undrawn import a_world_of, an_endless_job
from tests.simulation.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world_of(an_endless_job(), tmp_path) as world:
        yield world


async def cancel(world: World, daemon: Process, run_id: int) -> None:
    await daemon.launcher.cancel(run_id, reason=Reason.USER_CANCELLED)
    world.witness.cancelled.append((run_id, world.time))


async def cancel_and_leave(world: World, daemon: Process) -> None:
    request = await world.store.write(lambda tx: request_of(tx, world.jobs[0]))
    run_id = await daemon.launcher.launch(request)
    await asyncio.sleep(1)
    await cancel(world, daemon, run_id)
    await daemon.stop("leave")


async def next_daemon_comes_late(world: World) -> None:
    daemon = world.start("daemon", 0)
    await asyncio.sleep(1)
    daemon.act(cancel_and_leave(world, daemon))
    await asyncio.sleep(CANCELLED_WITHIN + 20)
    assert daemon.is_over
    assert world.witness.finished == {}
    world.start("daemon", 0)
    await asyncio.sleep(CANCELLED_WITHIN + 20)


def test_the_time_without_a_daemon_does_not_count(world: World) -> None:
    world.loop.run_until_complete(next_daemon_comes_late(world))
    assert world.witness.finished.keys() == {1}
    assert list(check_bounds(Facts(world))) == []


def test_that_the_next_daemon_does_not_end_it_is_noticed(world: World) -> None:
    with ALL["rescued-forgotten"].planted():
        world.loop.run_until_complete(next_daemon_comes_late(world))
    assert list(check_bounds(Facts(world))) == ["I6 run 1 was cancelled, and goes on"]


async def what_another_runs_is_cancelled(world: World) -> None:
    daemon, command = world.start("daemon", 0), world.start("command", 0)
    command.act(command.carry_out(await world.store.write(lambda tx: request_of(tx, world.jobs[0]))))
    await asyncio.sleep(1)
    daemon.act(cancel(world, daemon, 1))
    await asyncio.sleep(CANCELLED_WITHIN + 20)


def test_what_another_process_runs_ends_when_it_is_cancelled(world: World) -> None:
    world.loop.run_until_complete(what_another_runs_is_cancelled(world))
    assert list(check_bounds(Facts(world))) == []


def test_that_it_is_not_heard_of_is_noticed(world: World) -> None:
    """`cancel-unheard`, which few of the worlds that are drawn notice."""
    with ALL["cancel-unheard"].planted():
        world.loop.run_until_complete(what_another_runs_is_cancelled(world))
    assert list(check_bounds(Facts(world))) == [
        "I6 run 1 was cancelled, and goes on", "I6 att-1 of run 1 was cancelled, and runs on",
    ]  # fmt: skip
