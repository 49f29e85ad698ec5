"""How a command is carried out over SSH: its input, environment, folder and end."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from rota.connectors.ssh.wrapper import WRAPPER, WRAPPER_OF_SCRIPTS, seal
from rota.domain.reasons import Reason
from rota.domain.step import Command
from tests.connectors.ssh.orders import Ssh, a_command, command_line_of, new_token, until_there
from tests.support.sshd import host_of

EVERY_BYTE = bytes(range(1, 256)).decode("latin-1").encode("latin-1").decode(errors="surrogateescape")


async def test_a_command_runs_and_its_exit_code_and_output_come_back(ssh: Ssh) -> None:
    ended = await ssh.run("echo out; echo err >&2; exit 7")
    assert (ended.exit_code, ended.output, ended.output_total) == (7, b"out\nerr\n", 8)
    assert (ended.failure, ended.cause, ended.lost, ended.left_running) == (None, None, None, 0)


async def test_output_comes_while_the_command_runs(ssh: Ssh) -> None:
    token = new_token()
    go = ssh.home / f"{token}.go"
    running = asyncio.create_task(ssh.run(f"echo first; until [ -e {go} ]; do sleep 0.05; done", token=token))
    await ssh.printed(token, 6)
    assert (await ssh.connector.read(token, 0, 100)).data == b"first\n"
    go.touch()
    assert (await running).exit_code == 0


async def test_arguments_arrive_byte_for_byte(ssh: Ssh) -> None:
    words = (
        "a b",
        "",
        "it's",
        '"',
        "$HOME `id` \\ !",
        "*",
        "-n",
        "two\nlines\n",
        "\N{GREEK SMALL LETTER ALPHA}",
        EVERY_BYTE,
    )
    ended = await ssh.run(Command(argv=("printf", "%s|", *words)))
    assert ended.output == b"".join(word.encode(errors="surrogateescape") + b"|" for word in words)


async def test_a_program_is_run_and_never_a_builtin_of_the_shell_around_it(ssh: Ssh) -> None:
    ended = await ssh.run(Command(argv=("exit", "5")))
    assert ended.exit_code == 127


async def test_stdin_arrives_whole_and_ends(ssh: Ssh) -> None:
    text = bytes(range(256)) * 4096  # 1 MiB
    ended = await ssh.run(a_command("cksum", stdin=text))
    expected = await ssh.run(a_command(f"head -c {len(text)} | cksum; cat", stdin=text))
    assert ended.output == expected.output != b""
    assert ended.output.split()[1] == b"1048576"


async def test_without_stdin_a_command_reads_the_end_of_file_at_once(ssh: Ssh) -> None:
    assert (await ssh.run("cat; echo done")).output == b"done\n"


async def test_a_command_begins_in_the_home_folder(ssh: Ssh) -> None:
    assert (await ssh.run("pwd")).output.decode().strip() == str(ssh.home)


async def test_a_command_begins_in_the_folder_that_is_asked_for(ssh: Ssh) -> None:
    folder = ssh.home / "with 'quotes' and $signs!"
    folder.mkdir(exist_ok=True)
    assert (await ssh.run(a_command("pwd", cwd=str(folder)))).output.decode().strip() == str(folder)


async def test_a_folder_that_is_not_there_is_told_and_nothing_is_run(ssh: Ssh) -> None:
    token = new_token()
    ended = await ssh.run(a_command("echo ran", cwd="/no/such/folder"), token=token)
    assert (ended.exit_code, ended.output) == (None, b"")
    assert ended.failure == "web1 has no folder /no/such/folder that the account may enter"
    assert not ssh.marker(token).exists()


async def test_variables_arrive_whatever_is_in_them(ssh: Ssh) -> None:
    env = {"A": "it's\n!\\ $x", "PATH": "/bin:/usr/bin:/x", "_d": "1", "IFS": "e"}
    ended = await ssh.run(a_command('printf "%s|" "$A" "$PATH" "$_d"', env=env))
    assert ended.output == b"it's\n!\\ $x|/bin:/usr/bin:/x|1|"


async def test_a_command_sees_nothing_of_our_own_environment(ssh: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "secret")
    names = {line.split("=")[0] for line in (await ssh.run("env")).output.decode().splitlines()}
    assert "OURS" not in names
    assert {"HOME", "PATH", "ROTA_ATTEMPT_TOKEN"} <= names
    assert not {name for name in names if len(name) == 2 and name.startswith("_")}


async def test_no_value_of_a_variable_and_no_stdin_stands_in_a_process_list(ssh: Ssh) -> None:
    token = new_token()
    wait = ssh.home / f"{token}.go"
    command = a_command(
        f"echo begun; until [ -e {wait} ]; do sleep 0.05; done; echo $SECRET; cat",
        env={"SECRET": "hunter2", "ROTA_HOST": "web1"}, stdin=b"hunter3",
    )  # fmt: skip
    running = asyncio.create_task(ssh.run(command, token=token))
    await ssh.printed(token, 6)
    listed = b"".join(command_line_of(int(path.name)) for path in Path("/proc").glob("[0-9]*"))
    wait.touch()
    assert b"hunter" not in listed
    assert b"rota:" in listed
    assert (await running).output == b"begun\nhunter2\nhunter3"


async def test_a_command_that_all_may_see_costs_no_input(ssh: Ssh) -> None:
    """It needs no packet but the order itself, and the host's shell no read a byte."""
    assert seal(a_command("uptime", env={"ROTA_HOST": "web1"}), token="t").preamble == b""


