"""Bounded output in one file: its first bytes (head) and its last bytes (tail, a ring), readable while it grows.

Layout: magic, head size, tail size, total, claimed (32 bytes) · head · ring. Byte n of the output lies in the head,
or in the ring at (n - head) % tail. `claimed` is raised before the ring is overwritten and `total` after, so a reader
that looks at the header again after reading knows which of its bytes may have been replaced meanwhile.
"""

from __future__ import annotations

import os
import struct

_HEADER = struct.Struct("<8sIIQQ")
_MAGIC = b"rotaout1"
_RESERVE_AT_MOST = 1 << 20  # larger files are not preallocated: 1,000 of them would fill the disk with nothing

Span = tuple[int, int]
Slice = tuple[bytes, int, int, tuple[Span, ...]]  # data, offset of its first byte, total, what was cut


class Ring:
    """The writing end. Raises OSError from the constructor (no file) and from `append` (disk full)."""

    __slots__ = ("_fd", "head", "tail", "total")

    def __init__(self, path: str, *, head: int, tail: int) -> None:
        self.head, self.tail, self.total = head, tail, 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        size = _HEADER.size + head + tail
        try:
            if size <= _RESERVE_AT_MOST:
                os.posix_fallocate(self._fd, 0, size)  # a full disk is met here, not in the middle of the output
            self._write_header(0, 0)
        except OSError:
            os.close(self._fd)
            os.unlink(path)  # noqa: PTH108
            raise

    def append(self, data: memoryview) -> None:
        start, end = self.total, self.total + len(data)
        in_head = min(len(data), max(0, self.head - start))
        overwrites = end > self.head + self.tail
        if overwrites:
            self._write_header(start, end)
        if in_head:
            os.pwrite(self._fd, data[:in_head], _HEADER.size + start)
        if self.tail and in_head < len(data):
            self._write_ring(data[in_head:][-self.tail :], end)
        self.total = end
        self._write_header(end, end)

    def _write_ring(self, data: memoryview, end: int) -> None:
        position = (end - len(data) - self.head) % self.tail
        base = _HEADER.size + self.head
        until_wrap = min(len(data), self.tail - position)
        os.pwrite(self._fd, data[:until_wrap], base + position)
        if until_wrap < len(data):
            os.pwrite(self._fd, data[until_wrap:], base)

    def _write_header(self, total: int, claimed: int) -> None:
        os.pwrite(self._fd, _HEADER.pack(_MAGIC, self.head, self.tail, total, claimed), 0)

    def close(self) -> None:
        os.close(self._fd)


def read_ring(path: str, offset: int, limit: int, *, total: int | None = None) -> Slice:
    """Read up to `limit` bytes at `offset` (or at the next kept byte) from a file that may still grow.

    `total` is the true size where it is known: what a full disk swallowed then counts as cut.
    The slice never spans a gap: after the head, ask again at its end. Empty when nothing is kept from `offset` on.
    Raises FileNotFoundError, and ValueError when the file is none of ours.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            head, tail, stored, claimed = _read_header(fd)
            low = max(head, claimed - tail)
            at = offset if offset < head or offset >= low else low
            if at < head:
                data = os.pread(fd, max(0, min(limit, min(head, stored) - at)), _HEADER.size + at)
                break
            wanted = max(0, min(limit, stored - at))
            data = _pread_ring(fd, head, tail, at, wanted) if wanted else b""
            if at >= max(head, _read_header(fd)[3] - tail):  # else the writer lapped us while we read
                break
    finally:
        os.close(fd)
    size = stored if total is None else max(stored, total)
    cut = [(head, min(low, stored))] if min(low, stored) > head else []
    if size > stored:
        cut.append((stored, size))
    return data, min(at, size), size, tuple(cut)


def _read_header(fd: int) -> tuple[int, int, int, int]:
    magic, head, tail, total, claimed = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
    if magic != _MAGIC:
        raise ValueError("not an output file of the keeper")
    return head, tail, total, max(total, claimed)


def _pread_ring(fd: int, head: int, tail: int, at: int, size: int) -> bytes:
    position, base = (at - head) % tail, _HEADER.size + head
    first = min(size, tail - position)
    data = os.pread(fd, first, base + position)
    return data if first == size else data + os.pread(fd, size - first, base)


class Output:
    """All output of one attempt: in memory while it is small (and the journal has it), then in a file.

    `total` counts everything. Once the disk takes no more, the rest is lost, and the total tells how much.
    """

    __slots__ = ("_head", "_inline", "_lost", "_path", "_ring", "_tail", "journaled", "kept", "total")

    def __init__(self, path: str, *, head: int, tail: int, inline: int) -> None:
        self._path, self._head, self._tail = path, head, tail
        self._inline = min(inline, head + tail)
        self._ring: Ring | None = None
        self._lost = False
        self.kept = bytearray()  # the first bytes, while there is no file
        self.journaled = 0  # how many bytes of `kept` the journal has
        self.total = 0

    @property
    def in_file(self) -> bool:
        return self._ring is not None

    def append(self, data: memoryview) -> str | None:
        """Keep what the bounds allow. Returns the disk's complaint, once."""
        self.total += len(data)
        if self._lost:
            return None
        try:
            if self._ring is None:
                if self.total <= self._inline:
                    self.kept += data
                    return None
                self._ring = Ring(self._path, head=self._head, tail=self._tail)
                self._ring.append(memoryview(bytes(self.kept)))
                self.kept = bytearray()
            self._ring.append(data)
        except OSError as error:
            self._lost = True
            return str(error)
        return None

    def close(self) -> None:
        if self._ring is not None:
            self._ring.close()

    def forget(self) -> None:
        """Delete the file, if there is one (still)."""
        if self._ring is not None and os.path.exists(self._path):  # noqa: PTH110
            os.unlink(self._path)  # noqa: PTH108
