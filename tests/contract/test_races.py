"""Several processes at work on one PostgreSQL database at the same time: what SQLite, with its one writer, cannot show.

Each node is a store of its own, with its own connections and threads; what they do at once really runs at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rota.domain.policy import Overlap
from rota.ports import Tx
from rota.storage.postgres import PostgresStore
from tests.contract.store_world import MINUTELY, StoreWorld, a_postgres_store
from tests.storage.fleet import a_run
from tests.support.clock import ManualClock
from tests.support.postgres import emptied

NODES = 8


@pytest.fixture
def nodes(store_database: str) -> Iterator[list[StoreWorld]]:
    """Eight processes on one database, whose clocks agree."""
    clock = ManualClock()
    with ExitStack() as stack:
        first = a_postgres_store(emptied(store_database), clock)
        stores = [first, *(PostgresStore(store_database, clock=clock) for _ in range(NODES - 1))]
        for store in stores:
            stack.callback(store.close)
        yield [StoreWorld(store, clock) for store in stores]


@pytest.fixture
def world(nodes: list[StoreWorld]) -> StoreWorld:
    return nodes[0]


async def plan_all(node: StoreWorld, number: int) -> int:
    """Plan in small batches until nothing is due, as a planner does; how many instants were this node's."""
    settled = 0
    while True:
        planned = await node.plan(limit=7, owner=f"own_{number}")
        settled += planned.handled
        if planned.next_fire is None or planned.next_fire > planned.at:
            return settled


async def test_eight_planners_start_each_instant_once(nodes: list[StoreWorld], world: StoreWorld) -> None:
    await world.cap(1000)
    for i in range(60):
        await world.a_job(f"job-{i}", overlap=Overlap.ALLOW)
    for _ in range(3):
        world.clock.advance(60)
        settled = await asyncio.gather(*(plan_all(node, i) for i, node in enumerate(nodes)))
        assert sum(settled) == 60
    runs = await world.runs("trigger_id, nominal")
    assert len(set(runs)) == len(runs) == 180
    assert await world.ledger() == []


async def test_of_two_triggers_of_a_job_due_on_two_nodes_one_starts(nodes: list[StoreWorld], world: StoreWorld) -> None:
    for i in range(20):
        await world.a_job(f"job-{i}", MINUTELY, MINUTELY, overlap=Overlap.SKIP)
    await world.cap(1000)
    world.clock.advance(60)
    await asyncio.gather(*(plan_all(node, i) for i, node in enumerate(nodes)))
    assert await world.sql("SELECT job_id, count(*) FROM run GROUP BY job_id ORDER BY job_id") == [
        (job_id, 1) for job_id in range(1, 21)
    ]
    assert await world.ledger("DISTINCT ON (id) reason") == ["overlap_skip"] * 20
    assert await world.sql("SELECT DISTINCT active FROM job_state") == [(1,)]


async def test_a_run_whose_last_targets_end_together_ends_once(nodes: list[StoreWorld], world: StoreWorld) -> None:
    await world.cap(1000)
    made = [await world.make(targets=NODES) for _ in range(10)]
    for run_id, work in made:
        await asyncio.gather(*(node.end(one) for node, one in zip(nodes, work, strict=True)))
        assert await world.sql(f"SELECT state, ok, open_targets FROM run WHERE id = {run_id}") == [
            ("succeeded", NODES, 0)
        ]
    assert await world.one("SELECT count(*) FROM outbox") == 10
    assert await world.used() == 0


async def test_ends_of_many_runs_on_many_nodes_never_block_each_other(
    nodes: list[StoreWorld], world: StoreWorld
) -> None:
    """The same runs and jobs, in another order on each node."""
    await world.cap(1000)
    jobs = [await world.a_job(f"job-{i}", overlap=Overlap.ALLOW) for i in range(6)]
    made = [await world.make(job, targets=NODES) for job in jobs]
    mine = [[work[number] for _, work in made] for number in range(NODES)]
    for number, work in enumerate(mine):
        work[:] = work[number % 6 :] + work[: number % 6]
    await asyncio.gather(*(node.end(*work) for node, work in zip(nodes, mine, strict=True)))
    assert await world.runs("state, open_targets") == [("succeeded", 0)] * 6
    assert await world.sql("SELECT DISTINCT active, last_state FROM job_state") == [(0, "succeeded")]


async def test_eight_nodes_that_admit_and_claim_stay_below_the_cap_on_runs(
    nodes: list[StoreWorld], world: StoreWorld
) -> None:
    for _ in range(30):
        await world.make(owner=None)
    assert await world.runs(where="state = 'queued'") == ["queued"] * 5
    seen = 0
    while seen < 30:
        taken = await asyncio.gather(*(node.claim(f"own_{i}") for i, node in enumerate(nodes)))
        work = [one for mine in taken for one in mine]
        assert len(work) == 5 == await world.used()
        seen += len(work)
        await asyncio.gather(*(node.end(*mine) for node, mine in zip(nodes, taken, strict=True) if mine))
        await asyncio.gather(*(node.admit() for node in nodes))
    assert await world.runs() == ["succeeded"] * 30
    assert await world.used() == 0


