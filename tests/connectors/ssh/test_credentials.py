"""Logging in: with keys, certificates, the agent and passwords, and what is said when something is missing."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from rota.connectors.ssh.connection import Dialer
from rota.connectors.ssh.credentials import Credentials, Login
from rota.connectors.ssh.known_hosts import KnownHosts, known_as
from rota.connectors.ssh.unreached import Unreached
from rota.demo.openssh import OpenSsh
from rota.demo.sshd import Setup
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from tests.support.sshd import Sshd, StartSshd, host_of, learn, write_key

PASSWORD = "open, Sesame 1001!"

Questions = tuple[str, str, str, Sequence[tuple[str, bool]]]
LogIn = Callable[[Host], Awaitable[asyncssh.SSHClientConnection]]


@pytest.fixture
async def log_in(dialer: Dialer) -> AsyncIterator[LogIn]:
    """Log in to a host; the connection ends with the test."""
    opened: list[asyncssh.SSHClientConnection] = []

    async def dial(host: Host) -> asyncssh.SSHClientConnection:
        opened.append(await dialer.dial(host))
        return opened[-1]

    yield dial
    for connection in opened:
        connection.close()
        await connection.wait_closed()


async def refusal(dialing: Awaitable[object]) -> Unreached:
    with pytest.raises(Unreached) as caught:
        await dialing
    return caught.value


def a_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)
    return path


# Keys


async def test_a_relative_key_lies_in_the_folder_of_keys(
    sshd: Sshd, keys_dir: Path, client_key: asyncssh.SSHKey, log_in: LogIn
) -> None:
    write_key(keys_dir / "fleet", client_key)
    await log_in(host_of(sshd, key_file="fleet"))


@pytest.mark.parametrize("folder", ["keys", "nobody/.ssh"])
async def test_without_a_key_file_the_default_keys_are_tried(
    sshd: Sshd, tmp_path: Path, folder: str, client_key: asyncssh.SSHKey, log_in: LogIn
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    write_key(tmp_path / "keys" / "id_ecdsa", asyncssh.generate_private_key("ecdsa-sha2-nistp256"))
    write_key(tmp_path / folder / "id_ed25519", client_key)
    await log_in(host_of(sshd, key_file=None))


async def test_a_key_with_a_passphrase_is_opened_with_its_file(
    sshd: Sshd, keys_dir: Path, client_key: asyncssh.SSHKey, log_in: LogIn
) -> None:
    write_key(keys_dir / "locked", client_key, passphrase="hush")
    a_file(keys_dir / "locked.pass", "hush\n")
    await log_in(host_of(sshd, key_file="locked", passphrase_file="locked.pass"))


async def test_an_rsa_key_is_good_for_many_hosts_at_once(
    openssh: OpenSsh, tmp_path: Path, sshd: Sshd, log_in: LogIn, keys_dir: Path
) -> None:
    """A key pair of asyncssh's remembers what one server agreed to; it must not tell the next."""
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    write_key(keys_dir / "rsa", rsa)
    authorized = sshd.server.folder / "authorized_keys"
    before = authorized.read_bytes()
    authorized.write_bytes(before + rsa.export_public_key())
    try:
        for number in range(3):
            await log_in(host_of(sshd, number, key_file="rsa"))
    finally:
        authorized.write_bytes(before)


async def test_a_key_file_that_changed_is_read_again(
    sshd: Sshd, keys_dir: Path, client_key: asyncssh.SSHKey, dialer: Dialer, log_in: LogIn
) -> None:
    path = write_key(keys_dir / "fleet", asyncssh.generate_private_key("ssh-ed25519"))
    assert (await refusal(dialer.dial(host_of(sshd, key_file="fleet")))).reason is Reason.AUTH_FAILED
    path.unlink()
    write_key(path, client_key)
    await log_in(host_of(sshd, key_file="fleet"))


async def test_hosts_with_the_same_files_share_one_login(sshd: Sshd, credentials: Credentials) -> None:
    assert await credentials.of(host_of(sshd, 0)) is await credentials.of(host_of(sshd, 1))


async def test_without_a_user_one_is_who_rota_runs_as(sshd: Sshd, credentials: Credentials) -> None:
    assert (await credentials.of(host_of(sshd, user=None))).user == pwd.getpwuid(os.geteuid()).pw_name


