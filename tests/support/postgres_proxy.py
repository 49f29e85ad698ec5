"""A line between a store and its PostgreSQL server that can be cut, or held up, at a chosen word.

    with a_proxy(url) as proxy:
        hold = proxy.hold_at(b"INSERT INTO outbox")    # the next connection that says it stops there,
        ...                                            # in the middle of its transaction
        hold.reached()
        ...                                            # what others do meanwhile
        hold.release()

What a connection says is read as the server reads it, so a statement that was prepared says its whole text each time
it is used.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict, make_conninfo

PATIENCE_SECONDS = 60.0  # a hang fails rather than waits
_PORT = "5432"
_CHUNK = 65536
_PARTS = frozenset((b"P", b"B", b"D", b"E", b"C"))  # Parse, Bind, Describe, Execute, Close: a Sync or Flush follows
COMMIT = b"COMMIT\0"  # "READ COMMITTED" is said before


@dataclass(frozen=True, slots=True)
class Hold:
    """A place where one connection stops. Nothing that it says from there on reaches the server until `release`."""

    word: bytes
    _reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    async def reached(self) -> None:
        """Return when a connection stands here."""
        there = await asyncio.to_thread(self._reached.wait, PATIENCE_SECONDS)
        assert there, f"nobody said {self.word.decode(errors='replace')!r} within {PATIENCE_SECONDS:g} s"

    def release(self) -> None:
        self._released.set()

    def stop(self) -> None:
        """Stand here until released."""
        self._reached.set()
        self._released.wait(PATIENCE_SECONDS)


class Proxy:
    """Forwards everything until told otherwise. `url` leads through it to the database that was named."""

    def __init__(self, folder: Path, server: str) -> None:
        told = {key: str(value) for key, value in conninfo_to_dict(server).items()}
        self._server = Path(told["host"]) / f".s.PGSQL.{told.get('port', _PORT)}"
        self.conninfo = make_conninfo(**{**told, "host": str(folder), "port": _PORT})
        self.url = f"postgresql://?{urlencode(conninfo_to_dict(self.conninfo))}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / f".s.PGSQL.{_PORT}"))
        self._listener.listen()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()  # of the two below: one word is for one connection
        self._cut: tuple[bytes, bool] | None = None
        self._holds: list[Hold] = []
        self._held: list[Hold] = []
        self._away = False
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def cut_at(self, word: bytes, *, after: bool) -> None:
        """Cut the next connection that says `word`: after it has reached the server, or before."""
        self._cut = word, after

    def hold_at(self, word: bytes) -> Hold:
        """Stop the next connection that is about to say `word` just before it does."""
        hold = Hold(word)
        self._holds.append(hold)
        return hold

    def go_away(self) -> None:
        """Cut everything; new connections are cut at once too, until `come_back`."""
        self._away = True
        for pair in self._pairs:
            _cut(*pair)

    def come_back(self) -> None:
        self._away = False

    def close(self) -> None:
        """Cut everything for good. No socket is left to the garbage collector, which would tell it of another test."""
        _cut(self._listener)  # wakes `accept`, which `close` alone does not
        self._threads[0].join()
        for hold in self._held:
            hold.release()
        self.go_away()
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *(end for pair in self._pairs for end in pair)):
            one.close()

    def _run(self, target: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._away:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            self._pairs.append((client, server))
            try:
                server.connect(str(self._server))
            except OSError:  # the server itself is away
                _cut(client)
                continue
            self._run(self._forward, client, server)
            self._run(_copy, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        speech = _Speech()
        try:
            while data := client.recv(_CHUNK):
                for message, said in speech.sentences(data):
                    if (hold := self._take_hold(said)) is not None:
                        hold.stop()
                    if (cut := self._take_cut(said)) is not None:
                        client.shutdown(socket.SHUT_RDWR)  # first, so that no answer can come through
                        if cut[1]:
                            server.sendall(message)
                            server.shutdown(socket.SHUT_WR)
                        else:
                            _cut(client, server)
                        return
                    server.sendall(message)
        except OSError:
            pass
        else:
            _cut(client, server)

    def _take_hold(self, said: bytes) -> Hold | None:
        if not self._holds:
            return None
        with self._lock:
            for hold in self._holds:
                if hold.word in said:
                    self._holds.remove(hold)
                    self._held.append(hold)
                    return hold
        return None

    def _take_cut(self, said: bytes) -> tuple[bytes, bool] | None:
        with self._lock:
            cut = self._cut
            if cut is None or cut[0] not in said:
                return None
            self._cut = None
            return cut


class _Speech:
    """What a client says, taken apart into messages (PostgreSQL's manual, "Message Formats"), and put together to what
    the server answers as one: a statement that is parsed, bound and executed, or several in a pipeline."""

    def __init__(self) -> None:
        self._left = b""
        self._has_begun = False
        self._prepared: dict[bytes, bytes] = {}
        self._sentence: list[bytes] = []
        self._said_in_it: list[bytes] = []

    def sentences(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Each whole sentence of what has come so far, and what it says: of statements, their texts."""
        self._left += data
        while (size := self._size()) and len(self._left) >= size:
            message, self._left = self._left[:size], self._left[size:]
            is_part = self._has_begun and message[:1] in _PARTS
            self._sentence.append(message)
            self._said_in_it.append(self._said(message))
            if not is_part:
                yield b"".join(self._sentence), b"\n".join(self._said_in_it)
                self._sentence, self._said_in_it = [], []

    def _size(self) -> int:
        """How long the message is that comes next; 0: not known yet."""
        start = 1 if self._has_begun else 0  # the first one has no kind
        if len(self._left) < start + 4:
            return 0
        return start + int.from_bytes(self._left[start : start + 4], "big")

    def _said(self, message: bytes) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            return b""
        kind, body = message[:1], message[5:]
        if kind == b"P":  # Parse: the statement's name, its text
            name, _, text = body.partition(b"\0")
            self._prepared[name] = text
            return b""  # it is said when it is carried out
        if kind == b"B":  # Bind: the portal's name, the statement's, parameters
            return self._prepared.get(body.split(b"\0", 2)[1], b"") + body
        return body


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
    except OSError:
        pass
    _cut(source, target)


def _cut(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def a_proxy(server: str) -> Iterator[Proxy]:
    """A proxy in front of the database at this URL, whose server listens on a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="rota-px-"))
    proxy = Proxy(folder, server)
    try:
        yield proxy
    finally:
        proxy.close()
        shutil.rmtree(folder, ignore_errors=True)
