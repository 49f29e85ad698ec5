"""Servers that mean ill or are ill: each ends in bounded time and memory with its own reason, and disturbs nobody."""

from __future__ import annotations

import asyncio
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

import rota
from rota.clock import SystemClock
from rota.connectors.ssh.connection import Dialer
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.known_hosts import KnownHosts, known_as
from rota.connectors.ssh.pool import CONNECTS, CONNECTS_PER_JUMP, Pool
from rota.connectors.ssh.unreached import Unreached
from rota.demo.sshd import Setup
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from tests.support.sshd import Sshd, StartSshd, host_of, learn, nobody

PATIENCE = 0.5  # of these tests' pool, in seconds
MEBIBYTE = 1 << 20

Questions = tuple[str, str, str, Sequence[tuple[str, bool]]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def hasty(credentials: Credentials, known_hosts: KnownHosts) -> AsyncIterator[Pool]:
    """A pool that waits no longer than PATIENCE."""
    dialer = Dialer(credentials=credentials, known_hosts=known_hosts, connect_timeout_seconds=PATIENCE)
    pool = Pool(dialer, SystemClock(), hosts=nobody)
    yield pool
    await pool.close()


async def refusal(pool: Pool, host: Host) -> Unreached:
    with pytest.raises(Unreached) as caught:
        async with pool.channel_slot(host):
            pass
    assert "\n" not in caught.value.message
    assert caught.value.message.isprintable()
    return caught.value


def at(port: int, address: str = "127.0.0.1") -> Host:
    return Host(name="evil", connector="ssh", address=address, port=port, user="ada", key_file=None)


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[Host]:
    """A server that does this with every connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except OSError:
            pass  # the client had enough
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield at(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak / MEBIBYTE:.1f} MiB at the peak"


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def good_beginning(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await reader.readline()


# Connecting


async def test_a_port_where_nobody_listens_refuses(pool: Pool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening: nobody else gets it
        port = taken.getsockname()[1]
        told = await refusal(pool, at(port))
    assert (told.reason, told.message) == (
        Reason.CONNECT_REFUSED,
        f"evil (127.0.0.1 port {port}) refused the connection",
    )


async def test_a_black_hole_times_out(hasty: Pool) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):  # the queue is full now: further packets are dropped
            told = await refusal(hasty, at(full.getsockname()[1]))
    assert told.reason is Reason.CONNECT_TIMEOUT
    assert told.message.endswith("did not answer within 0.5 s")


async def test_a_network_without_a_way_there_is_offline(pool: Pool) -> None:
    told = await refusal(pool, at(22, "255.255.255.255"))
    assert told.reason is Reason.HOST_OFFLINE


@pytest.mark.parametrize("name", ["web1.invalid", "a..b", "x" * 64 + ".example.org"])
async def test_a_name_that_nobody_knows_is_offline_and_says_what_to_type(pool: Pool, name: str) -> None:
    told = await refusal(pool, Host(name="web1", connector="ssh", address=name))
    assert told.reason is Reason.HOST_OFFLINE
    assert f"web1 ({name}) has no address" in told.message
    assert told.message.endswith("type: rota hosts update web1 --address ADDRESS")


async def test_a_name_is_looked_up_and_all_its_addresses_tried(start_sshd: StartSshd, pool: Pool) -> None:
    """localhost is ::1 and 127.0.0.1, and this server is only at one of them."""
    sshd = start_sshd(Setup(addresses=["127.0.0.1"]))
    key = sshd.server.host_key.export_public_key().decode()
    learn(pool._dialer.known_hosts, f"{known_as('localhost', sshd.server.port)} {key}")
    async with pool.channel_slot(host_of(sshd, address="localhost")) as connection:
        assert connection.get_extra_info("peername")[0] == "127.0.0.1"


async def test_ipv6_is_a_way_like_any_other(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup(addresses=["::1"]))
    async with pool.channel_slot(host_of(sshd)) as connection:
        assert connection.get_extra_info("peername")[0] == "::1"


# Handshakes


async def test_one_that_accepts_and_stays_silent_times_out(hasty: Pool) -> None:
    async with talking(silence) as host:
        told = await refusal(hasty, host)
    assert told.reason is Reason.CONNECT_TIMEOUT
    assert told.message.endswith("accepted the connection, but did not let us in within 0.5 s")


async def test_one_that_falls_silent_in_the_key_exchange_times_out(hasty: Pool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await good_beginning(reader, writer)
        await reader.read()

    async with talking(talk) as host:
        assert (await refusal(hasty, host)).reason is Reason.CONNECT_TIMEOUT


async def test_one_that_sends_a_byte_at_a_time_does_not_get_more_of_it(hasty: Pool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"hello\r\n")  # each is a line of a banner, and a banner may go before
            await asyncio.sleep(PATIENCE / 20)

    async with talking(talk) as host:
        assert (await refusal(hasty, host)).reason is Reason.CONNECT_TIMEOUT


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"x\r\n" * 20_000], ids=["one-line", "many-lines"])
async def test_a_banner_of_a_gigabyte_is_not_swallowed(pool: Pool, piece: bytes) -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < 1 << 30 and not writer.is_closing():
            writer.write(piece)
            sent += len(piece)
            await writer.drain()

    with memory_below(16 * MEBIBYTE):
        async with talking(talk) as host:
            told = await refusal(pool, host)
    assert told.reason is Reason.CONNECT_REFUSED
    assert "no SSH with evil" in told.message
    assert sent < 64 * MEBIBYTE


async def test_a_packet_that_says_it_is_a_gigabyte_is_not_waited_for(pool: Pool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await good_beginning(reader, writer)
        writer.write(struct.pack(">I", 1 << 30))
        while not writer.is_closing():
            writer.write(b"\0" * 65_536)
            await writer.drain()

    with memory_below(16 * MEBIBYTE):
        async with talking(talk) as host:
            assert (await refusal(pool, host)).reason is Reason.CONNECT_REFUSED


async def test_a_banner_with_control_characters_is_told_without_them(pool: Pool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-1.0-\x1b]0;owned\x07\x1b[2J\r\n")
        await reader.read()

    async with talking(talk) as host:
        told = await refusal(pool, host)  # which looks at the message
    assert told.reason is Reason.CONNECT_REFUSED


async def test_a_web_server_is_no_ssh_server(pool: Pool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    async with talking(talk) as host:
        told = await refusal(pool, host)
    assert told.reason is Reason.CONNECT_REFUSED
    assert told.message.endswith("closed the connection before the login")


@pytest.mark.parametrize("after", ["at-once", "version", "half-a-packet"])
async def test_one_that_closes_in_mid_handshake_has_refused(pool: Pool, after: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after != "at-once":
            await good_beginning(reader, writer)
        if after == "half-a-packet":
            writer.write(struct.pack(">I", 1000) + b"\0" * 100)

    async with talking(talk) as host:
        told = await refusal(pool, host)
    assert told.reason is Reason.CONNECT_REFUSED
    assert told.message.endswith("closed the connection before the login")


async def test_one_that_resets_the_connection_has_refused(pool: Pool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with talking(talk) as host:
        assert (await refusal(pool, host)).reason is Reason.CONNECT_REFUSED


async def test_too_many_unfinished_logins_are_told_as_a_refusal(start_sshd: StartSshd, pool: Pool) -> None:
    """What sshd does when MaxStartups is reached."""
    sshd = start_sshd(Setup(options=["MaxStartups 1:100:1"]))
    with socket.create_connection(("127.0.0.1", sshd.server.port)) as first:
        assert first.recv(4) == b"SSH-"
        assert (await refusal(pool, host_of(sshd))).reason is Reason.CONNECT_REFUSED


# Keys


async def test_an_unknown_key_is_shown_with_what_to_type(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup())
    pool._dialer.known_hosts.own.write_text("")
    told = await refusal(pool, host_of(sshd))
    assert told.reason is Reason.HOST_KEY_UNKNOWN
    assert f"ssh-ed25519 {sshd.server.host_key.get_fingerprint()}" in told.message
    assert told.message.endswith("type: rota hosts trust web1")


async def test_a_changed_key_is_shown_beside_the_known_one(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup())
    before = sshd.server.host_key
    sshd.server.stop()
    sshd.server.host_key = asyncssh.generate_private_key("ssh-ed25519")
    sshd.server.start()
    told = await refusal(pool, host_of(sshd))
    assert told.reason is Reason.HOST_KEY_CHANGED
    assert sshd.server.host_key.get_fingerprint() in told.message
    assert f"known: ssh-ed25519 {before.get_fingerprint()}" in told.message
    assert told.message.endswith("type: rota hosts trust web1 --replace")


async def test_a_key_of_another_kind_is_a_change_too(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup())
    sshd.server.stop()
    sshd.server.host_key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    sshd.server.start()
    told = await refusal(pool, host_of(sshd))
    assert told.reason is Reason.HOST_KEY_CHANGED
    assert "ecdsa-sha2-nistp256 SHA256:" in told.message


async def test_the_key_of_another_host_is_not_good(sshd: Sshd, start_sshd: StartSshd, pool: Pool) -> None:
    other = start_sshd(Setup())
    known = pool._dialer.known_hosts
    known.own.write_text(sshd.known_lines() + other.known_lines(key=sshd.server.host_key))
    assert (await refusal(pool, host_of(other))).reason is Reason.HOST_KEY_CHANGED


async def test_a_revoked_key_is_refused(start_sshd: StartSshd, pool: Pool) -> None:
    sshd = start_sshd(Setup())
    learn(pool._dialer.known_hosts, f"@revoked * {sshd.server.host_key.export_public_key().decode()}")
    told = await refusal(pool, host_of(sshd))
    assert told.reason is Reason.HOST_KEY_CHANGED
    assert "@revoked" in told.message


async def test_a_key_that_the_host_cannot_prove_to_have_is_not_good(pool: Pool) -> None:
    """Somebody in between shows the host's public key, which everybody may have."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    other = asyncssh.generate_private_key("ssh-ed25519")
    pair = asyncssh.load_keypairs([other])[0]
    pair.public_data = key.public_data
    async with asyncssh.listen("127.0.0.1", 0, server_host_keys=[pair]) as server:
        learn(
            pool._dialer.known_hosts, f"{known_as('127.0.0.1', server.get_port())} {key.export_public_key().decode()}"
        )
        told = await refusal(pool, at(server.get_port()))
    assert told.reason is Reason.CONNECT_REFUSED
    assert "no SSH with evil" in told.message


# Logins


class AsksForEver(asyncssh.SSHServer):
    """Asks for a password again and again, each time as if for the first time."""

    asked = 0
    prompts: Sequence[tuple[str, bool]] = [("Password: ", False)]

    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Questions:
        type(self).asked += 1
        return "", "", "", list(self.prompts)

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> Questions:
        type(self).asked += 1
        return "", "", "", list(self.prompts)


class SaysForEver(AsksForEver):
    """Asks for nothing, for ever."""

    prompts = ()


@pytest.mark.parametrize(("server", "most"), [(AsksForEver, 5), (SaysForEver, 12)])
async def test_a_server_that_asks_for_ever_is_ended(
    server: type[AsksForEver], most: int, pool: Pool, known_hosts: KnownHosts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server.asked = 0
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.touch(mode=0o600)
    secret.write_text("sesame")
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with asyncssh.listen("127.0.0.1", 0, server_factory=server, server_host_keys=[key]) as listening:
        port = listening.get_port()
        learn(known_hosts, f"{known_as('127.0.0.1', port)} {key.export_public_key().decode()}")
        told = await refusal(pool, Host(name="evil", connector="ssh", address="127.0.0.1", port=port, user="ada",
                                        password_file=str(secret)))  # fmt: skip
    assert told.reason is Reason.AUTH_FAILED
    assert "tried the password" in told.message
    assert server.asked <= most


async def test_too_many_keys_are_told_as_a_refused_login(start_sshd: StartSshd, pool: Pool) -> None:
    """sshd breaks off with a message of its own when MaxAuthTries is reached."""
    sshd = start_sshd(Setup(options=["MaxAuthTries 1"]))
    told = await refusal(pool, host_of(sshd, user="nobody-here"))
    assert told.reason is Reason.AUTH_FAILED


# And the others


async def test_a_good_host_among_bad_ones_is_reached_at_once(
    sshd: Sshd, credentials: Credentials, known_hosts: KnownHosts
) -> None:
    dialer = Dialer(credentials=credentials, known_hosts=known_hosts, connect_timeout_seconds=30)
    pool = Pool(dialer, SystemClock(), hosts=nobody)

    async def visit(host: Host) -> None:
        async with pool.channel_slot(host):
            pass

    async with talking(silence) as silent:
        stuck = [
            asyncio.create_task(visit(Host(name=f"evil{n}", connector="ssh", address=silent.address, port=silent.port)))
            for n in range(50)
        ]
        async with asyncio.timeout(5):
            await asyncio.gather(*(visit(host_of(sshd, number)) for number in range(16)))
        assert not any(task.done() for task in stuck)
        await pool.close()
        await asyncio.gather(*stuck, return_exceptions=True)


def test_no_module_of_ours_trusts_everybody() -> None:
    """asyncssh takes `known_hosts=None` for "do not check": nobody here may write it."""
    sources = Path(rota.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if "known_hosts=None" in path.read_text().replace(" ", "")] == []


class Crowd:
    """A server that says nothing, and counts who waits for it."""

    def __init__(self) -> None:
        self.waiting = 0
        self._came = asyncio.Event()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.waiting += 1
        self._came.set()
        await reader.read()

    async def until(self, number: int) -> None:
        while self.waiting < number:
            await self._came.wait()
            self._came.clear()


async def crowd_of(number: int, *, pool: Pool, jump: str | None = None) -> int:
    """Let so many hosts be visited at once that say nothing; how many come before others must wait."""
    crowd = Crowd()
    async with talking(crowd.talk) as silent:
        hosts = [replace(silent, name=f"evil{n}", jump=jump) for n in range(number)]
        visits = [asyncio.create_task(refusal(pool, host)) for host in hosts]
        most = CONNECTS if jump is None else CONNECTS_PER_JUMP
        await crowd.until(most)
        _, last = await asyncio.open_connection(silent.address, silent.port)  # whoever came before it is counted
        await crowd.until(most + 1)
        came = crowd.waiting - 1
        last.close()
        await pool.close()
        assert {told.reason for told in await asyncio.gather(*visits)} == {Reason.HOST_OFFLINE}
        return came


async def test_at_most_a_hundred_logins_are_under_way_at_once(pool: Pool) -> None:
    assert await crowd_of(120, pool=pool) == 100


async def test_at_most_eight_logins_are_under_way_over_one_jump_host(sshd: Sshd, dialer: Dialer) -> None:
    async def find(name: str) -> Host | None:
        return host_of(sshd, name=name)

    assert await crowd_of(12, pool=Pool(dialer, SystemClock(), hosts=find), jump="bastion") == 8
