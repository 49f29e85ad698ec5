"""Bring a store file to this program's schema, or refuse with a clear word. One PRAGMA when there is nothing to do."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rota.domain.errors import Unavailable
from rota.storage.sqlite import BUSY_SECONDS, SCHEMA_VERSION, core_view, storage_error

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def prepare(path: Path, *, create: bool) -> bool:
    """Make `path` a store of schema SCHEMA_VERSION; return True if it was made new.

    Raises Unavailable if there is none and `create` is false, if it is of a newer version, damaged, not a store at
    all, read-only or somebody else's. Nothing is changed in those cases.
    """
    fresh = not path.exists()
    if fresh and not create:
        raise Unavailable(f"there is no Rota store at {path}", hint="start one: rota daemon")
    try:
        driver = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            if version_of(driver, path) == SCHEMA_VERSION:
                return False
            _use_wal(driver)
            driver.execute("BEGIN IMMEDIATE")  # whoever else comes waits here, and then finds it done
            if version_of(driver, path) == SCHEMA_VERSION:
                return False
            _migrate(driver)
        finally:
            driver.close()  # what is not committed is undone
    except sqlite3.Error as error:
        raise storage_error(error, path) or Unavailable(f"the store cannot be read: {path}: {error}") from error
    return fresh


def version_of(driver: sqlite3.Connection, path: Path) -> int:
    """The schema's version, 0 for an empty file. Raises Unavailable where this program may not touch the file."""
    (version,) = driver.execute("PRAGMA user_version").fetchone()
    (tables,) = driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version > SCHEMA_VERSION:
        raise Unavailable(
            f"the store {path} is of schema {version}, made by a newer Rota",
            expected=f"schema {SCHEMA_VERSION} or older",
            hint="upgrade this program, or choose another --home",
        )
    if tables and not driver.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        raise Unavailable(f"{path} is a SQLite file, but not a Rota store", hint="choose another --home")
    return int(version)


def _use_wal(driver: sqlite3.Connection) -> None:
    """Switch to WAL. Of several processes that try at once all but one are told "busy", without any waiting."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            driver.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            driver.execute("PRAGMA synchronous = FULL")
            return


def _migrate(driver: sqlite3.Connection) -> None:
    """Run what is missing, in the transaction that is open: a process killed in the middle leaves nothing behind."""
    with core_view(driver) as connection, connection.begin():  # commits what `prepare` began
        run_migrations(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def run_migrations(connection: Connection) -> None:
    """Bring the schema behind `connection` to the newest version, in the transaction that is open on it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
