"""Locks that live exactly as long as a process, tried with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rota.daemon.locks import FileLock, OwnerLock, dead_here, dead_owners, holder, is_held, notes_of, sweep_owners
from rota.domain.errors import Unavailable

Start = Callable[[str, Path], "subprocess.Popen[str]"]

HOLD = "lock = FileLock.try_acquire(path, kind='daemon'); print('held' if lock else 'refused', flush=True)"
OWN = "owner_id, lock = OwnerLock.create(path); print(owner_id, flush=True)"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that runs a line and then waits for its standard input to end."""
    started: list[subprocess.Popen[str]] = []

    def starting(line: str, path: Path) -> subprocess.Popen[str]:
        script = (
            "import sys, pathlib\nfrom rota.daemon.locks import FileLock, OwnerLock\n"
            f"path = pathlib.Path(sys.argv[1])\n{line}\nsys.stdin.read()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield starting
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_lock_that_another_process_holds_is_refused(tmp_path: Path, start: Start) -> None:
    other = start(HOLD, tmp_path / "engine.lock")
    assert said(other) == "held"
    assert FileLock.try_acquire(tmp_path / "engine.lock", kind="daemon") is None


def test_kill_9_of_the_holder_frees_the_lock(tmp_path: Path, start: Start) -> None:
    other = start(HOLD, tmp_path / "engine.lock")
    assert said(other) == "held"
    other.send_signal(signal.SIGKILL)
    other.wait()
    lock = FileLock.try_acquire(tmp_path / "engine.lock", kind="daemon")
    assert lock is not None
    lock.release()


def test_the_holder_is_named_with_its_pid_kind_and_start(tmp_path: Path, start: Start) -> None:
    other = start(HOLD, tmp_path / "engine.lock")
    assert said(other) == "held"
    found = holder(tmp_path / "engine.lock")
    assert found is not None
    assert (found.pid, found.kind) == (other.pid, "daemon")
    assert abs(found.started_at - time.time_ns() // 1000) < 60_000_000


def test_a_free_lock_has_no_holder_whatever_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    path.write_text(json.dumps({"pid": os.getpid(), "kind": "daemon", "started_at": "2026-03-01T00:00:00Z"}))
    assert holder(path) is None


def test_a_lock_file_that_is_not_there_is_not_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "engine.lock")
    assert holder(tmp_path / "engine.lock") is None


def test_the_record_of_a_longer_predecessor_is_overwritten_whole(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    lock = FileLock.try_acquire(path, kind="a-much-longer-kind-of-process")
    assert lock is not None
    lock.release()
    with FileLock.try_acquire(path, kind="daemon") or pytest.fail("not taken"):
        found = holder(path)
        assert found is not None
        assert found.kind == "daemon"


def test_a_held_lock_whose_record_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    with FileLock.try_acquire(path, kind="daemon") or pytest.fail("not taken"):
        path.write_text("garbage")
        with pytest.raises(Unavailable, match="held by a process that it does not name"):
            holder(path)


def test_looking_at_a_lock_does_not_keep_a_starting_daemon_from_it(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "engine.lock"
    path.touch()
    watcher = start(
        "from rota.daemon.locks import is_held\nprint('looking', flush=True)\nwhile True: is_held(path)", path
    )
    assert said(watcher) == "looking"
    for _ in range(50):
        lock = FileLock.try_acquire(path, kind="daemon")
        assert lock is not None
        lock.release()


def test_a_program_started_by_the_holder_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "engine.lock"
    lock = FileLock.try_acquire(path, kind="daemon")
    assert lock is not None
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        assert not is_held(path)
    finally:
        child.kill()
        child.wait()


def test_a_lock_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with FileLock.try_acquire(tmp_path / "engine.lock", kind="daemon") or pytest.fail("not taken"):
        assert (tmp_path / "engine.lock").stat().st_mode & 0o777 == 0o600


def test_owner_ids_are_own_and_16_hex(tmp_path: Path) -> None:
    owner_id, lock = OwnerLock.create(tmp_path)
    with lock:
        assert owner_id.startswith("own_")
        assert len(bytes.fromhex(owner_id.removeprefix("own_"))) == 8


def test_dead_owners_are_those_whose_lock_can_be_taken(tmp_path: Path, start: Start) -> None:
    alive, killed = start(OWN, tmp_path), start(OWN, tmp_path)
    alive_id, killed_id = said(alive), said(killed)
    assert dead_owners(tmp_path, [alive_id, killed_id]) == []
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert dead_owners(tmp_path, [alive_id, killed_id, "own_0123456789abcdef"]) == [
        killed_id,
        "own_0123456789abcdef",
    ]


def test_an_owner_that_ends_well_leaves_no_file(tmp_path: Path) -> None:
    _, lock = OwnerLock.create(tmp_path)
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_the_sweep_deletes_the_files_of_the_dead_and_no_other(tmp_path: Path, start: Start) -> None:
    alive, killed = start(OWN, tmp_path), start(OWN, tmp_path)
    alive_id, killed_id = said(alive), said(killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert dead_here(tmp_path) == [killed_id]
    assert notes_of(tmp_path, killed_id) == []
    sweep_owners(tmp_path, dead_here(tmp_path))
    assert notes_of(tmp_path, killed_id) is None
    assert [path.stem for path in tmp_path.iterdir()] == [alive_id]
    assert dead_owners(tmp_path, [alive_id]) == []


def test_what_an_owner_noted_is_there_when_it_is_dead_and_its_record_stays_readable(
    tmp_path: Path, start: Start
) -> None:
    owner_id, lock = OwnerLock.create(tmp_path)
    with lock:
        lock.note("+own_x-1", sync=True)
        lock.note("-own_x-1", sync=False)
        assert notes_of(tmp_path, owner_id) == ["+own_x-1", "-own_x-1"]
        held = holder(lock.path)
        assert held is not None
        assert held.pid == os.getpid()
    lock.note("+own_x-2", sync=True)  # given back: nobody asks any more
    assert notes_of(tmp_path, owner_id) is None
