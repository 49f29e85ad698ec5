"""A real OpenSSH server on loopback, hosts of it, and the way to them.

    async def test_it(sshd: Sshd, pool: Pool) -> None:
        async with pool.channel_slot(host_of(sshd)) as connection:
            assert (await connection.run("echo hello")).stdout == "hello\\n"

`sshd` is one for the whole session; `start_sshd(Setup(...))` starts another for one test. `host_of(sshd, 7)` is another
host of the same server, at its eighth address. Their keys are known to `known_hosts`, and so to `pool`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from rota.clock import SystemClock
from rota.connectors.ssh.connection import Dialer
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.known_hosts import KnownHosts, known_as
from rota.connectors.ssh.pool import Pool
from rota.demo.openssh import OpenSsh, find
from rota.demo.sshd import Server, Setup, running
from rota.domain.inventory import Host

ADDRESSES = tuple(f"127.0.0.{number}" for number in range(1, 17))
CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Sshd:
    """A running server and the file of the private key that opens its account."""

    server: Server
    key_file: Path

    def known_lines(self, key: asyncssh.SSHKey | None = None) -> str:
        """What a known_hosts file says of all its addresses; `key` in place of its own."""
        shown = (key or self.server.host_key).export_public_key().decode().split(None, 2)
        addresses = self.server.setup.addresses
        return "".join(f"{known_as(address, self.server.port)} {shown[0]} {shown[1]}\n" for address in addresses)


StartSshd = Callable[[Setup], Sshd]


def host_of(sshd: Sshd, number: int = 0, **fields: Any) -> Host:
    """The host `web1` (`web2` …) at the server's first (second …) address, logged in to with its key."""
    told: dict[str, Any] = {
        "name": f"web{number + 1}", "connector": "ssh", "address": sshd.server.setup.addresses[number],
        "port": sshd.server.port, "user": sshd.server.user, "key_file": str(sshd.key_file),
    }  # fmt: skip
    return Host(**{**told, **fields})


@pytest.fixture(scope="session")
def openssh() -> OpenSsh:
    """The machine's OpenSSH, fetched where there is none."""
    return find()


@pytest.fixture(scope="session")
def client_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="session")
def client_key_file(client_key: asyncssh.SSHKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_key(tmp_path_factory.mktemp("keys") / "client", client_key)


@pytest.fixture(scope="session")
def sshd(openssh: OpenSsh, client_key: asyncssh.SSHKey, client_key_file: Path) -> Iterator[Sshd]:
    """One server for all tests, at 16 addresses. Tests leave it as it was."""
    with running(openssh, Setup(addresses=ADDRESSES), key=client_key) as (server,):
        yield Sshd(server, client_key_file)


@pytest.fixture
def start_sshd(
    openssh: OpenSsh, client_key: asyncssh.SSHKey, client_key_file: Path, known_hosts: KnownHosts
) -> Iterator[StartSshd]:
    """Start a server for one test. Its keys are known."""
    with ExitStack() as stack:

        def start(setup: Setup) -> Sshd:
            (server,) = stack.enter_context(running(openssh, setup, key=client_key))
            made = Sshd(server, client_key_file)
            learn(known_hosts, made.known_lines())
            return made

        yield start


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    """The instance's folder of keys; empty."""
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def known_hosts(tmp_path: Path, sshd: Sshd) -> KnownHosts:
    """A known_hosts file that knows the session's server."""
    known = KnownHosts(tmp_path / "known_hosts")
    learn(known, sshd.known_lines())
    return known


@pytest.fixture
def credentials(keys_dir: Path, tmp_path: Path) -> Credentials:
    """Logins without an agent, of an account whose home is empty."""
    return Credentials(keys_dir, home=tmp_path / "nobody")


@pytest.fixture
def dialer(credentials: Credentials, known_hosts: KnownHosts) -> Dialer:
    return Dialer(credentials=credentials, known_hosts=known_hosts, connect_timeout_seconds=CONNECT_SECONDS)


@pytest.fixture
async def pool(dialer: Dialer) -> AsyncIterator[Pool]:
    pool = Pool(dialer, SystemClock(), hosts=nobody)
    yield pool
    await pool.close()


async def nobody(_name: str) -> Host | None:
    """An inventory without hosts: for pools that jump over none."""
    return None


def learn(known_hosts: KnownHosts, lines: str) -> None:
    """Add lines to the instance's own file, as an operator does with an editor."""
    with known_hosts.own.open("a") as file:
        file.write(lines)


def write_key(path: Path, key: asyncssh.SSHKey, passphrase: str | None = None) -> Path:
    """Write a private key as ssh-keygen does: readable by its owner alone."""
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key(passphrase=passphrase, rounds=50))  # the fewest that pass for secure
    return path
