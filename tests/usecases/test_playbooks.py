from __future__ import annotations

from pathlib import Path

import pytest

from rota.usecases.playbooks import Synced, sync_folder
from tests.support.builders import BACKUP, Rota


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "playbooks"
    made.mkdir()
    return made


async def names(rota: Rota) -> list[str]:
    return [item["name"] for item in (await rota.api.get("/playbooks")).json["items"]]


async def test_an_imported_playbook_keeps_its_text(rota: Rota) -> None:
    await rota.a_playbook()
    shown = (await rota.api.get("/playbooks/backup")).json
    assert (shown["text"], shown["source"], shown["vars"]) == (BACKUP, "import", {"retention_days": "30"})
    assert [step["name"] for step in shown["steps"]] == ["copy"]


async def test_importing_again_replaces_the_text(rota: Rota) -> None:
    first = await rota.a_playbook()
    second = await rota.a_playbook(BACKUP.replace("echo", "printf"))
    assert second["id"] == first["id"]
    assert second["digest"] != first["digest"]


async def test_other_comments_are_kept_and_make_no_other_digest(rota: Rota) -> None:
    first = await rota.a_playbook()
    second = await rota.a_playbook("# nightly\n" + BACKUP)
    assert second["digest"] == first["digest"]
    assert second["text"].startswith("# nightly")


async def test_a_faulty_playbook_is_refused_with_all_its_faults(rota: Rota) -> None:
    answer = await rota.api.post(
        "/playbooks", {"text": "name: x\nsteps:\n  - name: a\n    exec: a\n    sudo: b\n    wen: c\n"}
    )
    assert answer.status == 422
    assert len(answer.json["errors"]) == 2


async def test_validating_says_what_is_wrong_and_keeps_nothing(rota: Rota) -> None:
    bad = await rota.api.post("/playbooks:validate", {"text": "name: x\nsteps: []\n"})
    assert (bad.status, bad.json["valid"]) == (200, False)
    good = await rota.api.post("/playbooks:validate", {"text": BACKUP})
    assert good.json == {"valid": True, "errors": []}
    assert await names(rota) == []


async def test_a_playbook_goes_by_the_name_it_is_imported_as_and_keeps_its_text(rota: Rota) -> None:
    answer = await rota.api.post("/playbooks", {"text": BACKUP, "name": "nightly"})
    assert (answer.status, answer.json["name"], answer.json["text"]) == (201, "nightly", BACKUP)
    assert await names(rota) == ["nightly"]
    planned = await rota.api.post("/runs", {"playbook": "nightly"}, dry_run="true")
    assert [step["name"] for step in planned.json["plan"]["steps"]] == ["copy"]


async def test_one_text_may_be_imported_under_two_names(rota: Rota) -> None:
    await rota.a_playbook()
    await rota.api.post("/playbooks", {"text": BACKUP, "name": "nightly"})
    await rota.api.delete("/playbooks/backup")
    assert await names(rota) == ["nightly"]


@pytest.mark.parametrize("name", ["night backup", "-x", "a/b", "a\n", "x" * 101])
async def test_what_is_no_name_is_told_with_the_faults_of_the_text(rota: Rota, name: str) -> None:
    answer = await rota.api.post("/playbooks", {"text": "name: x\nsteps: []\n", "name": name})
    assert [fault["field"] for fault in answer.json["errors"]] == ["name", "steps"]
    assert (await rota.api.post("/playbooks", {"text": BACKUP, "name": name})).status == 422


async def test_a_playbook_that_a_job_uses_cannot_be_removed(rota: Rota) -> None:
    await rota.a_playbook()
    await rota.a_job("nightly", playbook="backup")
    await rota.a_job("weekly", playbook="backup")
    answer = await rota.api.delete("/playbooks/backup")
    assert answer.status == 409
    assert "nightly, weekly" in answer.json["message"]


async def test_a_playbook_that_is_only_mentioned_can_be_removed(rota: Rota) -> None:
    await rota.a_playbook()
    await rota.a_job(do='shell: echo "playbook":"backup"')
    assert (await rota.api.delete("/playbooks/backup")).json == {"deleted": "backup"}


