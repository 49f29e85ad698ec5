"""Several machines on one store: each lives by its word, and the work of the silent goes on elsewhere."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from rota.domain.errors import Unavailable
from rota.domain.instant import DAY, SECOND
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.domain.states import Fate, RunState
from rota.domain.step import Step
from rota.engine.takeover import Taken
from rota.ports import Member, Store, Tx
from rota.storage.inventory import insert_host
from rota.storage.leases import Terms
from rota.storage.rescue import Rescued
from rota.storage.sqlite import SqliteStore
from rota.storage.work import Assignment, Settled
from tests.contract.store_world import a_command
from tests.support.world import Process, World

T = TypeVar("T")
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
    assert isinstance(world.store, SqliteStore)
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


# A process that was stopped, or a machine that slept, finds out what became of its work before it goes on


async def test_who_was_silent_for_a_lease_claims_nothing_until_it_is_heard(world: World, one: Process) -> None:
    assert one.worker.slots()
    world.clock.suspend(LEASE)
    assert not one.worker.slots()
    await pass_time(world, RENEWED)
    assert one.worker.slots()


async def fall_asleep_before_an_order(world: World, process: Process) -> int:
    """A run whose intent was committed just before its process fell asleep; it is heard again in less than RENEWED."""
    run_id, work = await world.make(owner=process.owner, steps=[a_command()])
    world.clock.suspend(LEASE)
    process.worker.accept(work)
    await pass_time(world, 5)
    assert (await world.attempts("state"), world.connector.started) == (["running"], [])
    return run_id


async def test_who_slept_between_an_intent_and_its_order_begins_what_is_still_its_own(
    world: World, one: Process
) -> None:
    run_id = await fall_asleep_before_an_order(world, one)
    await pass_time(world, RENEWED)
    world.connector.flights["att-1"].ends()
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED


async def test_who_slept_between_an_intent_and_its_order_does_not_begin_what_was_taken(
    world: World, one: Process
) -> None:
    await fall_asleep_before_an_order(world, one)
    await world.sql("UPDATE run_target SET fence = fence + 1, owner = 'own_b'")
    await pass_time(world, RENEWED)
    assert (world.connector.started, one.worker.held_runs) == ([], set())


async def test_what_its_host_knows_of_work_that_was_taken_is_left_to_who_took_it(world: World, one: Process) -> None:
    await on_a_host(world, one)
    await world.sql("UPDATE run_target SET fence = fence + 1, owner = 'own_b'")
    world.connector.flights["att-1"].ends()
    await pass_time(world, 5)
    assert (world.connector.forgotten, one.worker.held_runs) == ([], set())


async def claim_and_fall_asleep(world: World, process: Process, **fields: Any) -> list[Assignment]:
    """What its process claimed in a commit whose answer it has not read yet when it falls asleep, and when it is heard
    again."""
    row = await world.store.write(lambda tx: insert_host(tx, Host(name="web1", connector="ssh", address="10.0.0.1")))
    _, work = await world.make(
        owner=process.owner, steps=[a_command(**fields)], members=(Member("web1", row.version_id, "ssh"),)
    )
    world.clock.suspend(LEASE)
    await pass_time(world, RENEWED)
    assert process.worker.slots()
    return work


async def test_who_was_heard_again_before_it_knew_of_its_claim_begins_what_is_still_its_own(
    world: World, one: Process
) -> None:
    one.worker.accept(await claim_and_fall_asleep(world, one))
    await pass_time(world, 5)
    assert world.connector.started == ["att-1"]


async def test_who_was_heard_again_before_it_knew_of_its_claim_does_not_begin_what_was_taken(
    world: World, one: Process
) -> None:
    work = await claim_and_fall_asleep(world, one)
    await world.sql("UPDATE run_target SET fence = fence + 1, owner = 'own_b'")
    one.worker.accept(work)
    await pass_time(world, 5)
    assert (world.connector.started, one.worker.held_runs) == ([], set())


async def test_who_was_heard_again_does_not_order_what_was_taken_by_following_it(world: World, one: Process) -> None:
    """The order may never have got to its host: then to follow it is to give it."""
    (work,) = await claim_and_fall_asleep(world, one)
    await world.sql("UPDATE run_target SET fence = fence + 1, owner = 'own_b'")
    one.worker.carry_on(Taken([(Rescued(work, attempt_open=True, cancel=None), True)], [], Settled({}, set(), [])))
    await pass_time(world, 5)
    assert (world.connector.flights, one.worker.held_runs) == ({}, set())


async def test_who_was_heard_again_does_not_begin_what_was_taken_and_put_back(world: World, one: Process) -> None:
    """Its host was away: the attempt was taken back, and its time with it."""
    work = await claim_and_fall_asleep(world, one, total_timeout_seconds=600)
    await world.sql("UPDATE run_target SET fence = fence + 1, owner = NULL, state = 'queued', waiting_for = 'host'")
    await world.sql("DELETE FROM attempt")
    one.worker.accept(work)
    await pass_time(world, 5)
    assert (world.connector.started, one.worker.held_runs) == ([], set())


async def test_who_was_given_up_leaves_alone_what_goes_on_on_hosts(world: World, one: Process, other: Process) -> None:
    """Another owner follows it there: to end it would be to end what is not its own any more."""
    await on_a_host(world, one)
    await world.sql("UPDATE owner SET ended_at = 1 WHERE id = 'own_a'")
    await world.sql("UPDATE run_target SET fence = fence + 1, owner = 'own_b'")
    await pass_time(world, RENEWED)
    with pytest.raises(BaseExceptionGroup, match="unhandled errors"):
        await one.task
    world.processes.remove(one)
    assert [flight.result for flight in world.connector.flights.values()] == [None]


async def test_what_one_that_was_given_up_claimed_before_it_heard_of_it_is_taken_over(
    world: World, one: Process, other: Process
) -> None:
    run_id = await on_a_host(world, one)
    await one.die()
    await world.sql("UPDATE owner SET ended_at = seen_at WHERE id = 'own_a'")
    await pass_time(world, LEASE + 2 * RENEWED)
    (await world.followed("att-1")).ends()
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED


async def test_what_the_silent_one_itself_did_for_a_host_is_not_done_again(
    world: World, one: Process, other: Process
) -> None:
    """A request over HTTP, say, is made by the process; nobody can follow it."""
    row = await world.store.write(lambda tx: insert_host(tx, Host(name="web1", connector="ssh", address="10.0.0.1")))
    step = Step(name="main", action="http", params={"url": "http://127.0.0.1:1/", "method": "POST"})
    run_id = await one.launcher.launch(
        await world.request(steps=[step], members=(Member("web1", row.version_id, "ssh"),))
    )
    await one.die()
    await pass_time(world, LEASE + 2 * RENEWED)
    assert (await world.verdict(run_id))[:2] == LOST


async def test_renewals_go_on_while_much_is_taken_over(world: World, one: Process, other: Process) -> None:
    """A take-over that lasts, or fails, makes nobody silent who lives."""
    await on_a_host(world, one)
    await one.die()
    never = asyncio.Event()

    async def plan_of(_: object) -> None:
        await never.wait()

    other.worker.plan_of = plan_of  # type: ignore[assignment,method-assign]
    await pass_time(world, 3 * LEASE)
    seen_at = await world.one("SELECT seen_at FROM owner WHERE id = 'own_b'")
    assert world.clock.now() - seen_at <= RENEWED * SECOND


@dataclass
class Line:
    """The store over a line that is cut while `is_cut`."""

    store: Store
    is_cut: bool = True

    async def write(self, fn: Callable[[Tx], T]) -> T:
        if self.is_cut:
            raise Unavailable("the line is cut")
        return await self.store.write(fn)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self.store.read(fn)


async def test_a_store_that_was_away_for_long_makes_nobody_silent(world: World, one: Process, other: Process) -> None:
    """All were kept from renewing alike. Who comes first afterwards must not take the others for dead."""
    lines = [Line(world.store), Line(world.store)]
    for process, line in zip((one, other), lines, strict=True):
        assert process.engine._leases is not None
        process.engine._leases._for_signs = line
    await on_a_host(world, one)
    await pass_time(world, 2 * (LEASE + GRACE))
    lines[1].is_cut = False
    await pass_time(world, LEASE - RENEWED)
    lines[0].is_cut = False
    await pass_time(world, 2 * LEASE)
    assert await owner_of_work(world) == "own_a"
    assert await world.one("SELECT count(*) FROM owner WHERE ended_at IS NOT NULL") == 0
