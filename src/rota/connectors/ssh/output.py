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

    __slots__ = ("_head", "_read", "_tail", "_tail_at", "total")

    def __init__(self) -> None:
        self.total = 0
        self._head = bytearray()
        self._tail: deque[bytearray] = deque()  # from `_tail_at` to `total`, without a gap
        self._tail_at = 0
        self._read = 0  # up to here somebody has it

    @property
    def held(self) -> int:
        """Bytes of memory, but for what Python needs around them."""
        return len(self._head) + self.total - self._tail_at

    def append(self, data: bytes) -> None:
        if self.total == self._tail_at and len(self._head) == self.total < HEAD_BYTES:
            room = HEAD_BYTES - self.total
            self._head += data[:room]
            self.total = self._tail_at = len(self._head)
            data = data[room:]
        if data:
            if self._tail and len(self._tail[-1]) < _SMALL_BYTES:
                self._tail[-1] += data
            else:
                self._tail.append(bytearray(data))
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
        begin = max(0, self.total - ACTION_BYTES)
        pieces = []
        while begin < self.total:
            piece = self._piece(begin, ACTION_BYTES)
            pieces.append(piece.data)
            begin = piece.offset + len(piece.data)
        return b"".join(pieces)

    def _piece(self, offset: int, limit: int) -> Piece:
        if offset < len(self._head):
            return Piece(bytes(self._head[offset : offset + limit]), offset)
        offset = min(max(offset, self._tail_at), self.total)
        skip, pieces, size = offset - self._tail_at, [], 0
        for part in self._tail:
            if skip >= len(part):
                skip -= len(part)
                continue
            pieces.append(part[skip : skip + limit - size])
            size += len(pieces[-1])
            skip = 0
            if size >= limit:
                break
        return Piece(b"".join(pieces), offset)

    def _trim(self) -> None:
        """Drop what was read and no action may look at; and whole parts of the tail that are beyond its bound."""
        done_with = min(self._read, self.total - ACTION_BYTES)
        if done_with >= len(self._head):
            self._head = bytearray()
        needed = max(self.total - TAIL_BYTES, done_with)
        while self._tail and self._tail_at + len(self._tail[0]) <= needed:
            self._tail_at += len(self._tail.popleft())
