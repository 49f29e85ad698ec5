"""Where a copy comes from and where it goes: the tables of a store, read and written by the thousand.

Both sides read alike: truth values are 0 and 1, and rows come in the order of their keys, compared byte by byte.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg import sql

from rota.domain.errors import Unavailable
from rota.storage import postgres_schema, schema
from rota.storage.output import OutputStore
from rota.storage.postgres_link import Server, postgres_error
from rota.storage.sqlite import storage_error
from rota.storage.tables import metadata

Value = int | str | bytes | None
Row = tuple[Value, ...]
AT_ONCE = 5_000


class TableOf(NamedTuple):
    """A table as both sides have it. `truths` are the places of its columns that are true or false."""

    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    truths: tuple[int, ...] = ()


OUTPUT = TableOf("output", ("seq", "run_id", "attempt_id", "offset", "data"), ("seq",))


def tables() -> list[TableOf]:
    """Every table of the store, those that others point at first; then the output."""
    from sqlalchemy import Boolean

    found = []
    for table in metadata.sorted_tables:
        columns = tuple(column.name for column in table.columns)
        keys = tuple(column.name for column in table.primary_key.columns)
        truths = tuple(place for place, column in enumerate(table.columns) if isinstance(column.type, Boolean))
        found.append(TableOf(table.name, columns, keys, truths))
    return [*found, OUTPUT]


class Side(Protocol):
    """A store at one moment. What is written is there only after `keep`."""

    @property
    def shown(self) -> str: ...

    def count(self, table: TableOf) -> int: ...

    def rows(self, table: TableOf) -> Iterator[Row]: ...

    def write(self, table: TableOf, rows: Iterable[Row]) -> None: ...

    def in_use(self) -> str | None:
        """Who works on it at this moment, as far as the store tells; None: it is at rest."""

    def keep(self) -> None: ...

    def close(self) -> None:
        """Without `keep` nothing was written."""


class SqliteSide:
    def __init__(self, store: Path, output: Path, *, create: bool) -> None:
        """Raises Unavailable where there is no store of this schema, unless `create`."""
        schema.prepare(store, create=create)
        OutputStore.make(output)
        self.shown = f"SQLite file {store}"
        self._path = store
        self._driver = sqlite3.connect(store, isolation_level=None)
        self._driver.execute("ATTACH DATABASE ? AS apart", (str(output),))
        self._driver.execute("BEGIN IMMEDIATE")

    def count(self, table: TableOf) -> int:
        return int(self._driver.execute(f"SELECT count(*) FROM {self._named(table)}").fetchone()[0])  # noqa: S608  # ours

    def rows(self, table: TableOf) -> Iterator[Row]:
        columns, keys = (", ".join(map(_quoted, names)) for names in (table.columns, table.keys))
        cursor = self._driver.execute(f"SELECT {columns} FROM {self._named(table)} ORDER BY {keys}")  # noqa: S608  # ours
        while found := cursor.fetchmany(AT_ONCE):
            yield from map(_without_nul, found)

    def write(self, table: TableOf, rows: Iterable[Row]) -> None:
        columns, marks = ", ".join(map(_quoted, table.columns)), ", ".join("?" for _ in table.columns)
        try:
            self._driver.executemany(f"INSERT INTO {self._named(table)} ({columns}) VALUES ({marks})", rows)  # noqa: S608  # ours
        except sqlite3.Error as error:
            raise storage_error(error, self._path) or error from error

    def in_use(self) -> str | None:
        return _told(self._driver.execute(_UNFINISHED).fetchone()[0])

    def keep(self) -> None:
        self._driver.execute("COMMIT")

    def close(self) -> None:
        self._driver.close()

    @staticmethod
    def _named(table: TableOf) -> str:
        return "apart.chunk" if table is OUTPUT else _quoted(table.name)


class PostgresSide:
    def __init__(self, url: str, *, create: bool) -> None:
        """Raises Unavailable where there is no store of this schema, unless `create`."""
        postgres_schema.prepare(url, create=create, upgrade=create)
        self._server = Server(url)
        self.shown = self._server.shown
        self._connection: psycopg.Connection[Any] = self._server.connect()
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    def count(self, table: TableOf) -> int:
        found = self._connection.execute(sql.SQL("SELECT count(*) FROM {}").format(self._named(table))).fetchall()
        return int(found[0][0])

    def rows(self, table: TableOf) -> Iterator[Row]:
        columns, keys = (sql.SQL(", ").join(map(sql.Identifier, names)) for names in (table.columns, table.keys))
        statement = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(columns, self._named(table), keys)
        with self._connection.cursor(name="copied") as cursor:
            cursor.itersize = AT_ONCE
            found = cursor.execute(statement)
            if not table.truths:
                yield from found
                return
            for row in found:
                yield _with_numbers(row, table.truths)

    def write(self, table: TableOf, rows: Iterable[Row]) -> None:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(self._named(table), columns)
        try:
            with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(_with_truths(row, table.truths))
            if table is OUTPUT:
                self._connection.execute(_NEXT_OUTPUT)
        except psycopg.Error as error:
            raise postgres_error(error, self._server) or error from error

    def in_use(self) -> str | None:
        daemons = int(self._connection.execute(_LIVING).fetchall()[0][0])
        return f"{daemons} daemons are" if daemons else _told(self._connection.execute(_UNFINISHED).fetchall()[0][0])

    def keep(self) -> None:
        self._connection.execute("COMMIT")
        self._connection.execute("ANALYZE")  # the planner knows nothing yet of what has come

    def close(self) -> None:
        self._connection.close()

    @staticmethod
    def _named(table: TableOf) -> sql.Identifier:
        return sql.Identifier("output_chunk" if table is OUTPUT else table.name)


_UNFINISHED = "SELECT count(*) FROM run_target WHERE state = 'running'"
_LIVING = """
SELECT count(*) FROM owner WHERE ended_at IS NULL AND seen_at > (extract(epoch FROM clock_timestamp()) - 120) * 1000000
"""
_NEXT_OUTPUT = """
SELECT setval(pg_get_serial_sequence('output_chunk', 'seq'), coalesce(max(seq), 0) + 1, false) FROM output_chunk
"""


def open_side(url: str, store: Path, output: Path, *, create: bool) -> Side:
    """The store at `url`; "sqlite" is the files of the instance. Raises Unavailable."""
    if url == "sqlite":
        return SqliteSide(store, output, create=create)
    if not url.startswith(("postgresql://", "postgres://")):
        raise Unavailable(f"{url} is no store", expected='"sqlite", or postgresql://USER@HOST/DATABASE')
    return PostgresSide(url, create=create)


def _without_nul(row: Row) -> Row:
    """PostgreSQL's texts hold no NUL: it is a mark there, and so it is everywhere."""
    for value in row:
        if isinstance(value, str) and "\0" in value:
            return tuple(
                each.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(each, str) else each for each in row
            )
    return row


def _with_numbers(row: Sequence[Any], truths: tuple[int, ...]) -> Row:
    """PostgreSQL's truth values are a type of their own; here they are 0 and 1."""
    values = list(row)
    for place in truths:
        values[place] = None if row[place] is None else int(row[place])
    return tuple(values)


def _with_truths(row: Row, truths: tuple[int, ...]) -> Sequence[Value | bool]:
    if not truths:
        return row
    values: list[Value | bool] = list(row)
    for place in truths:
        values[place] = None if row[place] is None else bool(row[place])
    return values


def _told(unfinished: int) -> str | None:
    return f"{unfinished} targets are" if unfinished else None


def _quoted(name: str) -> str:
    return f'"{name}"'
