"""The daemon's unix socket: nobody else's, and replaced only where nobody answers."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.daemon import sockets
from rota.domain.errors import InvalidInput, Refused, Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rota.sock"


@pytest.fixture
def stale(path: Path) -> Iterator[Path]:
    """The socket file of a daemon that was killed."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    yield path
    path.unlink(missing_ok=True)


def test_a_new_socket_is_for_its_owner_only_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with sockets.bind(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert os.umask(0) == 0  # and the umask is as it was
    finally:
        os.umask(before)


def test_the_socket_of_a_dead_daemon_is_replaced(stale: Path) -> None:
    with sockets.bind(stale) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.listen()
        client.connect(str(stale))


def test_a_socket_on_which_somebody_answers_is_left_alone(path: Path) -> None:
    with sockets.bind(path) as other:
        other.listen()
        with pytest.raises(Unavailable, match="another process answers"):
            sockets.bind(path)
        assert path.exists()


def test_a_file_in_the_way_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(Refused, match="is in the way"):
        sockets.bind(path)
    assert path.read_text() == "precious"


def test_a_path_too_long_for_a_socket_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="choose a home nearer the root"):
        sockets.bind(tmp_path / ("x" * 100))


def test_the_kernel_says_who_is_at_the_other_end(path: Path) -> None:
    with sockets.bind(path) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.listen()
        client.connect(str(path))
        listener.setblocking(True)
        connection, _ = listener.accept()
        with connection:
            assert sockets.peer_of(connection) == sockets.Peer(uid=os.getuid(), gid=os.getgid(), pid=os.getpid())


def test_a_removed_socket_leaves_no_file_and_removing_it_again_does_nothing(path: Path) -> None:
    listener = sockets.bind(path)
    sockets.remove(path, listener)
    sockets.remove(path, listener)
    assert not path.exists()


def test_the_credentials_of_macos_are_read_as_its_header_says() -> None:
    xucred = struct.pack("=IIh2x16I", 0, 501, 2, 20, 12, *[0] * 14)
    assert sockets.parse_xucred(xucred) == (501, 20)
