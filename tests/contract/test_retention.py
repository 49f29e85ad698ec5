"""Old history goes, with everything that hangs on it; the newest runs of a job stay whatever their age."""

from __future__ import annotations

from rota.domain.instant import DAY
from rota.storage.retention import KEPT_PER_JOB, delete_old_ledger, delete_old_runs
from tests.contract.store_world import StoreWorld


async def some_runs(world: StoreWorld, count: int, **fields: object) -> None:
    for _ in range(count):
        _, work = await world.make(**fields)  # type: ignore[arg-type]
        await world.end(*work)


async def sweep(world: StoreWorld, *, limit: int = 500) -> list[int]:
    before = world.clock.now() - 90 * DAY
    return await world.store.write(lambda tx: delete_old_runs(tx, before=before, limit=limit))


async def test_runs_older_than_the_keep_go_and_younger_ones_stay(world: StoreWorld) -> None:
    await some_runs(world, 2)
    world.clock.advance(91 * 86400)
    await some_runs(world, 1)
    assert await sweep(world) == [1, 2]
    assert await world.runs("id") == [3]


async def test_the_newest_twenty_of_each_job_stay_whatever_their_age(world: StoreWorld) -> None:
    jobs = [await world.a_job("a"), await world.a_job("b")]
    for job in jobs:
        await some_runs(world, KEPT_PER_JOB + 3, job=job)
    world.clock.advance(1000 * 86400)
    assert len(await sweep(world)) == 6
    for job in jobs:
        assert len(await world.runs("id", f"job_id = {job.id}")) == KEPT_PER_JOB == 20
    assert await sweep(world) == []


async def test_what_has_not_ended_stays(world: StoreWorld) -> None:
    await world.make()
    world.clock.advance(1000 * 86400)
    assert await sweep(world) == []


async def test_nothing_is_left_hanging(world: StoreWorld) -> None:
    job = await world.a_job()
    await some_runs(world, KEPT_PER_JOB + 5, job=job, targets=3)
    values = "('k', 'runs', 'digest', 1, 0)"
    await world.sql(f"INSERT INTO idempotency_key (key, route, request, run_id, at) VALUES {values}")
    world.clock.advance(1000 * 86400)
    await sweep(world)
    for table in ("run_target", "outbox", "idempotency_key"):
        assert await world.one(f"SELECT count(*) FROM {table} WHERE run_id NOT IN (SELECT id FROM run)") == 0
    assert await world.one("SELECT count(*) FROM attempt WHERE run_target_id NOT IN (SELECT id FROM run_target)") == 0
    assert await world.one("SELECT count(*) FROM job_state WHERE last_run_id NOT IN (SELECT id FROM run)") == 0


async def test_it_goes_in_batches(world: StoreWorld) -> None:
    await some_runs(world, 7)
    world.clock.advance(1000 * 86400)
    assert [await sweep(world, limit=3) for _ in range(4)] == [[1, 2, 3], [4, 5, 6], [7], []]


async def test_old_refusals_go_by_when_they_were_decided(world: StoreWorld) -> None:
    await world.a_job()
    world.clock.advance(3630)
    await world.plan()
    before = world.clock.now()
    assert await world.store.write(lambda tx: delete_old_ledger(tx, before=before)) == 0
    assert await world.store.write(lambda tx: delete_old_ledger(tx, before=before + 1)) == 1
