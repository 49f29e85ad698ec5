"""A SQLite store on a full disk, behind a lock that is held, beside another process that writes at the same time."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from rota.domain.errors import Unavailable
from rota.domain.reasons import Reason
from rota.ports import Tx
from rota.storage import tables
from rota.storage.executor import ThreadExecutor
from rota.storage.finishing import settle
from rota.storage.sqlite import READERS, SqliteStore
from tests.contract.store_world import StoreWorld, a_store
from tests.support.clock import ManualClock


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    made = a_store(tmp_path / "rota.db", clock, ThreadExecutor(readers=READERS))
    yield made
    made.close()


@pytest.fixture
def world(store: SqliteStore, clock: ManualClock) -> StoreWorld:
    return StoreWorld(store, clock)


async def fill_up(store: SqliteStore) -> None:
    """From now on the file cannot grow, as on a full disk."""
    await store.write(lambda tx: tx.driver.execute("PRAGMA max_page_count = 1").fetchall())


async def free_space(store: SqliteStore) -> None:
    await store.write(lambda tx: tx.driver.execute("PRAGMA max_page_count = 1000000").fetchall())


def put_much(tx: Tx) -> None:
    for i in range(200):
        tx.driver.execute("INSERT INTO instance VALUES (?, ?)", (f"{i}", "x" * 4000))


async def count(store: SqliteStore) -> int:
    return int((await store.read(lambda tx: tx.driver.execute("SELECT count(*) FROM instance").fetchone()))[0])


async def test_a_full_disk_is_unavailable_with_nothing_half_written(store: SqliteStore) -> None:
    await fill_up(store)
    with pytest.raises(Unavailable, match="disk is full") as caught:
        await store.write(put_much)
    assert caught.value.retryable
    assert await count(store) == 0


async def test_a_full_disk_met_by_a_core_statement_is_unavailable_too(store: SqliteStore) -> None:
    await fill_up(store)
    rows = [{"key": f"{i}", "value": "x" * 4000} for i in range(200)]
    with pytest.raises(Unavailable, match="disk is full"):
        await store.write(lambda tx: tx.execute(insert(tables.instance), rows))
    assert await count(store) == 0


async def test_reading_goes_on_while_the_disk_is_full(store: SqliteStore, world: StoreWorld) -> None:
    await world.a_job("there")
    await fill_up(store)
    with pytest.raises(Unavailable):
        await store.write(put_much)
    assert await store.read(lambda tx: tx.driver.execute("SELECT name FROM job").fetchall()) == [("there",)]


async def test_writing_works_again_once_there_is_space(store: SqliteStore) -> None:
    await fill_up(store)
    with pytest.raises(Unavailable):
        await store.write(put_much)
    await free_space(store)
    await store.write(put_much)
    assert await count(store) == 200


async def test_every_write_that_shared_the_failed_commit_hears_of_it(store: SqliteStore) -> None:
    await fill_up(store)
    results = await asyncio.gather(*(store.write(put_much) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, Unavailable) for result in results)
    assert await count(store) == 0


async def test_a_lock_held_too_long_by_another_process_is_unavailable(store: SqliteStore) -> None:
    await store.write(lambda tx: tx.driver.execute("PRAGMA busy_timeout = 20").fetchall())
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another process holds the store") as caught:
        await store.write(lambda tx: tx.take_ids("run"))
    assert caught.value.hint == "see who: rota daemon status"
    other.execute("ROLLBACK")
    other.close()
    assert await store.write(lambda tx: tx.take_ids("run")) == 1


async def test_a_second_process_may_write_at_the_same_time(store: SqliteStore, world: StoreWorld) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from rota.clock import SystemClock
from rota.storage.sqlite import SqliteStore
async def main():
    store = SqliteStore(Path({str(store.path)!r}), clock=SystemClock())
    print("ready", flush=True)
    sys.stdin.readline()
    print(*[await store.write(lambda tx: tx.take_ids("run")) for _ in range(60)])
    store.close()
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    child.stdin.write(b"\n")
    ours = [await store.write(lambda tx: tx.take_ids("run")) for _ in range(60)]
    theirs = [int(word) for word in (await child.communicate())[0].split()]
    assert sorted(ours + theirs) == list(range(1, 121))


async def test_a_failed_disk_is_told_to_whoever_can_stop_the_process(store: SqliteStore, world: StoreWorld) -> None:
    told: list[BaseException] = []
    store._on_fatal = told.append

    def fail(tx: Tx) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    with pytest.raises(Unavailable, match="disk does not answer"):
        await store.write(fail)
    assert len(told) == 1


async def test_a_verdict_that_met_a_full_disk_is_written_when_it_is_tried_again(
    store: SqliteStore, world: StoreWorld
) -> None:
    """The assignment must not have moved on with rows that were rolled back."""
    run_id, [work] = await world.make()
    report = world.report(work)
    onward = type(report)(work=work, attempt=report.attempt, then=(1, 1))

    def settle_then_fail(tx: Tx) -> None:
        settle(tx, [onward])
        put_much(tx)

    await fill_up(store)
    with pytest.raises(Unavailable):
        await store.write(settle_then_fail)
    await free_space(store)
    await world.settle(onward)
    await world.end(work, reason=Reason.STEP_FAILED)
    assert await world.sql("SELECT step, number, state FROM attempt") == [(0, 1, "succeeded"), (1, 1, "succeeded")]
    assert await world.runs("id, state") == [(run_id, "succeeded")]
