"""The keeper's socket: one owner at a time, chosen by epoch; what the owner cannot take now waits here.

A stuck owner must neither block nor swell the keeper: hints are merged, results wait in their own queue, and only
a bounded amount of bytes is ever handed to the connection.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import deque
from collections.abc import Callable

from .complaint import complain, complain_of_bug
from .failpoint import reach
from .loop import READ, WRITE, Loop
from .protocol import PROTO, SOCK, Lines, Message, encode

_HIGH_WATER = 1 << 20
_RECEIVE = 1 << 18
_HINT_SECONDS = 0.05
_MOST_STRANGERS = 8  # connections that have not said hello


class Connection:
    __slots__ = ("epoch", "lines", "out", "sock", "writing")

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.lines, self.out = sock, Lines(), bytearray()
        self.epoch = 0  # 0 until hello
        self.writing = False


class Door:
    """Listens in the keeper's directory. `on_hello` says what a new owner must know, `on_message` obeys it."""

    def __init__(
        self,
        directory: str,
        loop: Loop,
        *,
        on_hello: Callable[[], Message],
        on_message: Callable[[Message], None],
        on_change: Callable[[], None],
    ) -> None:
        self._loop, self._on_hello, self._on_message, self._on_change = loop, on_hello, on_message, on_change
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.chdir(directory)  # a socket's path must be under 108 bytes: bind by its bare name
        self._listener.bind(SOCK)
        os.chmod(SOCK, 0o600)  # noqa: PTH101
        os.chdir("/")
        self._listener.listen(16)
        self._listener.setblocking(False)
        loop.watch(self._listener.fileno(), self._accept)
        self._strangers: list[Connection] = []
        self.owner: Connection | None = None
        self._epoch = 0
        self.results: deque[Callable[[], bytes | None]] = deque()  # lines made when there is room for them
        self._hints: dict[str, int] = {}
        self._hint_timer: int | None = None

    def say(self, line: bytes) -> None:
        """Queue one message for the owner, if there is one. Sent by `flush`."""
        if self.owner is not None:
            self.owner.out += line
            self.owner.out += b"\n"

    def hint(self, attempt: str, total: int) -> None:
        """Tell the owner soon that there is more output; only the last total of each attempt counts."""
        if self.owner is not None:
            self._hints[attempt] = total
            if self._hint_timer is None:
                self._hint_timer = self._loop.after(_HINT_SECONDS, self._send_hints)

    def unhint(self, attempt: str) -> None:
        self._hints.pop(attempt, None)

    def _send_hints(self) -> None:
        self._hint_timer = None
        if self.owner is not None and len(self.owner.out) < _HIGH_WATER:
            for attempt, total in self._hints.items():
                self.say(encode({"m": "out", "id": attempt, "total": total}))
        self._hints.clear()  # dropped when the owner is stuck: it reads the truth with the next result

    def flush(self) -> None:
        """Send what the owner takes without waiting."""
        while (owner := self.owner) is not None:
            told = False
            while self.results and len(owner.out) < _HIGH_WATER:
                line = self.results.popleft()()
                if line is not None:
                    self.say(line)
                    told = True
            sent = self._send(owner)
            if told:
                reach("keeper.told")
            if not sent or not self.results:
                return

    def _send(self, connection: Connection) -> bool:
        """True when everything went."""
        try:
            while connection.out:
                del connection.out[: connection.sock.send(connection.out)]
        except BlockingIOError:
            if not connection.writing:
                connection.writing = True
                self._loop.change(connection.sock.fileno(), READ | WRITE)
            return False
        except OSError:
            self._drop(connection)
            return False
        if connection.writing:
            connection.writing = False
            self._loop.change(connection.sock.fileno(), READ)
        return True

    def _accept(self, _: int) -> None:
        try:
            sock, _address = self._listener.accept()
        except OSError:
            return
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = struct.unpack("3i", credentials)[1]
        if uid not in (0, os.geteuid()):
            sock.close()
            return
        sock.setblocking(False)
        connection = Connection(sock)
        self._strangers.append(connection)
        if len(self._strangers) > _MOST_STRANGERS:
            self._drop(self._strangers[0])
        self._loop.watch(sock.fileno(), lambda mask: self._serve(connection, mask))

    def _serve(self, connection: Connection, mask: int) -> None:
        if mask & ~WRITE:  # readable, or hung up: both are told by recv
            self._receive(connection)
        elif connection is self.owner:
            self.flush()

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        try:
            for message in connection.lines.feed(data):
                if connection.epoch:
                    self._on_message(message)
                else:
                    self._greet(connection, message)
        except Exception:  # whatever one message does, the children of all others need this process
            complain("bad message from the owner, connection closed:")
            complain_of_bug()
            self._drop(connection)

    def _greet(self, connection: Connection, hello: Message) -> None:
        epoch, proto = hello["epoch"], hello["proto"]
        if not isinstance(epoch, int) or epoch < 1 or hello["m"] != "hello":
            raise ValueError("expected hello with an epoch of 1 or more")
        why = None
        if proto != PROTO:
            why = f"this keeper speaks protocol {PROTO}, not {proto}"
        elif epoch < self._epoch:
            why = f"a later owner has taken over (epoch {self._epoch}, yours is {epoch})"
        if why is not None:
            connection.out += encode({"m": "refused", "why": why}) + b"\n"
            self._send(connection)
            self._drop(connection)
            return
        if self.owner is not None:
            self._drop(self.owner)  # and whatever it sent that was not read yet
        self._strangers.remove(connection)
        self._epoch = connection.epoch = epoch
        self.owner = connection
        self.results.clear()
        self._hints.clear()
        self.say(encode(self._on_hello()))
        self._on_change()

    def _drop(self, connection: Connection) -> None:
        if connection.sock.fileno() < 0:
            return
        self._loop.forget(connection.sock.fileno())
        connection.sock.close()
        if connection in self._strangers:
            self._strangers.remove(connection)
        if connection is self.owner:
            self.owner = None
            self.results.clear()
            self._on_change()
