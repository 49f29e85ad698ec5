"""Why a handshake failed: from the errors of sockets and of asyncssh to a reason and one line for people."""

from __future__ import annotations

import errno
import re
import socket
from dataclasses import dataclass

import asyncssh

from rota.connectors.ssh.credentials import Login
from rota.connectors.ssh.known_hosts import DEFAULT_PORT, Known, fingerprint
from rota.connectors.ssh.unreached import Unreached
from rota.domain.inventory import Host
from rota.domain.reasons import Reason

_LONGEST_QUOTE = 120
_PATIENCE_ENDED = {errno.ETIMEDOUT}
_REFUSED = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE}


@dataclass(slots=True)
class Handshake:
    """How far it came."""

    host: Host
    address: str
    port: int
    login: Login
    known: Known
    is_connected: bool = False
    is_key_good: bool = False
    shown: asyncssh.SSHKey | None = None  # a plain key that was not taken
    authority: asyncssh.SSHKey | None = None  # of a certificate that was not taken

    @property
    def where(self) -> str:
        """`web1 (10.0.0.5)`, with the port where it is not SSH's own."""
        place = self.address if self.address != self.host.name else ""
        port = f"port {self.port}" if self.port != DEFAULT_PORT else ""
        inside = " ".join(filter(None, [place, port]))
        return f"{self.host.name} ({inside})" if inside else self.host.name


def unreached(error: Exception, hands: Handshake, *, timeout: float | None) -> Unreached:
    """Put an error into our words. `timeout` is how long we waited, where it was our patience that ended."""
    if isinstance(error, Unreached):
        return error
    if timeout is not None:
        return _too_slow(hands, timeout)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return _wrong_key(error, hands)
    if isinstance(error, asyncssh.PermissionDenied) or (
        hands.is_key_good and isinstance(error, asyncssh.DisconnectError) and "authentication" in error.reason.lower()
    ):
        # sshd says "Too many authentication failures" with the code of a protocol error.
        return Unreached(
            Reason.AUTH_FAILED, f"{hands.where} refused to log {hands.login.user} in: {hands.login.summary}"
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        return _no_way_on(error, hands)
    if isinstance(error, OSError) and not hands.is_connected:
        return _no_connection(error, hands)
    return _broken_off(error, hands)


def _too_slow(hands: Handshake, timeout: float) -> Unreached:
    what = "accepted the connection, but did not let us in" if hands.is_connected else "did not answer"
    return Unreached(Reason.CONNECT_TIMEOUT, f"{hands.where} {what} within {timeout:g} s")


def _wrong_key(error: asyncssh.HostKeyNotVerifiable, hands: Handshake) -> Unreached:
    name = hands.host.name
    if hands.shown is None:
        if hands.authority is not None:
            what = f"a certificate of an authority that is not known for it ({fingerprint(hands.authority)})"
        elif "revoked" in error.reason:
            return Unreached(
                Reason.HOST_KEY_CHANGED, f"{hands.where} shows a key that is marked @revoked in known hosts"
            )
        else:
            what = f"a certificate that does not hold: {quoted(error.reason)}"
        return Unreached(Reason.HOST_KEY_UNKNOWN, f"{hands.where} shows {what}{_unread(hands.known)}")
    now = f"{hands.shown.get_algorithm()} {fingerprint(hands.shown)}"
    if hands.known.verdict(hands.shown) == "changed":
        before = ", ".join(f"{key.get_algorithm()} {fingerprint(key)}" for key in hands.known.keys)
        return Unreached(
            Reason.HOST_KEY_CHANGED,
            f"{hands.where} shows another key than the one known for it: {now}, known: {before}; "
            f"if it was set up anew, type: rota hosts trust {name} --replace",
        )
    return Unreached(
        Reason.HOST_KEY_UNKNOWN,
        f"the key of {hands.where} is not known: {now}{_unread(hands.known)}; if that is its key, type:"
        f" rota hosts trust {name}",
    )


def _unread(known: Known) -> str:
    """Lines that cannot be read are why a host may not be known any more."""
    if not known.unread:
        return ""
    first = "".join(sign if sign.isprintable() else "?" for sign in known.unread[0])
    more = f" (and {len(known.unread) - 1} lines more)" if len(known.unread) > 1 else ""
    return f"; a line of known hosts is skipped, correct it or take it out: {first}{more}"


def _no_way_on(error: asyncssh.ChannelOpenError, hands: Handshake) -> Unreached:
    """A jump host could not or would not connect further. It says why in words only."""
    said = error.reason.lower()
    jump = hands.host.jump
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return Unreached(
            Reason.CONNECT_REFUSED,
            f"{jump} lets nobody jump to {hands.where}; its sshd_config needs AllowTcpForwarding yes",
        )
    if "refused" in said:
        return Unreached(Reason.CONNECT_REFUSED, f"{hands.where} refused the connection from {jump}")
    if "timed out" in said:
        return Unreached(Reason.CONNECT_TIMEOUT, f"{hands.where} did not answer {jump}")
    return Unreached(Reason.HOST_OFFLINE, f"{jump} does not get to {hands.where}: {quoted(error.reason)}")


def _no_connection(error: OSError, hands: Handshake) -> Unreached:
    if isinstance(error, socket.gaierror):
        why = "no name server answered" if error.errno == socket.EAI_AGAIN else "nobody knows that name"
        return Unreached(
            Reason.HOST_OFFLINE,
            f"{hands.where} has no address: {why}; type: rota hosts update {hands.host.name} --address ADDRESS",
        )
    if error.errno in _REFUSED:
        return Unreached(Reason.CONNECT_REFUSED, f"{hands.where} refused the connection")
    if error.errno in _PATIENCE_ENDED or isinstance(error, TimeoutError):
        return Unreached(Reason.CONNECT_TIMEOUT, f"{hands.where} did not answer")
    why = (error.strerror or str(error)).lower()
    return Unreached(Reason.HOST_OFFLINE, f"{hands.where} cannot be reached: {why}")


def _broken_off(error: Exception, hands: Handshake) -> Unreached:
    """It was reached, and the handshake broke: closed by the host, or not SSH as we know it."""
    if isinstance(error, OSError | asyncssh.ConnectionLost):
        stage = "during the login" if hands.is_key_good else "before the login"
        return Unreached(Reason.CONNECT_REFUSED, f"{hands.where} closed the connection {stage}")
    said = error.reason if isinstance(error, asyncssh.Error) else type(error).__name__
    return Unreached(Reason.CONNECT_REFUSED, f"no SSH with {hands.where}: {quoted(said)}")


def quoted(text: str) -> str:
    """What a stranger said, as part of one of our lines: printable ASCII, one line, short."""
    plain = re.sub(r"[^ -~]+", " ", text).strip()
    return plain if len(plain) <= _LONGEST_QUOTE else f"{plain[: _LONGEST_QUOTE - 3]}..."
