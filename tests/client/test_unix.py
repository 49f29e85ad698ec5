"""HTTP over a unix socket, against a server that says exactly what a test wants."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rota.client.api import Client
from rota.client.unix import UnixTransport
from rota.domain.errors import NotFound, Refused, Unavailable


@contextmanager
def a_server(serve: Callable[[socket.socket, bytes], None]) -> Iterator[Path]:
    """Accept one connection, read the head of its request, and let `serve` answer it byte by byte."""
    with tempfile.TemporaryDirectory(prefix="rota-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "rota.sock"
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(10)

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                serve(connection, connection.recv(65536))

        thread = threading.Thread(target=accept)
        thread.start()
        yield path
        thread.join()


def chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_the_first_event_arrives_before_the_second_is_sent() -> None:
    got_first = threading.Event()
    requests = []

    def serve(connection: socket.socket, request: bytes) -> None:
        requests.append(request)
        connection.sendall(HEAD + chunk(b'event: run\ndata: {"state": "running"}\n\n'))
        assert got_first.wait(10)
        connection.sendall(chunk(b'event: end\ndata: {"state": "failed"}\n\n') + b"0\r\n\r\n")

    with a_server(serve) as path:
        events = Client(UnixTransport(path)).follow("run_1", after=41)
        next(events)
        got_first.set()
        assert [event.final for event in events] == [True]  # type: ignore[union-attr]
    assert b"GET /api/v1/runs/run_1/events HTTP/1.1\r\n" in requests[0]
    assert b"Last-Event-ID: 41\r\n" in requests[0]


def test_a_refused_stream_raises_the_error_it_holds() -> None:
    body = b'{"code": "not_found", "message": "no run x"}'

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with a_server(serve) as path, pytest.raises(NotFound, match="no run x"):
        next(Client(UnixTransport(path)).follow("x"))


def test_a_connection_that_breaks_is_an_unavailable_daemon() -> None:
    with a_server(lambda connection, request: None) as path, pytest.raises(Unavailable, match="broke the connection"):
        Client(UnixTransport(path)).instance()


def test_a_stream_that_breaks_in_the_middle_is_an_unavailable_daemon() -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(HEAD + chunk(b"event: run\ndata: {}\n\n") + b"ff\r\nhalf")

    with a_server(serve) as path:
        events = Client(UnixTransport(path)).follow("x")
        next(events)
        with pytest.raises(Unavailable):
            next(events)


def test_a_socket_nobody_listens_on_does_not_answer(tmp_path: Path) -> None:
    assert not UnixTransport(tmp_path / "rota.sock").answers()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    assert not UnixTransport(tmp_path / "dead.sock").answers()


def test_a_path_too_long_for_a_socket_does_not_answer(tmp_path: Path) -> None:
    assert not UnixTransport(tmp_path / ("x" * 200)).answers()


def test_a_socket_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: socket.socket, address: str) -> None:
        raise PermissionError(13, "Permission denied")

    # As root no permission is ever denied, so the kernel's answer has to be put in its mouth.
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    with pytest.raises(Refused, match="may not use the socket"):
        UnixTransport(tmp_path / "rota.sock").answers()
