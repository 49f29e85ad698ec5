"""The store of several daemons: a PostgreSQL database, at READ COMMITTED, on a few connections of each process.

Other writes go on at the same time, here and in other processes, so storage functions lock the rows they judge
(`rota.storage.row_locks`, `/*pg: FOR UPDATE */` in statements), in one order: due, job_state, run, run target, caps.
Where two transactions meet in another order PostgreSQL ends one of them, and it is carried out again from its
beginning; the same where both inserted what only one may: the second time it finds what the first has made.

Unlike on SQLite writes are not gathered into one commit: the locks of one would be held through all the others, out of
order. PostgreSQL gathers the commits of several connections by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from psycopg import errors

from rota.domain.errors import Unavailable
from rota.domain.instant import Micros
from rota.ports import Clock, Hint, Tx
from rota.storage.database_clock import DatabaseClock
from rota.storage.executor import Executor, ThreadExecutor
from rota.storage.listening import Hints, Told
from rota.storage.postgres_dialect import PostgresDriver
from rota.storage.postgres_ids import Ids
from rota.storage.postgres_link import Link, Server, postgres_error
from rota.storage.public_ids import new_public_ids

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.engine import Connection, CursorResult

T = TypeVar("T")

WRITERS, READERS = 3, 3
TRIES = 6  # of one write: deadlocks are rare, and each costs the server's `deadlock_timeout` (1 s)
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The id of the transaction is there to ask for its fate by, should the answer to the commit be lost.
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_NOW_AND_ID = f"{_NOW}, pg_current_xact_id()::text"
# A row that is pointed at may go while it comes into use again (`storage.leftovers`): the second look finds which.
_AGAIN = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation, errors.ForeignKeyViolation)


class PostgresTx:
    """A transaction on one connection. Core statements and driver statements share it."""

    __slots__ = ("_connection", "_ids", "at", "driver", "told")
    is_exclusive = False

    def __init__(self, driver: PostgresDriver, connection: Callable[[], Connection], at: Micros, ids: Ids) -> None:
        self.driver = driver
        self._connection = connection
        self.at = at
        self._ids = ids
        self.told = Told()

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        return self._connection().execute(statement, parameters)

    def take_ids(self, table: str, count: int = 1) -> int:
        return self._ids.take(table, count)

    def new_public_ids(self, count: int) -> Sequence[str]:
        return new_public_ids(count)

    def tell(self, hint: Hint, ended: Sequence[int] = ()) -> None:
        self.told.add(hint, ended)


class PostgresStore:
    """See `ports.Store`. A `DatabaseClock` is set by the server's; any other clock, of tests, is the store's time."""

    def __init__(self, url: str, *, clock: Clock, executor: Executor | None = None) -> None:
        """Connects when it is first asked something. Raises Unavailable if `url` names no database."""
        self.server = Server(url)
        self.hints = Hints(self.server)
        self._clock = clock
        self._closing = threading.Event()
        self._writers = [Link(self.server) for _ in range(WRITERS)]
        self._readers = [Link(self.server) for _ in range(READERS)]
        self._ids = Ids(Link(self.server))
        self._executor = executor or ThreadExecutor(readers=READERS, writers=WRITERS, group=1)
        self._executor.start(self._write_group)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        return await self._executor.write(fn)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._executor.read(lambda: self._read(fn))

    def close(self) -> None:
        """Finish what was begun, then let go of the connections. Idempotent."""
        self._closing.set()
        self._executor.close()
        for link in (*self._writers, *self._readers):
            link.close()
        self._ids.close()

    def _read(self, fn: Callable[[Tx], T]) -> T:
        link = self._readers.pop()  # the executor runs at most READERS at once; list.pop is atomic
        try:
            (at,) = link.begin(_BEGIN_READ, _NOW)
            try:
                return fn(PostgresTx(link.driver, link.core, self._time(at), self._ids))
            finally:
                link.rollback()
        except Exception as error:
            if (failure := postgres_error(error, self.server)) is None:
                raise
            raise failure from error
        finally:
            self._readers.append(link)

    def _write_group(self, group: Sequence[Callable[[Tx], Any]]) -> list[Any | BaseException]:
        """Each in a transaction of its own. Gives a value or an exception for each."""
        return [self._write(fn) for fn in group]

    def _write(self, fn: Callable[[Tx], T]) -> T | BaseException:
        link = self._writers.pop()
        try:
            for turn in range(1, TRIES + 1):
                try:
                    return self._try(link, fn)
                except Exception as error:
                    if not isinstance(getattr(error, "orig", error), _AGAIN) or turn == TRIES:
                        raise
                self._closing.wait(0.002 * 2**turn)  # whoever was in the way has had time to end
            raise AssertionError("the last turn returns or raises")
        except BaseException as error:  # the caller must hear of it, and the thread must live on
            return postgres_error(error, self.server) or error
        finally:
            self._writers.append(link)

    def _try(self, link: Link, fn: Callable[[Tx], T]) -> T:
        at, xid = link.begin(_BEGIN, _NOW_AND_ID)
        tx = PostgresTx(link.driver, link.core, self._time(at), self._ids)
        try:
            value = fn(tx)
        except BaseException:
            link.rollback()
            raise
        if not link.commit(self.hints.statement(tx.told)) and not self._was_committed(xid):
            raise Unavailable(f"the connection to {self.server.shown} was lost", hint="nothing of it was kept")
        return value

    def _time(self, at: Micros) -> Micros:
        if isinstance(self._clock, DatabaseClock):
            self._clock.observe(at)
            return at
        return self._clock.now()

    def _was_committed(self, xid: str) -> bool:
        """Find out what became of a commit whose answer was lost, however long that takes: to guess would be to
        do it twice, or not at all. Raises Unavailable only when the store is closed before the server can be asked.
        """
        link, pause = Link(self.server), 0.1
        try:
            while True:
                try:
                    match link.fate_of(xid):
                        case "committed":
                            return True
                        case "aborted":
                            return False
                except Unavailable:
                    link.close()
                if self._closing.wait(pause):
                    raise Unavailable(
                        f"the connection to {self.server.shown} was lost while it was written",
                        hint="whether it was is not known: look before you do it again",
                    )
                pause = min(2 * pause, 2.0)
        finally:
            link.close()
