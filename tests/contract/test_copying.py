"""A store that is copied to another database is the same store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rota.database.copying import Copied, copy
from rota.database.sides import OUTPUT, Side, open_side
from rota.domain.errors import Conflict, Unavailable
from rota.ports import Tx
from rota.storage.output import Chunk, OutputStore
from rota.storage.postgres import PostgresStore
from rota.storage.runs import history
from rota.storage.sqlite import SqliteStore
from tests.contract.store_world import AnyStore, StoreWorld, a_store, cron
from tests.support.clock import ManualClock
from tests.support.postgres import Postgres


@pytest.fixture
def fresh(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database."""
    with postgres.a_database() as url:
        yield url


@pytest.fixture
def at(tmp_path: Path) -> Callable[[str, str], Side]:
    """Opens a side: `at("sqlite", "old")` is a store in a folder of that name."""

    def opened(url: str, folder: str, *, create: bool = True) -> Side:
        (tmp_path / folder).mkdir(exist_ok=True)
        return open_side(url, tmp_path / folder / "rota.db", tmp_path / folder / "output.db", create=create)

    return opened


@pytest.fixture
async def filled(tmp_path: Path) -> Path:
    """A SQLite store with schedules, runs, refusals, hosts and output."""
    (tmp_path / "old").mkdir()
    clock = ManualClock()
    store = a_store(tmp_path / "old" / "rota.db", clock)
    world = StoreWorld(store, clock)
    for i in range(20):
        await world.a_job(f"job-{i}", cron(f"{i} * * * *"), enabled=i % 3 > 0)
    job = await world.a_job("often")
    await world.load_ahead(600)
    for _ in range(5):
        clock.advance(60)
        planned = await world.plan()
        await world.end(*planned.work)
    await world.make(job, owner=None)
    await world.sql("INSERT INTO instance VALUES ('odd', ?)", "tab\t backslash \\ newline \n NUL \0 ü €")
    store.close()
    output = OutputStore(tmp_path / "old" / "output.db")
    await output.append([Chunk(1, 1, 0, bytes(range(256))), Chunk(1, 1, 256, b"more")])
    output.close()
    return tmp_path / "old"


def between(source: Side, target: Side) -> Copied:
    try:
        return copy(source, target, tell=lambda name, rows: None)
    finally:
        source.close()
        target.close()


async def facts(store: AnyStore) -> object:
    """What a person sees of a store: when everything is due, and its history."""

    def look(tx: Tx) -> object:
        due = tx.driver.execute("SELECT trigger_id, nominal, high_water FROM due ORDER BY trigger_id").fetchall()
        return due, history(tx, limit=100), tx.driver.execute("SELECT name, public_id FROM job ORDER BY id").fetchall()

    return await store.read(look)


async def test_a_store_goes_to_postgresql_and_back_and_is_the_same(
    filled: Path, fresh: str, at: Callable[..., Side]
) -> None:
    there = between(at("sqlite", "old"), at(fresh, "old"))
    back = between(at(fresh, "new"), at("sqlite", "new"))
    assert there == back
    assert (there.rows["job"], there.rows["output"], there.rows["run"] > 5) == (21, 2, True)
    clock = ManualClock()
    first = SqliteStore(filled / "rota.db", clock=clock)
    middle = PostgresStore(fresh, clock=clock)
    last = SqliteStore(filled.parent / "new" / "rota.db", clock=clock)
    assert await facts(first) == await facts(middle) == await facts(last)
    for store in (first, middle, last):
        store.close()


async def test_ids_and_output_go_on_where_the_copied_store_left_off(
    filled: Path, fresh: str, at: Callable[..., Side]
) -> None:
    copied = between(at("sqlite", "old"), at(fresh, "old"))
    store = PostgresStore(fresh, clock=ManualClock())
    assert await store.write(lambda tx: tx.take_ids("run")) == copied.rows["run"] + 1
    store.close()
    side = at(fresh, "old")
    side.write(OUTPUT, [(100, 9, 9, 0, b"x")])
    assert side.count(OUTPUT) == 3
    side.close()


async def test_a_target_that_was_used_is_refused(filled: Path, fresh: str, at: Callable[..., Side]) -> None:
    between(at("sqlite", "old"), at(fresh, "old"))
    with pytest.raises(Conflict, match="used already"):
        between(at("sqlite", "old"), at(fresh, "old"))


async def test_a_source_where_something_runs_is_refused(filled: Path, fresh: str, at: Callable[..., Side]) -> None:
    store = SqliteStore(filled / "rota.db", clock=ManualClock())
    world = StoreWorld(store, ManualClock())
    await world.admit()
    assert await world.claim()
    store.close()
    with pytest.raises(Conflict, match="1 targets are at work"):
        between(at("sqlite", "old"), at(fresh, "old"))


async def test_what_is_read_back_otherwise_is_not_kept(filled: Path, fresh: str, at: Callable[..., Side]) -> None:
    target = at(fresh, "old")

    class Forgetful:
        def __getattr__(self, name: str) -> object:
            return getattr(target, name)

        def write(self, table: object, rows: object) -> None:
            kept = list(rows)  # type: ignore[call-overload]
            target.write(table, kept[:-1] if table.name == "job_version" else kept)  # type: ignore[attr-defined,arg-type]

    with pytest.raises(Unavailable, match="job_version was read back otherwise"):
        between(at("sqlite", "old"), Forgetful())  # type: ignore[arg-type]
    again = at(fresh, "old")
    assert all(again.count(table) == 0 for table in (OUTPUT,))
    again.close()
    assert between(at("sqlite", "old"), at(fresh, "old")).rows["job_version"] == 21
