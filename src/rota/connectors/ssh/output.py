"""Output of one attempt, in memory and bounded: whatever a host sends, we keep reading, and the middle is dropped.

The first and the last bytes stay until somebody has read them; what was read goes, but for the last bytes that an
action may look at. So a thousand hosts that print a little at a time cost what their actions may look at, and a flood
costs no more than its bounds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

HEAD_BYTES = 65_536
TAIL_BYTES = 196_608
ACTION_BYTES = 65_536  # what an action may look at (domain.step.Exit.output)
_SMALL_BYTES = 4_096  # parts are put together up to this: ten thousand short lines are no ten thousand objects


@dataclass(frozen=True, slots=True)
class Piece:
    """See `ports.OutputPiece`."""

    data: bytes
    offset: int


class Kept:
    """Byte n is kept while it is unread and among the first or the last, or among the very last. `total` counts all."""

    __slots__ = ("_head", "_read", "_tail", "total")

    def __init__(self) -> None:
        self.total = 0
        self._head, self._tail = _Stretch(0), _Stretch(HEAD_BYTES)
        self._read = 0  # up to here somebody has it

    @property
    def held(self) -> int:
        """Bytes of memory, but for what Python needs around them."""
        return sum(stretch.end - stretch.begin for stretch in (self._head, self._tail))

    def append(self, data: bytes) -> None:
        room = max(0, HEAD_BYTES - self.total)
        if room:
            self._head.append(data[:room])
        if len(data) > room:
            self._tail.append(data[room:])
        self.total += len(data)
        self._trim()

    def read(self, offset: int, limit: int) -> Piece:
        """Up to `limit` bytes at `offset`, or at the next kept byte. Empty when nothing is kept from there on.

        Whoever reads from an offset has all that lies before it.
        """
        self._read = max(self._read, offset)
        piece = self._piece(offset, limit)
        self._trim()
        return piece

    def last(self) -> bytes:
        """The bytes that an action may look at."""
        offset, pieces = max(0, self.total - ACTION_BYTES), []
        while offset < self.total:
            piece = self._piece(offset, ACTION_BYTES)
            pieces.append(piece.data)
            offset = piece.offset + len(piece.data)
        return b"".join(pieces)

    def _piece(self, offset: int, limit: int) -> Piece:
        stretch = self._head if offset < self._head.end else self._tail
        offset = max(offset, stretch.begin)
        return Piece(stretch.cut(offset, limit), min(offset, self.total))

    def _trim(self) -> None:
        done_with = min(self._read, self.total - ACTION_BYTES)
        self._head.drop_before(done_with)
        self._tail.drop_before(max(done_with, self.total - TAIL_BYTES))


class _Stretch:
    """Bytes without a gap, from `begin` to `end`, in parts."""

    __slots__ = ("_parts", "begin", "end")

    def __init__(self, begin: int) -> None:
        self.begin = self.end = begin
        self._parts: deque[bytearray] = deque()

    def append(self, data: bytes) -> None:
        if self._parts and len(self._parts[-1]) < _SMALL_BYTES:
            self._parts[-1] += data
        else:
            self._parts.append(bytearray(data))
        self.end += len(data)

    def drop_before(self, offset: int) -> None:
        """Let go of the parts that lie wholly before `offset`."""
        while self._parts and self.begin + len(self._parts[0]) <= offset:
            self.begin += len(self._parts.popleft())

    def cut(self, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`, which is not before `begin`."""
        skip, pieces = offset - self.begin, []
        for part in self._parts:
            if limit <= 0:
                break
            if skip < len(part):
                pieces.append(part[skip : skip + limit])
                limit -= len(pieces[-1])
            skip = max(0, skip - len(part))
        return b"".join(pieces)
