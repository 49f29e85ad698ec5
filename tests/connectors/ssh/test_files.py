"""File steps on hosts: by SFTP, by the script where SFTP is denied, and by the script with nothing but POSIX tools.

The answers are those of the local connector (`tests/unit/fileops/`), word for word.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from rota.connectors.local.fileops import command_for as local_command
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.posix_files import command_for, read_answer
from rota.demo.sshd import Setup
from rota.domain.fileop import LARGEST_READ, LARGEST_WRITE, read_exit
from rota.domain.step import Exit, FileOp, StepResult
from tests.connectors.ssh.orders import Ssh, connect, new_token
from tests.support.sshd import StartSshd

Do = Callable[[FileOp], Awaitable[StepResult]]
# All that POSIX.1-2008 has of what the script names; `readlink` is younger.
POSIX_TOOLS = ("cat", "chmod", "chown", "cmp", "df", "ls", "mkdir", "mv", "printf", "rm", "rmdir", "sed", "sh", "wc")


@pytest.fixture
def folder(ssh: Ssh) -> Iterator[Path]:
    """A folder on the host that its account may write to, and we too."""
    path = Path(tempfile.mkdtemp(prefix="files-", dir=ssh.home))
    if os.geteuid() == 0:
        owner = ssh.home.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=["sftp", "script", "posix tools"])
def do(request: pytest.FixtureRequest, ssh: Ssh, tmp_path: Path) -> Do:
    """Carries out an operation in one of the ways, and reads its exit as an action does."""

    async def by_connector(op: FileOp) -> StepResult:
        if request.param == "script":
            ssh.connector._no_sftp.add("web1")
        return read_exit(await ssh.run(op))

    async def with_posix_tools(op: FileOp) -> StepResult:
        command = command_for(op)
        path = tmp_path / "bin"
        if not path.exists():
            path.mkdir()
            for tool in POSIX_TOOLS:
                (path / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
        environment = {"PATH": str(path), "HOME": str(ssh.home)}
        done = subprocess.run(command.argv, input=command.stdin, env=environment, capture_output=True, check=False)
        ended = Exit(exit_code=done.returncode, output=done.stdout + done.stderr)
        return read_exit(read_answer(op, ended))

    return with_posix_tools if request.param == "posix tools" else by_connector


def op(
    kind: Literal["write", "read", "mkdir", "remove", "chmod"],
    path: Path | str,
    content: bytes = b"",
    *,
    mode: int | None = None,
    parents: bool = False,
    recursive: bool = False,
) -> FileOp:
    return FileOp(op=kind, path=str(path), content=content, mode=mode, parents=parents, recursive=recursive)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_file_is_written_once_and_then_unchanged(do: Do, folder: Path) -> None:
    path = folder / "it's a file"
    first, second = [await do(op("write", path, b"\0\xff\n")) for _ in range(2)]
    assert (first.message, second.message) == (f"created: {path} (3 bytes)", f"unchanged: {path}")
    assert (first.changed, second.changed) == (True, False)
    assert path.read_bytes() == b"\0\xff\n"
    assert first.registered["digest"] == second.registered["digest"] == hashlib.sha256(b"\0\xff\n").hexdigest()


async def test_a_write_sets_the_mode_and_a_second_only_the_mode(do: Do, folder: Path) -> None:
    path = folder / "a"
    await do(op("write", path, b"x", mode=0o640))
    assert mode_of(path) == 0o640
    before = path.stat().st_ino
    result = await do(op("write", path, b"x", mode=0o600))
    assert (result.changed, result.message) == (True, f"mode changed: {path} is 0600")
    assert (mode_of(path), path.stat().st_ino) == (0o600, before)


async def test_a_new_file_has_the_mode_that_the_hosts_umask_leaves(do: Do, folder: Path) -> None:
    await do(op("write", folder / "a", b"x"))
    assert mode_of(folder / "a") == 0o644


async def test_a_write_keeps_the_mode_and_replaces_the_file_as_a_whole(do: Do, folder: Path) -> None:
    """Whoever has the old file open keeps the old text, and no other file is left."""
    path = folder / "a"
    await do(op("write", path, b"old", mode=0o604))
    with path.open() as reader:
        assert (await do(op("write", path, b"new"))).message == f"written: {path} (3 bytes)"
        assert reader.read() == "old"
    assert (mode_of(path), path.read_bytes()) == (0o604, b"new")
    assert list(folder.iterdir()) == [path]


async def test_a_write_makes_missing_folders_only_when_asked(do: Do, folder: Path) -> None:
    path = folder / "b" / "c" / "a"
    refused = await do(op("write", path, b"x"))
    assert refused.message == f"cannot write {path}: No such file or directory"
    assert (await do(op("write", path, b"x", parents=True))).changed


async def test_a_write_never_follows_a_symbolic_link(do: Do, folder: Path) -> None:
    target, link = folder / "target", folder / "link"
    target.write_text("precious")
    link.symlink_to(target)
    result = await do(op("write", link, b"x"))
    assert result.message == f"{link} is a symbolic link to {target}; name that file itself"
    assert target.read_text() == "precious"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
async def test_a_write_to_what_is_no_file_is_refused(do: Do, folder: Path, kind: str) -> None:
    path = folder / "a"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    assert (await do(op("write", path, b"x"))).message == f"{path} is not a regular file"


async def test_the_largest_file_is_written_whole(do: Do, folder: Path) -> None:
    content = os.urandom(LARGEST_WRITE)
    assert (await do(op("write", folder / "a", content))).ok
    assert (folder / "a").read_bytes() == content


async def test_a_file_is_read(do: Do, folder: Path) -> None:
    (folder / "a").write_bytes(b"@text \xff\n@\n")
    result = await do(op("read", folder / "a"))
    assert result.registered["content"] == "@text \N{REPLACEMENT CHARACTER}\n@\n"
    assert result.registered["digest"] == hashlib.sha256(b"@text \xff\n@\n").hexdigest()
    assert (result.changed, result.message) == (False, f"read: {folder}/a (10 bytes)")


async def test_the_largest_file_that_may_be_read_arrives_whole(do: Do, folder: Path) -> None:
    (folder / "a").write_bytes(b"x" * LARGEST_READ)
    assert (await do(op("read", folder / "a"))).registered["content"] == "x" * LARGEST_READ
    (folder / "a").write_bytes(b"x" * (LARGEST_READ + 1))
    assert "is larger than" in (await do(op("read", folder / "a"))).message


async def test_reading_what_never_ends_does_not_hang(do: Do, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert (await do(op("read", folder / "pipe"))).message == f"{folder}/pipe is not a regular file"
    assert (await do(op("read", "/dev/zero"))).message == "/dev/zero is not a regular file"


async def test_what_is_not_there_cannot_be_read(do: Do, folder: Path) -> None:
    assert (await do(op("read", folder / "a"))).message == f"cannot read {folder}/a: No such file or directory"


async def test_a_folder_is_made_once(do: Do, folder: Path) -> None:
    path = folder / "a"
    results = [await do(op("mkdir", path, mode=0o700)) for _ in range(2)]
    assert [result.message for result in results] == [f"created: {path}", f"unchanged: {path}"]
    assert mode_of(path) == 0o700
    assert (await do(op("mkdir", path, mode=0o2750))).message == f"mode changed: {path}"
    assert mode_of(path) == 0o2750


async def test_of_several_who_make_a_folder_at_once_none_fails(do: Do, folder: Path) -> None:
    results = await asyncio.gather(*(do(op("mkdir", folder / "a")) for _ in range(8)))
    assert [result.message for result in results if not result.ok] == []


async def test_folders_above_are_made_when_asked(do: Do, folder: Path) -> None:
    assert not (await do(op("mkdir", folder / "a" / "b"))).ok
    assert (await do(op("mkdir", folder / "a" / "b", parents=True))).changed


async def test_making_a_folder_where_a_file_is_fails(do: Do, folder: Path) -> None:
    (folder / "a").touch()
    assert "File exists" in (await do(op("mkdir", folder / "a"))).message


async def test_a_file_is_removed_once(do: Do, folder: Path) -> None:
    (folder / "a").touch()
    results = [await do(op("remove", folder / "a")) for _ in range(2)]
    assert [result.message for result in results] == [f"removed: {folder}/a", f"unchanged: there is no {folder}/a"]


async def test_a_full_folder_is_removed_only_with_recursive(do: Do, folder: Path) -> None:
    await do(op("mkdir", folder / "a" / "b", parents=True))
    assert "recursive: true" in (await do(op("remove", folder / "a"))).message
    result = await do(op("remove", folder / "a", recursive=True))
    assert result.message == f"removed: {folder}/a with all that was in it"
    assert not (folder / "a").exists()
    await do(op("mkdir", folder / "a"))
    assert (await do(op("remove", folder / "a"))).message == f"removed: {folder}/a"


async def test_removing_a_link_leaves_what_it_names(do: Do, folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "a").touch()
    (folder / "link").symlink_to(folder / "full")
    assert (await do(op("remove", f"{folder}/link/", recursive=True))).changed
    assert (folder / "full" / "a").exists()


@pytest.mark.parametrize("path", ["/", "//", "/etc", "/tmp/..", "/usr/lib", "/home/x/../../var", "~/", "/proc"])
async def test_folders_of_the_system_are_never_removed(do: Do, path: str) -> None:
    """Without `recursive`, so that a fault here would find them full, and remove nothing."""
    assert "never removed" in (await do(op("remove", path))).message


async def test_a_mode_is_set_once(do: Do, folder: Path) -> None:
    await do(op("write", folder / "a"))
    results = [await do(op("chmod", folder / "a", mode=0o4711)) for _ in range(2)]
    assert [result.message for result in results] == [
        f"mode changed: {folder}/a is 4711",
        f"unchanged: {folder}/a is 4711",
    ]
    assert mode_of(folder / "a") == 0o4711


@pytest.mark.parametrize("mode", [0o000, 0o1777, 0o2654, 0o6421, 0o7777])
async def test_every_mode_is_recognised(do: Do, folder: Path, mode: int) -> None:
    await do(op("mkdir", folder / "a", mode=mode))
    assert mode_of(folder / "a") == mode
    assert (await do(op("chmod", folder / "a", mode=mode))).changed is False


async def test_a_mode_of_nothing_or_of_a_link_is_an_error(do: Do, folder: Path) -> None:
    (folder / "link").symlink_to("a")
    assert (await do(op("chmod", folder / "a", mode=0o644))).message == f"there is no {folder}/a"
    assert "is a symbolic link to a;" in (await do(op("chmod", folder / "link", mode=0o644))).message


async def test_home_is_the_accounts_own(do: Do, ssh: Ssh) -> None:
    name = new_token()
    result = await do(op("write", f"~/{name}", b"x"))
    assert result.ok and (ssh.home / name).read_bytes() == b"x"


@pytest.mark.parametrize("path", ["relative", "", "~other/x", "/a\0b"])
async def test_a_path_that_is_not_absolute_is_refused(ssh: Ssh, path: str) -> None:
    assert "is not absolute; expected /… or ~/…" in read_exit(await ssh.run(op("write", path, b"x"))).message


@pytest.mark.parametrize("way", ["sftp", "script"])
async def test_a_missing_right_is_told_with_a_hint(ssh: Ssh, way: str) -> None:
    if way == "script":
        ssh.connector._no_sftp.add("web1")
    result = read_exit(await ssh.run(op("write", "/etc/rota-test", b"x")))
    assert result.message.startswith("cannot write /etc/rota-test: ") and result.message.endswith("; try sudo: true")
    assert "ermission denied" in result.message


async def test_no_content_is_in_the_argv() -> None:
    command = command_for(op("write", "/a", b"secret"))
    assert not any("secret" in word for word in command.argv)


async def test_an_account_that_may_only_use_sftp_is_served(
    start_sshd: StartSshd, pool: Pool, credentials: Credentials
) -> None:
    ssh = connect(pool, credentials, start_sshd(Setup(options=("ForceCommand internal-sftp",))))
    result = read_exit(await ssh.run(op("write", f"{ssh.home}/a", b"x")))
    assert result.changed and (ssh.home / "a").read_bytes() == b"x"


async def test_a_host_that_denies_sftp_is_asked_only_once(
    start_sshd: StartSshd, pool: Pool, credentials: Credentials
) -> None:
    ssh = connect(pool, credentials, start_sshd(Setup(sftp=False, options=("LogLevel VERBOSE",))))
    for name in ("a", "b"):
        assert read_exit(await ssh.run(op("write", f"{ssh.home}/{name}", b"x"))).changed
    assert ssh.sshd.server.log.count("subsystem request for sftp") == 1


async def test_a_file_step_that_takes_too_long_ends(ssh: Ssh) -> None:
    ended = await ssh.run(op("read", "/etc/hostname"), timeout=0.0)
    assert ended.cause == "timeout"


async def test_a_connection_that_is_lost_meanwhile_is_made_again(ssh: Ssh, folder: Path) -> None:
    await ssh.run(op("write", folder / "a", b"x"))
    writing = asyncio.create_task(ssh.run(op("write", folder / "a", os.urandom(LARGEST_WRITE))))
    await asyncio.sleep(0)
    ssh.cut()
    assert read_exit(await writing).ok
    assert (folder / "a").stat().st_size == LARGEST_WRITE


async def test_the_words_are_those_of_the_local_connector(do: Do, folder: Path) -> None:
    path, inner = folder / "a", folder / "d"
    steps = [
        op("write", path, b"x", mode=0o600), op("write", path, b"x", mode=0o600), op("write", path, b"y"),
        op("chmod", path, mode=0o640), op("read", path), op("mkdir", inner, mode=0o755), op("mkdir", inner),
        op("remove", inner), op("remove", inner), op("remove", path),
        op("read", path), op("chmod", path, mode=0o644), op("write", inner / "y", b""),
    ]  # fmt: skip
    there = [await do(step) for step in steps]
    here = []
    for step in steps:
        command = local_command(step)
        done = subprocess.run(command.argv, input=command.stdin, capture_output=True, check=False)
        here.append(read_exit(Exit(exit_code=done.returncode, output=done.stdout)))
    told = [(result.ok, result.changed, result.registered) for result in there]
    assert told == [(result.ok, result.changed, result.registered) for result in here]
    assert [result.message.split(":")[0] for result in there] == [result.message.split(":")[0] for result in here]
