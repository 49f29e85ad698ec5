"""A line between a store and its PostgreSQL server that can be cut at a chosen word."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_PORT = "5432"


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
        self._word: bytes | None = None
        self._after = False
        self._away = False
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def cut_at(self, word: bytes, *, after: bool) -> None:
        """Cut the next connection that says `word`: after it has reached the server, or before."""
        self._word, self._after = word, after

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
        try:
            while data := client.recv(65536):
                if self._word is not None and self._word in data:
                    self._word = None
                    client.shutdown(socket.SHUT_RDWR)  # first, so that no answer can come through
                    if self._after:
                        server.sendall(data)
                        server.shutdown(socket.SHUT_WR)
                    else:
                        _cut(client, server)
                    return
                server.sendall(data)
        except OSError:
            pass
        else:
            _cut(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
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
