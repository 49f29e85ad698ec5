"""asyncssh's connection without what it does for others: on a fleet each packet costs both ends, a thousand times over.

Every override leaves the protocol as it is, and without it (asyncssh may rename what is private) a connection works the
same, only slower. What each is worth was measured against OpenSSH (`python -m bench fleet`, docs/benchmarks.md).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal

import asyncssh
from asyncssh.auth import _ClientPublicKeyAuth
from asyncssh.constants import MSG_IGNORE
from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacketLogger

_KEYS: Final = b"publickey"


class Wire(asyncssh.SSHClientConnection):
    """A connection that sends little, seldom, and asks nothing whose answer it knows."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHClientConnectionOptions,
        *,
        until: Literal["kex", "auth"],
        signs_at_once: bool,
    ) -> None:
        """`until` is how far it is awaited by `options.waiter`. `signs_at_once`: the first key is one that signs
        without asking anybody."""
        self._unsent: list[bytes] = []
        self._signs_at_once = signs_at_once
        self._heard_at = 0.0  # by the loop's clock
        super().__init__(loop, options, wait=until)

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Leave out the empty packet that asyncssh sends before each one: it hides the state of ciphers in CBC mode
        (RFC 4251 §9.3.1), of which we offer none. Half of all packets."""
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args)  # without the handler, which would only log it

    def _send(self, data: bytes) -> None:
        """Let the packets of one moment leave together: a system call, a segment, and one waking of the other side."""
        if self._transport is None:
            return
        if not self._unsent:
            self._loop.call_soon(self._flush, self._transport)
        self._unsent.append(data)

    def _flush(self, transport: asyncio.Transport) -> None:
        """Our last words leave too: what ends a connection is called after this."""
        data = b"".join(self._unsent)
        self._unsent.clear()
        if not transport.is_closing():
            transport.write(data)

    def try_next_auth(self, *, next_method: bool = False) -> None:
        """Begin with the first key, signed. asyncssh asks what there is, then whether that key would do:
        two round trips, and twice sshd reads authorized_keys."""
        if self._signs_at_once:
            self._signs_at_once = False
            self._auth_methods = [_KEYS]  # in place of [none]; where this is refused the server says what else there is
            self._auth = _SignedAuth(self, _KEYS)
        else:
            super().try_next_auth(next_method=next_method)

    def _reset_keepalive_timer(self) -> None:
        """Note that something came; the timer looks when it is due. asyncssh cancels it and sets another for each piece
        of data."""
        self._heard_at = self._loop.time()

    def _keepalive_timer_callback(self) -> None:
        left = self._heard_at + self._keepalive_interval - self._loop.time()
        if left > 0:
            self._keepalive_timer = self._loop.call_later(left, self._keepalive_timer_callback)
        else:
            super()._keepalive_timer_callback()

    def log_sent_packet(self, pkttype: int, pktid: int | None, packet: object, note: str = "") -> None:
        """As `logger`."""

    @property
    def logger(self) -> SSHLogger:
        """Nobody reads it: all that matters of a connection is told by whoever uses it."""
        return _SILENCE


class _SignedAuth(_ClientPublicKeyAuth):
    """Log in by the next key, without asking first whether it would do."""

    async def _start(self) -> None:
        self._keypair = await self._conn.public_key_auth_requested()
        if self._keypair is None:
            self._conn.try_next_auth(next_method=True)
        else:
            await self._send_signed_request()


class _Silence(SSHLogger):
    """asyncssh makes the text of each message before it asks whether anybody wants it."""

    def get_child(self, child: str = "", context: str = "") -> SSHLogger:
        return self

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        return

    def packet(self, pktid: int | None, packet: bytes, msg: str, *args: Any, **kwargs: Any) -> None:
        return


_SILENCE: Final = _Silence()
