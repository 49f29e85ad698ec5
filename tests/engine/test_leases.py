"""Several machines on one store: each lives by its word, and the work of the silent goes on elsewhere."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from rota.domain.instant import DAY, SECOND
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.domain.states import Fate, RunState
from rota.ports import Member
from rota.storage.inventory import insert_host
from rota.storage.leases import Terms
from tests.contract.store_world import a_command
from tests.support.world import Process, World

LEASE, GRACE = 60, 120
RENEWED = LEASE / 4
LOST = (RunState.FAILED, Reason.WORKER_LOST)


def terms(node: str) -> Terms:
    return Terms(node, LEASE * SECOND, GRACE * SECOND)


@pytest.fixture
async def one(world: World) -> Process:
    return await world.start("own_a", terms=terms("one"))


@pytest.fixture
async def other(world: World, one: Process) -> Process:
    """A second machine, that has watched for a lease."""
    process = await world.start("own_b", terms=terms("other"))
    await pass_time(world, LEASE + RENEWED)
    return process


async def pass_time(world: World, seconds: float) -> None:
    """Let time pass as it does: by and by."""
    while seconds > 0:
        await world.advance(min(seconds, 5))
        seconds -= 5


async def on_a_host(world: World, process: Process) -> int:
    """A run that goes on over SSH."""
    row = await world.store.write(lambda tx: insert_host(tx, Host(name="web1", connector="ssh", address="10.0.0.1")))
    return await world.trigger(process, steps=[a_command()], members=(Member("web1", row.version_id, "ssh"),))


async def owner_of_work(world: World) -> str | None:
    owner: str | None = await world.one("SELECT owner FROM run_target")
    return owner


async def test_who_renews_is_left_alone(world: World, one: Process, other: Process) -> None:
    run_id = await world.trigger(one, steps=[a_command(timeout_seconds=3600)])
    await pass_time(world, 3 * (LEASE + GRACE))
    assert await owner_of_work(world) == "own_a"
    world.connector.flights["att-1"].ends()
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED


async def test_work_on_hosts_of_a_silent_one_is_followed_after_its_lease(
    world: World, one: Process, other: Process
) -> None:
    run_id = await on_a_host(world, one)
    await one.die()
    await pass_time(world, LEASE - RENEWED)
    assert await owner_of_work(world) == "own_a"
    await pass_time(world, 2 * RENEWED + 5)
    assert await owner_of_work(world) == "own_b"
    child = await world.followed("att-1")
    child.ends()
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED
    assert world.connector.started == ["att-1"]  # and not once more


async def test_what_the_machine_of_a_silent_one_did_is_unknown_after_the_grace(
    world: World, one: Process, other: Process
) -> None:
    run_id = await world.trigger(one, steps=[a_command(timeout_seconds=3600)])
    await one.die()
    await pass_time(world, LEASE + RENEWED + 5)
    assert await world.sql("SELECT state, lost_since IS NULL FROM run_target") == [("running", 0)]
    await pass_time(world, GRACE)
    assert (await world.verdict(run_id))[:2] == LOST
    assert await world.attempts("state, reason") == [("unknown", "worker_lost")]
    assert await world.one("SELECT ended_at IS NULL FROM owner WHERE id = 'own_a'") == 0


async def test_a_machine_that_comes_back_within_the_grace_takes_its_work_up_again(
    world: World, one: Process, other: Process
) -> None:
    run_id = await world.trigger(one, steps=[a_command(timeout_seconds=3600)])
    await world.kill(one)  # in its own home its lock is free
    await pass_time(world, LEASE + RENEWED + 5)
    world.connector.flights["att-1"].ends()
    world.connector.fates["att-1"] = Fate.ENDED
    again = await world.start("own_c", terms=terms("one"))
    assert (await world.over(again, run_id))[0] is RunState.SUCCEEDED


async def test_who_was_given_up_ends_its_children_and_itself(world: World, one: Process, other: Process) -> None:
    run_id = await world.trigger(one, steps=[a_command(timeout_seconds=3600)])
    await world.sql("UPDATE owner SET ended_at = 1 WHERE id = 'own_a'")
    await world.sql("UPDATE run_target SET fence = fence + 1, owner = 'own_b'")
    await pass_time(world, 2 * RENEWED)
    with pytest.raises(BaseExceptionGroup, match="unhandled errors") as caught:
        await one.task
    world.processes.remove(one)  # which fell over, as it should
    assert "gave no sign of life" in str(caught.value.exceptions[0])
    assert world.connector.live == []
    assert (await world.verdict(run_id))[0] is RunState.RUNNING  # it is another's: nothing of it was changed


async def test_who_cannot_renew_ends_its_children_before_others_take_them_for_lost(world: World, one: Process) -> None:
    await world.trigger(one, steps=[a_command(timeout_seconds=3600)])
    await world.store.write(lambda tx: tx.driver.execute("PRAGMA busy_timeout = 0").fetchall())
    with closing(sqlite3.connect(world.store.path, isolation_level=None)) as away:
        away.execute("BEGIN IMMEDIATE")
        await pass_time(world, LEASE + GRACE - 4 * RENEWED)
        assert len(world.connector.live) == 1
        await pass_time(world, 4 * RENEWED)
        assert world.connector.live == []
    await asyncio.sleep(0)


async def test_a_step_of_the_stores_clock_makes_nobody_silent(world: World, one: Process, other: Process) -> None:
    await world.trigger(one, steps=[a_command(timeout_seconds=3 * 86_400)])
    world.clock.set_wall(world.clock.now() + DAY)
    await pass_time(world, 2 * LEASE)
    assert await owner_of_work(world) == "own_a"
    assert len(world.connector.live) == 1


async def test_two_that_look_after_a_silent_one_do_not_both_take_its_work(
    world: World, one: Process, other: Process
) -> None:
    third = await world.start("own_c", terms=terms("third"))
    await pass_time(world, LEASE + RENEWED)
    await on_a_host(world, one)
    await one.die()
    await pass_time(world, 2 * LEASE)
    assert await world.one("SELECT fence FROM run_target") == 2
    holders = [process.owner for process in (other, third) if process.worker.held_runs]
    assert holders == [await owner_of_work(world)]
