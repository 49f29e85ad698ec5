"""kill -9 in the middle of a backup and of a restore: what was there stays whole, and it can be done again.

That half a file is recognised as such: tests/backup/test_archive.py.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rota.backup.making import Backups
from rota.backup.restoring import restore, verify
from rota.clock import SystemClock
from rota.failpoints import BACKUP, RESTORE
from rota.instance import Instance
from tests.support.daemon import Home, a_home

KILLED = -9


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an instance with a job, a run and a backup, to be copied."""
    kept = tmp_path_factory.mktemp("made") / "home"
    with a_home() as home:
        assert home.rota("schedule", "create", "--name", "hello", "--manual", "--do", "shell: echo hello").code == 0
        assert home.rota("run", "hello").code == 0
        assert home.rota("backup", "create").code == 0
        shutil.copytree(home.path, kept, ignore=shutil.ignore_patterns("*.sock", "keeper"))
    yield kept


@pytest.fixture
def home(made: Path) -> Iterator[Home]:
    with a_home() as home:
        shutil.copytree(made, home.path, dirs_exist_ok=True)
        yield home


def dies_at(home: Home, point: str, *command: str) -> None:
    mark = home.tmp / "mark"
    doom = {"ROTA_TEST": "1", "ROTA_FAILPOINT": point, "ROTA_FAILPOINT_MARK": str(mark)}
    assert home.rota("backup", *command, env=doom).code == KILLED
    assert mark.read_text() == point


def backups_of(home: Home) -> list[Path]:
    return sorted((home.path / "backups").glob("*.tar"))


def is_sound(store: Path) -> bool:
    with closing(sqlite3.connect(store)) as driver:
        return driver.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("point", BACKUP)
def test_a_backup_that_is_killed_leaves_the_store_and_the_earlier_ones_whole(home: Home, point: str) -> None:
    dies_at(home, point, "create")
    # The one that was killed is there whole, or not at all.
    there = backups_of(home)
    assert len(there) == (2 if point == "backup.named" else 1)
    assert {verify(path).counts["run"] for path in there} == {1}
    assert is_sound(home.path / "rota.db")

    again = Backups(Instance(home=home.path, kind="option"), version="0.1.0", keep=7)
    asyncio.run(again.create(at=SystemClock().now(), to=None))
    assert len(backups_of(home)) == len(there) + 1
    assert {path.suffix for path in (home.path / "backups").iterdir()} == {".tar"}, "what was half done is gone"


def test_a_daemon_that_is_killed_while_it_makes_one_loses_nothing(home: Home) -> None:
    mark = home.tmp / "mark"
    doom = {"ROTA_TEST": "1", "ROTA_FAILPOINT": "backup.copied", "ROTA_FAILPOINT_MARK": str(mark)}
    daemon = home.daemon(doom)
    gate = home.gate()
    run = home.run(f"shell: echo begun; read line < {gate.path}; echo end")
    gate.reached()
    assert home.rota("backup", "create").code != 0
    assert daemon.wait() == KILLED
    home.daemon()
    gate.open()
    assert home.finished(run)["state"] == "succeeded"
    assert [verify(path).counts["run"] for path in backups_of(home)] == [1]


@pytest.mark.parametrize("point", RESTORE)
def test_a_restore_that_is_killed_leaves_a_whole_home_or_none_and_can_be_repeated(home: Home, point: str) -> None:
    (path,), new = backups_of(home), home.scratch / "new"
    before = path.read_bytes()
    dies_at(home, point, "restore", str(path), "--home", str(new))
    assert new.exists() is (point == "restore.renamed")
    if not new.exists():
        restore(path, Instance(home=new, kind="option"), clock=SystemClock(), principal="ada")
    assert path.read_bytes() == before
    assert [left for left in home.scratch.iterdir() if left.name.startswith(".")] == [], "what was half done is gone"
    assert is_sound(new / "rota.db")
    with closing(sqlite3.connect(new / "rota.db")) as store:
        assert store.execute("SELECT scope FROM pause WHERE ended_at IS NULL").fetchall() == [("all",)]
        assert store.execute("SELECT count(*) FROM run").fetchall() == [(1,)]
