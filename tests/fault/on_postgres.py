"""A home whose store is a PostgreSQL database; asked for its rows as one on SQLite is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import RowMaker

from tests.support.daemon import Home, a_home


class Row(tuple[Any, ...]):
    """Values by position, by name and in order, as `sqlite3.Row` has them."""

    names: Sequence[str]

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


def _rows(cursor: psycopg.Cursor[Any]) -> RowMaker[Any]:
    names = [column.name for column in cursor.description or ()]

    def make(values: Sequence[Any]) -> Row:
        row = Row(values)
        row.names = names
        return row

    return make


@contextmanager
def a_home_on(url: str, settings: str) -> Iterator[Home]:
    """`url` names an empty database."""
    with a_home(f'database: {{url: "{url}"}}\n{settings}') as home:

        def rows(query: str, *values: object) -> Any:
            with psycopg.connect(url, row_factory=_rows) as connection:
                return connection.execute(query.replace("%", "%%").replace("?", "%s").encode(), values).fetchall()

        home.rows = rows  # type: ignore[method-assign]
        yield home
