"""The demo's fleet: three hosts on this machine, each an OpenSSH server with its own address, key and home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.domain.errors import Unavailable

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.demo.sshd import Server
    from rota.instance import Instance

GROUP = "shop"
_HOSTS = {
    "web-1": ("127.0.0.11", "the first web server of the shop"),
    "web-2": ("127.0.0.12", "the second web server of the shop"),
    "db-1": ("127.0.0.13", "the database of the shop"),
}


@dataclass(frozen=True, slots=True)
class Fleet:
    """Servers by host name. `key_name` is a file in the instance's `keys` folder that opens them all."""

    servers: dict[str, Server]
    key_name: str

    def enrol(self, client: Client) -> None:
        """Make the hosts and their group known, and trust the keys that they show."""
        for name, server in self.servers.items():
            client.add_host(
                {
                    "name": name, "connector": "ssh", "address": server.setup.addresses[0], "port": server.port,
                    "user": server.user, "key_file": self.key_name, "tags": {"role": name.partition("-")[0]},
                }
            )  # fmt: skip
            client.trust_host(name, client.host_key(name)["shown"]["fingerprint"])
        client.add_group({"name": GROUP, "hosts": list(self.servers)})

    def told(self) -> Iterator[str]:
        """What to tell people: the hosts, and how to take one down."""
        for name, server in self.servers.items():
            yield f"  {name:<6} {server.setup.addresses[0]}:{server.port}  sshd {server.pids[0]}"


@contextmanager
def three_hosts(instance: Instance) -> Iterator[Fleet]:
    """Run the servers until the context ends. Raises Unavailable where no OpenSSH server is to be had."""
    import asyncssh

    from rota.demo.openssh import find
    from rota.demo.sshd import Server, Setup

    ssh = find()
    key = asyncssh.generate_private_key("ssh-ed25519", comment="rota demo")
    private = instance.keys_dir / "demo"
    private.touch(mode=0o600)
    private.write_bytes(key.export_private_key())
    with ExitStack() as stack:
        servers = {}
        for name, (address, about) in _HOSTS.items():
            server = Server(ssh, Setup(addresses=(_usable(address),)), key=key)
            stack.callback(server.remove)
            server.start()
            (server.home / "about.txt").write_text(f"I am {name}, {about}\n")
            servers[name] = server
        yield Fleet(servers, private.name)


def _usable(address: str) -> str:
    """All of 127/8 is this machine on Linux; elsewhere only 127.0.0.1, and the ports tell the hosts apart."""
    import socket

    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return "127.0.0.1"
    return address


def why_not(error: Unavailable) -> Iterator[str]:
    """What the demo says where it has to do with this machine alone."""
    yield f"No fleet here: {error.happened}."
    yield "The demo goes on with this machine alone."
