"""What is copied and what is backed up is everything there is: no table of the schema can be forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

from rota.database.sides import OUTPUT, tables
from rota.storage.output import OutputStore
from rota.storage.postgres_schema import prepare as prepare_postgres
from rota.storage.schema import prepare
from tests.support.postgres import Postgres

VERSION = "alembic_version"  # says which migrations were made: the target of a copy made its own
Columns = dict[str, list[str]]

COPIED: Columns = {table.name: sorted(table.columns) for table in tables()}


def tables_of_file(path: Path) -> Columns:
    with closing(sqlite3.connect(path)) as driver:
        rows = driver.execute(
            "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c"
            " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.name"
        ).fetchall()
    return by_table(rows)


def by_table(rows: list[tuple[str, str]]) -> Columns:
    found: Columns = {}
    for table, column in rows:
        found.setdefault(table, []).append(column)
    found.pop(VERSION, None)
    return found


def test_a_copy_takes_every_column_of_every_table_of_sqlite(tmp_path: Path) -> None:
    prepare(tmp_path / "rota.db", create=True)
    OutputStore.make(tmp_path / "output.db")
    output = tables_of_file(tmp_path / "output.db")
    assert output == {"chunk": sorted(OUTPUT.columns)}
    assert tables_of_file(tmp_path / "rota.db") | {OUTPUT.name: output["chunk"]} == COPIED


def test_a_copy_takes_every_column_of_every_table_of_postgresql(postgres: Postgres) -> None:
    with postgres.a_database() as url:
        prepare_postgres(url, create=True)
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
                ' ORDER BY table_name COLLATE "C", column_name COLLATE "C"'
            ).fetchall()
    found = by_table(rows)
    found[OUTPUT.name] = found.pop("output_chunk")
    assert found == COPIED


def test_a_table_comes_after_those_that_it_points_at() -> None:
    order = [table.name for table in tables()]
    assert order.index("job") < order.index("job_version")
    assert order.index("job") < order.index("trigger") < order.index("due")
    assert order[-1] == OUTPUT.name
