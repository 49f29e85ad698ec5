"""A look at a store is spared only while it is certain that nobody has written since the last one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rota.domain.instant import SECOND
from rota.storage.unwritten import Unwritten
from tests.support.clock import ManualClock

WRITTEN = 1_800_000_000 * SECOND  # when the WAL was touched last, in the tests' own time


class Looks:
    """Counts looks; while `fails`, one raises."""

    def __init__(self) -> None:
        self.count, self.fails = 0, False

    async def __call__(self) -> None:
        self.count += 1
        if self.fails:
            raise RuntimeError("the store is away")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "some.db"


@pytest.fixture
def writer(store: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(store, isolation_level=None)) as driver:
        driver.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x INTEGER);")
        age(store, WRITTEN)
        yield driver


def age(store: Path, written: int) -> None:
    os.utime(f"{store}-wal", ns=(written * 1000, written * 1000))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(WRITTEN + 10 * SECOND)


@pytest.mark.usefixtures("writer")
async def test_one_look_is_enough_while_nobody_writes(store: Path, clock: ManualClock) -> None:
    looks, unwritten = Looks(), Unwritten(store, clock)
    for _ in range(5):
        await unwritten.spare(looks)
    assert looks.count == 1


async def test_a_write_of_another_process_is_looked_at(
    store: Path, clock: ManualClock, writer: sqlite3.Connection
) -> None:
    looks, unwritten = Looks(), Unwritten(store, clock)
    await unwritten.spare(looks)
    writer.execute("INSERT INTO t VALUES (1)")
    age(store, WRITTEN + SECOND)
    await unwritten.spare(looks)
    assert looks.count == 2


async def test_a_write_that_leaves_the_files_size_as_it_was_is_looked_at(
    store: Path, clock: ManualClock, writer: sqlite3.Connection
) -> None:
    writer.execute("INSERT INTO t VALUES (1)")
    writer.execute("PRAGMA wal_checkpoint(RESTART)")  # the next write begins the file anew
    size = Path(f"{store}-wal").stat().st_size
    age(store, WRITTEN)
    looks, unwritten = Looks(), Unwritten(store, clock)
    await unwritten.spare(looks)
    writer.execute("INSERT INTO t VALUES (2)")
    assert Path(f"{store}-wal").stat().st_size == size
    age(store, WRITTEN + SECOND)
    await unwritten.spare(looks)
    assert looks.count == 2


@pytest.mark.parametrize("ahead", [0, SECOND // 2, 3600 * SECOND], ids=["now", "half a second ago", "in the future"])
@pytest.mark.usefixtures("writer")
async def test_what_was_written_lately_proves_nothing(store: Path, clock: ManualClock, ahead: int) -> None:
    age(store, clock.now() + ahead if ahead > SECOND else clock.now() - ahead)
    looks, unwritten = Looks(), Unwritten(store, clock)
    for _ in range(3):
        await unwritten.spare(looks)
    assert looks.count == 3


@pytest.mark.usefixtures("writer")
async def test_a_look_that_failed_is_made_again(store: Path, clock: ManualClock) -> None:
    looks, unwritten = Looks(), Unwritten(store, clock)
    looks.fails = True
    with pytest.raises(RuntimeError):
        await unwritten.spare(looks)
    looks.fails = False
    for _ in range(3):
        await unwritten.spare(looks)
    assert looks.count == 2


async def test_without_a_wal_nothing_is_certain(store: Path, clock: ManualClock) -> None:
    looks, unwritten = Looks(), Unwritten(store, clock)
    for _ in range(3):
        await unwritten.spare(looks)
    assert looks.count == 3
