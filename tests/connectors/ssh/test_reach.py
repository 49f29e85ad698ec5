"""What is particular to SSH when one asks for a host: kinds of keys, certificates, jump hosts, odd shells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import asyncssh
import pytest

from rota.clock import SystemClock
from rota.connectors.ssh.connection import Dialer
from rota.connectors.ssh.known_hosts import KnownHosts
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.reach import SshReach
from rota.demo.sshd import Setup
from rota.domain.errors import Unavailable
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from tests.support.sshd import Sshd, StartSshd, host_of, learn

MakeReach = Callable[..., SshReach]


@pytest.fixture
async def reach_over(dialer: Dialer) -> AsyncIterator[MakeReach]:
    """Make a reach over an inventory of these hosts."""
    pools: list[Pool] = []

    def make(*hosts: Host) -> SshReach:
        async def find(name: str) -> Host | None:
            return next((host for host in hosts if host.name == name), None)

        pools.append(Pool(dialer, SystemClock(), hosts=find))
        return SshReach(pools[-1], dialer, SystemClock())

    yield make
    for pool in pools:
        await pool.close()


@pytest.fixture
def reach(reach_over: MakeReach) -> SshReach:
    return reach_over()


async def test_to_show_its_key_a_host_needs_no_credentials(sshd: Sshd, reach: SshReach) -> None:
    check = await reach.key_of(host_of(sshd, key_file="gone", user="nobody-there"))
    assert check.verdict == "known"


async def test_who_is_not_known_as_a_line_cannot_be_read_is_told_which(
    sshd: Sshd, known_hosts: KnownHosts, reach: SshReach
) -> None:
    known_hosts.own.write_text("".join(f"{one[:-9]}\n" for one in sshd.known_lines().splitlines()))
    ping = await reach.ping(host_of(sshd))
    assert ping.reason is Reason.HOST_KEY_UNKNOWN
    assert f"a line of known hosts is skipped, correct it or take it out: {known_hosts.own} line 1: " in ping.message
    assert f"type: rota hosts trust {host_of(sshd).name}" in ping.message
    check = await reach.key_of(host_of(sshd))
    await reach.trust(host_of(sshd), check.shown)
    assert (await reach.ping(host_of(sshd))).reason is None


async def test_nobody_logs_in_to_see_a_key(start_sshd: StartSshd, reach: SshReach) -> None:
    sshd = start_sshd(Setup(options=["LogLevel DEBUG1"]))
    await reach.key_of(host_of(sshd))
    sshd.server.stop()
    assert "kex" in sshd.server.log
    assert "userauth" not in sshd.server.log


async def test_of_several_keys_the_kind_that_is_known_is_asked_for(
    start_sshd: StartSshd, known_hosts: KnownHosts, reach: SshReach
) -> None:
    """Else a host known by its ECDSA key would seem changed as soon as it has an Ed25519 key too."""
    sshd = start_sshd(Setup())
    ecdsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    sshd.server.stop()
    other = sshd.server.put("ecdsa", ecdsa.export_private_key(), mode=0o600)
    sshd.server.setup = replace(sshd.server.setup, options=[f"HostKey {other}\nHostKey {sshd.server.folder}/host_key"])
    sshd.server.start()
    known_hosts.own.write_text(sshd.known_lines(key=ecdsa))
    check = await reach.key_of(host_of(sshd))
    assert (check.verdict, check.shown.algorithm) == ("known", "ecdsa-sha2-nistp256")
    assert (await reach.ping(host_of(sshd))).reason is None


async def test_a_host_certified_by_a_known_authority_is_known(
    start_sshd: StartSshd, known_hosts: KnownHosts, reach: SshReach
) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    sshd = start_sshd(Setup())
    sshd.server.stop()
    certificate = authority.generate_host_certificate(sshd.server.host_key, "host", principals=["127.0.0.1"])
    (sshd.server.folder / "certificate").write_bytes(certificate.export_certificate())
    sshd.server.setup = replace(sshd.server.setup, options=[f"HostCertificate {sshd.server.folder}/certificate"])
    sshd.server.start()
    known_hosts.own.write_text("")
    assert (await reach.key_of(host_of(sshd))).verdict == "unknown"
    learn(known_hosts, f"@cert-authority 127.0.0.* {authority.export_public_key().decode()}\n")
    learn(known_hosts, f"@cert-authority [127.0.0.*]:* {authority.export_public_key().decode()}\n")
    assert (await reach.key_of(host_of(sshd))).verdict == "known"


async def test_a_revoked_key_counts_as_changed(start_sshd: StartSshd, known_hosts: KnownHosts, reach: SshReach) -> None:
    sshd = start_sshd(Setup())
    learn(known_hosts, f"@revoked * {sshd.server.host_key.export_public_key().decode()}")
    assert (await reach.key_of(host_of(sshd))).verdict == "changed"


async def test_the_key_of_a_host_behind_a_jump_host_is_asked_for_over_it(sshd: Sshd, reach_over: MakeReach) -> None:
    reach = reach_over(host_of(sshd, 1, name="bastion"))
    assert (await reach.key_of(host_of(sshd, 2, jump="bastion"))).verdict == "known"
    assert (await reach.ping(host_of(sshd, 2, jump="bastion"))).reason is None


async def test_a_jump_host_whose_key_is_unknown_is_named(
    start_sshd: StartSshd, sshd: Sshd, known_hosts: KnownHosts, reach_over: MakeReach
) -> None:
    bastion = start_sshd(Setup())
    known_hosts.own.write_text(sshd.known_lines())
    reach = reach_over(host_of(bastion, name="bastion"))
    with pytest.raises(Unavailable, match=r"the key of bastion .* is not known"):
        await reach.key_of(host_of(sshd, jump="bastion"))


async def test_a_host_without_uname_answers_all_the_same(start_sshd: StartSshd, reach: SshReach) -> None:
    sshd = start_sshd(Setup(options=["ForceCommand echo 'this is not a shell; go away'"]))
    ping = await reach.ping(host_of(sshd))
    assert (ping.reason, ping.system) == (None, None)


async def test_a_host_that_answers_with_a_flood_is_not_listened_to_for_long(
    start_sshd: StartSshd, reach: SshReach
) -> None:
    sshd = start_sshd(Setup(options=["ForceCommand yes flood"]))
    assert (await reach.ping(host_of(sshd))).reason is None


async def test_a_host_that_allows_no_commands_is_told(start_sshd: StartSshd, reach: SshReach) -> None:
    sshd = start_sshd(Setup(options=["MaxSessions 0"]))
    ping = await reach.ping(host_of(sshd))
    assert (ping.reason, ping.message) == (Reason.CONNECT_REFUSED, "web1 let us in, but would not run a command")
