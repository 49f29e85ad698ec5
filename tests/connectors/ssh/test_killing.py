"""Timeout and cancel end the whole tree on the host, verified; what cannot be ended is told."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress

import pytest

from rota.connectors.ssh import killing
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.pool import Pool
from rota.domain.step import Exit
from tests.connectors.ssh.orders import Ssh, connect, gone, new_token
from tests.support.programs import program
from tests.support.sshd import Sshd

# Each says `begun` once all of it is there, and would go on for minutes.
TREES = {
    "plain": "echo begun; exec sleep 300",
    "children": "sleep 300 & sleep 300 & echo begun; wait",
    "ignores TERM": "trap '' TERM; echo begun; while :; do sleep 1; done",
    "all ignore TERM": "trap '' TERM; sleep 300 & echo begun; sleep 300",
    "forks twice": "( ( sleep 300 >/dev/null 2>&1 & ) & ); echo begun; exec sleep 300",
    "holds stdout": "(trap '' TERM; exec sleep 300) & echo begun; exec sleep 300",
    "stopped": "echo begun; kill -STOP $$; sleep 300",
    "own session": "setsid sleep 300 & echo begun; exec sleep 300",
    "own session, ignores TERM": "(trap '' TERM; exec setsid sleep 300 >/dev/null 2>&1) & echo begun; exec sleep 300",
}


@pytest.fixture
async def quick(pool: Pool, credentials: Credentials, sshd: Sshd) -> Ssh:
    """A connector whose grace is short."""
    return connect(pool, credentials, sshd, kill_grace=0.5)


async def ended(ssh: Ssh, command: str, token: str, *, cause: str) -> Exit:
    running = asyncio.create_task(ssh.run(command, token=token))
    await ssh.printed(token, 6)
    ssh.connector.cancel(token, cause=cause)
    return await running


@pytest.mark.parametrize("tree", TREES)
async def test_a_cancelled_tree_leaves_no_process(quick: Ssh, tree: str) -> None:
    token = new_token()
    end = await ended(quick, TREES[tree], token, cause="user_cancelled")
    assert (end.cause, end.left_running, end.output) == ("user_cancelled", 0, b"begun\n")
    assert quick.processes(token) == set()


async def test_a_command_that_takes_too_long_is_ended_with_cause_timeout(ssh: Ssh) -> None:
    token = new_token()
    end = await ssh.run("echo begun; sleep 300", token=token, timeout=0.5)
    assert (end.cause, end.exit_code, end.output, end.left_running) == ("timeout", 143, b"begun\n", 0)
    assert ssh.processes(token) == set()


@pytest.mark.parametrize(
    "waits", ["sleep 300; echo on", "read -r line < {fifo}; echo on", "sleep 300 | cat", "(sleep 300)"]
)
async def test_a_line_that_needs_no_shell_of_its_own_is_ended_by_term_wherever_it_waits(ssh: Ssh, waits: str) -> None:
    token = new_token()
    fifo = ssh.home / f"{token}.fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    end = await ended(ssh, f"echo begun; {waits.format(fifo=fifo)}", token, cause="user_cancelled")
    assert (end.exit_code, end.left_running, end.output) == (143, 0, b"begun\n")
    assert ssh.marker(token).read_text().endswith("\nrc 143\n")


async def test_a_command_may_end_cleanly_within_its_grace(ssh: Ssh) -> None:
    command = "trap 'echo bye; exit 5' TERM; echo begun; while :; do sleep 0.05; done"
    end = await ended(ssh, command, new_token(), cause="user_cancelled")
    assert (end.exit_code, end.cause) == (5, "user_cancelled")
    assert end.output.endswith(b"bye\n")


async def test_how_a_killed_command_ended_is_noted_on_the_host(ssh: Ssh) -> None:
    token = new_token()
    await ended(ssh, TREES["plain"], token, cause="user_cancelled")
    assert ssh.marker(token).read_text().endswith("\nrc 143\n")


async def test_a_second_attempt_beside_it_is_not_disturbed(ssh: Ssh) -> None:
    first, second = new_token(), new_token()
    go = ssh.home / f"{second}.go"
    beside = asyncio.create_task(ssh.run(f"echo begun; until [ -e {go} ]; do sleep 0.05; done", token=second))
    await ssh.printed(second, 6)
    await ended(ssh, TREES["children"], first, cause="user_cancelled")
    go.touch()
    assert (await beside).exit_code == 0


async def test_where_nobody_can_look_any_more_it_may_still_be_running(quick: Ssh, sshd: Sshd) -> None:
    token = new_token()
    running = asyncio.create_task(quick.run("echo begun; sleep 300", token=token, host=quick.host))
    await quick.printed(token, 6)
    here = quick.processes(token)
    (sshd.server.folder / "authorized_keys").rename(sshd.server.folder / "taken_away")
    try:
        quick.cut()
        await asyncio.sleep(0)
        quick.connector.cancel(token, cause="user_cancelled")
        end = await running
    finally:
        (sshd.server.folder / "taken_away").rename(sshd.server.folder / "authorized_keys")
    assert (end.cause, end.left_running) == ("user_cancelled", 1)
    assert any(text.startswith("may still be running on web1: ") for text in quick.noticed)
    for pid in here:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
        await gone(pid)


# The scripts themselves, with each way of looking: /proc, and `ps` where there is no /proc (BSD, macOS).


def kill_by_hand(token: str, group: int, *, has_proc: bool) -> killing.Survivors:
    command = killing.kill_command(token, group, grace_seconds=0.3, run_as=None)
    script = command.argv[2] if has_proc else command.argv[2].replace("_proc=/proc", "_proc=/nonexistent")
    ps = program("ps", package="procps")
    environment = {"PATH": f"{os.environ['PATH']}:{ps.path.parent}", **ps.environment, **command.env}
    done = subprocess.run(
        ["/bin/sh", "-c", script, *command.argv[3:]], env=environment, capture_output=True, check=True
    )
    return killing.survivors(done.stdout)


def a_tree(token: str, script: str) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        ["/bin/sh", "-c", script],
        env={"PATH": os.environ["PATH"], "ROTA_ATTEMPT_TOKEN": token},
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    return child


@pytest.mark.parametrize("has_proc", [True, False])
@pytest.mark.parametrize("knows_group", [True, False])
def test_the_script_finds_the_whole_tree(has_proc: bool, knows_group: bool) -> None:
    token = f"{new_token()}_"
    child = a_tree(token, "trap '' TERM; setsid sleep 300 >/dev/null & sleep 300 >/dev/null & echo begun; wait")
    with child:
        assert kill_by_hand(token, child.pid if knows_group else 0, has_proc=has_proc) == killing.Survivors(frozenset())
        assert child.wait(5) == -9


@pytest.mark.parametrize("has_proc", [True, False])
def test_the_script_leaves_a_group_alone_that_a_stranger_leads(has_proc: bool) -> None:
    """Numbers of processes come again."""
    child = a_tree("another_", "echo begun; exec sleep 300")
    with child:
        kill_by_hand("ours_", child.pid, has_proc=has_proc)
        assert child.poll() is None
        child.kill()


def test_an_answer_that_was_cut_off_says_nothing() -> None:
    assert killing.survivors(b"left 12\n") == killing.NOBODY_LOOKED
    assert killing.survivors(b"left 12\nleft 12\nleft 7\ndone\n").pids == frozenset({7, 12})
