"""However a run ends, nothing of what it waited for is left behind."""

from __future__ import annotations

import pytest

from rota.domain.instant import DAY
from rota.domain.policy import Policies
from rota.domain.reasons import Reason
from rota.domain.states import Fate
from rota.storage.retention import delete_runs
from tests.contract.store_world import a_command
from tests.support.world import Process, World

PATIENT = Policies(queue_timeout_seconds=600.0).patience


@pytest.fixture
async def running(world: World, daemon: Process) -> int:
    """A run that is at work, and would have expired in ten minutes had it not left the queue."""
    run_id, _ = await world.make(owner=None, steps=[a_command()], patience=PATIENT)
    daemon.worker.claimer.look()
    await world.quiet()
    assert world.connector.started == ["att-1"]
    assert await world.one("SELECT count(*) FROM run_turn") == 1
    return run_id


async def nothing_is_left(world: World) -> bool:
    assert await world.one("SELECT count(*) FROM run WHERE finished_at IS NULL") == 0
    return await world.sql("SELECT * FROM run_turn") == []


async def test_one_that_succeeds(world: World, running: int) -> None:
    world.connector.live[0].ends()
    await world.quiet()
    assert await nothing_is_left(world)


async def test_one_that_is_over_in_an_instant(world: World, daemon: Process) -> None:
    await world.trigger(daemon, patience=PATIENT)
    assert await nothing_is_left(world)


async def test_one_that_is_cancelled_at_work(world: World, daemon: Process, running: int) -> None:
    await daemon.launcher.cancel(running, reason=Reason.USER_CANCELLED)
    await world.quiet()
    assert await nothing_is_left(world)


async def test_one_that_is_cancelled_while_it_waits(world: World, daemon: Process) -> None:
    await world.cap(0)
    await world.cancel(await world.trigger(daemon, patience=PATIENT))
    assert await nothing_is_left(world)


async def test_one_that_is_cancelled_in_the_queue(world: World) -> None:
    run_id, _ = await world.make(owner=None, patience=PATIENT)
    await world.cancel(run_id)
    assert await nothing_is_left(world)


async def test_one_that_expires(world: World, daemon: Process) -> None:
    await world.cap(0)
    await world.trigger(daemon, patience=PATIENT)
    await world.advance(601)
    assert await nothing_is_left(world)


async def test_one_that_is_out_of_time(world: World, daemon: Process) -> None:
    await world.trigger(daemon, steps=[a_command()], patience=PATIENT, run_timeout=60_000_000)
    await world.advance(61)
    assert await nothing_is_left(world)


@pytest.mark.parametrize("fate", list(Fate))
async def test_one_whose_daemon_died(world: World, daemon: Process, running: int, fate: Fate) -> None:
    await world.kill(daemon)
    world.connector.fates["att-1"] = fate
    if fate is Fate.ENDED:
        world.connector.flights["att-1"].ends()
    if fate is Fate.NEVER_STARTED:
        world.connector.started.clear()
    second = await world.start("own_b")
    for flight in world.connector.live:
        flight.ends()
    await world.over(second, running)
    assert await nothing_is_left(world)


async def test_one_that_retention_takes(world: World) -> None:
    run_id, _ = await world.make(owner=None, patience=PATIENT)
    world.clock.advance(DAY // 1_000_000)
    await world.store.write(lambda tx: delete_runs(tx, [run_id]))
    assert await world.sql("SELECT * FROM run_turn") == []
