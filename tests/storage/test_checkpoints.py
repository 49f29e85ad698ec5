"""The WAL is carried back into the database file beside the writer."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rota.ports import Tx
from rota.storage.checkpoints import PORTION, ROWS_A_PAGE, Checkpointer
from rota.storage.schema import prepare
from rota.storage.sqlite import SqliteStore
from tests.support.clock import ManualClock

ENOUGH = PORTION * ROWS_A_PAGE  # rows for a portion


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that never carries anything back by itself."""
    with closing(sqlite3.connect(tmp_path / "some.db", isolation_level=None)) as driver:
        driver.executescript("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x INTEGER);")
        yield driver


def never(error: sqlite3.Error) -> None:
    raise error


def write(driver: sqlite3.Connection, rows: int) -> int:
    """Commit so many rows; how many the connection has changed by now."""
    driver.execute("BEGIN")
    driver.executemany("INSERT INTO t VALUES (?)", [(row,) for row in range(rows)])
    driver.execute("COMMIT")
    return driver.total_changes


def in_the_file(path: Path) -> int:
    """How many rows the database file holds by itself, without its WAL."""
    alone = path.with_name("alone.db")
    shutil.copy(path, alone)
    with closing(sqlite3.connect(alone)) as driver:
        try:
            return int(driver.execute("SELECT count(*) FROM t").fetchone()[0])
        except sqlite3.OperationalError:  # not even the table
            return 0


def test_a_portion_of_changes_is_carried_back(writer: sqlite3.Connection, tmp_path: Path) -> None:
    checkpoints = Checkpointer(tmp_path / "some.db", failed=never)
    checkpoints.committed(write(writer, ENOUGH))
    checkpoints.close()
    assert in_the_file(tmp_path / "some.db") == ENOUGH


def test_less_than_a_portion_is_left_in_the_wal(writer: sqlite3.Connection, tmp_path: Path) -> None:
    checkpoints = Checkpointer(tmp_path / "some.db", failed=never)
    checkpoints.committed(write(writer, ENOUGH // 2))
    checkpoints.close()
    assert in_the_file(tmp_path / "some.db") == 0


def test_it_holds_up_no_writer(writer: sqlite3.Connection, tmp_path: Path) -> None:
    changes = write(writer, ENOUGH)
    writer.execute("BEGIN IMMEDIATE")
    checkpoints = Checkpointer(tmp_path / "some.db", failed=never)
    checkpoints.committed(changes)
    checkpoints.close()  # while the writer is in the middle of a transaction
    writer.execute("COMMIT")
    assert in_the_file(tmp_path / "some.db") == ENOUGH


def test_what_goes_wrong_is_told_and_it_goes_on(writer: sqlite3.Connection, tmp_path: Path) -> None:
    errors: list[sqlite3.Error] = []
    checkpoints = Checkpointer(tmp_path / "nowhere" / "some.db", failed=errors.append)
    checkpoints.committed(ENOUGH)
    checkpoints.committed(2 * ENOUGH)
    checkpoints.close()
    assert errors
    assert all(isinstance(error, sqlite3.OperationalError) for error in errors)


async def test_a_store_carries_back_what_it_commits(tmp_path: Path) -> None:
    path = tmp_path / "rota.db"
    prepare(path, create=True)
    store = SqliteStore(path, clock=ManualClock())
    reader = sqlite3.connect(path, isolation_level=None)  # so that closing the store carries nothing back

    def fill(tx: Tx) -> None:
        tx.driver.execute("CREATE TABLE t (x INTEGER)")
        tx.driver.executemany("INSERT INTO t VALUES (?)", [(row,) for row in range(ENOUGH)])

    try:
        await store.write(fill)
    finally:
        await asyncio.to_thread(store.close)
    assert in_the_file(path) == ENOUGH
    reader.close()
