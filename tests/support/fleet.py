"""A home with a daemon whose inventory has hosts on real sshd servers.

    def test_it(fleet: Fleet) -> None:
        fleet.serve("web1", "web2")
        end = fleet.run("shell: hostname")
        assert end["state"] == "succeeded"

Each `serve` is one server: its hosts differ by address and share an account and its home, which the test sees too.
Import the fixtures `openssh` and `fleet` where they are used.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import pexpect
import pytest

from rota.connectors.ssh.known_hosts import known_as
from rota.demo.openssh import OpenSsh, find
from rota.demo.sshd import Server, Setup
from tests.support.daemon import PATIENCE_SECONDS, Daemon, Gate, Home, Said, a_home, until
from tests.support.sshd import write_key

if TYPE_CHECKING:
    from rota.domain.step import Json
    from rota.usecases.shapes import Run, Target

KEY = "fleet"  # the file in the instance's folder of keys that opens every account
HASTY = "ssh: {connect_timeout_seconds: 3, kill_grace_seconds: 1, lost_grace_seconds: 5}"

_addresses = (f"127.0.{high}.{low}" for high in itertools.count(20) for low in range(1, 255))


class Fleet:
    """Hosts and the home that knows them. `daemon` is running from the beginning."""

    def __init__(self, home: Home, openssh: OpenSsh, stack: ExitStack) -> None:
        self.home, self._openssh, self._stack = home, openssh, stack
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.keys = home.path / "keys"
        self.keys.mkdir(mode=0o700)
        write_key(self.keys / KEY, self._key)
        self.daemon: Daemon = home.daemon()

    # Hosts

    def serve(
        self, *names: str, setup: Mapping[str, Any] | None = None, is_known: bool = True, **fields: Any
    ) -> Server:
        """Start a server, with an address for each of these hosts, and add them; with its key, if it `is_known`."""
        addresses = tuple(itertools.islice(_addresses, len(names)))
        server = Server(self._openssh, Setup(addresses=addresses, **(setup or {})), key=self._key)
        self._stack.callback(server.remove)
        server.start()
        at = {name: (address, server.port) for name, address in zip(names, addresses, strict=True)}
        if is_known:
            self.trust(at, server.host_key)
        self.add(at, user=server.user, **fields)
        return server

    def add(self, at: Mapping[str, tuple[str, int]], **fields: Any) -> None:
        """Hosts at any address and port: name → where."""
        common = {"connector": "ssh", "key_file": KEY, **fields}
        hosts: list[Json] = [
            {"name": name, "address": address, "port": port, **common} for name, (address, port) in at.items()
        ]
        self.home.client.import_hosts({"hosts": hosts})

    def trust(self, at: Mapping[str, tuple[str, int]], key: asyncssh.SSHKey) -> None:
        """Say that this is the key of these hosts, whatever they show."""
        algorithm, public = key.export_public_key().decode().split()[:2]
        with (self.home.path / "known_hosts").open("a") as file:
            file.writelines(f"{known_as(*where)} {algorithm} {public}\n" for where in at.values())

    # Runs

    def begin(self, do: str, target: str = "all", **body: Any) -> str:
        """Begin an ad-hoc run; return its id."""
        return self.home.run(do, target=target, **body)

    def run(self, do: str, target: str = "all", **body: Any) -> Run:
        """An ad-hoc run from its beginning to its end."""
        return self.home.finished(self.begin(do, target, **body))

    def job(self, name: str, do: str, target: str = "all", **body: Any) -> None:
        """A saved job that only a person triggers."""
        triggers: list[Json] = [{"kind": "manual"}]
        self.home.client.create_job({"name": name, "do": do, "target": target, "triggers": triggers, **body})

    def trigger(self, name: str) -> str:
        return self.home.client.trigger_job(name)["id"]

    # Daemons

    def restart(self) -> None:
        """Start a daemon where the one before was killed."""
        self.daemon = self.home.daemon()

    # What happens on the hosts

    def gate(self, server: Server) -> Gate:
        """A closed gate that commands of this server's account may wait at: `read line < PATH`."""
        path = server.home / f"gate-{len(list(server.home.glob('gate-*')))}"
        os.mkfifo(path)
        path.chmod(0o666)
        return Gate(path)


@pytest.fixture(scope="session")
def openssh() -> OpenSsh:
    """The machine's OpenSSH, fetched where there is none."""
    return find()


@pytest.fixture
def fleet(openssh: OpenSsh) -> Iterator[Fleet]:
    with a_fleet(openssh) as fleet:
        yield fleet


@contextmanager
def a_fleet(openssh: OpenSsh, settings: str = HASTY) -> Iterator[Fleet]:
    """A home with a daemon and no hosts yet. The daemon ends first, then the servers, and nothing is left of either."""
    with ExitStack() as stack, a_home(settings) as home:
        yield Fleet(home, openssh, stack)


def target(run: Run, host: str) -> Target:
    """What became of one host."""
    (found,) = [target for target in run["targets"] if target["host"] == host]
    return found


def ends(run: Run) -> dict[str, tuple[str, str | None]]:
    """Host → state and reason."""
    return {target["host"]: (target["state"], target["reason"]) for target in run["targets"]}


def witnesses(server: Server, name: str = "witness") -> list[str]:
    """Lines that commands wrote into a file of the account's home, in order; `>>` makes a short one a single write."""
    file = server.home / name
    return file.read_text().splitlines() if file.exists() else []


def told(answer: Said) -> str:
    """What a person reads, its white space made even."""
    return " ".join((answer.out + answer.err).split())


def vanish(server: Server) -> None:
    """Take a host off the network, as it were: nobody listens any more, connections are cut, and its commands go on."""
    connections = server.connections()  # while their parent lives, by which they are known
    for pid in server.pids:
        os.kill(pid, signal.SIGKILL)
    for pid in connections:
        with suppress(ProcessLookupError):  # it may be that its client has left
            os.killpg(pid, signal.SIGKILL)


def come_back(server: Server) -> None:
    """Put it on the network again. Its commands must have ended."""
    server.stop()
    server.start()


def read_when_there(path: Path) -> str:
    """The text of a file once there is some."""
    return until(lambda: path.read_text() if path.exists() else "")


def on_a_terminal(home: Home, *arguments: str, rows: int = 24) -> pexpect.spawn[str]:
    """Begin `rota …` on a terminal of 80 columns."""
    environment = {name: value for name, value in home.env().items() if name != "COLUMNS"} | {"TERM": "xterm-256color"}
    return pexpect.spawn(
        sys.executable, ["-m", "rota", *arguments], env=environment, dimensions=(rows, 80), encoding="utf-8",
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip


def screen_of(child: pexpect.spawn[str]) -> str:
    """All that it sends to its terminal, up to its end."""
    text = child.read()
    child.close()
    return text
