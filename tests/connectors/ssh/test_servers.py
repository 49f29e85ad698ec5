"""The OpenSSH servers that tests and `rota demo` run: told apart, restarted, and gone without a trace."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest

from rota.connectors.ssh.pool import Pool
from rota.demo import openssh as openssh_module
from rota.demo.openssh import OpenSsh, find
from rota.demo.sshd import Setup, running
from rota.domain.errors import Unavailable
from tests.support.sshd import Sshd, StartSshd, host_of


async def asked(pool: Pool, sshd: Sshd, command: str, number: int = 0) -> str:
    async with pool.channel_slot(host_of(sshd, number, name=f"port{sshd.server.port}-{number}")) as connection:
        return str((await connection.run(command, check=True)).stdout).strip()


async def test_two_servers_answer_differently(start_sshd: StartSshd, pool: Pool) -> None:
    alpha, beta = start_sshd(Setup(environment={"SITE": "north pole"})), start_sshd(Setup(environment={"SITE": "rome"}))
    alpha.server.put("hostname", "alpha")
    beta.server.put("hostname", "beta")
    command = 'echo "$(cat "$HOME/hostname") in $SITE"'
    assert await asked(pool, alpha, command) == "alpha in north pole"
    assert await asked(pool, beta, command) == "beta in rome"


async def test_a_server_has_as_many_addresses_as_are_wanted(start_sshd: StartSshd, pool: Pool) -> None:
    """One sshd listens on 16 at most."""
    sshd = start_sshd(Setup(addresses=[f"127.0.1.{number}" for number in range(1, 40)]))
    for number in (0, 15, 16, 38):
        assert (await asked(pool, sshd, "echo $SSH_CONNECTION", number)).split()[2] == f"127.0.1.{number + 1}"


async def test_a_server_that_is_started_again_is_the_same_one(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup())
    port = sshd.server.port
    sshd.server.stop()
    sshd.server.start()
    assert sshd.server.port == port
    assert await asked(pool, sshd, "echo here") == "here"  # its key is still the known one


async def test_nothing_is_left_of_a_server(openssh: OpenSsh, client_key: asyncssh.SSHKey) -> None:
    with running(openssh, Setup(), key=client_key) as (server,):
        connect = asyncssh.connect(
            "127.0.0.1", server.port, username=server.user, client_keys=[client_key],
            known_hosts=([server.host_key.convert_to_public()], [], []), config=None,
        )  # fmt: skip
        async with connect as connection:
            left = await connection.run("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!", check=True)
            assert Path(f"/proc/{left.stdout!s}".strip()).exists()
    assert not server.folder.exists()
    async with asyncio.timeout(30):  # what was killed is seen for as long as the kernel takes to clear it away
        while any(carries(path, f"HOME={server.home}") for path in Path("/proc").glob("[0-9]*/environ")):
            await asyncio.sleep(0.01)


def carries(environ: Path, entry: str) -> bool:
    try:
        return entry.encode() in environ.read_bytes().split(b"\0")
    except OSError:
        return False


def test_the_account_is_known_to_nobody_else(sshd: Sshd) -> None:
    assert not sshd.server.is_root or sshd.server.user not in Path("/etc/passwd").read_text()


def test_a_config_that_sshd_does_not_take_is_told_in_its_words(openssh: OpenSsh, client_key: asyncssh.SSHKey) -> None:
    with (
        pytest.raises(Unavailable, match=r"sshd did not start: .*Bad configuration option: Nonsense"),
        running(openssh, Setup(port=2, options=["Nonsense yes"]), key=client_key),
    ):
        pass


def test_where_no_sshd_is_to_be_had_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(openssh_module, "_PLACES", ())
    with pytest.raises(Unavailable, match="openssh-server is needed: it was not found") as caught:
        find(tmp_path)
    assert "apt install openssh-server" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "openssh-server").iterdir()] == ["lock"]
