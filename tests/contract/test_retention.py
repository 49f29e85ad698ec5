"""Old history goes, with everything that hangs on it; the newest runs of a job stay whatever their age."""

from __future__ import annotations

from rota.domain.instant import DAY
from rota.storage import retention
from rota.storage.jobs import delete_job
from rota.storage.retention import KEPT_PER_JOB, delete_old_ledger
from tests.contract.store_world import StoreWorld


async def some_runs(world: StoreWorld, count: int, **fields: object) -> None:
    for _ in range(count):
        _, work = await world.make(**fields)  # type: ignore[arg-type]
        await world.end(*work)


async def old_runs(world: StoreWorld) -> list[int]:
    """All that may go, as a whole round finds them."""
    before, after, found = world.clock.now() - 90 * DAY, 0, list[int]()
    while True:
        look = await world.store.read(lambda tx, a=after: retention.find_old_runs(tx, before=before, after=a))  # type: ignore[misc]
        found += [run.id for run in look.runs]
        if look.after is None:
            return found
        after = look.after


async def sweep(world: StoreWorld) -> list[int]:
    ids = await old_runs(world)
    await world.store.write(lambda tx: retention.delete_runs(tx, ids))
    return ids


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


async def test_a_job_that_was_deleted_keeps_none_of_them(world: StoreWorld) -> None:
    job = await world.a_job()
    await some_runs(world, 3, job=job)
    await world.store.write(lambda tx: delete_job(tx, job, why="it is not needed"))
    world.clock.advance(1000 * 86400)
    assert await sweep(world) == [1, 2, 3]


async def test_what_has_not_ended_stays(world: StoreWorld) -> None:
    await world.make()
    world.clock.advance(1000 * 86400)
    assert await sweep(world) == []


async def test_a_run_that_took_long_is_as_old_as_its_end(world: StoreWorld) -> None:
    _, work = await world.make()
    world.clock.advance(100 * 86400)
    await world.end(*work)
    assert await sweep(world) == []


async def test_nothing_is_left_hanging(world: StoreWorld) -> None:
    job = await world.a_job()
    await some_runs(world, KEPT_PER_JOB + 5, job=job, targets=3)
    world.clock.advance(1000 * 86400)
    assert len(await sweep(world)) == 5
    assert await world.one("SELECT count(*) FROM run_target WHERE run_id NOT IN (SELECT id FROM run)") == 0
    assert await world.one("SELECT count(*) FROM attempt WHERE run_target_id NOT IN (SELECT id FROM run_target)") == 0
    assert await world.one("SELECT count(*) FROM job_state WHERE last_run_id NOT IN (SELECT id FROM run)") == 0


async def test_a_run_of_many_targets_is_thinned_out_a_slice_at_a_time(world: StoreWorld) -> None:
    await world.cap(1)
    run_id, _ = await world.make(targets=1200, targets_at_once=1)
    await world.cancel(run_id)
    gone = [await world.store.write(lambda tx: retention.thin_out(tx, run_id)) for _ in range(4)]
    assert gone == [500, 500, 200, 0]


async def test_old_refusals_go_by_when_they_were_decided(world: StoreWorld) -> None:
    await world.a_job()
    world.clock.advance(3630)
    await world.plan()
    before = world.clock.now()
    assert await world.store.write(lambda tx: delete_old_ledger(tx, before=before)) == 0
    assert await world.store.write(lambda tx: delete_old_ledger(tx, before=before + 1)) == 1


async def test_refusals_go_in_slices_too(world: StoreWorld) -> None:
    rows = ", ".join(f"({n}, 1, 'j', 1, 'cron', 'missed', NULL, 0, 0, 1, NULL, {n})" for n in range(1, 2501))
    await world.sql(f"INSERT INTO ledger VALUES {rows}")
    gone = [await world.store.write(lambda tx: delete_old_ledger(tx, before=2400)) for _ in range(4)]
    assert gone == [1000, 1000, 399, 0]


async def test_events_that_nobody_has_delivered_stay_whatever_their_age(world: StoreWorld) -> None:
    await some_runs(world, 3)
    await world.sql("UPDATE outbox SET delivered_at = at WHERE id <> 2")
    before = world.clock.now() + 1
    end = await world.store.write(lambda tx: retention.delete_old_events(tx, before=before, after=0))
    assert (end, await world.sql("SELECT id FROM outbox")) == (None, [(2,)])


async def test_keys_and_owners_of_long_ago_go(world: StoreWorld) -> None:
    await world.sql("INSERT INTO idempotency_key VALUES ('old', 'r', 'd', 1, 1), ('young', 'r', 'd', 2, 9)")
    await world.sql(
        "INSERT INTO owner (id, kind, pid, started_at, ended_at)"
        " VALUES ('own_x', 'command', 1, 0, 1), ('own_y', 'daemon', 2, 0, NULL)"
    )
    await world.store.write(lambda tx: retention.delete_old_keys(tx, before=5, after=""))
    await world.store.write(lambda tx: retention.delete_ended_owners(tx, before=5))
    assert await world.sql("SELECT key FROM idempotency_key") == [("young",)]
    assert ("own_x",) not in await world.sql("SELECT id FROM owner")
    assert ("own_y",) in await world.sql("SELECT id FROM owner")