async def test_the_folder_is_brought_into_the_library(rota: Rota, folder: Path) -> None:
    (folder / "backup.yaml").write_text(BACKUP)
    (folder / "other.yml").write_text(BACKUP.replace("name: backup", "name: other"))
    (folder / "README.md").write_text("not a playbook")
    synced = await sync_folder(rota.ctx, folder)
    assert synced == Synced(new=("backup", "other"), faults={})
    assert (await rota.api.get("/playbooks/backup")).json["source"] == "file:backup.yaml"


async def test_a_folder_that_has_not_changed_changes_nothing(rota: Rota, folder: Path) -> None:
    (folder / "backup.yaml").write_text(BACKUP)
    await sync_folder(rota.ctx, folder)
    before = rota.launcher.changes
    assert await sync_folder(rota.ctx, folder) == Synced(faults={})
    assert rota.launcher.changes == before


async def test_a_folder_that_is_not_there_is_an_empty_one(rota: Rota, folder: Path) -> None:
    assert await sync_folder(rota.ctx, folder / "nothing") == Synced(faults={})


async def test_changed_and_deleted_files_are_followed(rota: Rota, folder: Path) -> None:
    (folder / "backup.yaml").write_text(BACKUP)
    (folder / "other.yaml").write_text(BACKUP.replace("name: backup", "name: other"))
    await sync_folder(rota.ctx, folder)
    (folder / "backup.yaml").write_text(BACKUP.replace("echo", "printf"))
    (folder / "other.yaml").unlink()
    synced = await sync_folder(rota.ctx, folder)
    assert (synced.changed, synced.removed) == (("backup",), ("other",))


async def test_a_broken_file_keeps_the_last_good_text_and_is_told_of(rota: Rota, folder: Path) -> None:
    (folder / "backup.yaml").write_text(BACKUP)
    await sync_folder(rota.ctx, folder)
    (folder / "backup.yaml").write_text("name: backup\nsteps: 7\n")
    await sync_folder(rota.ctx, folder)
    page = (await rota.api.get("/playbooks")).json
    assert page["faults"][0]["source"] == "file:backup.yaml"
    assert page["items"][0]["faults"] == page["faults"][0]["errors"]
    assert (await rota.api.get("/playbooks/backup")).json["text"] == BACKUP
    (folder / "backup.yaml").write_text(BACKUP)
    await sync_folder(rota.ctx, folder)
    assert (await rota.api.get("/playbooks")).json["faults"] == []


async def test_a_deleted_file_whose_playbook_is_in_use_is_kept_and_told_of(rota: Rota, folder: Path) -> None:
    (folder / "backup.yaml").write_text(BACKUP)
    await sync_folder(rota.ctx, folder)
    await rota.a_job(playbook="backup")
    (folder / "backup.yaml").unlink()
    synced = await sync_folder(rota.ctx, folder)
    assert synced.removed == ()
    assert "daily-backup" in synced.faults["backup.yaml"][0]
    assert await names(rota) == ["backup"]


async def test_two_files_with_one_name_are_not_both_taken(rota: Rota, folder: Path) -> None:
    (folder / "a.yaml").write_text(BACKUP)
    (folder / "b.yaml").write_text(BACKUP)
    synced = await sync_folder(rota.ctx, folder)
    assert list(synced.faults) == ["b.yaml"]


async def test_a_file_does_not_take_the_place_of_an_import(rota: Rota, folder: Path) -> None:
    await rota.a_playbook()
    (folder / "backup.yaml").write_text(BACKUP)
    synced = await sync_folder(rota.ctx, folder)
    assert "imported" in synced.faults["backup.yaml"][0]


async def test_a_playbook_of_the_folder_is_changed_there(rota: Rota, folder: Path) -> None:
    (folder / "backup.yaml").write_text(BACKUP)
    await sync_folder(rota.ctx, folder)
    assert (await rota.api.post("/playbooks", {"text": BACKUP})).status == 409
    assert (await rota.api.delete("/playbooks/backup")).status == 409


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * (1024 * 1024 + 1), b"a: &a [*a]\n", b""])
async def test_a_file_that_is_no_playbook_at_all_is_only_told_of(rota: Rota, folder: Path, content: bytes) -> None:
    (folder / "odd.yaml").write_bytes(content)
    assert list((await sync_folder(rota.ctx, folder)).faults) == ["odd.yaml"]
