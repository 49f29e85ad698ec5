"""The daemon's unix socket: made so that nobody else can use it, and asked who is at the other end."""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from rota.domain.errors import InvalidInput, Refused, Unavailable

# <sys/un.h> on macOS; the socket module has no names for them.
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_LOCAL_PEERPID = 2
_XUCRED = struct.Struct("=IIh2x16I")  # version, uid, number of groups, groups
_UCRED = struct.Struct("=3i")  # pid, uid, gid


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who connected, as the kernel knows it: the process that called connect(2)."""

    uid: int
    gid: int
    pid: int


def bind(path: Path) -> socket.socket:
    """Return a socket bound to `path`, mode 0600, not listening yet. Call it only while holding `engine.lock`.

    With the lock held, a socket that a dead daemon left may be replaced. Raises Unavailable where somebody answers
    on it all the same, Refused where something else is in the way, InvalidInput where the path is too long.
    """
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Tight from its first instant: a mode set afterwards leaves a moment for others to connect in.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        if error.errno is None:  # Python's own check of the length: 107 bytes on Linux, 103 on macOS
            raise InvalidInput(
                f"the path of the socket is too long: {path}",
                expected="at most 100 characters",
                hint="choose a home nearer the root with --home or ROTA_HOME",
            ) from error
        raise Unavailable(f"cannot make the socket {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def remove(path: Path, listener: socket.socket) -> None:
    """Close the socket and take its file away. Call it while still holding `engine.lock`, so that it is ours."""
    listener.close()
    path.unlink(missing_ok=True)


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end of a unix socket."""
    if sys.platform == "darwin":
        credentials = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
        uid, gid = parse_xucred(credentials)
        return Peer(uid=uid, gid=gid, pid=connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID))
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(uid=uid, gid=gid, pid=pid)


def parse_xucred(credentials: bytes) -> tuple[int, int]:
    """Read uid and first gid from macOS's `struct xucred` (<sys/ucred.h>)."""
    _version, uid, _count, gid, *_others = _XUCRED.unpack(credentials.ljust(_XUCRED.size, b"\0"))
    return uid, gid


def _clear(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Refused(
            f"{path} is in the way: it is not a socket",
            expected="nothing, or the socket of a daemon that ended",
            hint=f"move it away: mv {path} {path}.old",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:  # a full backlog or a refusal by rights: somebody is there
            raise _answers(path) from error
    raise _answers(path)


def _answers(path: Path) -> Unavailable:
    return Unavailable(
        f"another process answers on {path}",
        expected="nobody, as this daemon holds the instance's lock",
        hint=f"see which: fuser {path}",
    )
