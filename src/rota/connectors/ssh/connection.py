"""One connection to one host: address, key exchange, login, all within one timeout, and every failure told apart.

asyncssh does the protocol. What it would look up for each connection is decided here, once: no configuration files, no
default keys, no agent but the one that was named, no known hosts but ours.
"""

from __future__ import annotations

import asyncio
import copy
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from weakref import WeakKeyDictionary

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

from rota.connectors.ssh.credentials import Credentials, Login
from rota.connectors.ssh.failures import Handshake, unreached
from rota.connectors.ssh.known_hosts import DEFAULT_PORT, Known, KnownHosts
from rota.connectors.ssh.unreached import Unreached
from rota.connectors.ssh.wire import Wire
from rota.domain.errors import Unavailable
from rota.domain.inventory import Host
from rota.domain.reasons import Reason

KEEPALIVES = 3  # unanswered ones after which a connection counts as lost
# AES-GCM before asyncssh's first choice, ChaCha20: it costs half as much here, and OpenSSH has had it since 6.2 (2013).
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_METHODS = ("publickey", "keyboard-interactive", "password")
_ANSWERS = 3  # to a server's questions, then no more: it might ask for ever
_QUESTIONS = 10  # even empty ones
_LOOKUPS = 16  # names asked for at once

# What a server may show: plain keys, or certificates before them.
_PLAIN = tuple(algorithm.decode() for algorithm in get_default_public_key_algs())
_CERTIFIED = tuple(algorithm.decode() for algorithm in get_default_certificate_algs())


_Keys = Sequence[asyncssh.SSHKey]
# What asyncssh is to take for a host: keys, authorities, keys it must not take; then X.509, of which we take none.
Trusted = tuple[_Keys, _Keys, _Keys, tuple[()], tuple[()], tuple[()], tuple[()]]
TRUST_NOBODY: Trusted = ((), (), (), (), (), (), ())


def endpoint(host: Host) -> tuple[str, int]:
    """The address and port of a host's SSH server."""
    return host.address or host.name, host.port or DEFAULT_PORT


class Dialer:
    """Makes connections, by the files it is given. It keeps none: the pool does."""

    def __init__(
        self,
        *,
        credentials: Credentials,
        known_hosts: KnownHosts,
        connect_timeout_seconds: float = 10,
        keepalive_seconds: float = 15,
    ) -> None:
        self._credentials, self.known_hosts = credentials, known_hosts
        self._timeout, self._keepalive = connect_timeout_seconds, keepalive_seconds
        self._options: WeakKeyDictionary[Login, asyncssh.SSHClientConnectionOptions] = WeakKeyDictionary()
        # Threads of our own: a name server that does not answer must not hold up whoever else needs a thread.
        self._names = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="rota-names")

    async def dial(
        self,
        host: Host,
        *,
        tunnel: asyncssh.SSHClientConnection | None = None,
        lost: Callable[[], None] | None = None,
    ) -> asyncssh.SSHClientConnection:
        """Connect and log in, over `tunnel` where one is given. `lost` is called once when the connection has ended,
        however it ended. Raises Unreached."""
        known = self._known(host)
        login = await self._credentials.of(host)
        client = _Client(login, known, lost or _nobody)
        return await self._shake_hands(host, client, tunnel, until="auth")

    async def show_key(self, host: Host, *, tunnel: asyncssh.SSHClientConnection | None = None) -> asyncssh.SSHKey:
        """Ask the host for its plain key: of the kind that is known where it has one. Nobody logs in.

        Raises Unreached.
        """
        client = _Client(NOBODY, self._known(host), _nobody, trusts=False)
        try:
            connection = await self._shake_hands(host, client, tunnel, until="kex")
        except Unreached:
            if client.shown is None:
                raise
            return client.shown
        connection.abort()
        raise AssertionError("a client that trusts nobody took a key")

    async def has_certificate(self, host: Host, *, tunnel: asyncssh.SSHClientConnection | None = None) -> bool:
        """Whether the host shows a certificate of an authority that is known for it. Nobody logs in."""
        try:
            connection = await self._shake_hands(host, _Client(NOBODY, self._known(host), _nobody), tunnel, until="kex")
        except Unreached:
            return False
        connection.abort()
        return True

    def close(self) -> None:
        """Wait for no name any more."""
        self._names.shutdown(wait=False, cancel_futures=True)

    # Inside

    def _known(self, host: Host) -> Known:
        try:
            return self.known_hosts.of(*endpoint(host))
        except Unavailable as error:
            raise Unreached(Reason.HOST_KEY_UNKNOWN, f"{host.name}: {error}") from error

    async def _shake_hands(
        self,
        host: Host,
        client: _Client,
        tunnel: asyncssh.SSHClientConnection | None,
        *,
        until: Literal["kex", "auth"],
    ) -> asyncssh.SSHClientConnection:
        loop = asyncio.get_running_loop()
        address, port = endpoint(host)
        options = self._options_for(client, address, port)
        # Done by hand what asyncssh.connect does: that would derive all options anew for each connection, in a thread
        # of the loop's own few, which costs a fifth of the whole and makes connecting wait for whoever holds them.
        options.waiter = loop.create_future()
        connection = Wire(loop, options, until=until, signs_at_once=client.login.signs_at_once)
        hands = Handshake(host=host, address=address, port=port, login=client.login, known=client.known)
        deadline = asyncio.timeout(self._timeout)
        try:
            async with deadline:
                if tunnel is None:
                    link = await self._connect(address, port)
                    await loop.create_connection(lambda: connection, sock=link)
                else:
                    # Only bytes pass; asyncssh's own connect hands its connections to tunnels in this way.
                    await tunnel.create_connection(lambda: connection, address, port)  # type: ignore[arg-type, return-value]
                hands.is_connected = True
                await options.waiter
        except BaseException as error:
            options.waiter.cancel()
            hands.is_key_good = connection.get_server_host_key() is not None
            hands.shown, hands.authority = client.shown, client.authority
            connection.abort()
            if not isinstance(error, Exception):
                raise
            raise unreached(error, hands, timeout=self._timeout if deadline.expired() else None) from error
        return connection

    def _options_for(self, client: _Client, address: str, port: int) -> asyncssh.SSHClientConnectionOptions:
        """The options of one connection: a copy of those that all connections of a login share."""
        login, known = client.login, client.known
        shared = self._options.get(login)
        if shared is None:
            shared = self._options[login] = self._shared_options(login)
        options = copy.copy(shared)
        options.host = options.orig_host = address
        options.port = port
        options.protocol_factory = lambda: client
        options.known_hosts = client.trusted
        options.server_host_key_algs = _algorithms(known, with_certificates=client.trusts)
        # A pair remembers which signature was agreed upon, and servers may agree upon different ones.
        options.client_keys = [copy.copy(pair) for pair in login.keys]
        return options

    def _shared_options(self, login: Login) -> asyncssh.SSHClientConnectionOptions:
        options = asyncssh.SSHClientConnectionOptions(
            config=None,
            username=login.user,
            client_keys=None,  # set for each connection; an empty list would mean ~/.ssh
            agent_forwarding=False,
            x11_forwarding=False,
            known_hosts=TRUST_NOBODY,  # set for each connection; None would mean everybody
            x509_trusted_certs=None,
            gss_host=None,
            encryption_algs=_CIPHERS,
            compression_algs=None,
            preferred_auth=_METHODS,
            host_based_auth=False,
            login_timeout=0,  # ours covers more
            keepalive_interval=self._keepalive,
            keepalive_count_max=KEEPALIVES,
        )
        options.agent_path = login.agent
        return options

    async def _connect(self, address: str, port: int) -> socket.socket:
        """A connected socket. A name's addresses are tried one after the other, each with its share of the time."""
        loop = asyncio.get_running_loop()
        places = _numeric(address, port) or await loop.run_in_executor(self._names, _resolve, address, port)
        until = loop.time() + self._timeout
        for number, (family, place) in enumerate(places):
            link = socket.socket(family, socket.SOCK_STREAM)
            link.setblocking(False)
            left = len(places) - number
            try:
                async with asyncio.timeout((until - loop.time()) / left):
                    await loop.sock_connect(link, place)
            except BaseException as error:
                link.close()
                if left == 1 or not isinstance(error, OSError):  # a TimeoutError is one
                    raise
            else:
                return link
        raise OSError("the name has no address")