# Certificates


async def test_a_certificate_beside_the_key_is_offered(start_sshd: StartSshd, keys_dir: Path, log_in: LogIn) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    sshd = start_sshd(Setup())
    again_with(sshd, "TrustedUserCAKeys", authority.export_public_key())
    key = asyncssh.generate_private_key("ssh-ed25519")
    write_key(keys_dir / "signed", key)
    signed = authority.generate_user_certificate(key, "rota", principals=[sshd.server.user])
    signed.write_certificate(str(keys_dir / "signed-cert.pub"))
    await log_in(host_of(sshd, key_file="signed"))


async def test_a_host_with_a_certificate_of_a_known_authority_is_known(
    start_sshd: StartSshd, tmp_path: Path, known_hosts: KnownHosts, log_in: LogIn
) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    sshd = start_sshd(Setup())
    forget(known_hosts, sshd)
    certify(sshd, authority, principals=["127.0.0.1"])
    learn(known_hosts, f"@cert-authority * {authority.export_public_key().decode()}\n")
    await log_in(host_of(sshd))


async def test_a_certificate_for_another_host_does_not_hold(
    start_sshd: StartSshd, dialer: Dialer, known_hosts: KnownHosts
) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    sshd = start_sshd(Setup())
    forget(known_hosts, sshd)
    certify(sshd, authority, principals=["10.9.9.9"])
    learn(known_hosts, f"@cert-authority * {authority.export_public_key().decode()}\n")
    told = await refusal(dialer.dial(host_of(sshd)))
    assert told.reason is Reason.HOST_KEY_UNKNOWN
    assert "a certificate that does not hold" in told.message


def certify(sshd: Sshd, authority: asyncssh.SSHKey, *, principals: list[str]) -> None:
    """Give the server a host certificate."""
    certificate = authority.generate_host_certificate(sshd.server.host_key, "host", principals=principals)
    again_with(sshd, "HostCertificate", certificate.export_certificate())


def again_with(sshd: Sshd, option: str, content: bytes) -> None:
    """Start the server again with an option that names a file of this content."""
    sshd.server.stop()
    file = sshd.server.folder / option
    file.write_bytes(content)
    sshd.server.setup = replace(sshd.server.setup, options=[f"{option} {file}"])
    sshd.server.start()


def forget(known_hosts: KnownHosts, sshd: Sshd) -> None:
    lines = known_hosts.own.read_text()
    known_hosts.own.write_text(lines.replace(sshd.known_lines(), ""))
    assert not known_hosts.of("127.0.0.1", sshd.server.port).keys


# The agent


