"""Connections to a PostgreSQL server: made when needed, made again when lost, and what their errors mean to people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import RawCursor, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rota.domain.errors import RotaError, Unavailable
from rota.storage.postgres_dialect import PostgresDriver

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

OLDEST = 140_000  # PostgreSQL 14, as libpq counts
# A server that no longer answers is noticed within half a minute: by the kernel while a statement waits (Linux), else
# by probes. What the URL says itself wins.
_PARAMETERS = {
    "application_name": "rota", "connect_timeout": "5", "tcp_user_timeout": "20000",
    "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3",
}  # fmt: skip
_QUICK_SECONDS = 0.2  # a refusal comes sooner
# A process that is stopped or cut off in the middle of a transaction holds up nobody for longer than this.
# A plan that was made while a table was empty reads all of it, and is kept when it has grown to a herd (measured:
# 10,000 ends took 22 s instead of 1 s). By index it is right for both.
_SESSION = """
SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '6s'; SET jit = off; SET enable_seqscan = off;
SET client_min_messages = warning
"""


class Server:
    """Which database is meant. `shown` names it without its password."""

    def __init__(self, url: str) -> None:
        """Raises Unavailable where libpq can make nothing of `url`."""
        try:
            given = {key: str(value) for key, value in conninfo_to_dict(url).items()}
        except psycopg.ProgrammingError as error:
            raise Unavailable(
                "the database's URL cannot be read", expected="postgresql://USER@HOST/DATABASE",
                hint="correct `database.url` in rota.yaml, or ROTA_DATABASE_URL",
            ) from error  # fmt: skip
        self.conninfo = make_conninfo(**{**_PARAMETERS, **given})
        self._away_until = 0.0
        place = given.get("host") or "this machine"
        self.shown = f"PostgreSQL database {given.get('dbname') or given.get('user') or ''} on {place}"

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of its own, in which nothing begins or ends unless told. Raises Unavailable.

        A server that does not even refuse is left alone for as long as it took to see that: whoever asks meanwhile is
        told at once, rather than wait in a line for it.
        """
        began = time.monotonic()
        if began < self._away_until:
            raise Unavailable(f"{self.shown} cannot be reached", hint="it is tried again in a moment")
        try:
            # Hot statements are prepared at their second use; one-off ones never.
            connection = psycopg.connect(self.conninfo, autocommit=True, prepare_threshold=1)
            connection.prepared_max = 300
        except psycopg.Error as error:
            now = time.monotonic()
            self._away_until = 2 * now - began if now - began > _QUICK_SECONDS else 0.0
            raise Unavailable(
                f"{self.shown} cannot be reached: {_first_line(error)}",
                hint="is it running, and is the URL right? see: rota db check",
            ) from error
        if connection.info.server_version < OLDEST:
            version = connection.info.server_version // 10_000
            connection.close()
            raise Unavailable(f"{self.shown} is PostgreSQL {version}", expected="PostgreSQL 14 or newer")
        connection.execute(_SESSION, prepare=False)
        return connection