class _Client(asyncssh.SSHClient):
    """Our side of one connection: judges the key, answers questions, notices the end."""

    def __init__(self, login: Login, known: Known, lost: Callable[[], None], *, trusts: bool = True) -> None:
        self.login, self.known, self.trusts = login, known, trusts
        self.shown: asyncssh.SSHKey | None = None  # a plain key that was not taken
        self.authority: asyncssh.SSHKey | None = None  # of a certificate that was not taken
        self._lost = lost
        self._passwords = 1
        self._answers, self._questions = _ANSWERS, _QUESTIONS

    @property
    def trusted(self) -> Trusted:
        if not self.trusts:
            return TRUST_NOBODY
        known = self.known
        return (*known.keys, *known.elsewhere), known.authorities, known.revoked, (), (), (), ()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked for a key that is not among the trusted ones. It is kept for the message, and never taken."""
        self.shown = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.authority = key
        return False

    def password_auth_requested(self) -> str | None:
        if self.login.password is None or not self._passwords:
            return None
        self._passwords -= 1
        return self.login.password.value

    def kbdint_auth_requested(self) -> str | None:
        """ "" = any kind of questions; None = no questions, please."""
        return "" if self.login.password is not None and self._answers and self._questions else None

    def kbdint_challenge_received(
        self,
        name: str,
        instructions: str,
        lang: str,
        prompts: Sequence[tuple[str, bool]],
    ) -> Sequence[str] | None:
        """The password, where one hidden thing is asked for; nothing, where nothing is; else we have no answer."""
        self._questions -= 1
        if self.login.password is None or self._questions < 0:
            return None
        if not prompts:
            return []
        (_, is_echoed), *others = prompts
        if others or is_echoed or not self._answers:
            return None
        self._answers -= 1
        return [self.login.password.value]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


# For key exchange alone: there is nothing to log in with.
NOBODY = Login(user="nobody", keys=(), password=None, agent=None, offered=())


def _algorithms(known: Known, *, with_certificates: bool) -> tuple[str, ...]:
    """The kinds of host keys we ask for: those that are known first, so that the server shows what we can judge; then
    the others, so that it can show what it has instead."""
    wanted = [algorithm.decode() for key in (*known.keys, *known.elsewhere) for algorithm in key.sig_algorithms]
    first = _CERTIFIED if with_certificates and known.authorities else ()
    return tuple(dict.fromkeys((*first, *wanted, *_PLAIN)))


def _numeric(address: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    except ValueError:
        return []
    return [(family, (address, port))]


def _resolve(name: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # no name at all: a part of it is empty, or longer than 63 characters
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
    return [(family, (str(place[0]), port)) for family, _, _, _, place in found]


def _nobody() -> None:
    """For connections whose end nobody waits for."""
