"""Row ids of a database that several processes write: taken apart from the transactions that use them.

A block is taken in a transaction of its own, so that nobody waits for another's to end. What is taken and not used is a
gap. That transaction need not reach the disk by itself (`synchronous_commit = off`): the one that uses the ids commits
later, and the log is written in order.
"""

from __future__ import annotations

import threading

import psycopg

from rota.domain.errors import Unavailable
from rota.storage.postgres_link import Link

BLOCK = 256
# Kept at hand by the block. The ids of all others grow with time over all processes, which pages of history, queues
# and "the latest" rest on: they are taken as they are needed.
IN_BLOCKS = frozenset({"attempt", "outbox"})
_TAKE = (
    "INSERT INTO sequence (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = sequence.value + excluded.value RETURNING value"
)


class Ids:
    """Shared by the threads of a process."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._left: dict[str, tuple[int, int]] = {}  # table -> (next id, one past the last)
        self._set_up_for: object = None

    def take(self, table: str, count: int) -> int:
        """The first of `count` consecutive ids. Raises Unavailable."""
        with self._lock:
            first, end = self._left.get(table, (0, 0))
            if end - first < count:
                size = max(count, BLOCK) if table in IN_BLOCKS else count
                end = self._reserve(table, size) + 1
                first = end - size
            self._left[table] = (first + count, end)
            return first

    def close(self) -> None:
        self._link.close()

    def _reserve(self, table: str, count: int) -> int:
        """The last of `count` new ids. A connection that died while nobody used it is made again: at worst a gap."""
        for is_last in (False, True):
            try:
                driver = self._link.driver
                if self._set_up_for is not driver:
                    driver.execute("SET synchronous_commit = off")
                    self._set_up_for = driver
                return int(driver.execute(_TAKE, (table, count)).fetchone()[0])  # type: ignore[index]  # one row
            except psycopg.OperationalError as error:
                self._link.close()
                if is_last:
                    raise Unavailable("the database does not answer", hint="try again") from error
        raise AssertionError("the last turn returns or raises")
