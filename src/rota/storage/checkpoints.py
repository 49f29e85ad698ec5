"""Carrying the WAL back into the database file beside the writer, so that no start has to wait for it.

Left alone, SQLite does this inside the very commit that brings the WAL to `wal_autocheckpoint` pages. At 64 MiB that
commit costs 90 ms of CPU and a flush of the file on top, every second or so when 5,000 jobs a second start. Here it is
done in portions by a connection of its own, which holds up neither writer nor readers. SQLite's own way remains, for
the rest (20 ms): a WAL begins anew only once all of it is carried back.

How long the WAL is the driver does not tell; what was written says it well enough.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

PORTION = 3_000  # pages, 15 ms. A herd of ten thousand starts without one
# Measured with 10 to 5,000 runs in a commit: it writes some pages of its own, and one more for so many changed rows.
PAGES_A_COMMIT, ROWS_A_PAGE = 25, 30


class Checkpointer:
    """`failed` hears of errors, in the thread that carries back. What is in the WAL is safe whatever becomes of it."""

    def __init__(self, path: Path, *, failed: Callable[[sqlite3.Error], object]) -> None:
        self._path, self._failed = path, failed
        self._wake = threading.Event()
        self._pages, self._changes = 0, 0  # in the WAL since the last portion, about; rows changed so far
        self._is_wanted = self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="rota-checkpoint", daemon=True)
        self._thread.start()

    def committed(self, changes: int) -> None:
        """The writer has committed, and changed so many rows since it was opened."""
        self._pages += PAGES_A_COMMIT + (changes - self._changes) // ROWS_A_PAGE
        self._changes = changes
        if self._pages >= PORTION:
            self._pages, self._is_wanted = 0, True
            self._wake.set()

    def close(self) -> None:
        """Return when the portion at hand is carried back."""
        self._is_closing = True
        self._wake.set()
        self._thread.join()

    def _serve(self) -> None:
        driver: sqlite3.Connection | None = None
        try:
            while not self._is_closing or self._is_wanted:
                self._wake.wait()
                self._wake.clear()
                if not self._is_wanted:
                    continue
                self._is_wanted = False
                try:
                    driver = driver or _connection(self._path)
                    driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                except sqlite3.Error as error:
                    self._failed(error)
        finally:
            if driver is not None:
                driver.close()


def _connection(path: Path) -> sqlite3.Connection:
    driver = sqlite3.connect(path, isolation_level=None)
    driver.execute("PRAGMA synchronous = FULL")
    return driver
