"""What travels on a connection, as OpenSSH's server saw it, and when it leaves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from rota.connectors.ssh.connection import NOBODY, Dialer
from rota.connectors.ssh.credentials import Credentials, Login
from rota.connectors.ssh.known_hosts import KnownHosts
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.wire import Wire
from rota.demo.sshd import Setup
from tests.support.sshd import Sshd, StartSshd, host_of

TALKATIVE = Setup(options=("LogLevel DEBUG3",))


@pytest.fixture
def talkative(start_sshd: StartSshd) -> Sshd:
    """A server that logs every packet."""
    return start_sshd(TALKATIVE)


async def run_once(pool: Pool, sshd: Sshd) -> None:
    async with pool.channel_slot(host_of(sshd)) as connection:
        await connection.run("true", check=True)
    await pool.close()


def asked_for(sshd: Sshd) -> list[str]:
    """The methods of login that were tried, in order."""
    sshd.server.stop()  # its last words are heard
    lines = [line for line in sshd.server.log.splitlines() if "userauth-request for user" in line]
    return [line.split(" method ")[1].split()[0] for line in lines]


async def test_a_login_asks_for_nothing_and_signs_with_its_key_at_once(pool: Pool, talkative: Sshd) -> None:
    await run_once(pool, talkative)
    assert asked_for(talkative) == ["publickey"]


async def test_after_a_key_that_is_refused_the_next_is_asked_about_before_it_signs(
    talkative: Sshd, known_hosts: KnownHosts, keys_dir: Path
) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    for name, key in {"id_ed25519": stranger, "id_rsa": talkative.key_file.read_bytes()}.items():
        (keys_dir / name).write_bytes(key)
    dialer = Dialer(credentials=Credentials(keys_dir), known_hosts=known_hosts)
    connection = await dialer.dial(host_of(talkative, key_file=None))
    connection.close()
    await connection.wait_closed()
    assert asked_for(talkative) == ["publickey", "publickey", "publickey"]


def test_an_agent_is_asked_whether_a_key_would_do_before_it_signs(talkative: Sshd) -> None:
    keys = tuple(asyncssh.load_keypairs([str(talkative.key_file)]))
    with_agent = Login(user="ann", keys=keys, password=None, agent="/run/agent", offered=())
    assert not with_agent.signs_at_once
    assert replace(with_agent, agent=None).signs_at_once


async def test_no_packet_is_sent_to_be_ignored(pool: Pool, talkative: Sshd) -> None:
    await run_once(pool, talkative)
    talkative.server.stop()
    assert "SSH2_MSG_IGNORE" not in talkative.server.log


async def test_no_cipher_is_offered_that_such_packets_would_protect(wire: Wire) -> None:
    assert wire._enc_algs
    assert not [name for name in wire._enc_algs if b"cbc" in name]


class Recorder(asyncio.Transport):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.heard.append(bytes(data))

    def abort(self) -> None:
        self.heard.append(b"the end")

    def is_closing(self) -> bool:
        return False


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def wire(dialer: Dialer, recorder: Recorder) -> Wire:
    """A connection that says to the recorder what it would send."""
    loop, options = asyncio.get_running_loop(), dialer._shared_options(NOBODY)
    options.waiter = loop.create_future()
    wire = Wire(loop, options, until="auth", signs_at_once=False)
    wire._transport = recorder
    return wire


async def test_the_packets_of_one_moment_leave_together(wire: Wire, recorder: Recorder) -> None:
    for word in b"one ", b"moment":
        wire._send(word)
    await asyncio.sleep(0)
    assert recorder.heard == [b"one moment"]


async def test_the_last_words_of_a_connection_leave_before_it_ends(wire: Wire, recorder: Recorder) -> None:
    wire._send(b"farewell")
    wire.abort()
    await wire.wait_closed()
    assert recorder.heard == [b"farewell", b"the end"]
