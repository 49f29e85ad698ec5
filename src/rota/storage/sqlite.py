"""The embedded store: one SQLite file in WAL mode, `synchronous=FULL`, one writer, `query_only` readers apart.

Every write is `BEGIN IMMEDIATE`: a deferred transaction that turns into a writer fails with "database is locked"
whatever the timeout (measured: 60,350 failures against 0, reference/reliability-and-security.md §0.7).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rota.domain.errors import DiskFull, RotaError, Unavailable
from rota.domain.instant import Micros
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState, RunState, TargetState
from rota.ports import Clock, Hint, Tx
from rota.storage.checkpoints import Checkpointer
from rota.storage.executor import Executor, ThreadExecutor
from rota.storage.public_ids import new_public_ids

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.engine import Connection, CursorResult

T = TypeVar("T")

SCHEMA_VERSION = 5  # PRAGMA user_version; a newer one is refused, an older one is migrated by Alembic
READERS = 3
BUSY_SECONDS = 10.0  # how long a write waits for another process's
_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA wal_autocheckpoint = 16384;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -65536;
PRAGMA temp_store = MEMORY;
"""

# The driver looks in vain, in three places, for how to adapt a value that is not exactly an int, float, str or bytes.
# What is registered it finds in the first: 0.25 µs less for each, and an attempt's end alone binds six NULLs.
sqlite3.register_adapter(type(None), lambda null: null)
sqlite3.register_adapter(bool, int)
for _kind in (RunState, TargetState, AttemptState, Reason):
    sqlite3.register_adapter(_kind, str.__str__)


class SqliteTx:
    """A transaction on one SQLite connection. Core statements and driver statements share it."""

    __slots__ = ("_connection", "at", "driver")
    is_exclusive = True

    def __init__(self, driver: sqlite3.Connection, connection: Callable[[], Connection], at: Micros) -> None:
        self.driver = driver
        self._connection = connection
        self.at = at

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        return self._connection().execute(statement, parameters)

    def take_ids(self, table: str, count: int = 1) -> int:
        row = self.driver.execute(
            "INSERT INTO sequence (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value",
            (table, count),
        ).fetchone()
        return int(row[0]) - count + 1

    def new_public_ids(self, count: int) -> Sequence[str]:
        return new_public_ids(count)

    def tell(self, hint: Hint, ended: Sequence[int] = ()) -> None:
        """There is nobody to tell: other processes of this machine look by themselves."""


