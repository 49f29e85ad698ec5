"""A PostgreSQL store whose server goes away, comes back, refuses, or does not answer when it matters."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from rota.clock import SystemClock
from rota.domain.errors import Conflict, Unavailable
from rota.domain.instant import SECOND
from rota.ports import Tx
from rota.storage.database_clock import DatabaseClock
from rota.storage.output import Chunk
from rota.storage.postgres import PostgresStore
from rota.storage.postgres_dialect import translated
from rota.storage.postgres_link import Server
from rota.storage.postgres_output import PostgresOutput
from rota.storage.postgres_schema import prepare
from rota.storage.sqlite import SCHEMA_VERSION
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres, emptied
from tests.support.postgres_proxy import Proxy, a_proxy


@pytest.fixture
def url(store_database: str) -> str:
    """An empty store."""
    return emptied(store_database)


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with a_proxy(url) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: Proxy) -> Iterator[PostgresStore]:
    """A store whose line to the server can be cut."""
    made = PostgresStore(proxy.conninfo, clock=ManualClock())
    yield made
    made.close()


COMMIT = b"COMMIT\0"  # "READ COMMITTED" is said before


def put(tx: Tx, key: str = "a") -> None:
    tx.driver.execute("INSERT INTO instance (key, value) VALUES (?, '1')", (key,))


def keys(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM instance")}


async def test_a_commit_whose_answer_was_lost_is_found_to_have_been_made(
    store: PostgresStore, proxy: Proxy, url: str
) -> None:
    calls = []

    def write(tx: Tx) -> str:
        calls.append(1)
        put(tx)
        return "done"

    proxy.cut_at(COMMIT, after=True)
    assert await store.write(write) == "done"
    assert (len(calls), keys(url)) == (1, {"a"})


async def test_a_commit_that_never_arrived_is_unavailable_and_was_not_made(
    store: PostgresStore, proxy: Proxy, url: str
) -> None:
    proxy.cut_at(COMMIT, after=False)
    with pytest.raises(Unavailable, match="lost") as caught:
        await store.write(put)
    assert caught.value.hint == "nothing of it was kept"
    assert keys(url) == set()


async def test_a_connection_lost_in_the_middle_is_unavailable_with_nothing_kept(
    store: PostgresStore, proxy: Proxy, url: str
) -> None:
    proxy.cut_at(b"INSERT", after=True)
    with pytest.raises(Unavailable, match="does not answer"):
        await store.write(put)
    assert keys(url) == set()
    await store.write(put)
    assert keys(url) == {"a"}


async def test_a_server_that_was_away_while_nobody_asked_is_not_noticed(store: PostgresStore, proxy: Proxy) -> None:
    await store.write(put)
    await store.read(lambda tx: tx.at)
    proxy.go_away()
    proxy.come_back()
    await store.write(lambda tx: put(tx, "b"))
    assert await store.read(lambda tx: len(tx.driver.execute("SELECT 1 FROM instance").fetchall())) == 2


async def test_while_the_server_is_away_everything_is_unavailable_and_then_works_again(
    store: PostgresStore, proxy: Proxy, url: str
) -> None:
    await store.write(put)
    proxy.go_away()
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await store.write(lambda tx: put(tx, "b"))
        with pytest.raises(Unavailable, match="cannot be reached"):
            await store.read(lambda tx: tx.at)
    proxy.come_back()
    await store.write(lambda tx: put(tx, "b"))
    assert keys(url) == {"a", "b"}


async def test_a_store_that_closes_while_a_commit_is_in_doubt_says_so(proxy: Proxy) -> None:
    store = PostgresStore(proxy.conninfo, clock=ManualClock())
    proxy.cut_at(COMMIT, after=True)

    def write_and_lose_the_server(tx: Tx) -> None:
        put(tx)
        proxy._away = True  # new connections are refused; this one is cut at its commit

    writing = asyncio.create_task(store.write(write_and_lose_the_server))
    await asyncio.sleep(0)
    await asyncio.to_thread(store.close)
    with pytest.raises(Unavailable, match="lost while it was written") as caught:
        await writing
    assert "not known" in caught.value.hint


async def test_a_function_that_swallows_a_failed_statement_does_not_seem_to_have_been_kept(
    store: PostgresStore, url: str
) -> None:
    """PostgreSQL undoes the whole transaction, and answers COMMIT with ROLLBACK."""

    def careless(tx: Tx) -> None:
        put(tx)
        with suppress(psycopg.Error):
            tx.driver.execute("SELECT nonsense")

    with pytest.raises(RuntimeError, match="nothing was kept"):
        await store.write(careless)
    assert keys(url) == set()


async def test_an_id_that_was_taken_while_the_line_was_cut_is_a_gap_at_worst(
    store: PostgresStore, proxy: Proxy
) -> None:
    first = await store.write(lambda tx: tx.take_ids("run"))
    proxy.cut_at(b"sequence", after=True)
    assert await store.write(lambda tx: tx.take_ids("run")) > first


async def test_output_goes_on_after_the_line_was_cut_and_no_piece_is_kept_twice(proxy: Proxy) -> None:
    output = PostgresOutput(proxy.conninfo, clock=SystemClock())
    await output.append([Chunk(1, 1, 0, b"one")])
    proxy.cut_at(COMMIT, after=True)
    await output.append([Chunk(1, 1, 3, b"two")])
    assert [bytes(item.data) for item in await output.after(1, 0, 10)] == [b"one", b"two"]
    output.close()


async def test_the_time_is_the_servers_where_the_clock_follows_it(url: str) -> None:
    machine = ManualClock()
    clock = DatabaseClock(machine)
    store = PostgresStore(url, clock=clock)
    at = await store.write(lambda tx: tx.at)
    store.close()
    assert abs(at - SystemClock().now()) < 60 * SECOND
    assert (clock.now(), clock.ahead) == (at, at - machine.now())
    machine.advance(5)
    assert clock.now() == at + 5 * SECOND


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_text_with_a_nul_is_kept_with_a_mark_in_its_place(url: str, count: int) -> None:
    store = PostgresStore(url, clock=ManualClock())
    insert, rows = "INSERT INTO instance (key, value) VALUES (?, ?)", [(f"k{i}", "a\0b") for i in range(count)]
    if count == 1:
        await store.write(lambda tx: tx.driver.execute(insert, rows[0]))
    else:
        await store.write(lambda tx: tx.driver.executemany(insert, rows))
    found = await store.read(lambda tx: tx.driver.execute("SELECT value FROM instance").fetchall())
    assert found == [("a\ufffdb",)] * count
    store.close()


def test_a_server_that_does_not_answer_is_not_waited_for_by_everybody() -> None:
    """A listener that takes connections and says nothing: seen after `connect_timeout`, then told at once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server(f"postgresql://rota@127.0.0.1:{silent.getsockname()[1]}/rota?connect_timeout=2")
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(Unavailable, match="cannot be reached"):
                server.connect()
        assert time.monotonic() - began < 4 * 2


