"""Bring a store file to this program's schema, or refuse with a clear word. One PRAGMA when there is nothing to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from rota.domain.errors import Unavailable
from rota.storage.sqlite import SCHEMA_VERSION, storage_error


def prepare(path: Path, *, create: bool) -> bool:
    """Make `path` a store of schema SCHEMA_VERSION; return True if it was made new.

    Raises Unavailable if there is none and `create` is false, if it is of a newer version, damaged, not a store at
    all, read-only or somebody else's. Nothing is changed in those cases.
    """
    fresh = not path.exists()
    if fresh and not create:
        raise Unavailable(f"there is no Rota store at {path}", hint="start one: rota daemon")
    try:
        version = _version(path)
    except sqlite3.Error as error:
        raise storage_error(error, path) or Unavailable(f"the store cannot be read: {path}: {error}") from error
    if version == SCHEMA_VERSION:
        return False
    if version > SCHEMA_VERSION:
        raise Unavailable(
            f"the store {path} is of schema {version}, made by a newer Rota",
            expected=f"schema {SCHEMA_VERSION} or older",
            hint="upgrade this program, or choose another --home",
        )
    _migrate(path)
    return fresh


def _version(path: Path) -> int:
    driver = sqlite3.connect(path)
    try:
        (version,) = driver.execute("PRAGMA user_version").fetchone()
        (tables,) = driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (
            version == 0
            and tables
            and not driver.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        ):
            raise Unavailable(f"{path} is a SQLite file, but not a Rota store", hint="choose another --home")
        return int(version)
    finally:
        driver.close()


def _migrate(path: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _wal(driver: sqlite3.Connection, _record: object) -> None:
        driver.execute("PRAGMA journal_mode = WAL")
        driver.execute("PRAGMA synchronous = FULL")

    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
