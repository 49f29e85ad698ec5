"""One keeper's directory seen from outside: start its process, ask whether it lives, connect to it.

Alive means that its lock is held: no process number is ever trusted. Blocking, but for `spawn` only microseconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

from rota.domain.errors import Conflict, Unavailable
from rota.keeper.process import entry
from rota.keeper.process.failpoint import VARIABLES, reach
from rota.keeper.process.journal import sync_folder
from rota.keeper.process.protocol import BEGUN, EPOCH, LOCK, LOG, SOCK, TOKEN
from rota.keeper.process.service import machine

_READY_SECONDS = 15.0
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", TOKEN, *VARIABLES)  # a Rota inside an attempt of another stays findable


def spawn(directory: Path, idle_exit_seconds: float) -> None:
    """Make `directory` (0700) and start a keeper in it; returns when it takes connections.

    Its process belongs to init, so it outlives us and is never our zombie. Raises Conflict when the directory has
    had a keeper, Unavailable when the process says why it cannot start, or says nothing.
    """
    if sys.platform != "linux":
        raise Unavailable("the keeper needs Linux (epoll, pidfd, /proc)", hint="run the daemon on Linux")
    if directory.exists():
        raise Conflict(
            f"{directory} has had a keeper already", expected="a new directory", hint="adopt it, or name another"
        )
    _make(directory)
    reach("keeper.begun")
    arguments = [sys.executable, "-I", "-S", "-X", "utf8", entry.__file__, str(directory.absolute())]
    with (directory / LOG).open("ab") as log:
        process = subprocess.Popen(
            [*arguments, repr(idle_exit_seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env={name: os.environ[name] for name in _INHERITED if name in os.environ},
        )
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.readline() if select.select([process.stdout], [], [], _READY_SECONDS)[0] else b""
    process.wait()  # only the parent of the keeper, which left at once
    if said != b"ready\n":
        why = said.decode(errors="replace").strip() or f"it said nothing within {_READY_SECONDS:g} s"
        raise Unavailable(f"no keeper could be started in {directory}: {why}", hint=f"look into {directory / LOG}")
    reach("keeper.ready")


def _make(directory: Path) -> None:
    """Make the folder, durably and with all its first contents at once: that it is there says that a keeper may have
    been started, and that it is not there says, for ever, that none was."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = directory.with_name(f".{directory.name}")
    draft.mkdir(mode=0o700)
    (draft / BEGUN).write_text(json.dumps(machine()))
    draft.rename(directory)
    sync_folder(str(directory.parent))


def is_alive(directory: Path) -> bool:
    """Whether a keeper serves this directory."""
    try:
        fd = os.open(directory / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def connect(directory: Path) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError.

    The address goes through an open folder, as a socket's path must be under 108 bytes and a state folder may be deep.
    """
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(5)
        sock.connect(f"/proc/self/fd/{folder}/{SOCK}")
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    finally:
        os.close(folder)
    return sock


def next_epoch(directory: Path) -> int:
    """One more than any owner had before: the keeper obeys the highest only."""
    fd = os.open(directory / EPOCH, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        epoch = int(os.pread(fd, 20, 0) or b"0") + 1
        os.pwrite(fd, b"%020d" % epoch, 0)
    finally:
        os.close(fd)
    return epoch


def last_epoch(directory: Path) -> int:
    try:
        return int((directory / EPOCH).read_bytes() or b"0")
    except FileNotFoundError:
        return 0
