"""The journal: one append-only file of `crc32 json` lines, written once per turn and synced by a thread.

`write` alone survives `kill -9` of every process (the page cache does); the sync narrows what a power cut can turn
into "no result". Records, `k` is the kind:
  K {pid, boot, pidns, at}       a keeper was born              B {ids}                      about to start these
  S {id, pid, b0, b1, at}        started; CLOCK_BOOTTIME seconds bracket it     O {id, at, data}   output, base64
  F {id, errno, stage, message}  no process was made            E {id, code, sig, …}         ended
  A {ids}                        the owner has committed these results
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterable

ROTATE_BYTES = 1 << 20


def line_of(record: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(record), record)


def record_of(line: bytes) -> bytes | None:
    """The record of a line without its line end, or None when the line is torn or garbage."""
    try:
        return line[9:] if line[8:9] == b" " and int(line[:8], 16) == zlib.crc32(line[9:]) else None
    except ValueError:
        return None


class Journal:
    """Appends records. Positions (`seq`, `synced`) count bytes ever appended, also across rotations.

    A disk that is full keeps the rest in memory and tries again with the next write; a failed sync is final, because
    nobody knows then which pages were lost. `trouble` says which it is; while there is any, nothing new may start.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._pending = bytearray()
        self._full: OSError | None = None
        self._broken: OSError | None = None
        self.size = 0
        self._rotate_at = ROTATE_BYTES
        self.seq = self.written = self.synced = 0
        self.done_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # readable when `synced` has moved
        self._wanted = 0
        self._wake = threading.Condition()
        threading.Thread(target=self._sync_for_ever, name="sync", daemon=True).start()

    @property
    def trouble(self) -> OSError | None:
        return self._broken or self._full

    @property
    def is_broken(self) -> bool:
        """A sync has failed. That is for ever."""
        return self._broken is not None

    def note(self, record: bytes) -> int:
        """Queue a record for the next `write`; returns the position from which it is durable."""
        line = line_of(record)
        self._pending += line
        self.seq += len(line)
        return self.seq

    def write(self) -> bool:
        """Hand all queued records to the kernel with one write. False when the disk does not take them."""
        while self._pending:
            try:
                count = os.write(self._fd, self._pending)
            except OSError as error:
                self._full = error
                return False
            del self._pending[:count]
            self.written += count
            self.size += count
        self._full = None
        return True

    def sync_soon(self) -> None:
        """Ask the thread for one sync of all that is written. Results that come meanwhile share the next one."""
        with self._wake:
            self._wanted = self.written
            self._wake.notify()

    def _sync_for_ever(self) -> None:
        while True:
            with self._wake:
                while self._wanted <= self.synced:
                    self._wake.wait()
                target = self._wanted
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._broken = error
            with self._wake:
                self.synced = max(self.synced, target)
            os.eventfd_write(self.done_fd, 1)

    def wants_rotation(self) -> bool:
        return self.size >= self._rotate_at and self.trouble is None

    def rotate(self, records: Iterable[bytes]) -> None:
        """Go on in a new file that holds only `records`: what lives, and what nobody acknowledged."""
        self.write()
        fresh = self._path + ".new"
        content = b"".join(map(line_of, records))
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _write_all(fd, content)
                os.fsync(fd)
                os.rename(fresh, self._path)  # noqa: PTH104
                sync_folder(os.path.dirname(self._path))  # noqa: PTH120
                os.dup2(fd, self._fd, inheritable=False)  # a sync under way keeps the old file to its end
            finally:
                os.close(fd)
        except OSError:
            self._rotate_at = self.size + ROTATE_BYTES  # the old file is still good; try again later
            return
        self.size = len(content)
        self._rotate_at = max(ROTATE_BYTES, 2 * self.size)
        with self._wake:
            self.synced = max(self.synced, self.written)
        os.eventfd_write(self.done_fd, 1)

    def sync_now(self) -> None:
        """For the last words before leaving. What a disk in trouble does not take is lost: nobody is left to tell."""
        if self.write() and self._broken is None:
            try:
                os.fdatasync(self._fd)
            except OSError as error:
                self._broken = error


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
