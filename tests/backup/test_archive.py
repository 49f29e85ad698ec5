"""Whatever is wrong with a backup is found, and nothing of it is written outside the folder it is read into."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rota.backup.restoring import verify
from rota.domain.errors import NotFound, Unavailable
from rota.storage.sqlite import SCHEMA_VERSION
from tests.backup.conftest import an_original

Files = dict[str, bytes]


def rewrite(path: Path, change: Callable[[Files], object]) -> None:
    """Take the archive apart, change what is in it, and put it together again."""
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]  # all are files
    change(files)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))


def declare(**fields: Any) -> Callable[[Files], object]:
    """The manifest says otherwise."""

    def change(files: Files) -> None:
        files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) | fields).encode()

    return change


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup as it was made, for all tests here."""

    async def make() -> bytes:
        async with an_original(tmp_path_factory.mktemp("sound")) as original:
            return (await original.backup()).path.read_bytes()

    return asyncio.run(make())


@pytest.fixture
def backup(sound: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    path.write_bytes(sound)
    return path


def test_a_sound_one_is_good(backup: Path) -> None:
    assert verify(backup).counts["run"] == 1


@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.9])
def test_a_flipped_bit_is_found_wherever_it_is(backup: Path, place: float) -> None:
    content = bytearray(backup.read_bytes())
    content[int(len(content) * place)] ^= 0x10
    backup.write_bytes(content)
    with pytest.raises(Unavailable, match=r"is damaged|is no backup"):
        verify(backup)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.1, 0.5, 0.95])
def test_one_that_is_cut_off_is_found(backup: Path, kept: float) -> None:
    content = backup.read_bytes()
    backup.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(Unavailable, match=r"is damaged|is no backup"):
        verify(backup)


def test_every_fault_is_told_at_once(backup: Path) -> None:
    def change(files: Files) -> None:
        files["rota.yaml"] = b"targets_at_once: 99\n"
        del files["known_hosts"]
        files["extra"] = b"?"

    rewrite(backup, change)
    with pytest.raises(Unavailable) as caught:
        verify(backup)
    for told in ("rota.yaml is not what was put in", "known_hosts is missing", "'extra' is in it, and should not be"):
        assert told in str(caught.value)


def test_counts_that_are_not_the_stores_are_found(backup: Path) -> None:
    rewrite(backup, declare(counts={"run": 7}))
    with pytest.raises(Unavailable, match="run has 1 rows, expected 7"):
        verify(backup)


def test_one_of_a_newer_schema_is_refused_with_what_to_do(backup: Path) -> None:
    rewrite(backup, declare(schema=SCHEMA_VERSION + 1, rota="9.9"))
    with pytest.raises(Unavailable, match=rf"schema {SCHEMA_VERSION + 1}, made by a newer Rota \(9.9\)") as caught:
        verify(backup)
    assert caught.value.hint == "upgrade this program first"


def test_one_of_a_newer_format_is_refused(backup: Path) -> None:
    rewrite(backup, declare(format=2))
    with pytest.raises(Unavailable, match="format 2, made by a newer Rota"):
        verify(backup)


@pytest.mark.parametrize("name", ["../outside", "/etc/cron.d/x", "playbooks/../../x", "keys/id", "rota.sock", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(backup: Path, name: str) -> None:
    def change(files: Files) -> None:
        manifest = json.loads(files["manifest.json"])
        manifest["files"][name] = {"sha256": "0" * 64, "bytes": 1}
        files["manifest.json"] = json.dumps(manifest).encode()
        files[name] = b"x"

    rewrite(backup, change)
    with pytest.raises(Unavailable, match="names what no backup holds"):
        verify(backup)


def test_a_link_in_the_place_of_a_file_is_not_followed(backup: Path) -> None:
    with tarfile.open(backup) as tar:
        manifest = tar.extractfile("manifest.json").read()  # type: ignore[union-attr]  # it is a file
    with tarfile.open(backup, "w") as tar:
        header = tarfile.TarInfo("manifest.json")
        header.size = len(manifest)
        tar.addfile(header, io.BytesIO(manifest))
        link = tarfile.TarInfo("rota.db")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(Unavailable, match=r"'rota.db' is in it, and should not be"):
        verify(backup)


@pytest.mark.parametrize("content", [b"", b"dear diary", b"\x1f\x8b" + b"\0" * 600, b"\0" * 10_240])
def test_what_is_no_backup_is_called_so(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(Unavailable, match="is no backup"):
        verify(file)


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        verify(tmp_path / "none")
    with pytest.raises(Unavailable, match="is no backup"):
        verify(tmp_path)
