"""What is found where a store should be: none, a newer one, a damaged one, another program's, a read-only one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.domain.errors import Unavailable
from rota.storage.executor import InlineExecutor
from rota.storage.schema import prepare
from rota.storage.sqlite import SCHEMA_VERSION, SqliteStore
from tests.support.clock import ManualClock

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rota.db"


def test_a_new_store_is_made_once(path: Path) -> None:
    assert prepare(path, create=True) is True
    assert prepare(path, create=True) is False


def test_a_missing_store_says_what_starts_one(path: Path) -> None:
    with pytest.raises(Unavailable, match="no Rota store") as caught:
        prepare(path, create=False)
    assert caught.value.hint == "start one: rota daemon"
    assert not path.exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        prepare(tmp_path / "nowhere" / "rota.db", create=True)


def test_a_store_of_a_newer_rota_is_refused_and_left_alone(path: Path) -> None:
    prepare(path, create=True)
    with sqlite3.connect(path) as driver:
        driver.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    driver.close()
    before = path.read_bytes()
    with pytest.raises(Unavailable, match="newer Rota") as caught:
        prepare(path, create=True)
    assert "upgrade this program" in caught.value.hint
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("dear diary\n" * 100)
    with pytest.raises(Unavailable, match="not a Rota store"):
        prepare(path, create=True)
    assert path.read_text().startswith("dear diary")


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION])
def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, version: int) -> None:
    with sqlite3.connect(path) as driver:
        driver.execute("CREATE TABLE recipes (name TEXT)")
        driver.execute(f"PRAGMA user_version = {version}")
    driver.close()
    with pytest.raises(Unavailable, match="not a Rota store"):
        prepare(path, create=True)
    with sqlite3.connect(path) as driver:
        assert driver.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    driver.close()


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    prepare(path, create=True)
    SqliteStore(path, clock=ManualClock(), executor=InlineExecutor()).close()


async def test_a_damaged_store_says_to_restore_a_backup(path: Path) -> None:
    prepare(path, create=True)
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="damaged") as caught:
        store = SqliteStore(path, clock=ManualClock(), executor=InlineExecutor())
        try:
            await store.read(lambda tx: tx.driver.execute("SELECT * FROM run").fetchall())
        finally:
            store.close()
    assert "restore a backup" in caught.value.hint


def test_a_migration_that_fails_half_way_leaves_nothing_behind(path: Path) -> None:
    """As if an earlier process had been killed in the middle: only its own mark stands."""
    with sqlite3.connect(path) as driver:
        driver.execute("CREATE TABLE alembic_version (version_num TEXT NOT NULL)")
        driver.execute("CREATE TABLE job_version (id)")
    driver.close()
    with pytest.raises(Exception, match="job_version"):
        prepare(path, create=True)
    with sqlite3.connect(path) as driver:
        names = {name for (name,) in driver.execute("SELECT name FROM sqlite_master")}
    driver.close()
    assert names == {"alembic_version", "job_version"}


def test_processes_that_make_one_store_at_the_same_time_agree(path: Path) -> None:
    code = (
        f"from pathlib import Path; from rota.storage.schema import prepare; prepare(Path({str(path)!r}), create=True)"
    )
    children = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(child.communicate()[1], child.returncode) for child in children] == [(b"", 0)] * 4
    assert prepare(path, create=False) is False


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_store_is_named_as_such(open_to_all: Path) -> None:
    path = open_to_all / "rota.db"
    prepare(path, create=True)
    path.chmod(0o444)
    open_to_all.chmod(0o555)
    code = f"""
import asyncio, os, sqlalchemy
from pathlib import Path
from rota.clock import SystemClock
from rota.domain.errors import Unavailable
from rota.storage.sqlite import SqliteStore
if os.geteuid() == 0:  # who may write everywhere
    os.setgid({NOBODY})
    os.setuid({NOBODY})
try:
    store = SqliteStore(Path({str(path)!r}), clock=SystemClock())
    try:
        asyncio.run(store.write(lambda tx: tx.take_ids("run")))
    finally:
        store.close()
except Unavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the store is read-only" in done.stdout
