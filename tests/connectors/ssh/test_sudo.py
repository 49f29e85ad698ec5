"""Commands as another account, by a `sudo` that stands in for the real one: that needs root's own files to be changed.

It reads the options and asks for the password as sudo(8) does, clears the environment, and writes down how it was
called.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rota.actions.exec import AS_ROOT
from rota.connectors.ssh import attempt
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.pool import Pool
from rota.demo.sshd import Setup
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.domain.step import Command, FileOp
from tests.connectors.ssh.orders import Ssh, a_command, connect, new_token
from tests.support.sshd import StartSshd, host_of

# Asks at most three times, as the real one does; $ROTA_TEST_SUDO says what sudoers would.
STAND_IN = """\
#!/bin/sh
here=${0%/*}
echo "$*" | tr '\\n' ' ' >> "$here/called"; echo >> "$here/called"
prompt= asks=no
while :; do
  case $1 in
    -n) shift ;;
    -S) asks=yes; shift ;;
    -p) prompt=$2; shift 2 ;;
    -H) shift ;;
    -u) account=$2; shift 2 ;;
    --) shift; break ;;
  esac
done
policy=$(cat "$here/policy")
case $policy in
  open) ;;
  strange) printf 'Verification code: ' >&2; read -r code; exit 1 ;;
  *)
    [ $asks = yes ] || { echo "sudo: a password is required" >&2; exit 1; }
    for try in 1 2 3; do
      printf %s "$prompt" >&2
      IFS= read -r given || { echo "sudo: no password was provided" >&2; exit 1; }
      echo "$given" >> "$here/given"
      [ "$given" = "$policy" ] && break
      echo "Sorry, try again." >&2
      [ $try = 3 ] && exit 1
    done ;;
esac
exec env -i PATH="$PATH" HOME="$here" USER="$account" "$@"
"""


@dataclass(frozen=True)
class Sudo:
    """The stand-in of one server."""

    ssh: Ssh
    folder: Path

    def says(self, policy: str) -> None:
        """`open`, `strange`, or the password that it wants."""
        (self.folder / "policy").write_text(policy)

    @property
    def called(self) -> list[str]:
        path = self.folder / "called"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def given(self) -> list[str]:
        """The passwords it was told."""
        path = self.folder / "given"
        return path.read_text().splitlines() if path.exists() else []

    def host(self, password_file: Path | None = None) -> Host:
        return host_of(self.ssh.sshd, sudo_password_file=str(password_file) if password_file else None)


@pytest.fixture
def sudo(start_sshd: StartSshd, pool: Pool, credentials: Credentials) -> Iterator[Sudo]:
    folder = Path(tempfile.mkdtemp(prefix="rota-sudo-"))
    folder.chmod(0o777)
    program = folder / "sudo"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    setup = Setup(environment={"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin"})
    made = Sudo(connect(pool, credentials, start_sshd(setup)), folder)
    made.says("open")
    yield made
    shutil.rmtree(folder)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "sudo-password"
    path.touch(mode=0o600)
    path.write_text("it's $ecret!\n")
    return path


async def test_another_account_is_reached_by_sudo_that_asks_nobody(sudo: Sudo) -> None:
    ended = await sudo.ssh.run(a_command("echo $USER; pwd; exit 3", run_as="deploy"))
    assert (ended.exit_code, ended.output) == (3, f"deploy\n{sudo.folder}\n".encode())
    assert sudo.called[0].startswith("-n -H -u deploy -- /bin/sh -c ")


async def test_variables_folder_and_input_come_through_and_no_value_is_in_its_arguments(sudo: Sudo) -> None:
    command = a_command(
        'echo "$SECRET $ROTA_HOST"; pwd; cat', env={"SECRET": "hunter2", "ROTA_HOST": "web1"},
        cwd="/usr", run_as="deploy", stdin=b"hunter3\n",
    )  # fmt: skip
    ended = await sudo.ssh.run(command)
    assert ended.output == b"hunter2 web1\n/usr\nhunter3\n"
    assert "hunter" not in "".join(sudo.called)


async def test_a_folder_that_the_other_account_may_not_enter_is_told(sudo: Sudo) -> None:
    ended = await sudo.ssh.run(a_command("echo ran", cwd="/no/such", run_as="deploy"))
    assert ended.failure == "web1 has no folder /no/such that the account may enter"


async def test_the_password_is_told_when_it_is_asked_for(sudo: Sudo, password_file: Path) -> None:
    sudo.says("it's $ecret!")
    command = a_command("cat; echo $A", env={"A": "b"}, run_as="deploy", stdin=b"input\n")
    ended = await sudo.ssh.run(command, host=sudo.host(password_file))
    assert (ended.exit_code, ended.output) == (0, b"input\nb\n")
    assert sudo.given == ["it's $ecret!"]
    assert "ecret" not in "".join(sudo.called)


async def test_a_password_that_is_not_asked_for_is_told_to_nobody(sudo: Sudo, password_file: Path) -> None:
    ended = await sudo.ssh.run(a_command("cat", run_as="deploy", stdin=b"input"), host=sudo.host(password_file))
    assert ended.output == b"input"
    assert sudo.given == []


async def test_a_wrong_password_is_told_once_and_the_command_does_not_run(sudo: Sudo, password_file: Path) -> None:
    """Three tries could lock the account."""
    sudo.says("another")
    ended = await sudo.ssh.run(a_command("echo ran", run_as="deploy"), host=sudo.host(password_file))
    assert ended.failure == (
        "sudo on web1 did not let us become deploy: Sorry, try again. / sudo: no password was provided"
    )
    assert (sudo.given, ended.output) == (["it's $ecret!"], b"")


async def test_a_sudo_that_wants_a_password_and_has_none_fails_at_once(sudo: Sudo) -> None:
    sudo.says("password")
    ended = await sudo.ssh.run(a_command("echo ran", run_as="deploy"))
    assert ended.failure == "sudo on web1 did not let us become deploy: sudo: a password is required"


async def test_a_sudo_that_asks_for_something_else_does_not_hang(
    sudo: Sudo, password_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "BEGIN_SECONDS", 1.0)
    sudo.says("strange")
    ended = await sudo.ssh.run(a_command("echo ran", run_as="deploy"), host=sudo.host(password_file))
    assert ended.failure == "sudo on web1 waits for something else than a password: Verification code:"


async def test_a_host_without_sudo_is_told(ssh: Ssh) -> None:
    ended = await ssh.run(a_command("echo ran", run_as="deploy"))
    assert ended.failure == "sudo on web1 did not let us become deploy: sudo is not installed"


async def test_a_password_file_that_others_may_read_is_refused(sudo: Sudo, password_file: Path) -> None:
    password_file.chmod(0o644)
    ended = await sudo.ssh.run(a_command("echo ran", run_as="deploy"), host=sudo.host(password_file))
    assert ended.unreached is Reason.CREDENTIAL_MISSING
    assert "can be read by others" in (ended.failure or "")


async def test_whoever_is_that_account_needs_no_sudo(ssh: Ssh) -> None:
    ended = await ssh.run(a_command("echo ran", run_as=ssh.sshd.server.user), host=host_of(ssh.sshd))
    assert ended.output == b"ran\n"


async def test_the_steps_that_ask_for_root_get_the_password_too(sudo: Sudo, password_file: Path) -> None:
    sudo.says("it's $ecret!")
    command = Command(argv=("/bin/sh", "-c", AS_ROOT, "sudo", "/bin/sh", "-c", "echo $USER"))
    ended = await sudo.ssh.run(command, host=sudo.host(password_file))
    assert ended.output == b"root\n"


async def test_a_file_step_with_sudo_is_done_by_root(sudo: Sudo) -> None:
    ended = await sudo.ssh.run(FileOp(op="mkdir", path=f"{sudo.ssh.home}/made", sudo=True))
    assert ended.exit_code == 0 and b'"changed": true' in ended.output
    assert sudo.called[0].startswith("-n -H -u root -- ")


async def test_the_end_of_it_goes_by_sudo_too(sudo: Sudo, password_file: Path) -> None:
    sudo.says("it's $ecret!")
    token = new_token()
    command = a_command("echo begun; sleep 300", run_as="deploy")
    running = asyncio.create_task(sudo.ssh.run(command, token=token, host=sudo.host(password_file)))
    await sudo.ssh.printed(token, 6)
    sudo.ssh.connector.cancel(token, cause="user_cancelled")
    ended = await running
    assert (ended.cause, ended.left_running) == ("user_cancelled", 0)
    assert sudo.ssh.processes(token) == set()
    assert len(sudo.called) == 2
