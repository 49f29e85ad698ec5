"""At most one start for each token, and what becomes of an attempt whose connection was lost."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.wrapper import seal
from rota.demo.sshd import Setup
from rota.domain.reasons import Reason
from rota.domain.states import Fate
from rota.domain.step import Exit, FileOp
from tests.connectors.ssh.orders import Ssh, a_command, connect, gone, new_token, until_there
from tests.support.sshd import StartSshd


@pytest.fixture
def seen(ssh: Ssh) -> Path:
    """A file to which commands add a line at each start. Nothing is in it yet."""
    path = ssh.home / f"{new_token()}.starts"
    path.touch(mode=0o666)
    path.chmod(0o666)
    return path


async def begun(ssh: Ssh, seen: Path, token: str, rest: str) -> asyncio.Task[Exit]:
    """Start a command that says so in `seen`, then does `rest`; return when it has begun."""
    task = asyncio.create_task(ssh.run(f"echo begun >> {seen}; {rest}", token=token))
    await until_there(seen)
    return task


# Twice


async def test_a_repeated_order_runs_nothing_and_tells_how_the_first_ended(ssh: Ssh, seen: Path) -> None:
    token = new_token()
    ends = [await ssh.run(f"echo begun >> {seen}; exit 4", token=token) for _ in range(2)]
    assert [end.exit_code for end in ends] == [4, 4]
    assert seen.read_text() == "begun\n"


async def test_a_repeated_order_waits_for_the_end_of_the_first(ssh: Ssh, seen: Path) -> None:
    token = new_token()
    go = ssh.home / f"{token}.go"
    first = await begun(ssh, seen, token, f"until [ -e {go} ]; do sleep 0.05; done; exit 6")
    second = asyncio.create_task(ssh.run(f"echo begun >> {seen}", token=token))
    await asyncio.wait({second}, timeout=0.5)
    assert not second.done()
    go.touch()
    assert (await second).exit_code == 6
    await first
    assert seen.read_text() == "begun\n"


# A lost connection


async def test_what_ends_while_the_connection_is_lost_has_its_true_exit_code(ssh: Ssh, seen: Path) -> None:
    token = new_token()
    running = await begun(ssh, seen, token, "sleep 1; exit 3")
    ssh.cut()
    end = await running
    assert (end.exit_code, end.lost, end.cause) == (3, None, None)
    assert seen.read_text() == "begun\n"
    assert "the connection to web1 was lost; it is asked what goes on" in ssh.noticed
    assert any(text.startswith("the connection to web1 was lost; exit code 3 at 2") for text in ssh.noticed)


async def test_output_up_to_the_loss_is_kept(ssh: Ssh) -> None:
    token = new_token()
    running = asyncio.create_task(ssh.run("echo begun; sleep 1", token=token))
    await ssh.printed(token, 6)
    ssh.cut()
    end = await running
    assert (end.exit_code, end.output) == (0, b"begun\n")


async def test_a_command_that_died_without_a_trace_is_lost(ssh: Ssh, seen: Path) -> None:
    token = new_token()
    running = await begun(ssh, seen, token, "kill -9 0")  # its group, and so the shell around it
    end = await running
    assert (end.signal, end.exit_code) == (9, None)
    ssh.connector.forget(token)
    end = await ssh.follow("echo begun again", token)
    assert end.lost is Reason.DAEMON_CRASHED
    assert end.failure == "web1 was asked what became of it: gone without a result"


async def test_the_timeout_holds_while_the_connection_is_lost(ssh: Ssh) -> None:
    token = new_token()
    running = asyncio.create_task(ssh.run("echo begun; sleep 300", token=token, timeout=2))
    await ssh.printed(token, 6)
    ssh.cut()
    end = await running
    assert (end.cause, end.left_running) == ("timeout", 0)
    assert ssh.processes(token) == set()


async def test_a_cancel_ends_what_the_connection_was_lost_to(ssh: Ssh) -> None:
    token = new_token()
    running = asyncio.create_task(ssh.run("echo begun; sleep 300", token=token))
    await ssh.printed(token, 6)
    ssh.cut()
    async with asyncio.timeout(60):
        while not ssh.noticed:
            await asyncio.sleep(0.02)
    ssh.connector.cancel(token, cause="user_cancelled")
    end = await running
    assert (end.cause, end.left_running) == ("user_cancelled", 0)
    assert ssh.processes(token) == set()


async def test_a_host_that_does_not_come_back_in_time_leaves_the_attempt_unknown(
    start_sshd: StartSshd, pool: Pool, credentials: Credentials
) -> None:
    sshd = start_sshd(Setup())
    ssh = connect(pool, credentials, sshd, lost_grace=0.5)
    token = new_token()
    running = asyncio.create_task(ssh.run("echo begun; sleep 300", token=token))
    await ssh.printed(token, 6)
    sshd.server.stop()
    end = await running
    assert (end.lost, end.left_running) == (Reason.CONNECTION_LOST, 0)
    assert (end.failure or "").endswith("it may still be running on web1")
    assert await ssh.connector.evidence(ssh.host, token) is None


async def test_an_order_that_never_began_is_sent_again_under_the_same_token(ssh: Ssh, seen: Path) -> None:
    """A dead owner's: its intent is durable, and nobody knows whether the order left."""
    token = new_token()
    assert ssh.connector.fate(token, owner="own_dead") is Fate.LIVE
    end = await ssh.follow(f"echo begun >> {seen}; exit 8", token)
    assert end.exit_code == 8
    assert seen.read_text() == "begun\n"