@pytest.fixture
def agent(openssh: OpenSsh, client_key_file: Path, tmp_path: Path) -> Iterator[str]:
    """An ssh-agent that holds the client's key; its socket."""
    socket = f"/tmp/rota-agent-{os.getpid()}"  # a short path: it is a socket's
    process = subprocess.Popen([openssh.tool("ssh-agent"), "-D", "-a", socket], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # it listens when it has said where
    environment = {**os.environ, "SSH_AUTH_SOCK": socket}
    subprocess.run([openssh.tool("ssh-add"), "-q", client_key_file], env=environment, check=True, capture_output=True)
    yield socket
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


async def test_without_a_key_file_the_agents_keys_are_tried(
    sshd: Sshd, agent: str, keys_dir: Path, known_hosts: KnownHosts, tmp_path: Path
) -> None:
    dialer = Dialer(credentials=Credentials(keys_dir, home=tmp_path, agent=agent), known_hosts=known_hosts)
    connection = await dialer.dial(host_of(sshd, key_file=None))
    connection.close()
    await connection.wait_closed()


async def test_a_host_that_names_a_key_is_not_offered_the_agents(
    sshd: Sshd, agent: str, keys_dir: Path, known_hosts: KnownHosts
) -> None:
    write_key(keys_dir / "wrong", asyncssh.generate_private_key("ssh-ed25519"))
    dialer = Dialer(credentials=Credentials(keys_dir, agent=agent), known_hosts=known_hosts)
    assert (await refusal(dialer.dial(host_of(sshd, key_file="wrong")))).reason is Reason.AUTH_FAILED


async def test_an_agent_that_is_gone_is_no_hindrance(
    sshd: Sshd, keys_dir: Path, known_hosts: KnownHosts, client_key: asyncssh.SSHKey, tmp_path: Path
) -> None:
    write_key(keys_dir / "id_ed25519", client_key)
    credentials = Credentials(keys_dir, home=tmp_path, agent=str(tmp_path / "gone"))
    connection = await Dialer(credentials=credentials, known_hosts=known_hosts).dial(host_of(sshd, key_file=None))
    connection.close()
    await connection.wait_closed()


# Passwords


@pytest.fixture
async def by_password(request: pytest.FixtureRequest, known_hosts: KnownHosts) -> AsyncIterator[Host]:
    """A host that a password opens: OpenSSH's where root can let it check one, else a stand-in."""
    if os.geteuid() == 0:
        start_sshd: StartSshd = request.getfixturevalue("start_sshd")
        yield host_of(start_sshd(Setup(password=PASSWORD)), key_file=None)
    else:
        async with a_server(known_hosts, TakesPassword) as host:
            yield host


async def test_a_password_is_taken_from_its_file(by_password: Host, keys_dir: Path, log_in: LogIn) -> None:
    a_file(keys_dir / "web.pass", f"{PASSWORD}\n")
    await log_in(replace(by_password, password_file="web.pass"))


async def test_where_questions_are_asked_the_password_is_the_answer(
    known_hosts: KnownHosts, keys_dir: Path, log_in: LogIn
) -> None:
    """What sshd does under PAM, which only an installed one can use."""
    a_file(keys_dir / "web.pass", PASSWORD)
    async with a_server(known_hosts, AsksForPassword) as host:
        await log_in(replace(host, password_file="web.pass"))


class TakesPassword(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD


class AsksForPassword(asyncssh.SSHServer):
    """Shows a notice, then asks."""

    def __init__(self) -> None:
        self._asked = 0

    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Questions:
        return "", "Authorised use only", "", []

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool | Questions:
        self._asked += 1
        if self._asked == 1:
            return "", "", "", [("Password: ", False)]
        return list(responses) == [PASSWORD]


@asynccontextmanager
async def a_server(known_hosts: KnownHosts, behaviour: type[asyncssh.SSHServer]) -> AsyncIterator[Host]:
    """A server of asyncssh's, for what OpenSSH does not do everywhere. Its key is known."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with asyncssh.listen("127.0.0.1", 0, server_factory=behaviour, server_host_keys=[key]) as listening:
        port = listening.get_port()
        learn(known_hosts, f"{known_as('127.0.0.1', port)} {key.export_public_key().decode()}")
        yield Host(name="asks", connector="ssh", address="127.0.0.1", port=port, user="ada")


async def test_a_wrong_password_is_told_without_saying_it(
    start_sshd: StartSshd, keys_dir: Path, dialer: Dialer
) -> None:
    sshd = start_sshd(Setup(options=["PasswordAuthentication yes"]))
    a_file(keys_dir / "web.pass", PASSWORD)
    told = await refusal(dialer.dial(host_of(sshd, key_file=None, password_file="web.pass")))
    assert told.reason is Reason.AUTH_FAILED
    assert f"refused to log {sshd.server.user} in: tried the password" in told.message
    assert PASSWORD not in told.message


async def test_a_secret_is_in_no_repr(sshd: Sshd, keys_dir: Path, credentials: Credentials) -> None:
    a_file(keys_dir / "web.pass", PASSWORD)
    login: Login = await credentials.of(host_of(sshd, password_file="web.pass"))
    assert login.password is not None
    assert login.password.value == PASSWORD
    assert PASSWORD not in repr(login) + str(login) + repr(login.password) + login.summary


# What is missing


@pytest.mark.parametrize("field", ["key_file", "passphrase_file", "password_file"])
async def test_a_file_that_is_not_there_is_named_with_what_to_type(
    sshd: Sshd, credentials: Credentials, keys_dir: Path, field: str
) -> None:
    fields: dict[str, Any] = {field: "gone"}
    told = await refusal(credentials.of(host_of(sshd, **fields)))
    what, option = field.replace("_", " "), field.replace("_", "-")
    assert told.reason is Reason.CREDENTIAL_MISSING
    assert told.message == (
        f"web1: the {what} {keys_dir}/gone cannot be read: no such file or directory; "
        f"type: rota hosts update web1 --{option} FILE"
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
async def test_a_password_file_that_others_may_read_is_refused(
    sshd: Sshd, credentials: Credentials, keys_dir: Path, mode: int
) -> None:
    a_file(keys_dir / "web.pass", PASSWORD, mode)
    told = await refusal(credentials.of(host_of(sshd, password_file="web.pass")))
    assert told.reason is Reason.CREDENTIAL_MISSING
    assert f"chmod 600 {keys_dir}/web.pass" in told.message


async def test_a_password_file_of_another_account_is_refused(
    sshd: Sshd, credentials: Credentials, keys_dir: Path
) -> None:
    theirs = Path("/etc/passwd")
    if os.geteuid() == 0:  # then that is ours
        theirs = a_file(keys_dir / "web.pass", PASSWORD)
        os.chown(theirs, 4711, 4711)
    told = await refusal(credentials.of(host_of(sshd, password_file=str(theirs))))
    assert told.reason is Reason.CREDENTIAL_MISSING


async def test_a_key_that_others_may_read_is_refused_as_ssh_does(
    sshd: Sshd, credentials: Credentials, keys_dir: Path, client_key: asyncssh.SSHKey
) -> None:
    write_key(keys_dir / "open", client_key).chmod(0o644)
    told = await refusal(credentials.of(host_of(sshd, key_file="open")))
    assert f"can be read by others; type: chmod 600 {keys_dir}/open" in told.message


async def test_a_key_without_its_passphrase_says_how_to_give_it(
    sshd: Sshd, credentials: Credentials, keys_dir: Path, client_key: asyncssh.SSHKey
) -> None:
    write_key(keys_dir / "locked", client_key, passphrase="hush")
    told = await refusal(credentials.of(host_of(sshd, key_file="locked")))
    assert "has a passphrase; type: rota hosts update web1 --passphrase-file FILE" in told.message


async def test_a_wrong_passphrase_is_told_without_saying_it(
    sshd: Sshd, credentials: Credentials, keys_dir: Path, client_key: asyncssh.SSHKey
) -> None:
    write_key(keys_dir / "locked", client_key, passphrase="hush")
    a_file(keys_dir / "locked.pass", PASSWORD)
    told = await refusal(credentials.of(host_of(sshd, key_file="locked", passphrase_file="locked.pass")))
    assert "cannot be opened with its passphrase file" in told.message
    assert PASSWORD not in told.message


async def test_what_is_no_key_is_not_quoted(sshd: Sshd, credentials: Credentials, keys_dir: Path) -> None:
    a_file(keys_dir / "notes", PASSWORD)
    told = await refusal(credentials.of(host_of(sshd, key_file="notes")))
    assert "notes is not a private key" in told.message
    assert PASSWORD not in told.message


async def test_an_empty_password_file_is_told(sshd: Sshd, credentials: Credentials, keys_dir: Path) -> None:
    a_file(keys_dir / "web.pass", "\n")
    assert "is empty" in (await refusal(credentials.of(host_of(sshd, password_file="web.pass")))).message


async def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    sshd: Sshd, credentials: Credentials, keys_dir: Path
) -> None:
    os.mkfifo(keys_dir / "web.pass", 0o600)
    assert "is not a file" in (await refusal(credentials.of(host_of(sshd, password_file="web.pass")))).message


async def test_a_refused_login_says_what_was_tried_and_what_was_left_out(
    sshd: Sshd, keys_dir: Path, dialer: Dialer
) -> None:
    write_key(keys_dir / "id_ecdsa", asyncssh.generate_private_key("ecdsa-sha2-nistp256"))
    write_key(keys_dir / "id_ed25519", asyncssh.generate_private_key("ssh-ed25519"), passphrase="hush")
    told = await refusal(dialer.dial(host_of(sshd, key_file=None)))
    assert told.reason is Reason.AUTH_FAILED
    assert f"tried the key {keys_dir}/id_ecdsa; {keys_dir}/id_ed25519 was left out: passphrase" in told.message


async def test_with_nothing_to_log_in_with_that_is_what_is_said(sshd: Sshd, dialer: Dialer) -> None:
    told = await refusal(dialer.dial(host_of(sshd, key_file=None)))
    assert "tried nothing, as no key, agent or password was found" in told.message
