"""Files that are cut off, overwritten or not what they should be: Rota starts, or refuses with a clear word.

What is somebody's data is never deleted, whatever it looks like. Stores of other kinds: test_bad_stores.py; settings:
test_broken_settings.py; backups: tests/backup/test_archive.py.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from rota.clock import SystemClock
from rota.domain.errors import Unavailable
from rota.storage.bundle import open_embedded
from rota.storage.reserve import Reserve
from tests.fault.invariants import WITNESS, assert_counters_are_true, witnessed
from tests.support.daemon import Home, until

UNAVAILABLE = 6
END_RECORD = b'"k":"E"'  # of a keeper's journal


@pytest.fixture
def used(home: Home, made_store: Path) -> Home:
    """A home with one job and one run in its store, and no daemon."""
    for file in made_store.iterdir():
        shutil.copy(file, home.path / file.name)
    return home


def overwrite(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


@pytest.mark.parametrize("kept", [100, 4096, 40_000, 0.5, 0.99])
async def test_a_store_that_is_cut_off_is_refused_and_left_as_it_is(
    tmp_path: Path, made_store: Path, kept: float
) -> None:
    """As every process opens it, in this one."""
    store = Path(shutil.copy(made_store / "rota.db", tmp_path))
    size = int(kept if kept > 1 else store.stat().st_size * kept)
    os.truncate(store, size)
    before = store.read_bytes()
    reserve = Reserve(tmp_path / "reserve", clock=SystemClock(), keeps=False, tell=lambda _: None)
    with pytest.raises(Unavailable, match=r"the store is damaged|this is not a Rota store") as caught:
        await open_embedded(store, tmp_path / "output.db", clock=SystemClock(), on_fatal=raising, reserve=reserve)
    assert caught.value.hint
    assert store.read_bytes()[:size] == before


def raising(error: BaseException) -> None:
    raise AssertionError("a file that is cut off is no failing disk") from error


def test_an_empty_store_beside_output_of_runs_is_not_taken_for_a_new_one(used: Home) -> None:
    store = used.path / "rota.db"
    os.truncate(store, 0)
    said = used.rota("daemon", "run")
    assert said.code == UNAVAILABLE
    assert "is empty, and output of its runs is: it has been lost" in said.err
    assert "rota backup restore" in said.err
    assert store.stat().st_size == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rota.db-wal", b"garbage" * 1000),
        ("rota.db-wal", b"\x37\x7f\x06\x82" + b"\0" * 5000),
        ("rota.db-shm", random.Random(1).randbytes(32_768)),
    ],
    ids=["garbage", "header", "index"],
)
async def test_a_wal_or_its_index_that_is_garbage_costs_nothing_that_was_in_the_store(
    tmp_path: Path, made_store: Path, name: str, content: bytes
) -> None:
    """As every process opens it, in this one."""
    store = Path(shutil.copy(made_store / "rota.db", tmp_path))
    (tmp_path / name).write_bytes(content)
    reserve = Reserve(tmp_path / "reserve", clock=SystemClock(), keeps=False, tell=lambda _: None)
    opened = await open_embedded(store, tmp_path / "output.db", clock=SystemClock(), on_fatal=raising, reserve=reserve)
    jobs = await opened.store.read(lambda tx: tx.driver.execute("SELECT name FROM job").fetchall())
    await opened.store.write(lambda tx: tx.driver.execute("INSERT INTO instance VALUES ('written', 'yes')"))
    await opened.close()
    assert [name for (name,) in jobs] == ["noop"]


def test_a_wal_with_a_torn_end_gives_all_commits_before_it(home: Home) -> None:
    daemon = home.daemon()
    for name in ("first", "second"):
        home.client.create_job({"name": name, "triggers": [{"kind": "manual"}], "do": "noop"})
    daemon.kill()
    wal = home.path / "rota.db-wal"
    with wal.open("ab") as file:
        file.write(os.urandom(10_000))
    home.daemon()
    assert {job["name"] for job in home.client.jobs()["items"]} == {"first", "second"}


@pytest.mark.parametrize("kept", [10, pytest.param(5000, marks=pytest.mark.slow)])
def test_an_output_store_that_is_cut_off_costs_output_only(used: Home, kept: int) -> None:
    os.truncate(used.path / "output.db", kept)
    used.daemon()
    run = used.run("shell: echo lost; exit 3")
    assert used.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3
    assert (used.path / "output.db").exists()


def test_an_output_store_with_broken_pages_costs_output_only(used: Home) -> None:
    output = used.path / "output.db"
    overwrite(output, 4096, os.urandom(output.stat().st_size - 4096))
    used.daemon()
    run = used.run("shell: echo lost; exit 3")
    assert used.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3


def test_neither_journals_nor_locks_nor_a_reserve_that_are_garbage_hold_up_a_start(used: Home) -> None:
    for number, content in enumerate((b"", os.urandom(5000), b"00000000 {}\n" * 100)):
        folder = used.path / "keeper" / f"keeper-{number}"
        folder.mkdir(parents=True)
        (folder / "journal").write_bytes(content)
    (used.path / "engine.lock").write_bytes(os.urandom(500))
    (used.path / "owners").mkdir()
    (used.path / "owners" / "own_0000000000000000.lock").write_bytes(b"\xff")
    (used.path / "reserve").mkdir()
    used.daemon()
    assert [job["name"] for job in used.client.jobs()["items"]] == ["noop"]
    assert used.finished(used.run("shell: echo hi"))["state"] == "succeeded"


def test_playbook_files_that_are_no_playbooks_are_named_and_left_alone(used: Home) -> None:
    folder = used.path / "playbooks"
    folder.mkdir()
    (folder / "binary.yaml").write_bytes(os.urandom(3000))
    (folder / "cut.yaml").write_text("name: cut\nsteps: [{exec: ")
    (folder / "folder.yaml").mkdir()
    (folder / "dangling.yaml").symlink_to(folder / "nowhere")
    (folder / "good.yaml").write_text("name: good\nsteps:\n  - {name: one, exec: 'true'}\n")
    used.daemon()
    listed = used.client.playbooks()
    assert [item["name"] for item in listed["items"]] == ["good"]
    assert {"file:binary.yaml", "file:cut.yaml"} <= {fault["source"] for fault in listed["faults"]}
    assert (folder / "binary.yaml").stat().st_size == 3000


def test_settings_that_are_no_text_are_refused_and_left_as_they_are(home: Home) -> None:
    """What else is no text: tests/unit/settings."""
    content = b"\xff\xfe\x00"
    (home.path / "rota.yaml").write_bytes(content)
    said = home.rota("daemon", "run")
    assert said.code == 2
    assert "rota.yaml cannot be used" in said.err
    assert "Traceback" not in said.err
    assert (home.path / "rota.yaml").read_bytes() == content


# What a keeper left, when it and its daemon are killed


def ended_untold(home: Home) -> tuple[str, Path]:
    """A run whose child has ended with 3, and the journal that alone knows it: daemon and keeper were killed."""
    daemon = home.daemon()
    gate = home.gate()
    run = home.run(f"shell: {WITNESS}; read line < {gate.path}; exit 3")
    gate.reached()
    (keeper,) = home.keepers()
    daemon.kill()
    gate.open()
    (journal,) = home.path.glob("keeper/*/journal")
    until(lambda: END_RECORD in journal.read_bytes())
    os.kill(keeper, signal.SIGKILL)
    until(lambda: not home.keepers())
    return run, journal


def test_a_whole_journal_of_a_dead_keeper_tells_the_true_end(home: Home) -> None:
    run, _journal = ended_untold(home)
    home.daemon()
    assert home.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3


def torn(journal: Path) -> None:
    os.truncate(journal, journal.stat().st_size - 5)


def flipped(journal: Path) -> None:
    content = bytearray(journal.read_bytes())
    content[content.index(END_RECORD)] ^= 0x10
    journal.write_bytes(content)


def emptied(journal: Path) -> None:
    os.truncate(journal, 0)


@pytest.mark.parametrize(
    "damage", [flipped, emptied, *(pytest.param(one, marks=pytest.mark.slow) for one in (torn, Path.unlink))]
)
def test_an_end_that_cannot_be_read_is_unknown_and_nothing_is_started_again(
    home: Home, damage: Callable[[Path], object]
) -> None:
    run, journal = ended_untold(home)
    damage(journal)
    home.daemon()
    (target,) = home.finished(run)["targets"]
    assert (target["state"], target["reason"]) == ("unknown", "keeper_lost")
    assert len(witnessed(home.tmp)) == 1
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"
    assert_counters_are_true(home)


def test_what_ran_under_a_keeper_whose_folder_somebody_removed_is_unknown_and_not_started_again(home: Home) -> None:
    daemon = home.daemon()
    gate = home.gate()
    run = home.run(f"shell: {WITNESS}; read line < {gate.path}")
    gate.reached()
    (keeper,) = home.keepers()
    daemon.kill()
    shutil.rmtree(home.path / "keeper")
    home.daemon()
    (target,) = home.finished(run)["targets"]
    assert (target["state"], target["reason"]) == ("unknown", "keeper_lost")
    assert len(witnessed(home.tmp)) == 1
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"
    gate.open()
    os.kill(keeper, signal.SIGKILL)  # whom nobody finds any more


def test_output_that_was_cut_off_beside_a_living_keeper_costs_output_only(home: Home) -> None:
    daemon = home.daemon()
    gate = home.gate()
    run = home.run(f"shell: seq 100000; read line < {gate.path}; exit 3")
    gate.reached()
    daemon.kill()
    for spool in home.path.glob("keeper/*/out*/*"):
        os.truncate(spool, spool.stat().st_size // 2)
    home.daemon()
    gate.open()
    assert home.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3
