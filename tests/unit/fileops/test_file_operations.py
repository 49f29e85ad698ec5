"""File steps on real files, through the child that carries them out."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from rota.connectors.local.fileops import SCRIPT, command_for, read_exit
from rota.domain.fileop import LARGEST_READ, LARGEST_WRITE
from rota.domain.step import Exit, FileOp, StepResult


def do(
    op: Literal["write", "read", "mkdir", "remove", "chmod"],
    path: Path | str,
    content: bytes = b"",
    *,
    mode: int | None = None,
    parents: bool = False,
    recursive: bool = False,
) -> StepResult:
    command = command_for(
        FileOp(op=op, path=str(path), content=content, mode=mode, parents=parents, recursive=recursive)
    )
    done = subprocess.run(
        command.argv, input=command.stdin, capture_output=True, env={"HOME": str(Path.home())}, check=False
    )
    return read_exit(Exit(exit_code=done.returncode, output=done.stdout + done.stderr))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_once_and_then_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a"
    first, second = do("write", path, b"\0\xff"), do("write", path, b"\0\xff")
    assert (first.changed, second.changed) == (True, False)
    assert path.read_bytes() == b"\0\xff"
    assert second.registered["digest"] == hashlib.sha256(b"\0\xff").hexdigest()


def test_a_write_sets_the_mode_and_a_second_only_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    do("write", path, b"x", mode=0o640)
    assert mode_of(path) == 0o640
    before = path.stat().st_ino
    result = do("write", path, b"x", mode=0o600)
    assert result.changed and "mode changed" in result.message
    assert (mode_of(path), path.stat().st_ino) == (0o600, before)


def test_a_write_keeps_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1235)
    owner = path.stat().st_uid, path.stat().st_gid
    assert do("write", path, b"new").changed
    assert (mode_of(path), path.stat().st_uid, path.stat().st_gid) == (0o604, *owner)


def test_a_write_replaces_the_file_as_a_whole(tmp_path: Path) -> None:
    """Whoever has the old file open keeps the old text, and no other file is left."""
    path = tmp_path / "a"
    path.write_text("old")
    with path.open() as reader:
        do("write", path, b"new")
        assert reader.read() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_makes_missing_folders_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "b" / "c" / "a"
    refused = do("write", path, b"x")
    assert not refused.ok and "No such file" in refused.message
    assert do("write", path, b"x", parents=True).changed


def test_a_write_never_follows_a_symbolic_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("precious")
    link.symlink_to(target)
    result = do("write", link, b"x")
    assert not result.ok and f"symbolic link to {target}" in result.message
    assert target.read_text() == "precious"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_write_to_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    assert "not a regular file" in do("write", path, b"x").message


def test_a_large_file_is_written_and_a_larger_one_refused(tmp_path: Path) -> None:
    assert do("write", tmp_path / "a", b"x" * LARGEST_WRITE).ok
    assert len(command_for(FileOp(op="write", path="/a", content=b"x" * LARGEST_WRITE)).stdin) < 2**20
    with pytest.raises(ValueError, match="at most"):
        command_for(FileOp(op="write", path="/a", content=b"x" * (LARGEST_WRITE + 1)))


def test_no_content_is_in_the_argv() -> None:
    command = command_for(FileOp(op="write", path="/a", content=b"secret", sudo=True))
    assert not any("secret" in word for word in command.argv)


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text \xff\n")
    result = do("read", tmp_path / "a")
    assert result.registered["content"] == "text \N{REPLACEMENT CHARACTER}\n"
    assert result.changed is False


def test_the_largest_file_that_may_be_read_arrives_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * LARGEST_READ)
    assert do("read", tmp_path / "a").registered["content"] == "x" * LARGEST_READ
    (tmp_path / "a").write_bytes(b"x" * (LARGEST_READ + 1))
    assert "larger than" in do("read", tmp_path / "a").message


def test_a_file_larger_than_max_bytes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"xxx")
    command = command_for(FileOp(op="read", path=str(tmp_path / "a")))
    done = subprocess.run(command.argv, input=command.stdin, capture_output=True, check=True)
    result = read_exit(Exit(exit_code=0, output=done.stdout), max_bytes=2)
    assert not result.ok and "max_bytes is 2" in result.message


def test_reading_what_never_ends_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in do("read", tmp_path / "pipe").message
    assert "not a regular file" in do("read", "/dev/zero").message


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert [do("mkdir", path, mode=0o700).changed for _ in range(2)] == [True, False]
    assert mode_of(path) == 0o700
    assert do("mkdir", path, mode=0o750).changed and mode_of(path) == 0o750


def test_folders_above_are_made_when_asked(tmp_path: Path) -> None:
    assert not do("mkdir", tmp_path / "a" / "b").ok
    assert do("mkdir", tmp_path / "a" / "b", parents=True).changed


def test_making_a_folder_where_a_file_is_fails(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert "File exists" in do("mkdir", tmp_path / "a").message


def test_a_file_is_removed_once(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert [do("remove", tmp_path / "a").changed for _ in range(2)] == [True, False]


def test_a_full_folder_is_removed_only_with_recursive(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert "recursive: true" in do("remove", tmp_path / "a").message
    assert do("remove", tmp_path / "a", recursive=True).changed
    assert not (tmp_path / "a").exists()


def test_removing_a_link_leaves_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "full")
    assert do("remove", f"{tmp_path}/link/", recursive=True).changed
    assert (tmp_path / "full" / "a").exists()


@pytest.mark.parametrize("path", ["/", "//", "/etc", "/tmp/..", "/usr/lib", "/home/x/../../var", "~/", "/proc"])
def test_folders_of_the_system_are_never_removed(path: str) -> None:
    """Without `recursive`, so that a fault here would find them full, and remove nothing."""
    assert "never removed" in do("remove", path).message


def test_a_mode_is_set_once(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert [do("chmod", tmp_path / "a", mode=0o4711).changed for _ in range(2)] == [True, False]
    assert mode_of(tmp_path / "a") == 0o4711


def test_a_mode_of_nothing_or_of_a_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")
    assert "there is no" in do("chmod", tmp_path / "a", mode=0o644).message
    assert "symbolic link" in do("chmod", tmp_path / "link", mode=0o644).message


@pytest.mark.parametrize("path", ["relative", "", "~other/x", "/a\0b"])
def test_a_path_that_is_not_absolute_is_refused(path: str) -> None:
    assert "not absolute" in do("write", path, b"x").message


# Root becomes nobody once everything that only root may read is loaded.
AS_NOBODY = """
import __future__, base64, errno, hashlib, json, os, pathlib, secrets, shutil, stat, sys, typing
source = open(sys.argv[1]).read()
if os.geteuid() == 0:
    os.seteuid(65534)
exec(compile(source, "fileops_script", "exec"), {"__name__": "__main__"})
"""


def test_a_missing_right_is_told_with_a_hint() -> None:
    command = command_for(FileOp(op="write", path="/etc/rota-test", content=b"x"))
    argv = [sys.executable, "-c", AS_NOBODY, str(SCRIPT)]
    done = subprocess.run(argv, input=command.stdin, capture_output=True, check=False)
    result = read_exit(Exit(exit_code=done.returncode, output=done.stdout + done.stderr))
    assert result.message.startswith("cannot write /etc/rota-test: ") and result.message.endswith("try sudo: true")


def test_a_child_that_says_nothing_is_told_as_it_ended() -> None:
    assert read_exit(Exit(failure="no such file or directory: /bin/nope")).message.startswith("did not start")
    assert read_exit(Exit(signal=9, cause="step_timeout")).message == "ended by signal 9 (step_timeout)"
    assert read_exit(Exit(exit_code=1, output=b"sudo: a password is required\n")).message == (
        "exit 1 without an answer: sudo: a password is required"
    )