# A dead owner


async def test_the_next_owner_follows_a_command_to_its_end(
    ssh: Ssh, seen: Path, pool: Pool, credentials: Credentials
) -> None:
    token = new_token()
    go = ssh.home / f"{token}.go"
    lost = await begun(ssh, seen, token, f"until [ -e {go} ]; do sleep 0.05; done; exit 9")
    lost.cancel()
    ssh.cut()
    following = asyncio.create_task(connect(pool, credentials, ssh.sshd).follow("echo another", token))
    await asyncio.wait({following}, timeout=0.5)
    assert not following.done()
    go.touch()
    assert (await following).exit_code == 9
    assert seen.read_text() == "begun\n"


async def test_a_file_step_whose_answer_was_lost_stays_unknown(ssh: Ssh) -> None:
    """An exit code alone does not say whether anything changed."""
    token = new_token()
    ssh.connector._no_sftp.add("web1")
    path = f"{ssh.home}/{token}"
    await ssh.run(FileOp(op="write", path=path, content=b"x"), token=token)
    end = await ssh.run(FileOp(op="write", path=path, content=b"x"), token=token)
    assert end.lost is Reason.CONNECTION_LOST


async def test_a_connector_that_leaves_says_nothing_more_of_what_runs(ssh: Ssh, seen: Path) -> None:
    token = new_token()
    running = await begun(ssh, seen, token, "sleep 30")
    await ssh.connector.close(leave=True)
    await asyncio.wait({running}, timeout=0.3)
    assert not running.done()
    (left,) = [pid for pid in ssh.processes(token) if b"sleep\x0030" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    running.cancel()
    os.kill(left, 9)
    await gone(left)


async def test_a_connector_that_closes_ends_what_runs(ssh: Ssh, seen: Path) -> None:
    token = new_token()
    running = await begun(ssh, seen, token, "sleep 300")
    await ssh.connector.close(leave=False)
    end = await running
    assert (end.cause, end.left_running) == ("shutdown", 0)
    assert ssh.processes(token) == set()


# Evidence


async def test_evidence_tells_what_the_host_knows(ssh: Ssh, seen: Path) -> None:
    ended, running, dead, never = (new_token() for _ in range(4))
    await ssh.run("exit 3", token=ended)
    await ssh.run("kill -9 0", token=dead)
    alive = await begun(ssh, seen, running, "sleep 300")
    told = [await ssh.connector.evidence(ssh.host, token) for token in (ended, running, dead, never)]
    assert (told[0] or "").startswith("exit code 3 at 20") and (told[0] or "").endswith("Z by the host's clock")
    assert told[1] is None  # the first answer stands: how it ends is worth more
    assert told[2:] == ["gone without a result", "it never started there"]
    ssh.connector.cancel(running, cause="user_cancelled")
    await alive


# Hosts that can keep no marker


@contextmanager
def no_marker_can_be_made(home: Path, how: str) -> Iterator[None]:
    """For root's eyes too: a file in the folder's place, or a folder of somebody else's."""
    folder, aside = home / ".rota", home / ".rota.aside"
    if folder.exists():
        folder.rename(aside)
    if how == "a file":
        folder.touch()
    else:
        folder.mkdir(mode=0o555)
    try:
        yield
    finally:
        folder.unlink() if how == "a file" else folder.rmdir()
        if aside.exists():
            aside.rename(folder)


@pytest.mark.parametrize("how", ["a file", "not ours"])
async def test_a_host_that_can_keep_no_marker_runs_the_command_all_the_same(ssh: Ssh, how: str) -> None:
    """Somebody must be able to mend a full disk."""
    with no_marker_can_be_made(ssh.home, how):
        end = await ssh.run(a_command("cat; exit 5", stdin=b"input"))
    assert (end.exit_code, end.output) == (5, b"input")


async def test_what_ran_without_a_marker_is_never_sent_again(ssh: Ssh, seen: Path) -> None:
    with no_marker_can_be_made(ssh.home, "a file"):
        running = await begun(ssh, seen, new_token(), "sleep 1; exit 3")
        ssh.cut()
        end = await running
    assert end.lost is Reason.CONNECTION_LOST
    assert end.failure == "web1 was asked what became of it: no trace of it, and the host can keep none"
    assert seen.read_text() == "begun\n"


async def test_nothing_runs_where_no_marker_can_be_made_before_we_know_of_that(ssh: Ssh, seen: Path) -> None:
    """So a host without any trace of an order never ran it, even if its disk has been mended meanwhile."""
    sealed = seal(a_command(f"echo begun >> {seen}"), token=new_token())
    with no_marker_can_be_made(ssh.home, "a file"):
        argv = ["setsid", "-w", *shlex.split(sealed.line)[1:]]
        environment = {"PATH": os.environ["PATH"], "HOME": str(ssh.home)}
        done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.stdout.split()[2] == b"absent"
    assert seen.read_text() == ""


async def test_a_command_that_mends_the_disk_leaves_its_result(ssh: Ssh, seen: Path) -> None:
    token = new_token()
    folder = ssh.home / ".rota"
    with no_marker_can_be_made(ssh.home, "not ours"):
        go = ssh.home / f"{token}.go"
        running = await begun(ssh, seen, token, f"until [ -e {go} ]; do sleep 0.05; done; exit 3")
        ssh.cut()
        folder.chmod(0o777)
        go.touch()
        end = await running
        ssh.marker(token).unlink()
    assert end.exit_code == 3


async def test_an_account_without_a_home_is_served(start_sshd: StartSshd, pool: Pool, credentials: Credentials) -> None:
    ssh = connect(pool, credentials, start_sshd(Setup(options=("SetEnv HOME=/nonexistent",))))
    end = await ssh.run("echo $HOME; exit 2")
    assert (end.exit_code, end.output) == (2, b"/nonexistent\n")


# Tidiness


async def test_markers_go_once_nobody_needs_them(ssh: Ssh) -> None:
    tokens = [new_token() for _ in range(3)]
    for token in tokens:
        await ssh.run("true", token=token)
    old = ssh.home / ".rota" / "of-another-instance_"
    old.touch()
    os.utime(old, (0, 0))
    for token in tokens[:2]:
        ssh.connector.forget(token)
    await ssh.connector.close(leave=True)
    assert [ssh.marker(token).exists() for token in tokens] == [False, False, True]
    assert not old.exists()


async def test_the_marker_of_what_another_owner_follows_stays(ssh: Ssh) -> None:
    ours, taken = new_token(), new_token()
    for token in (ours, taken):
        await ssh.run("true", token=token)
        ssh.connector.forget(token, is_ours=token == ours)
    await ssh.connector.close(leave=True)
    assert [ssh.marker(token).exists() for token in (ours, taken)] == [False, True]
