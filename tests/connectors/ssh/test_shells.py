"""Login shells of all kinds, what they print before we speak, and hosts that have little."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rota.connectors.ssh import attempt
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.wrapper import PLAIN_SHELLS, seal
from rota.demo.sshd import Setup
from rota.domain.reasons import Reason
from rota.domain.step import Command
from tests.connectors.ssh.orders import Ssh, a_command, connect, new_token
from tests.support.sshd import StartSshd

KNOWN_SHELLS = ("sh", "dash", "bash", "ksh", "mksh", "zsh", "csh", "tcsh", "fish", "busybox")
SHELLS = [shell for shell in KNOWN_SHELLS if shutil.which(shell)]
PLAIN = Command(argv=("printf", "%s|", "it's", 'a "b"', "$HOME `x`", "*", ""), env={"ROTA_JOB": "a 'b' c"})
HARD = Command(argv=("printf", "%s|", "!1", "back\\slash", "new\nline", "\N{SNOWMAN}"), env={"A": "!\\\n"}, stdin=b"x")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("command", [PLAIN, HARD], ids=["plain", "hard"])
def test_every_login_shell_starts_the_same_command(shell: str, command: Command, tmp_path: Path) -> None:
    """As sshd starts it: SHELL -c LINE, in a session of its own."""
    sealed = seal(command, token=new_token())
    argv = ["setsid", "-w", shell, *(["sh"] if shell == "busybox" else []), "-c", sealed.line]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    said = subprocess.run(
        argv, input=sealed.preamble + sealed.stdin, env=environment, capture_output=True, check=True
    ).stdout
    header, _, output = said.partition(b"\n")
    assert header.split()[0].decode() == sealed.nonce
    assert header.split()[2] == b"made"
    assert output == "".join(f"{word}|" for word in command.argv[2:]).encode()


@pytest.mark.parametrize("inner", [shell for shell in SHELLS if shell in {"dash", "bash", "ksh", "mksh", "busybox"}])
@pytest.mark.parametrize("command", [PLAIN, HARD], ids=["plain", "hard"])
def test_every_shell_that_is_sh_somewhere_runs_the_wrapper(inner: str, command: Command, tmp_path: Path) -> None:
    sealed = seal(command, token="token_")
    words = shlex.split(sealed.line)[2:]
    argv = ["setsid", "-w", inner, *(["sh"] if inner == "busybox" else []), *words]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    said = [
        subprocess.run(argv, input=sealed.preamble + sealed.stdin, env=environment, capture_output=True, check=False)
        for _ in range(2)
    ]
    assert said[0].stdout.partition(b"\n")[2] == "".join(f"{word}|" for word in command.argv[2:]).encode()
    assert said[1].stdout.split() == [sealed.nonce.encode(), b"0", b"taken"]
    assert (tmp_path / ".rota" / "token_").read_text().splitlines()[1] == "rc 0"


SCRIPTS = [
    "exit 3",
    "cd /; pwd",
    "false || echo no",
    "echo a | tr a b",
    "cat",
    "umask 027; umask",
    "no-such-program",
    "echo 'x",
    'x=1; for y in a b; do x=$x$y; done; echo "$x ${x%b} $(echo $x; exit 4) $?"',
    "echo ${HOME##*/} $((6 * 7)); (exit 5)",
    "(exit 3) | cat; exit",
    "kill -9 0",
    "if",
    "cd / && false",
    "PATH=/nonexistent; HOME=/nonexistent; sleep 0",
    "sleep 300 >/dev/null 2>&1 & exit 6",
]


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_script_ends_the_same_in_the_wrappers_shell_and_in_one_of_its_own(ssh: Ssh, script: str) -> None:
    for _ in "unknown", "plain":  # as the login shell is before and after the first order
        within = await ssh.run(replace(a_command(script), stdin=b"in\n"))
        alone = await ssh.run(replace(a_command(f"{script} # $"), stdin=b"in\n"))
        assert within.exit_code == alone.exit_code
        assert within.output.split(b": ")[-1] == alone.output.split(b": ")[-1]


async def test_how_a_script_ended_is_noted_by_the_shell_that_read_it(ssh: Ssh) -> None:
    codes = {
        "exit 3": 3,
        "false": 1,
        "cd /; umask 0; echo x | cat": 0,
        "if": 2,
        "no-such-program": 127,
    }
    for script, code in codes.items():
        token = new_token()
        await ssh.run(script, token=token)
        assert ssh.marker(token).read_text().endswith(f"\nrc {code}\n"), script


@pytest.mark.parametrize(
    "script",
    ["uptime", "echo ok; uname -n", "systemctl restart web && echo done", "df $HOME | tail -n1; echo ${x:-y} $? $(id)"],
)
def test_a_script_that_cannot_see_its_shell_starts_no_other(script: str) -> None:
    assert 'eval "$1"' in seal(a_command(script), token="t", shell="sh").line


@pytest.mark.parametrize(
    "script",
    [
        "echo $$ > pid", ". ./settings", "trap", "set -e; make", "(wait)", "echo $0", 'echo "$@"', "echo ${1:-x}",
        "echo $PPID", "_m=/etc/passwd", "read -r _m", "echo $_r",
        "echo `trap`", "echo ${_f}", "$((_m = 1))", "eval make", "command exec make",
    ],
)  # fmt: skip
def test_a_script_that_might_see_its_shell_has_one_of_its_own(script: str) -> None:
    assert 'eval "$1"' not in seal(a_command(script), token="t", shell="sh").line


def test_a_script_with_variables_of_its_own_choice_has_a_shell_of_its_own() -> None:
    assert 'eval "$1"' not in seal(a_command("uptime", env={"_m": "/etc/passwd"}), token="t", shell="sh").line


def test_a_login_shell_that_may_be_another_than_bin_sh_reads_no_script_in_its_place() -> None:
    assert 'eval "$1"' not in seal(a_command("uptime"), token="t", shell="dash").line


Noisy = Callable[[str], Ssh]


@pytest.fixture
def noisy(start_sshd: StartSshd, pool: Pool, credentials: Credentials) -> Iterator[Noisy]:
    """Start a server whose sessions run a script; what was asked for is in $SSH_ORIGINAL_COMMAND."""
    folder = Path(tempfile.mkdtemp(prefix="rota-login-"))
    folder.chmod(0o755)

    def start(script: str) -> Ssh:
        program = folder / "login"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return connect(pool, credentials, start_sshd(Setup(options=(f"ForceCommand {program}",))))

    yield start
    shutil.rmtree(folder)


async def test_what_a_login_prints_before_the_command_is_not_its_output(noisy: Noisy) -> None:
    ssh = noisy('echo Welcome; printf no-newline; echo warning >&2; eval "$SSH_ORIGINAL_COMMAND"')
    ended = await ssh.run("echo hello; exit 3")
    assert (ended.exit_code, ended.output) == (3, b"hello\n")


async def test_the_whole_group_is_ended_where_the_login_shell_leads_it(noisy: Noisy) -> None:
    ssh = noisy('sh -c "$SSH_ORIGINAL_COMMAND"; exit')
    token = new_token()
    ended = await ssh.run("sleep 300", token=token, timeout=0.5)
    assert (ended.cause, ended.left_running) == ("timeout", 0)
    assert ssh.processes(token) == set()


async def test_a_login_shell_that_reads_posix_sh_is_spared_another(ssh: Ssh) -> None:
    """After the first order it is known which it is."""
    shell = (await ssh.run('printf %s "${SHELL##*/}"')).output.decode()
    around = (await ssh.run("tr '\\0' ' ' < /proc/$PPID/cmdline")).output
    assert around.startswith(b"/bin/sh -c _t=") is (shell not in PLAIN_SHELLS)


async def test_a_login_shell_that_was_changed_is_noticed(noisy: Noisy) -> None:
    ssh = noisy('case $SSH_ORIGINAL_COMMAND in exec*) eval "$SSH_ORIGINAL_COMMAND";; *) echo what?; exit 127;; esac')
    ssh.connector._means.plain["web1", ssh.sshd.server.user] = "sh"
    assert (await ssh.run("echo hello")).output == b"hello\n"
    ssh.connector._means.plain["web1", ssh.sshd.server.user] = "sh"
    assert await ssh.connector.evidence(ssh.host, "att-never") == "it never started there"


async def test_a_login_that_prints_for_ever_is_given_up_and_costs_no_memory(
    noisy: Noisy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "BEGIN_SECONDS", 1.0)
    monkeypatch.setattr(attempt, "_ANSWER_SECONDS", -9.0)  # with the grace of 10 s: one second
    ssh = noisy("exec cat /dev/zero")
    ended = await ssh.run("echo hello")
    assert ended.lost is Reason.CONNECTION_LOST  # the look, whether it began, drowned too
    assert (ended.failure or "").startswith("web1 did not begin it within 1 s: ")


async def test_a_login_that_waits_for_ever_is_given_up(noisy: Noisy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "BEGIN_SECONDS", 1.0)
    ssh = noisy('[ -e ~/once ] || { touch ~/once; exec sleep 300; }; eval "$SSH_ORIGINAL_COMMAND"')
    ended = await ssh.run("echo hello")
    assert ended.unreached is Reason.CONNECT_TIMEOUT
    assert ended.failure == "web1 did not begin it within 1 s: it said nothing"


async def test_an_account_that_may_not_run_commands_is_told_in_the_hosts_words(
    noisy: Noisy,
) -> None:
    ssh = noisy("echo This account is not available.; exit 1")
    ended = await ssh.run("echo hello")
    assert ended.failure == "web1 did not run it: This account is not available. (exit 1)"
    assert (ended.exit_code, ended.unreached, ended.lost) == (None, None, None)


async def test_a_hosts_words_are_told_without_control_characters(
    noisy: Noisy,
) -> None:
    ssh = noisy("printf '\\033[2Jred'; exit 1")
    ended = await ssh.run("echo hello")
    assert ended.failure == "web1 did not run it: ?[2Jred (exit 1)"


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "busybox"])
async def test_sshd_with_that_login_shell(
    start_sshd: StartSshd, pool: Pool, credentials: Credentials, shell: str
) -> None:
    path = shutil.which(shell)
    assert path is not None
    ssh = connect(pool, credentials, start_sshd(Setup(shell=path)))
    assert (await ssh.run(HARD)).output == b"!1|back\\slash|new\nline|\xe2\x98\x83|"
    assert (await ssh.run(PLAIN)).output == b'it\'s|a "b"|$HOME `x`|*||'


async def test_a_host_with_only_the_tools_of_posix_is_served(
    start_sshd: StartSshd, pool: Pool, credentials: Credentials
) -> None:
    """No bash, no /usr/bin: what a small image has."""
    ssh = connect(pool, credentials, start_sshd(Setup(environment={"PATH": "/nonexistent"})))
    ended = await ssh.run(a_command("echo $PATH; exit 3"))
    assert (ended.exit_code, ended.output) == (3, b"/nonexistent\n")
