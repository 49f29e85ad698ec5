"""How statements written for SQLite read on PostgreSQL, and a driver that takes them.

One set of statements serves both stores. They are written with `?` for parameters; where PostgreSQL must be told
something else, the statement says so in a comment, which SQLite passes over:

    WHERE key IS /*pg: NOT DISTINCT FROM */ ?          the comment is code on PostgreSQL
    FROM json_each(?) /*pg instead: json_each_text(?) */    the comment stands there in place of the word before it
    WHERE id = ? /*pg key*/                            many executions may become one: see `postgres_many`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import count, repeat
from typing import Any, NamedTuple

import psycopg
from psycopg import RawCursor

from rota.storage.postgres_many import for_many, key_of, lists_of

_INSTEAD = re.compile(r"\S+\s*/\*pg instead: (.*?)\s*\*/", re.DOTALL)
_ONLY = re.compile(r"/\*pg: (.*?)\s*\*/", re.DOTALL)


@lru_cache(maxsize=2048)
def translated(statement: str) -> str:
    """The statement as PostgreSQL takes it: `$1 $2 …` for parameters. No literal of ours has a `?` in it."""
    text = _ONLY.sub(r"\1", _INSTEAD.sub(r"\1", statement))
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", text)


class Copied(NamedTuple):
    """A plain INSERT as COPY has it. `values`: a constant for each column, or the place of its parameter."""

    statement: str
    values: tuple[str | int, ...]


_VALUE = r"(?:\?|\d+|FALSE|'\w*')"
_INSERT = re.compile(rf"\s*INSERT INTO (\w+) \(([\w\s,]+)\)\s*VALUES \(({_VALUE}(?:,\s*{_VALUE})*)\)\s*")
MANY = 8  # rows, from which one statement for all is the quicker way
_MANY_FORMS: dict[str, str] = {}  # of the statements that were asked for, which are few


@lru_cache(maxsize=256)
def copied(statement: str) -> Copied | None:
    """How COPY does what an INSERT of parameters, numbers and plain texts does. None: it is another statement."""
    match = _INSERT.fullmatch(statement)
    if match is None:
        return None
    table, columns, said = match.groups()
    places = count()
    values = [next(places) if value == "?" else value.strip("'") for value in map(str.strip, said.split(","))]
    return Copied(f"COPY {table} ({columns}) FROM STDIN", tuple(values))


class PostgresDriver:
    """A psycopg connection that answers as `sqlite3.Connection` does, as far as storage functions ask."""

    __slots__ = ("connection",)

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def execute(
        self, statement: str, parameters: Sequence[object] = (), *, prepare: bool | None = None
    ) -> RawCursor[Any]:
        cursor = RawCursor(self.connection)
        try:
            # No parameters is not the same as none given: without any, a text may hold several statements.
            cursor.execute(translated(statement), parameters or None, prepare=prepare)
        except psycopg.DataError as error:
            if not _is_about_nul(error):
                raise
            cursor.execute(translated(statement), _without_nul(parameters), prepare=prepare)
        return cursor

    def executemany(self, statement: str, rows: Iterable[Sequence[object]]) -> _Many:
        rows = list(rows)
        if len(rows) >= MANY:
            if (way := copied(statement)) is not None:
                return self._copy(way, rows)
            if (key := key_of(statement)) is not None and len({row[key] for row in rows}) == len(rows):
                # Planned each time: how many rows there are, here and in the table, is what the plan depends on.
                return _Many(self.execute(self._for_many(statement), lists_of(rows), prepare=False).rowcount)
        if len(rows) < 2:
            return _Many(sum(self.execute(statement, row).rowcount for row in rows))  # one trip less than a pipeline
        cursor = RawCursor(self.connection)
        try:
            cursor.executemany(translated(statement), rows)
        except psycopg.DataError as error:
            if not _is_about_nul(error):
                raise
            cursor.executemany(translated(statement), [_without_nul(row) for row in rows])
        return _Many(cursor.rowcount)

    def _for_many(self, statement: str) -> str:
        if (known := _MANY_FORMS.get(statement)) is None:
            known = _MANY_FORMS[statement] = for_many(translated(statement), self.connection)
        return known

    def _copy(self, way: Copied, rows: Sequence[Sequence[object]]) -> _Many:
        """One statement for all rows: the server spends a third of the time on them."""
        columns = list(zip(*rows, strict=True))
        # A refusal in the middle would end the transaction, so what psycopg would refuse is looked for first.
        if any("\0" in "".join(map(str, column)) for column in columns):
            columns = list(zip(*map(_without_nul, rows), strict=True))
        given = [columns[value] if isinstance(value, int) else repeat(value, len(rows)) for value in way.values]
        with self.connection.cursor() as cursor, cursor.copy(way.statement) as copy:
            for row in zip(*given, strict=True):
                copy.write_row(row)
        return _Many(len(rows))


class _Many:
    """What is left of many executions: how many rows they touched together."""

    __slots__ = ("rowcount",)

    def __init__(self, rowcount: int) -> None:
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def _is_about_nul(error: psycopg.DataError) -> bool:
    """PostgreSQL's texts hold no NUL, and psycopg says so before it sends anything; SQLite's hold any."""
    return error.sqlstate is None and "NUL" in str(error)


def _without_nul(parameters: Sequence[object]) -> list[object]:
    return [
        value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value for value in parameters
    ]
