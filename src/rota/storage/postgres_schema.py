"""Bring a PostgreSQL database to this program's schema, or refuse with a clear word. The migrations are SQLite's."""

from __future__ import annotations

from typing import Any

import psycopg

from rota.domain.errors import Unavailable
from rota.storage.postgres_link import Server, core_view, postgres_error
from rota.storage.postgres_output import OUTPUT_TABLE
from rota.storage.schema import run_migrations
from rota.storage.sqlite import SCHEMA_VERSION

_LOCK = 0x526F7461  # "Rota": whoever else comes to migrate waits here, and then finds it done
# Texts are compared byte by byte, as SQLite does, whatever the database's own collation: names are listed in the same
# order everywhere, and a range of ids is found by its index. Ids are ours to give (`postgres_ids`), so no sequences.
_TIDY = """
DO $$
DECLARE it record;
BEGIN
    FOR it IN SELECT c.table_name, c.column_name FROM information_schema.columns c
              JOIN information_schema.tables t USING (table_schema, table_name)
              WHERE table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.data_type = 'text'
                AND c.collation_name IS DISTINCT FROM 'C' LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE text COLLATE "C"', it.table_name, it.column_name);
    END LOOP;
    FOR it IN SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) AS sequence
              FROM information_schema.columns
              WHERE table_schema = current_schema() AND column_name = 'id' AND column_default LIKE 'nextval%' LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I DROP DEFAULT', it.table_name, it.column_name);
        EXECUTE format('DROP SEQUENCE %s', it.sequence);
    END LOOP;
END $$
"""


def prepare(url: str, *, create: bool, upgrade: bool = True) -> bool:
    """Make the database at `url` a store of schema SCHEMA_VERSION; return True if there was none in it.

    Raises Unavailable if it cannot be reached, if there is none and `create` is false, if it is older and `upgrade` is
    false, of a newer version, or holds somebody else's tables. Nothing is changed in those cases.
    """
    server = Server(url)
    with server.connect() as connection:
        found = version_of(connection, server)
        if found == SCHEMA_VERSION:
            return False
        if found == 0 and not create:
            raise Unavailable(f"there is no Rota store in {server.shown}", hint="make one: rota db upgrade")
        if found and not upgrade:
            raise Unavailable(
                f"the store in {server.shown} is of schema {found}", expected=f"schema {SCHEMA_VERSION}",
                hint="bring it up to date: rota db upgrade",
            )  # fmt: skip
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            if version_of(connection, server) != SCHEMA_VERSION:
                _migrate(connection, server)
            connection.execute("COMMIT")
        except Exception as error:
            raise postgres_error(error, server) or error from error
        return found == 0


def version_of(connection: psycopg.Connection[Any], server: Server) -> int:
    """The schema's version, 0 for an empty database. Raises Unavailable where this program may not touch it."""
    tables = {
        name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    }
    if not tables:
        return 0
    row = (
        connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if "alembic_version" in tables
        else None
    )
    if row is None or not row[0].isdigit() or "job_state" not in tables:
        raise Unavailable(
            f"{server.shown} holds tables, but not those of a Rota store", expected="a database of its own",
            hint="CREATE DATABASE rota, and name that one",
        )  # fmt: skip
    version = int(row[0])
    if version > SCHEMA_VERSION:
        raise Unavailable(
            f"the store in {server.shown} is of schema {version}, made by a newer Rota",
            expected=f"schema {SCHEMA_VERSION} or older",
            hint="upgrade this program",
        )
    return version


def _migrate(connection: psycopg.Connection[Any], server: Server) -> None:
    """In the transaction that is open: a process killed in the middle leaves nothing behind."""
    view = core_view(connection, server)
    run_migrations(view)
    connection.execute(OUTPUT_TABLE)
    connection.execute(_TIDY)