def test_a_password_is_in_no_message(proxy: Proxy) -> None:
    proxy.go_away()
    with pytest.raises(Unavailable) as caught:
        prepare(proxy.conninfo + " password=hunter2", create=True)
    assert "hunter2" not in str(caught.value) + repr(caught.value.__cause__)


def test_an_url_that_is_none_says_what_one_looks_like() -> None:
    with pytest.raises(Unavailable) as caught:
        prepare("postgresql://[what", create=True)
    assert caught.value.expected == "postgresql://USER@HOST/DATABASE"


# The schema


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """A database with nothing in it."""
    with postgres.a_database() as url:
        yield url


def test_a_store_is_made_once_by_however_many_come_at_once(empty: str) -> None:
    async def at_once() -> list[bool]:
        return await asyncio.gather(*(asyncio.to_thread(prepare, empty, create=True) for _ in range(3)))

    asyncio.run(at_once())
    assert prepare(empty, create=True) is False


def test_a_database_without_a_store_says_how_to_make_one(empty: str) -> None:
    with pytest.raises(Unavailable, match="no Rota store") as caught:
        prepare(empty, create=False)
    assert caught.value.hint == "make one: rota db upgrade"


def test_a_database_of_another_program_is_refused_and_left_alone(empty: str) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute("CREATE TABLE recipes (name text)")
    with pytest.raises(Unavailable, match="not those of a Rota store"):
        prepare(empty, create=True)
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall() == [
            ("recipes",)
        ]


def test_a_store_of_a_newer_rota_is_refused(empty: str) -> None:
    prepare(empty, create=True)
    with psycopg.connect(empty) as connection:
        connection.execute(f"UPDATE alembic_version SET version_num = '{SCHEMA_VERSION + 1:04}'")
    with pytest.raises(Unavailable, match="newer Rota"):
        prepare(empty, create=True)


def test_an_older_store_is_upgraded_only_when_told(empty: str) -> None:
    prepare(empty, create=True)
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(Unavailable, match="schema 1") as caught:
        prepare(empty, create=True, upgrade=False)
    assert "rota db upgrade" in caught.value.hint


def test_texts_are_in_the_order_of_their_bytes_as_on_sqlite(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO instance VALUES ('b', ''), ('B', ''), ('a', ''), ('_', '')")
        found = connection.execute("SELECT key FROM instance ORDER BY key").fetchall()
    assert [key for (key,) in found] == ["B", "_", "a", "b"]


# One text for both


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT ? + ?", "SELECT $1 + $2"),
        ("WHERE key IS /*pg: NOT DISTINCT FROM */ ?", "WHERE key IS NOT DISTINCT FROM $1"),
        ("FROM json_each(?) /*pg instead: elements(?) */ x", "FROM elements($1) x"),
        ("WHERE /*pg: id IN (SELECT id WHERE */ a < ? /*pg: ) */", "WHERE id IN (SELECT id WHERE a < $1 )"),
    ],
)  # fmt: skip
def test_a_statement_says_what_postgresql_must_be_told_otherwise(statement: str, said: str) -> None:
    assert translated(statement) == said


async def test_what_a_function_raises_after_a_conflict_is_told_as_it_is(store: PostgresStore) -> None:
    def fail(tx: Tx) -> None:
        put(tx)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await store.write(fail)
