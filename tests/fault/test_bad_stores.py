"""A store that is corrupt, read-only, another user's.

Each gets its clear error and exit code, from the daemon and from a command alike, and nothing is changed on the disk.
Stores of another program or of a newer version are refused at the same place: tests/contract/test_store_files.py.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.daemon import NOBODY, Home, as_nobody

USAGE, UNAVAILABLE, REFUSED = 2, 6, 7


@pytest.fixture
def used(home: Home, made_store: Path) -> Home:
    """A home with one job and one run in its store, and no daemon."""
    for file in made_store.iterdir():
        shutil.copy(file, home.path / file.name)
    return home


def both(home: Home, *, through: Sequence[str] = ()) -> list[tuple[int, str]]:
    """What a daemon and a command say."""
    said = [home.rota("daemon", "run", through=through), home.rota("schedule", "list", through=through)]
    assert "Traceback" not in "".join(one.err for one in said)
    assert "Daemon: running" not in "".join(one.out for one in said)
    return [(one.code, one.err) for one in said]


def overwrite(store: Path, at: int, data: bytes) -> None:
    with store.open("r+b") as file:
        file.seek(at)
        file.write(data)


def test_a_store_with_a_broken_header_is_named_and_not_touched(used: Home) -> None:
    store = used.path / "rota.db"
    overwrite(store, 0, b"this is not SQLite")
    before = store.read_bytes()
    for code, err in both(used):
        assert code == UNAVAILABLE
        assert f"this is not a Rota store: {store}" in err
        assert "Hint: " in err
    assert store.read_bytes() == before


def test_a_store_with_broken_pages_is_called_damaged(used: Home) -> None:
    store = used.path / "rota.db"
    overwrite(store, 4096, b"\xff" * (store.stat().st_size - 4096))
    for code, err in both(used):
        assert code == UNAVAILABLE
        assert "the store is damaged" in err
        assert "restore a backup" in err


def test_a_broken_store_of_output_costs_the_output_and_no_verdict(used: Home) -> None:
    overwrite(used.path / "output.db", 0, b"this is not SQLite")
    used.daemon()
    run = used.run("shell: echo lost; exit 3")
    ((attempt,),) = (target["attempts"] for target in used.finished(run)["targets"])
    assert attempt["exit_code"] == 3
    said = used.rota("runs", "logs", run)
    assert said.code == UNAVAILABLE
    assert "output.db" in said.err


def own(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid)


if os.geteuid() == 0:  # only root can become another user, whom the modes of files bind

    def test_another_user_s_store_is_refused_with_what_to_start(used: Home) -> None:
        own(used.path, NOBODY)
        daemon, command = both(used)
        assert daemon[0] == REFUSED
        assert command[0] == UNAVAILABLE
        assert "belongs to nobody, and you are root" in daemon[1]
        assert f"its store belongs to uid {NOBODY}, not to you" in command[1]
        assert "as that user: rota daemon" in command[1]

    def test_a_daemon_serves_its_own_user_only(home: Home) -> None:
        home.daemon()
        home.scratch.chmod(0o711)
        said = home.rota("schedule", "list", through=as_nobody())
        assert said.code == UNAVAILABLE
        assert f"you may not use the socket {home.path / 'rota.sock'}" in said.err
        assert "--home" in said.err

    def test_a_read_only_store_is_called_so(used: Home) -> None:
        used.scratch.chmod(0o711)
        own(used.path, NOBODY)
        for file in used.path.glob("*.db*"):
            file.chmod(0o400)
        for code, err in both(used, through=as_nobody()):
            assert code == UNAVAILABLE
            assert "the store is read-only" in err
            assert "writable for their owner" in err