class SqliteStore:
    """See `ports.Store`. `executor` decides where transactions run: threads here, inline in the simulation."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        executor: Executor | None = None,
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.path = path
        self._clock = clock
        self._on_fatal = on_fatal
        self._executor = executor or ThreadExecutor(readers=READERS)
        self._writer = _Connected(path)
        self._readers = [_Connected(path, read_only=True) for _ in range(READERS)]
        self._checkpoints = Checkpointer(path, failed=self._failure) if executor is None else None
        self._executor.start(self._write_group)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        return await self._executor.write(fn)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._executor.read(lambda: self._read(fn))

    def close(self) -> None:
        """Finish what was begun, then let go of the files. Idempotent."""
        self._executor.close()
        if self._checkpoints is not None:
            self._checkpoints.close()
        for connected in (self._writer, *self._readers):
            connected.close()
        self._readers = []

    def _read(self, fn: Callable[[Tx], T]) -> T:
        connected = self._readers.pop()  # the executor runs at most READERS at once; list.pop is atomic
        try:
            driver = connected.driver
            driver.execute("BEGIN")
            try:
                return fn(SqliteTx(driver, connected.core, self._clock.now()))
            finally:
                driver.rollback()
        except Exception as error:
            if (failure := self._failure(error)) is error:
                raise
            raise failure from error
        finally:
            self._readers.append(connected)

    def _write_group(self, group: Sequence[Callable[[Tx], Any]]) -> list[Any | BaseException]:
        """Run the waiting writes in one transaction, and commit once. Where there are several, each has its savepoint.

        Returns a value or an exception for each. A commit that fails fails them all.
        """
        driver = self._writer.driver
        results: list[Any | BaseException] = []
        try:
            driver.execute("BEGIN IMMEDIATE")
            if len(group) == 1:
                results.append(group[0](self._tx(driver)))
            else:
                for fn in group:
                    results.append(self._write_one(driver, fn))
            driver.execute("COMMIT")
        except BaseException as error:  # every waiting caller must hear of it, and the thread must live on
            if driver.in_transaction:
                driver.rollback()
            failure = self._failure(error)
            return [failure if not isinstance(r, RotaError) else r for r in results] + [failure] * (
                len(group) - len(results)
            )
        if self._checkpoints is not None:
            self._checkpoints.committed(driver.total_changes)
        return results

    def _tx(self, driver: sqlite3.Connection) -> SqliteTx:
        return SqliteTx(driver, self._writer.core, self._clock.now())

    def _write_one(self, driver: sqlite3.Connection, fn: Callable[[Tx], Any]) -> Any | BaseException:
        driver.execute("SAVEPOINT one")
        try:
            value = fn(self._tx(driver))
        except Exception as error:
            if not driver.in_transaction:
                raise  # SQLite rolled everything back by itself (disk full, I/O error)
            driver.execute("ROLLBACK TO one")  # only this caller's part is undone
            return self._failure(error)
        driver.execute("RELEASE one")
        return value

    def _failure(self, error: BaseException) -> BaseException:
        """What the caller hears of an error of its function or of a commit: the world's are Unavailable."""
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps what the driver says
        if not isinstance(cause, sqlite3.Error):
            return error
        if getattr(cause, "sqlite_errorname", "").startswith("SQLITE_IOERR") and self._on_fatal is not None:
            self._on_fatal(cause)  # a failed fsync leaves no honest answer: stop rather than guess (DESIGN §3 Durable)
        return storage_error(cause, self.path) or error


def storage_error(error: sqlite3.Error, path: Path) -> Unavailable | None:
    """Say what a SQLite failure of the world (not of our SQL) means to the person at the keyboard."""
    name = getattr(error, "sqlite_errorname", "")
    known = {
        "SQLITE_FULL": ("the disk is full", "free some space; nothing that was acknowledged is lost"),
        "SQLITE_READONLY": (
            "the store is read-only",
            "make the folder and its files writable for their owner",
        ),
        "SQLITE_CANTOPEN": ("the store cannot be opened", "check that the folder exists and belongs to you"),
        "SQLITE_CORRUPT": ("the store is damaged", "stop the daemon and restore a backup"),
        "SQLITE_NOTADB": ("this is not a Rota store", "move the file away, or choose another --home"),
        "SQLITE_BUSY": ("another process holds the store too long", "see who: rota daemon status"),
        "SQLITE_IOERR": ("the disk does not answer as it should", "check the disk and the system log"),
    }
    for prefix, (happened, hint) in known.items():
        if name.startswith(prefix):
            kind = DiskFull if prefix == "SQLITE_FULL" else Unavailable
            return kind(f"{happened}: {path}", hint=hint)
    return None


def core_view(driver: sqlite3.Connection) -> Connection:
    """SQLAlchemy's view of a connection that may be in the middle of a transaction. Whoever began it also ends it."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    # A new engine tries its dialect out on its first connection, and ends with a ROLLBACK: not on ours.
    connections = iter((sqlite3.connect(":memory:"), driver))
    engine = create_engine("sqlite://", creator=lambda: next(connections), poolclass=NullPool)
    engine.connect().close()
    # Not AUTOCOMMIT: setting it makes the driver commit. SQLAlchemy's own BEGIN sends nothing to this driver.
    return engine.connect()


class _Connected:
    """A driver connection, and SQLAlchemy's view of it made on first use (its import costs half a second)."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._core: Connection | None = None
        try:
            self.driver = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self.driver.executescript(_PRAGMAS)
            if read_only:
                self.driver.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise storage_error(error, path) or error from error

    def core(self) -> Connection:
        if self._core is None:
            self._core = core_view(self.driver)
        return self._core

    def close(self) -> None:
        if self._core is not None:
            self._core.close()
            self._core = None
        self.driver.close()