class Link:
    """A connection for one thread at a time, and SQLAlchemy's view of it made on first use."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._driver: PostgresDriver | None = None
        self._core: Connection | None = None

    @property
    def driver(self) -> PostgresDriver:
        """Raises Unavailable if the server cannot be reached."""
        if self._driver is not None and self._driver.connection.closed:
            self.close()
        if self._driver is None:
            self._driver = PostgresDriver(self._server.connect())
        return self._driver

    def core(self) -> Connection:
        if self._core is None:
            self._core = core_view(self.driver.connection, self._server)
        return self._core

    def begin(self, begin: str, question: str) -> tuple[Any, ...]:
        """Begin a transaction and ask one thing in it, in one trip. A connection that died while nobody used it is
        made again."""
        for is_last in (False, True):
            cursor = RawCursor(self.driver.connection)
            try:
                cursor.execute(f"{begin}; {question}", prepare=False)
            except psycopg.OperationalError:
                self.close()
                if is_last:
                    raise
                continue
            cursor.nextset()
            row: tuple[Any, ...] = cursor.fetchone()  # type: ignore[assignment]  # the question has an answer
            return row
        raise AssertionError("the last turn returns or raises")

    def commit(self, first: str | None = None) -> bool:
        """`first`: a statement that goes with it, in the same trip.

        False: the connection was lost on the way, and with it the answer. Raises what the server says.
        """
        cursor = RawCursor(self.driver.connection)
        try:
            if first is None:
                cursor.execute("COMMIT")
            else:
                cursor.execute(f"{first}; COMMIT", prepare=False)
                cursor.nextset()
        except errors.InFailedSqlTransaction:
            self.rollback()  # a COMMIT alone would have done so
        except psycopg.OperationalError:
            if not self.driver_is_gone:
                raise
            self.close()
            return False
        if cursor.statusmessage != "COMMIT":
            raise RuntimeError("a statement failed and its function went on: nothing was kept")
        return True

    def rollback(self) -> None:
        """Undo what was begun. A connection that is gone has done so."""
        try:
            if self._driver is not None and not self._driver.connection.closed:
                self._driver.connection.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    @property
    def driver_is_gone(self) -> bool:
        return self._driver is None or self._driver.connection.closed

    def fate_of(self, xid: str) -> str:
        """`committed`, `aborted` or `in progress`. Raises Unavailable."""
        try:
            row = self.driver.execute("SELECT pg_xact_status(CAST(? AS xid8))", (xid,)).fetchone()
        except errors.InvalidParameterValue:
            return "aborted"  # "in the future": a server that took over and never heard of it
        except psycopg.OperationalError as error:
            raise Unavailable(f"{self._server.shown} does not answer: {_first_line(error)}") from error
        return str(row[0]) if row is not None else "aborted"

    def close(self) -> None:
        """Let go of the connection. The link makes another one when it is used again."""
        core, driver, self._core, self._driver = self._core, self._driver, None, None
        if core is not None:
            core.invalidate()  # not `close`, which would want to roll back over a connection that may be gone
            core.close()
        if driver is not None:
            driver.connection.close()


def core_view(connection: psycopg.Connection[Any], server: Server) -> Connection:
    """SQLAlchemy's view of a connection that may be in the middle of a transaction. Whoever began it also ends it."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    # A new engine tries its dialect out on its first connection, and ends with a ROLLBACK: not on ours.
    connections = iter((server.connect(), connection))
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: next(connections), poolclass=NullPool, pool_reset_on_return=None
    )
    engine.connect().close()
    return engine.connect()


def postgres_error(error: BaseException, server: Server) -> RotaError | None:
    """Say what a failure of the world (not of our SQL) means to the person at the keyboard. None: it is none."""
    cause = getattr(error, "orig", error)  # SQLAlchemy wraps what the driver says
    match cause:
        case errors.DiskFull():
            return Unavailable(
                f"the disk is full: {server.shown}", hint="free some space; nothing that was acknowledged is lost"
            )
        case errors.ReadOnlySqlTransaction():
            return Unavailable(
                f"the store is read-only: {server.shown}", hint="is it a standby? name the primary in the URL"
            )
        case errors.InsufficientPrivilege():
            return Unavailable(
                f"{server.shown} does not let us: {_first_line(cause)}", hint="grant the rights, or use another user"
            )
        case errors.LockNotAvailable():
            return Unavailable(f"another process holds the store too long: {server.shown}",
                               hint="see who: SELECT * FROM pg_stat_activity")  # fmt: skip
        # Of psycopg these are InternalErrors, not OperationalErrors.
        case errors.IdleInTransactionSessionTimeout() | errors.TransactionTimeout():
            return Unavailable(f"this process stood still while it wrote, and {server.shown} went on without it",
                               hint="nothing of it was kept: try again")  # fmt: skip
        case errors.DeadlockDetected() | errors.SerializationFailure():
            return Unavailable(f"too many write at once: {server.shown}", hint="try again")
        case psycopg.OperationalError():
            return Unavailable(f"{server.shown} does not answer: {_first_line(cause)}", hint="try again")
        case _:
            return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
