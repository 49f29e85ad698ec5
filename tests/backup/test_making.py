"""What a backup holds, what it does not, and which of them are kept."""

from __future__ import annotations

import asyncio
import errno
import stat
import tarfile
from pathlib import Path

import pytest

from rota.backup import archive
from rota.backup.restoring import verify
from rota.backup.staging import staging_in
from rota.domain.errors import Conflict, NotFound, Unavailable
from rota.domain.instant import DAY
from rota.storage.output import Chunk
from rota.storage.sqlite import SCHEMA_VERSION
from tests.backup.conftest import Original, ask
from tests.support.clock import NOON


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


async def test_it_holds_store_output_settings_known_hosts_and_playbooks_after_its_manifest(original: Original) -> None:
    made = await original.backup()
    first, *rest = names(made.path)
    assert first == "manifest.json"
    assert sorted(rest) == ["known_hosts", "output.db", "playbooks/nightly/copy.yaml", "rota.db", "rota.yaml"]
    assert made.path.parent == original.instance.backups_dir


async def test_keys_are_not_in_it_and_that_is_said(original: Original) -> None:
    made = await original.backup()
    assert made.keys == 1
    assert b"PRIVATE KEY" not in made.path.read_bytes()


async def test_nobody_else_may_read_it(original: Original) -> None:
    assert stat.S_IMODE((await original.backup()).path.stat().st_mode) == 0o600


async def test_its_manifest_says_of_when_whom_and_how_much_it_is(original: Original) -> None:
    manifest = archive.manifest_of((await original.backup()).path)
    assert (manifest.made_at, manifest.rota, manifest.schema) == (NOON, "0.1.0", SCHEMA_VERSION)
    assert manifest.instance_id == "00000000000000aa"
    assert (manifest.counts["job"], manifest.counts["run"]) == (1, 1)


async def test_a_store_in_the_middle_of_a_write_is_copied_as_it_was_before(original: Original, tmp_path: Path) -> None:
    """The writer neither waits nor is seen half-way."""
    writer = original.world.store._writer.driver
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO instance VALUES ('half', 'done')")
    made = await original.backup()
    writer.execute("COMMIT")
    archive.check(made.path, into=tmp_path)
    assert ask(tmp_path / "rota.db", "SELECT count(*) FROM instance WHERE key = 'half'") == [(0,)]


async def test_output_is_copied_before_the_store_so_that_all_of_it_belongs_to_known_attempts(
    original: Original, tmp_path: Path
) -> None:
    world, stop = original.world, asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            run_id, [work] = await world.make()
            await world.output.append([Chunk(run_id, work.attempt_id, 0, b"x")])
            await world.end(work)

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        made = await original.backup()
        stop.set()
    archive.check(made.path, into=tmp_path)
    ((latest,),) = ask(tmp_path / "output.db", "SELECT max(attempt_id) FROM chunk")
    ((known,),) = ask(tmp_path / "rota.db", "SELECT max(id) FROM attempt")
    assert isinstance(latest, int)
    assert isinstance(known, int)
    assert latest <= known


async def test_it_goes_where_it_is_sent_under_a_name_of_its_own_or_the_one_given(
    original: Original, tmp_path: Path
) -> None:
    in_folder = await original.backup(to=tmp_path)
    as_file = await original.backup(to=tmp_path / "mine")
    assert in_folder.path.parent == tmp_path
    assert in_folder.path.name == "rota-20260304T120000.000000Z.tar"
    assert as_file.path == tmp_path / "mine"
    assert verify(as_file.path).files.keys() == verify(in_folder.path).files.keys()


async def test_it_replaces_no_file(original: Original, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(Conflict, match="exists already"):
        await original.backup(to=tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "precious"


async def test_a_folder_that_is_not_there_is_named(original: Original, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no folder .*/nowhere") as caught:
        await original.backup(to=tmp_path / "nowhere" / "b.tar")
    assert caught.value.hint.startswith("mkdir -p ")


async def test_the_newest_few_are_kept_in_the_instances_folder_and_what_was_sent_elsewhere_is_left_alone(
    original: Original, tmp_path: Path
) -> None:
    await original.backup(to=tmp_path, at=NOON - DAY)
    made = [await original.backup(at=NOON + day * DAY, keep=3) for day in range(5)]
    assert [len(one.removed) for one in made] == [0, 0, 0, 1, 1]
    assert [kept.path for kept in await original.backups().list_all()] == [one.path for one in reversed(made[2:])]
    assert len(list(tmp_path.glob("*.tar"))) == 1


async def test_the_newest_one_stays_also_after_the_clock_was_set_back(original: Original) -> None:
    for day in range(3):
        await original.backup(at=NOON + day * DAY, keep=3)
    made = await original.backup(at=NOON - DAY, keep=3)
    assert made.path.exists()
    assert [path.name for path in made.removed] == ["rota-20260304T120000.000000Z.tar"]


async def test_all_are_kept_where_the_settings_say_so(original: Original) -> None:
    made = [await original.backup(at=NOON + day * DAY, keep=0) for day in range(9)]
    assert sum(len(one.removed) for one in made) == 0


async def test_a_backup_that_fails_removes_none_of_the_good_ones(original: Original) -> None:
    good = await original.backup()
    store = original.instance.store
    original.world.store.close()
    content = bytearray(store.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    store.write_bytes(content)
    with pytest.raises(Unavailable, match=r"no backup was made|the store is damaged"):
        await original.backup(at=NOON + DAY, keep=1)
    assert [kept.path for kept in await original.backups().list_all()] == [good.path]
    verify(good.path)


async def test_a_disk_without_room_is_told_before_anything_is_written(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1_000_000

    monkeypatch.setattr("rota.backup.making.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(Unavailable, match="has 1 MB free; expected"):
        await original.backup()
    assert list(original.instance.backups_dir.iterdir()) == []


async def test_what_a_killed_backup_left_goes_with_a_later_one(original: Original) -> None:
    left = original.instance.backups_dir / ".rota-backup-dead"
    left.mkdir()
    (left / "partial").write_bytes(b"x")
    with staging_in(original.instance.backups_dir, ".rota-backup-") as at_work:
        await original.backup()
        assert at_work.exists()
    assert not left.exists()
    assert [path.suffix for path in original.instance.backups_dir.iterdir()] == [".tar"]


async def test_on_a_disk_without_links_it_has_its_name_all_the_same(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    made = await original.backup()
    assert archive.check(made.path)[1] == []


async def test_a_file_among_them_that_is_no_backup_is_listed_with_what_is_wrong(original: Original) -> None:
    (original.instance.backups_dir / "rota-x.tar").write_text("dear diary")
    [kept] = await original.backups().list_all()
    assert kept.manifest is None
    assert "is no backup" in (kept.fault or "")