async def test_targets_at_once_of_a_run_holds_over_all_nodes(nodes: list[StoreWorld], world: StoreWorld) -> None:
    await world.cap(1000)
    await a_run(world, 40, at_once=3)
    ended = 0
    while ended < 40:
        taken = await asyncio.gather(*(node.claim(f"own_{i}", slots=2) for i, node in enumerate(nodes)))
        assert await world.one("SELECT count(*) FROM run_target WHERE state = 'running'") <= 3
        ended += sum(map(len, taken))
        await asyncio.gather(*(node.end(*mine) for node, mine in zip(nodes, taken, strict=True) if mine))
    assert await world.runs() == ["succeeded"]


async def test_a_cap_on_targets_holds_over_all_nodes(nodes: list[StoreWorld], world: StoreWorld) -> None:
    await world.cap(1000)
    await world.sql("INSERT INTO run_limit (key, cap, used) VALUES ('targets', 4, 0)")
    for _ in range(10):
        await a_run(world, 3)
    await asyncio.gather(*(node.claim(f"own_{i}", slots=2) for i, node in enumerate(nodes)))
    assert await world.one("SELECT count(*) FROM run_target WHERE state = 'running'") == 4


async def test_a_claim_and_a_cancel_at_once_leave_nothing_claimed_that_was_cancelled(
    nodes: list[StoreWorld], world: StoreWorld
) -> None:
    await world.cap(1000)
    for _ in range(10):
        run_id, _ = await world.make(owner=None, targets=4)
        await asyncio.gather(
            nodes[1].cancel(run_id), *(node.claim(f"own_{i}", slots=1) for i, node in enumerate(nodes[2:]))
        )
        left = await world.sql("SELECT state FROM run_target WHERE run_id = ? AND state = 'queued'", run_id)
        assert left == []
        running = await world.one("SELECT count(*) FROM run_target WHERE run_id = ? AND state = 'running'", run_id)
        assert await world.one("SELECT open_targets FROM run WHERE id = ?", run_id) == running


async def test_a_target_is_claimed_by_one_node(nodes: list[StoreWorld], world: StoreWorld) -> None:
    await world.cap(1000)
    for _ in range(20):
        await world.make(owner=None, targets=3)
    taken: list[int] = []
    while len(taken) < 60:
        claims = await asyncio.gather(*(node.claim(f"own_{i}", slots=5) for i, node in enumerate(nodes)))
        taken += [one.target_id for mine in claims for one in mine]
    assert len(set(taken)) == 60
    assert await world.sql("SELECT DISTINCT fence FROM run_target") == [(1,)]


async def test_a_lock_on_a_host_is_released_to_whoever_waits(nodes: list[StoreWorld], world: StoreWorld) -> None:
    """However a claim that finds the host locked and the end that releases it meet: nobody waits for ever."""
    await world.cap(1000)
    for _ in range(12):
        await a_run(world, 1, lock_hosts=True)
    ended = 0
    work = await world.claim("own_0")
    while ended < 12:
        assert len(work) <= 1
        ends = [world.end(*work)] if work else []
        ended += len(work)
        claims = asyncio.gather(*(node.claim(f"own_{i}") for i, node in enumerate(nodes[1:], start=1)))
        await asyncio.gather(claims, *ends)
        work = [one for mine in claims.result() for one in mine]
    assert await world.one("SELECT count(*) FROM host_lock") == 0


async def test_ids_taken_by_many_nodes_at_once_are_all_different(nodes: list[StoreWorld]) -> None:
    async def take(node: StoreWorld) -> list[int]:
        firsts = [await node.store.write(lambda tx: tx.take_ids("run", 3)) for _ in range(20)]
        return [first + i for first in firsts for i in range(3)]

    taken = [one for mine in await asyncio.gather(*map(take, nodes)) for one in mine]
    assert len(set(taken)) == len(taken) == NODES * 60


async def test_jobs_of_one_name_made_at_once_are_one_job(nodes: list[StoreWorld], world: StoreWorld) -> None:
    made = await asyncio.gather(*(node.a_job("same") for node in nodes), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in made) == 1
    assert all("there is a schedule" in str(one) for one in made if isinstance(one, BaseException))


async def test_things_that_are_equal_are_interned_once(nodes: list[StoreWorld], world: StoreWorld) -> None:
    await asyncio.gather(*(node.a_job(f"job-{i}") for i, node in enumerate(nodes)))
    assert await world.one("SELECT count(*) FROM timetable") == 1


async def test_a_deadlock_is_carried_out_again(nodes: list[StoreWorld], world: StoreWorld) -> None:
    await world.sql("INSERT INTO instance VALUES ('a', '0'), ('b', '0')")
    met = asyncio.Event()
    loop = asyncio.get_running_loop()
    arrived: list[str] = []

    def both(first: str, second: str) -> object:
        def write(tx: Tx) -> None:
            bump = "UPDATE instance SET value = CAST(CAST(value AS integer) + 1 AS text) WHERE key = ?"
            tx.driver.execute(bump, (first,))
            arrived.append(first)
            if len(arrived) == 2:
                loop.call_soon_threadsafe(met.set)
            if len(arrived) <= 2:  # the first time each waits until the other holds its row
                asyncio.run_coroutine_threadsafe(met.wait(), loop).result()
            tx.driver.execute(bump, (second,))

        return write

    one, other = both("a", "b"), both("b", "a")
    await asyncio.gather(nodes[0].store.write(one), nodes[1].store.write(other))  # type: ignore[arg-type]
    assert await world.sql("SELECT key, value FROM instance ORDER BY key") == [("a", "2"), ("b", "2")]
    assert len(arrived) == 3
