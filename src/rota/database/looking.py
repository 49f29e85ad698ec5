"""What a store is as a database: where, of which schema, and whether this program can use it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from rota.domain.errors import Unavailable
from rota.domain.instant import Micros
from rota.instance import Instance
from rota.ports import Clock
from rota.settings import Settings
from rota.storage import schema
from rota.storage.bundle import need_psycopg
from rota.storage.sqlite import SCHEMA_VERSION, storage_error


@dataclass(frozen=True, slots=True)
class Found:
    """`schema` 0: there is no store yet. `ahead`: how far the server's clock is ahead of this machine's, in µs."""

    shown: str
    server: str  # "SQLite 3.40.1", "PostgreSQL 15.4"
    schema: int
    ahead: Micros | None = None
    expected: int = SCHEMA_VERSION

    @property
    def needs_upgrade(self) -> bool:
        return self.schema < self.expected


def look(instance: Instance, settings: Settings, *, clock: Clock) -> Found:
    """Raises Unavailable where it cannot be reached, is of a newer Rota or holds something else."""
    if settings.database.is_embedded:
        return _look_at_file(instance)
    need_psycopg()
    from rota.storage.postgres_link import Server
    from rota.storage.postgres_schema import version_of

    server = Server(settings.database.url)
    with server.connect() as connection:
        at = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchall()[0][0]
        ahead = int(at) - clock.now()
        version = connection.info.server_version
        return Found(
            server.shown, f"PostgreSQL {version // 10_000}.{version % 10_000}", version_of(connection, server), ahead
        )


def upgrade(instance: Instance, settings: Settings) -> bool:
    """Make the store, or bring its schema up to date. Returns whether there was none. Raises as `look` does."""
    if settings.database.is_embedded:
        instance.prepare()
        return schema.prepare(instance.store, create=True)
    need_psycopg()
    from rota.storage import postgres_schema

    return postgres_schema.prepare(settings.database.url, create=True, upgrade=True)


def _look_at_file(instance: Instance) -> Found:
    path = instance.store
    if not path.exists():
        raise Unavailable(f"there is no Rota store at {path}", hint="make one: rota db upgrade")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as driver:
            version = schema.version_of(driver, path)
            (verdict,) = driver.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise storage_error(error, path) or Unavailable(f"the store cannot be read: {path}: {error}") from error
    if verdict != "ok":
        raise Unavailable(f"the store is damaged: {path}: {verdict}", hint="restore a backup: rota backup restore")
    return Found(f"SQLite file {path}", f"SQLite {sqlite3.sqlite_version}", version)
