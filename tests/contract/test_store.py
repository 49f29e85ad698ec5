"""What every store promises of `write`, `read` and ids (`ports.Store`, `ports.Tx`)."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest
from sqlalchemy import insert, select

from rota.domain.errors import Conflict, Unavailable
from rota.ports import Tx
from rota.storage import tables
from rota.storage.sqlite import SqliteStore
from tests.contract.store_world import StoreWorld
from tests.support.clock import NOON, ManualClock


def put(tx: Tx, key: str, value: str = "1") -> None:
    tx.driver.execute("INSERT INTO instance (key, value) VALUES (?, ?)", (key, value))


def keys(tx: Tx) -> set[str]:
    return {key for (key,) in tx.driver.execute("SELECT key FROM instance")}


async def test_what_was_written_is_durable_before_write_returns(store: SqliteStore) -> None:
    await store.write(lambda tx: put(tx, "a"))
    elsewhere = sqlite3.connect(store.path)
    assert elsewhere.execute("SELECT key FROM instance").fetchall() == [("a",)]
    elsewhere.close()


async def test_a_write_gives_back_what_its_function_returns(store: SqliteStore) -> None:
    assert await store.write(lambda tx: 42) == 42


async def test_a_function_that_raises_leaves_nothing_behind(store: SqliteStore) -> None:
    def half(tx: Tx) -> None:
        put(tx, "half")
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(half)
    assert await store.read(keys) == set()


async def test_of_writes_that_share_a_commit_only_the_one_that_raises_is_undone(store: SqliteStore) -> None:
    def half(tx: Tx) -> None:
        put(tx, "half")
        raise Conflict("no")

    writes = [store.write(half if i == 7 else lambda tx, i=i: put(tx, f"k{i}")) for i in range(20)]  # type: ignore[misc]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [i for i, result in enumerate(results) if result is not None] == [7]
    assert await store.read(keys) == {f"k{i}" for i in range(20) if i != 7}


async def test_a_failing_statement_undoes_only_its_own_write(store: SqliteStore) -> None:
    await store.write(lambda tx: put(tx, "a"))
    results = await asyncio.gather(
        store.write(lambda tx: put(tx, "a")), store.write(lambda tx: put(tx, "b")), return_exceptions=True
    )
    assert isinstance(results[0], sqlite3.IntegrityError)
    assert await store.read(keys) == {"a", "b"}


async def test_the_first_core_statement_may_come_in_the_middle_of_a_write(store: SqliteStore) -> None:
    def mixed(tx: Tx) -> None:
        put(tx, "by driver")
        tx.execute(insert(tables.instance).values(key="by core", value="1"))

    await store.write(mixed)
    assert await store.read(keys) == {"by driver", "by core"}


async def test_core_statements_are_undone_with_their_write(store: SqliteStore) -> None:
    def mixed(tx: Tx) -> None:
        put(tx, "by driver")
        tx.execute(insert(tables.instance).values(key="by core", value="1"))
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(mixed)
    assert await store.read(keys) == set()


async def test_a_read_that_uses_core_keeps_its_snapshot(store: SqliteStore) -> None:
    await store.write(lambda tx: put(tx, "a"))

    def look(tx: Tx) -> tuple[set[str], list[str]]:
        before = keys(tx)
        other = sqlite3.connect(store.path)
        other.execute("INSERT INTO instance VALUES ('b', '1')")
        other.commit()
        other.close()
        return before, list(tx.execute(select(tables.instance.c.key)).scalars())

    assert await store.read(look) == ({"a"}, ["a"])


async def test_a_reader_sees_every_write_acknowledged_before(store: SqliteStore) -> None:
    for i in range(20):
        await store.write(lambda tx, i=i: put(tx, f"k{i}"))  # type: ignore[misc]
        assert len(await store.read(keys)) == i + 1


async def test_a_reader_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(Unavailable, match="read-only"):
        await store.read(lambda tx: put(tx, "a"))
    assert await store.read(keys) == set()


async def test_what_a_reader_raises_reaches_its_caller_and_the_reader_serves_on(store: SqliteStore) -> None:
    def fail(tx: Tx) -> None:
        raise Conflict("no")

    for _ in range(10):
        with pytest.raises(Conflict):
            await store.read(fail)
    assert await store.read(keys) == set()


async def test_many_readers_at_once_are_all_served(store: SqliteStore) -> None:
    assert await asyncio.gather(*(store.read(keys) for _ in range(50))) == [set()] * 50


async def test_the_time_of_a_transaction_is_the_clock_it_was_built_with(store: SqliteStore, clock: ManualClock) -> None:
    assert await store.write(lambda tx: tx.at) == NOON
    clock.advance(1.5)
    assert await store.read(lambda tx: tx.at) == NOON + 1_500_000


async def test_ids_are_consecutive_and_never_given_twice(store: SqliteStore) -> None:
    blocks = await asyncio.gather(*(store.write(lambda tx, n=n: tx.take_ids("run", n)) for n in range(1, 30)))  # type: ignore[misc]
    taken = [first + i for first, n in zip(blocks, range(1, 30), strict=True) for i in range(n)]
    assert sorted(taken) == list(range(1, len(taken) + 1))


async def test_an_id_is_not_given_again_after_every_row_is_gone(world: StoreWorld) -> None:
    _, work = await world.make()
    await world.end(*work)
    for table in ("attempt", "run_target", "run"):
        await world.sql(f"DELETE FROM {table}")
    again, [target] = await world.make()
    assert (again, target.target_id, target.attempt_id) == (2, 2, 2)


async def test_an_id_of_a_write_that_failed_may_be_given_again_but_no_row_has_it(store: SqliteStore) -> None:
    def fail(tx: Tx) -> None:
        tx.take_ids("run", 5)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(fail)
    assert await store.write(lambda tx: tx.take_ids("run")) == 1


async def test_public_ids_are_sixteen_hex_digits_each_its_own(store: SqliteStore) -> None:
    ids = await store.write(lambda tx: tx.new_public_ids(500))
    assert len(set(ids)) == 500
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)


async def test_eight_writers_at_once_lose_nothing(store: SqliteStore) -> None:
    await store.write(lambda tx: put(tx, "n", "0"))

    def add_one(tx: Tx) -> None:
        (value,) = tx.driver.execute("SELECT value FROM instance WHERE key = 'n'").fetchone()
        tx.driver.execute("UPDATE instance SET value = ? WHERE key = 'n'", (str(int(value) + 1),))

    async def writer() -> None:
        for _ in range(25):
            await store.write(add_one)

    await asyncio.gather(*(writer() for _ in range(8)))
    assert await store.read(lambda tx: tx.driver.execute("SELECT value FROM instance WHERE key = 'n'").fetchone()) == (
        "200",
    )


async def test_a_caller_that_goes_away_does_not_undo_its_write(store: SqliteStore) -> None:
    task = asyncio.create_task(store.write(lambda tx: put(tx, "a")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.write(lambda tx: None)  # behind it in the queue
    assert await store.read(keys) == {"a"}


async def test_a_closed_store_says_so(store: SqliteStore) -> None:
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.write(keys)
    with pytest.raises(Unavailable, match="closed"):
        await store.read(keys)


async def test_what_was_begun_is_finished_when_the_store_closes(store: SqliteStore) -> None:
    writes = [asyncio.create_task(store.write(lambda tx, i=i: put(tx, f"k{i}"))) for i in range(30)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await asyncio.to_thread(store.close)
    await asyncio.gather(*writes)
    elsewhere = sqlite3.connect(store.path)
    assert elsewhere.execute("SELECT count(*) FROM instance").fetchone() == (30,)
    elsewhere.close()
