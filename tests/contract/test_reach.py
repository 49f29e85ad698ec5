"""What `ports.Reach` says, on every way to hosts. WinRM and network devices are to be parameters of `world`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from rota.clock import SystemClock
from rota.connectors.ssh.connection import Dialer
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.known_hosts import KnownHosts
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.reach import SshReach
from rota.demo.openssh import find
from rota.demo.sshd import Server, Setup, running
from rota.domain.errors import Unavailable
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.ports import Reach
from tests.support.sshd import nobody, write_key


@dataclass
class World:
    """One host that is there, nothing known of it yet, and a way to it."""

    reach: Reach
    host: Host
    server: Server

    def elsewhere(self) -> Host:
        """A host that nobody answers for."""
        return replace(self.host, name="gone", port=1)

    def change_key(self) -> None:
        """The host is set up anew: same address, other key."""
        self.server.stop()
        self.server.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.server.start()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    write_key(tmp_path / "id_ed25519", key)
    dialer = Dialer(credentials=Credentials(tmp_path, home=tmp_path), known_hosts=KnownHosts(tmp_path / "known_hosts"))
    clock = SystemClock()
    pool = Pool(dialer, clock, hosts=nobody)
    with running(find(), Setup(), key=key) as (server,):
        host = Host(name="web1", connector="ssh", address="127.0.0.1", port=server.port, user=server.user)
        yield World(SshReach(pool, dialer, clock), host, server)
        await pool.close()


async def test_a_host_of_which_nothing_is_known_shows_its_key(world: World) -> None:
    check = await world.reach.key_of(world.host)
    assert check.verdict == "unknown"
    assert check.shown.fingerprint == world.server.host_key.get_fingerprint()
    assert check.shown.line.split()[0] == check.shown.algorithm == "ssh-ed25519"
    assert check.before == ()


async def test_what_was_trusted_is_known(world: World) -> None:
    check = await world.reach.key_of(world.host)
    await world.reach.trust(world.host, check.shown)
    assert (await world.reach.key_of(world.host)).verdict == "known"


async def test_another_key_than_the_known_one_is_a_change_and_both_are_told(world: World) -> None:
    before = (await world.reach.key_of(world.host)).shown
    await world.reach.trust(world.host, before)
    world.change_key()
    check = await world.reach.key_of(world.host)
    assert check.verdict == "changed"
    assert check.before == (before,)
    assert check.shown != before


async def test_trust_takes_the_place_of_what_was_known(world: World) -> None:
    await world.reach.trust(world.host, (await world.reach.key_of(world.host)).shown)
    world.change_key()
    await world.reach.trust(world.host, (await world.reach.key_of(world.host)).shown)
    check = await world.reach.key_of(world.host)
    assert (check.verdict, check.before) == ("known", ())


async def test_the_key_of_a_host_that_is_not_there_is_unavailable(world: World) -> None:
    with pytest.raises(Unavailable, match=r"gone .* refused the connection"):
        await world.reach.key_of(world.elsewhere())


async def test_a_ping_of_a_host_that_is_trusted_succeeds_and_names_its_system(world: World) -> None:
    await world.reach.trust(world.host, (await world.reach.key_of(world.host)).shown)
    ping = await world.reach.ping(world.host)
    assert (ping.reason, ping.message) == (None, "web1 answers")
    assert ping.system == os.uname().sysname
    assert 0 < ping.seconds < 10


async def test_a_ping_says_why_it_failed(world: World) -> None:
    ping = await world.reach.ping(world.host)
    assert ping.reason is Reason.HOST_KEY_UNKNOWN
    assert "rota hosts trust web1" in ping.message
    assert ping.system is None
    assert (await world.reach.ping(world.elsewhere())).reason is Reason.CONNECT_REFUSED


async def test_a_ping_after_the_host_came_back_succeeds(world: World) -> None:
    await world.reach.trust(world.host, (await world.reach.key_of(world.host)).shown)
    assert (await world.reach.ping(world.host)).reason is None
    world.server.stop()
    assert (await world.reach.ping(world.host)).reason is Reason.CONNECT_REFUSED
    world.server.start()
    assert (await world.reach.ping(world.host)).reason is None
