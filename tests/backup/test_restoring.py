"""A backup becomes an instance whole or not at all; and what it may do before somebody resumes it: nothing."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from rota.backup.restoring import restore
from rota.domain.errors import Conflict, Unavailable
from rota.instance import Instance
from rota.storage.sqlite import SCHEMA_VERSION
from tests.backup.conftest import Original, ask
from tests.support.clock import NOON, ManualClock


async def restored(path: Path, home: Path) -> Instance:
    """Restore as a command does: in a thread that runs no loop."""
    instance = Instance(home=home, kind="option")
    await asyncio.to_thread(restore, path, instance, clock=ManualClock(NOON + 1), principal="ada")
    return instance


async def test_everything_that_was_in_it_is_there_again(original: Original, tmp_path: Path) -> None:
    made = await original.backup()
    home = (await restored(made.path, tmp_path / "new")).home
    assert (home / "rota.yaml").read_text() == "targets_at_once: 20\n"
    assert (home / "known_hosts").read_text() == "web-1 ssh-ed25519 AAAA\n"
    assert (home / "playbooks" / "nightly" / "copy.yaml").exists()
    assert ask(home / "rota.db", "SELECT name FROM job") == [("daily",)]
    assert ask(home / "rota.db", "SELECT id, state FROM run") == [(1, "succeeded")]
    assert ask(home / "output.db", "SELECT data FROM chunk") == [(b"hello\n",)]


async def test_what_it_makes_belongs_to_its_owner_alone(original: Original, tmp_path: Path) -> None:
    home = (await restored((await original.backup()).path, tmp_path / "new")).home
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (home, *home.rglob("*"))}
    assert modes == {0o600, 0o700}


async def test_an_empty_folder_is_as_good_as_none(original: Original, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert (await restored((await original.backup()).path, tmp_path / "new")).store.exists()


async def test_a_home_that_is_not_empty_is_refused_and_left_alone(original: Original, tmp_path: Path) -> None:
    made = await original.backup()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "letter").write_text("dear")
    with pytest.raises(Conflict, match="is not empty; expected a folder that is empty"):
        await restored(made.path, tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["letter"]


async def test_a_damaged_backup_leaves_nothing_behind(original: Original, tmp_path: Path) -> None:
    made = await original.backup()
    content = bytearray(made.path.read_bytes())
    content[-20_000] ^= 1
    made.path.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Unavailable, match="is damaged"):
        await restored(made.path, tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before


async def test_a_restored_instance_is_another_one_than_the_original(original: Original, tmp_path: Path) -> None:
    """Else a host would take its next attempts for those that the original has made since."""
    home = (await restored((await original.backup()).path, tmp_path / "new")).home
    ((instance_id,),) = ask(home / "rota.db", "SELECT value FROM instance WHERE key = 'id'")
    assert instance_id != "00000000000000aa"


async def test_it_is_written_down_who_restored_what(original: Original, tmp_path: Path) -> None:
    home = (await restored((await original.backup()).path, tmp_path / "new")).home
    [(principal, verb)] = ask(home / "rota.db", "SELECT principal, verb FROM audit ORDER BY id DESC LIMIT 1")
    assert (principal, verb) == ("ada", "restore")


async def test_everything_is_paused_and_the_reason_says_what_to_do(original: Original, tmp_path: Path) -> None:
    home = (await restored((await original.backup()).path, tmp_path / "new")).home
    [(scope, until, reason)] = ask(home / "rota.db", "SELECT scope, until, reason FROM pause")
    assert (scope, until) == ("all", None)
    assert str(reason).startswith("restored from a backup of 2026-03-04T12:00:00Z")
    assert "rota resume --all" in str(reason)


async def test_its_store_has_this_programs_schema_and_no_file_beside_it(original: Original, tmp_path: Path) -> None:
    home = (await restored((await original.backup()).path, tmp_path / "new")).home
    assert ask(home / "rota.db", "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert ask(home / "rota.db", "PRAGMA integrity_check") == [("ok",)]
    assert not (home / "rota.db-wal").exists()


async def test_a_folder_that_cannot_be_made_is_told(original: Original, tmp_path: Path) -> None:
    made = await original.backup()
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="nothing was restored"):
        await restored(made.path, tmp_path / "file" / "new")
