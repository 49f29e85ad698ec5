"""`rota backup` as it is typed, with a daemon at work and without one."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.client.api import Client
from rota.client.unix import UnixTransport
from tests.support.daemon import Home, a_home, until

CONFLICT, NOT_FOUND, UNAVAILABLE = 5, 4, 6
WRITES_PER_SECOND = 50


@pytest.fixture(scope="module")
def made_store() -> Iterator[Path]:
    """The store of an instance with a job that is due every second, to be copied."""
    with a_home() as home:
        assert home.rota("schedule", "create", "--name", "often", "--every", "1s", "--do", "noop").code == 0
        yield home.path / "rota.db"


@pytest.fixture
def home(made_store: Path) -> Iterator[Home]:
    with a_home() as made:
        shutil.copy(made_store, made.path)
        yield made


class Writer:
    """Makes a job every 20 ms, and keeps the names of those that were acknowledged."""

    def __init__(self, home: Home) -> None:
        self.acknowledged: list[str] = []
        self.longest = 0.0
        self._client = Client(UnixTransport(home.path / "rota.sock"))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(1 / WRITES_PER_SECOND):
            name, begun = f"job-{number}", time.monotonic()
            self._client.create_job({"name": name, "triggers": [{"kind": "manual"}], "do": "noop"})
            self.longest = max(self.longest, time.monotonic() - begun)
            self.acknowledged.append(name)
            number += 1


def test_the_drill_every_write_acknowledged_before_the_backup_began_is_in_the_restored_instance(home: Home) -> None:
    home.daemon()
    with Writer(home) as writer:
        until(lambda: len(writer.acknowledged) > WRITES_PER_SECOND)
        before = set(writer.acknowledged)
        said = home.rota("backup", "create", "-o", "name")
        until(lambda: len(writer.acknowledged) > len(before) + WRITES_PER_SECOND // 2)
    assert said.code == 0, said.err
    assert writer.longest < 10  # a writer waits for no copy, only for its turn on this machine
    with a_home() as second:
        (second.path / "rota.yaml").unlink()
        restored = second.rota("backup", "restore", said.out.strip())
        assert restored.code == 0, restored.err
        second.daemon()
        there = {job["name"] for job in second.client.jobs()["items"]}
        assert before <= there <= {*writer.acknowledged, "often"}
        assert "Everything is paused" in restored.err


def test_a_restored_daemon_fires_nothing_until_it_is_told(home: Home) -> None:
    made = home.rota("backup", "create", "-o", "name")
    with a_home() as second:
        (second.path / "rota.yaml").unlink()
        assert second.rota("backup", "restore", made.out.strip()).code == 0
        second.daemon()
        until(lambda: second.rows("SELECT 1 FROM ledger WHERE reason = 'paused' AND count > 1"))
        assert second.rows("SELECT 1 FROM run") == []
        assert "restored from a backup" in second.rota("why", "often").out
        assert second.rota("resume", "--all").code == 0
        until(lambda: second.rows("SELECT 1 FROM run WHERE state = 'succeeded'"))


def test_without_a_daemon_it_is_made_listed_and_verified_all_the_same(home: Home) -> None:
    made = home.rota("backup", "create")
    assert made.code == 0
    assert made.out.startswith(f"Backup made: {home.path}/backups/rota-")
    assert "1 schedule, 0 runs, 0 refusals" in made.out
    [listed] = json.loads(home.rota("backup", "list", "-o", "json").out)["items"]
    verified = home.rota("backup", "verify", listed["name"])
    assert verified.code == 0
    assert "is good" in verified.out


def test_the_file_may_be_named_from_where_one_stands(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.tmp)
    assert home.rota("backup", "create", "--to", "mine.tar").code == 0
    assert (home.tmp / "mine.tar").exists()
    assert home.rota("backup", "create", "--to", "mine.tar").code == CONFLICT


def test_keys_that_are_left_out_are_told(home: Home) -> None:
    (home.path / "keys").mkdir()
    (home.path / "keys" / "id").write_text("secret")
    assert "Not in it: 1 file in" in home.rota("backup", "create").err


def test_how_many_are_kept_is_a_setting(home: Home) -> None:
    home.settings("backup: {keep: 1}\n")
    first = Path(home.rota("backup", "create", "-o", "name").out.strip())
    second = home.rota("backup", "create", "-o", "name")
    assert f"Removed the old backup {first.name}" in second.err
    assert list((home.path / "backups").iterdir()) == [Path(second.out.strip())]


def test_wrong_files_are_told_with_their_exit_codes(home: Home) -> None:
    letter = home.tmp / "letter"
    letter.write_text("dear")
    assert home.rota("backup", "verify", str(letter)).code == UNAVAILABLE
    assert home.rota("backup", "verify", "none").code == NOT_FOUND
    assert home.rota("backup", "restore", str(letter), "--home", str(home.tmp / "new")).code == UNAVAILABLE
    assert home.rota("backup", "create", "--home", str(home.tmp / "new")).code == UNAVAILABLE  # none is there
    assert not (home.tmp / "new").exists()


def test_a_restore_into_a_home_in_use_is_refused(home: Home) -> None:
    made = home.rota("backup", "create", "-o", "name").out.strip()
    said = home.rota("backup", "restore", made)
    assert said.code == CONFLICT
    assert f"{home.path} is not empty" in said.err
