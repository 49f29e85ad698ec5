"""From a file of hosts to hosts that answer: import, trust and ping against a real OpenSSH server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import asyncssh
import pytest

from rota.demo.openssh import find
from rota.demo.sshd import Server, Setup, running
from tests.support.daemon import Home, a_home
from tests.support.sshd import write_key


@dataclass
class World:
    home: Home
    server: Server

    def rota(self, *words: str, stdin: str | None = None) -> tuple[int, str]:
        """Its exit code, and all that it prints."""
        said = self.home.rota(*words, typed=stdin)
        return said.code, said.out + said.err


@pytest.fixture
def world() -> Iterator[World]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with (
        a_home() as home,
        running(find(), Setup(addresses=("127.0.0.1", "127.0.0.2")), key=key) as (server,),
    ):
        home.daemon()
        world = World(home, server)
        login = f"User {server.user}\nPort {server.port}\nIdentityFile {write_key(home.scratch / 'id', key)}\n"
        hosts = "Host web-1\n  HostName 127.0.0.1\nHost web-2\n  HostName 127.0.0.2\n"
        code, told = world.rota("hosts", "import", "-", "--format", "ssh-config", "--group", "web", stdin=login + hosts)
        assert code == 0, told
        yield world


def test_a_host_is_reached_once_its_key_is_trusted(world: World) -> None:
    code, told = world.rota("hosts", "ping", "group:web")
    assert (code, told.count("host_key_unknown")) == (6, 2)
    code, told = world.rota("hosts", "trust", "web-1", "--yes")
    assert (code, world.server.host_key.get_fingerprint() in told) == (0, True)
    code, told = world.rota("hosts", "ping", "group:web", "-o", "json")
    pings = {ping["host"]: ping["reason"] for ping in json.loads(told)["items"]}
    assert (code, pings) == (3, {"web-1": None, "web-2": "host_key_unknown"})


def test_a_key_that_changed_is_refused_until_it_is_replaced(world: World) -> None:
    world.rota("hosts", "trust", "group:web", "--yes")
    old = world.server.host_key.get_fingerprint()
    world.server.stop()
    world.server.host_key = asyncssh.generate_private_key("ssh-ed25519")
    world.server.start()
    assert "host_key_changed" in world.rota("hosts", "ping", "web-1")[1]
    code, told = world.rota("hosts", "trust", "web-1", "--yes")
    assert (code, f"CHANGED, was {old}" in told) == (5, True)
    assert world.rota("hosts", "trust", "web-1", "--yes", "--replace")[0] == 0
    assert world.rota("hosts", "ping", "web-1")[0] == 0
