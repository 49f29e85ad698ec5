"""What every store promises of `write`, `read` and ids (`ports.Store`, `ports.Tx`)."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, select

from rota.domain.errors import Conflict, Unavailable
from rota.ports import Tx
from rota.storage import tables
from tests.contract.store_world import REFUSED, AnyStore, StoreWorld, outside
from tests.support.clock import NOON, ManualClock


def put(tx: Tx, key: str, value: str = "1") -> None:
    tx.driver.execute("INSERT INTO instance (key, value) VALUES (?, ?)", (key, value))


def keys(tx: Tx) -> set[str]:
    return {key for (key,) in tx.driver.execute("SELECT key FROM instance")}


async def test_what_was_written_is_durable_before_write_returns(store: AnyStore) -> None:
    await store.write(lambda tx: put(tx, "a"))
    assert outside(store, "SELECT key FROM instance") == [("a",)]


async def test_a_write_gives_back_what_its_function_returns(store: AnyStore) -> None:
    assert await store.write(lambda tx: 42) == 42


async def test_a_function_that_raises_leaves_nothing_behind(store: AnyStore) -> None:
    def half(tx: Tx) -> None:
        put(tx, "half")
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(half)
    assert await store.read(keys) == set()


async def test_of_writes_that_share_a_commit_only_the_one_that_raises_is_undone(store: AnyStore) -> None:
    def half(tx: Tx) -> None:
        put(tx, "half")
        raise Conflict("no")

    writes = [store.write(half if i == 7 else lambda tx, i=i: put(tx, f"k{i}")) for i in range(20)]  # type: ignore[misc]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [i for i, result in enumerate(results) if result is not None] == [7]
    assert await store.read(keys) == {f"k{i}" for i in range(20) if i != 7}


async def test_a_failing_statement_undoes_only_its_own_write(store: AnyStore) -> None:
    await store.write(lambda tx: put(tx, "a"))
    results = await asyncio.gather(
        store.write(lambda tx: put(tx, "a")), store.write(lambda tx: put(tx, "b")), return_exceptions=True
    )
    assert isinstance(results[0], REFUSED)
    assert await store.read(keys) == {"a", "b"}


async def test_the_first_core_statement_may_come_in_the_middle_of_a_write(store: AnyStore) -> None:
    def mixed(tx: Tx) -> None:
        put(tx, "by driver")
        tx.execute(insert(tables.instance).values(key="by core", value="1"))

    await store.write(mixed)
    assert await store.read(keys) == {"by driver", "by core"}


async def test_core_statements_are_undone_with_their_write(store: AnyStore) -> None:
    def mixed(tx: Tx) -> None:
        put(tx, "by driver")
        tx.execute(insert(tables.instance).values(key="by core", value="1"))
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(mixed)
    assert await store.read(keys) == set()


async def test_a_read_that_uses_core_keeps_its_snapshot(store: AnyStore) -> None:
    await store.write(lambda tx: put(tx, "a"))

    def look(tx: Tx) -> tuple[set[str], list[str]]:
        before = keys(tx)
        outside(store, "INSERT INTO instance VALUES ('b', '1')")
        return before, list(tx.execute(select(tables.instance.c.key)).scalars())

    assert await store.read(look) == ({"a"}, ["a"])


async def test_a_reader_sees_every_write_acknowledged_before(store: AnyStore) -> None:
    for i in range(20):
        await store.write(lambda tx, i=i: put(tx, f"k{i}"))  # type: ignore[misc]
        assert len(await store.read(keys)) == i + 1


async def test_a_reader_cannot_write(store: AnyStore) -> None:
    with pytest.raises(Unavailable, match="read-only"):
        await store.read(lambda tx: put(tx, "a"))
    assert await store.read(keys) == set()


async def test_what_a_reader_raises_reaches_its_caller_and_the_reader_serves_on(store: AnyStore) -> None:
    def fail(tx: Tx) -> None:
        raise Conflict("no")

    for _ in range(10):
        with pytest.raises(Conflict):
            await store.read(fail)
    assert await store.read(keys) == set()


async def test_many_readers_at_once_are_all_served(store: AnyStore) -> None:
    assert await asyncio.gather(*(store.read(keys) for _ in range(50))) == [set()] * 50


async def test_the_time_of_a_transaction_is_the_clock_it_was_built_with(store: AnyStore, clock: ManualClock) -> None:
    assert await store.write(lambda tx: tx.at) == NOON
    clock.advance(1.5)
    assert await store.read(lambda tx: tx.at) == NOON + 1_500_000


async def test_ids_are_consecutive_and_never_given_twice(store: AnyStore) -> None:
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


async def test_an_id_of_a_write_that_failed_is_a_gap_or_given_again(store: AnyStore) -> None:
    def fail(tx: Tx) -> None:
        tx.take_ids("run", 5)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(fail)
    assert await store.write(lambda tx: tx.take_ids("run")) in {1, 6}


async def test_public_ids_are_sixteen_hex_digits_each_its_own(store: AnyStore) -> None:
    ids = await store.write(lambda tx: tx.new_public_ids(500))
    assert len(set(ids)) == 500
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)


async def test_public_ids_of_a_batch_are_in_order_and_in_one_region_of_the_index(store: AnyStore) -> None:
    ids = await store.write(lambda tx: tx.new_public_ids(500))
    assert list(ids) == sorted(ids)
    assert len({one[:2] for one in ids}) == 1


async def test_eight_writers_at_once_lose_nothing(store: AnyStore) -> None:
    await store.write(lambda tx: put(tx, "n", "0"))

    def add_one(tx: Tx) -> None:
        (value,) = tx.driver.execute("SELECT value FROM instance WHERE key = 'n' /*pg: FOR UPDATE */").fetchone()
        tx.driver.execute("UPDATE instance SET value = ? WHERE key = 'n'", (str(int(value) + 1),))

    async def writer() -> None:
        for _ in range(25):
            await store.write(add_one)

    await asyncio.gather(*(writer() for _ in range(8)))
    assert await store.read(lambda tx: tx.driver.execute("SELECT value FROM instance WHERE key = 'n'").fetchone()) == (
        "200",
    )


async def test_a_caller_that_goes_away_does_not_undo_its_write(store: AnyStore) -> None:
    task = asyncio.create_task(store.write(lambda tx: put(tx, "a")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.write(lambda tx: None)  # behind it in the queue
    assert await store.read(keys) == {"a"}


async def test_a_closed_store_says_so(store: AnyStore) -> None:
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.write(keys)
    with pytest.raises(Unavailable, match="closed"):
        await store.read(keys)


async def test_what_was_begun_is_finished_when_the_store_closes(store: AnyStore) -> None:
    writes = [asyncio.create_task(store.write(lambda tx, i=i: put(tx, f"k{i}"))) for i in range(30)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await asyncio.to_thread(store.close)
    await asyncio.gather(*writes)
    assert outside(store, "SELECT count(*) FROM instance") == [(30,)]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 200])
async def test_many_rows_of_one_insert_are_what_one_by_one_would_be(world: StoreWorld, count: int) -> None:
    """Few rows and many go different ways on PostgreSQL. Constants, gaps, odd characters: all are kept."""
    text = "tab\t newline\n backslash\\N quote' ü"
    rows = [(i, 1, i % 3, i + 1, 7) for i in range(count)]

    def insert_all(tx: Tx) -> tuple[int, int]:
        attempts = (
            "INSERT INTO attempt (id, run_target_id, step, number, state, intended_at)"
            " VALUES (?, ?, ?, ?, 'running', ?)"
        )
        found = tx.driver.executemany(attempts, rows).rowcount
        entries = [(f"k{i}", text) for i in range(count)]
        return found, tx.driver.executemany("INSERT INTO instance (key, value) VALUES (?, ?)", entries).rowcount

    assert await world.store.write(insert_all) == (count, count)
    assert await world.sql("SELECT id, run_target_id, step, number, intended_at FROM attempt ORDER BY id") == rows
    assert await world.sql("SELECT DISTINCT state, message FROM attempt") == ([("running", None)] if count else [])
    assert await world.sql("SELECT DISTINCT value FROM instance") == ([(text,)] if count else [])


@pytest.mark.parametrize("count", [3, 40])
async def test_many_rows_of_which_one_is_refused_leave_nothing(world: StoreWorld, count: int) -> None:
    rows = [(f"k{i}", "v") for i in range(count)]
    with pytest.raises(REFUSED, match=r"(?i)unique"):
        await world.store.write(
            lambda tx: tx.driver.executemany("INSERT INTO instance (key, value) VALUES (?, ?)", [*rows, rows[0]])
        )
    assert await world.store.read(keys) == set()