def test_the_wrapper_means_the_same_to_every_login_shell() -> None:
    """Within single quotes csh still reads `!` and newline, fish the backslash."""
    assert not set(WRAPPER + WRAPPER_OF_SCRIPTS) & set("'!\\\n")


async def test_a_program_that_is_not_there_ends_with_127_and_the_shells_words(ssh: Ssh) -> None:
    ended = await ssh.run(Command(argv=("/no/such/program",)))
    assert ended.exit_code == 127
    assert b"/no/such/program" in ended.output


async def test_a_name_that_no_program_can_have_is_told(ssh: Ssh) -> None:
    ended = await ssh.run(Command(argv=("-rf", "/")))
    assert ended.failure == "no program can have the name '-rf'"


async def test_a_command_that_is_killed_by_a_signal_ends_as_its_shell_says(ssh: Ssh) -> None:
    ended = await ssh.run("kill -9 $$")
    assert (ended.exit_code, ended.output) == (137, b"")


async def test_many_orders_share_few_connections(ssh: Ssh) -> None:
    ended = await asyncio.gather(*(ssh.run(f"echo {number}") for number in range(24)))
    assert [one.output for one in ended] == [f"{number}\n".encode() for number in range(24)]
    assert len(ssh.sshd.server.connections()) <= 24 / 8


async def test_a_host_that_is_not_reached_is_told_with_the_reason(ssh: Ssh) -> None:
    ended = await ssh.run("echo ran", host=host_of(ssh.sshd, key_file="nobody"))
    assert ended.unreached is Reason.CREDENTIAL_MISSING
    assert "nobody" in (ended.failure or "")


async def test_an_order_that_is_cancelled_before_it_left_does_not_leave(ssh: Ssh) -> None:
    token = new_token()
    running = asyncio.create_task(ssh.run("echo ran", token=token))
    await asyncio.sleep(0)
    ssh.connector.cancel(token, cause="user_cancelled")
    ended = await running
    assert (ended.cause, ended.output, ended.exit_code) == ("user_cancelled", b"", None)
    assert not ssh.marker(token).exists()


async def test_something_in_the_background_does_not_hold_a_step_up_and_is_told(ssh: Ssh) -> None:
    token = new_token()
    ended = await ssh.run("sleep 300 & echo begun", token=token, timeout=15)
    assert (ended.exit_code, ended.output, ended.left_running) == (0, b"begun\n", 1)
    (left,) = ssh.processes(token)
    os.kill(left, 9)


async def test_an_argument_too_long_for_a_command_line_goes_all_the_same(ssh: Ssh) -> None:
    text = "x" * 100_000
    assert (await ssh.run(Command(argv=("printf", "%s", text)))).output_total == 100_000


async def test_the_marker_notes_the_end(ssh: Ssh) -> None:
    token = new_token()
    await ssh.run("exit 3", token=token)
    assert (await until_there(ssh.marker(token))).endswith(b"\nrc 3\n")
