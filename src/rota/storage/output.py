"""Output of attempts, in a file of its own (`output.db`) so that it never stands in the way of a state change.

Each attempt keeps its head and its tail; what lies between is dropped, and readers are told how much. The last second
of output is exempt from durability (DESIGN §3), hence `synchronous=NORMAL`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from rota.domain.errors import DiskFull, Unavailable
from rota.ports import OutputItem, OutputReader
from rota.storage.sqlite import storage_error

T = TypeVar("T")
HEAD_BYTES = 65_536
TAIL_BYTES = 196_608
FORGOTTEN_RUNS, FORGOTTEN_CHUNKS = 200, 500  # of one slice of retention
_SCHEMA = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS chunk (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL,
    attempt_id INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_chunk_run ON chunk (run_id, seq);
CREATE INDEX IF NOT EXISTS ix_chunk_attempt ON chunk (attempt_id, offset);
"""


class Chunk(NamedTuple):
    run_id: int
    attempt_id: int
    offset: int
    data: bytes


class Outputs(OutputReader, Protocol):
    """Where output is kept, and how it gets there. All raise Unavailable."""

    async def append(self, chunks: Sequence[Chunk]) -> None:
        """Keep these pieces, which must not overlap what is kept already; drop what the bounds no longer allow."""

    async def end_of(self, attempt_id: int) -> int:
        """One past the last byte kept of an attempt; 0 if there is none."""

    async def forget(self, run_ids: Iterable[int]) -> None:
        """Drop the output of runs that retention has deleted."""

    def close(self) -> None:
        """Let go of it."""


class OutputStore:
    """See `Outputs`. One thread, so that order is the order of the calls."""

    @staticmethod
    def make(path: Path) -> None:
        """Make an empty one where there is none, for those who read and write it in their own way."""
        with closing(sqlite3.connect(path)) as driver:
            driver.executescript(_SCHEMA)

    def __init__(self, path: Path, *, may_grow: Callable[[], bool] = lambda: True) -> None:
        """`may_grow`: output is not kept while it says no, as what room there is belongs to verdicts."""
        self.path, self._may_grow = path, may_grow
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rota-output")
        self._driver: sqlite3.Connection | None = None

    async def append(self, chunks: Sequence[Chunk]) -> None:
        if not self._may_grow():
            raise DiskFull("the disk is full: output is not kept", hint="free some space: it goes on by itself")
        await self._call(lambda driver: _append(driver, chunks))

    async def after(self, run_id: int, seq: int, limit: int) -> Sequence[OutputItem]:
        return await self._call(lambda driver: _after(driver, run_id, seq, limit))

    async def end_of(self, attempt_id: int) -> int:
        return await self._call(lambda driver: _end_of(driver, attempt_id))

    async def forget(self, run_ids: Iterable[int]) -> None:
        """Drop the output of runs that retention deletes, in slices between which other output is stored."""
        rows = [(run_id,) for run_id in run_ids]
        for start in range(0, len(rows), FORGOTTEN_RUNS):
            some = rows[start : start + FORGOTTEN_RUNS]
            while await self._call(lambda driver, some=some: _forget(driver, some)) == FORGOTTEN_CHUNKS:  # type: ignore[misc]
                continue

    def close(self) -> None:
        self._thread.shutdown()
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    async def _call(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, fn)

    def _run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._driver is None:
                self._driver = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
                self._driver.executescript(_SCHEMA)
            return fn(self._driver)
        except sqlite3.Error as error:
            if self._driver is not None and self._driver.in_transaction:
                self._driver.rollback()
            raise storage_error(error, self.path) or Unavailable(f"the output store fails: {error}") from error


def _append(driver: sqlite3.Connection, chunks: Sequence[Chunk]) -> None:
    driver.execute("BEGIN IMMEDIATE")
    driver.executemany("INSERT INTO chunk (run_id, attempt_id, offset, data) VALUES (?, ?, ?, ?)", chunks)
    # The tail is counted from where the newest piece begins, so that the one before it, which a reader who follows has
    # just had, is never what the newest is said to have been cut off from.
    ends: dict[int, int] = {}
    for chunk in chunks:
        ends[chunk.attempt_id] = max(ends.get(chunk.attempt_id, 0), chunk.offset)
    driver.executemany(
        "DELETE FROM chunk WHERE attempt_id = ? AND offset >= ? AND offset + length(data) <= ?",
        [(attempt, HEAD_BYTES, end - TAIL_BYTES) for attempt, end in ends.items() if end > HEAD_BYTES + TAIL_BYTES],
    )
    driver.execute("COMMIT")


def _after(driver: sqlite3.Connection, run_id: int, seq: int, limit: int) -> list[OutputItem]:
    rows = driver.execute(
        """
        SELECT seq, attempt_id, offset, data,
               offset - coalesce((SELECT max(before.offset + length(before.data)) FROM chunk AS before
                                  WHERE before.attempt_id = chunk.attempt_id AND before.offset < chunk.offset), 0)
        FROM chunk WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?
        """,
        (run_id, seq, limit),
    ).fetchall()
    return [OutputItem(seq, attempt, offset, data, max(0, cut)) for seq, attempt, offset, data, cut in rows]


def _end_of(driver: sqlite3.Connection, attempt_id: int) -> int:
    (end,) = driver.execute(
        "SELECT coalesce(max(offset + length(data)), 0) FROM chunk WHERE attempt_id = ?", (attempt_id,)
    ).fetchone()
    return int(end)


def _forget(driver: sqlite3.Connection, rows: Sequence[tuple[int]]) -> int:
    """Drop up to FORGOTTEN_CHUNKS pieces of these runs, and give the room back. Returns how many there were."""
    driver.execute("BEGIN IMMEDIATE")
    places = ", ".join("?" * len(rows))
    gone = driver.execute(
        f"DELETE FROM chunk WHERE seq IN (SELECT seq FROM chunk WHERE run_id IN ({places}) LIMIT {FORGOTTEN_CHUNKS})",  # noqa: S608  # numbers of our own
        [run_id for (run_id,) in rows],
    ).rowcount
    driver.execute("COMMIT")
    if gone:
        driver.execute("PRAGMA incremental_vacuum(1000)").fetchall()
    return gone
