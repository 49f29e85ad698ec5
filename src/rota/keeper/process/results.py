"""Results: durable first, then reported, then kept until the owner has committed them."""

from __future__ import annotations

import binascii
from collections import deque
from collections.abc import Iterable, Iterator

from .door import Door
from .failpoint import reach
from .journal import Journal
from .protocol import Message, encode
from .ring import Output

_REMEMBERED = 50_000  # acknowledged ids, so that a late duplicate of an order does not run twice


class Result:
    """`line` is an `E` or `F` record without its output."""

    __slots__ = ("id", "is_durable", "line", "output")

    def __init__(self, attempt: str, line: bytes, output: Output | None) -> None:
        self.id, self.line, self.output = attempt, line, output
        self.is_durable = False

    def whole(self) -> bytes:
        """The record, with its output where that has no file."""
        if self.output is None or not self.output.kept:
            return self.line
        return b'%b,"out":"%b"}' % (self.line[:-1], binascii.b2a_base64(self.output.kept, newline=False))


class Results:
    def __init__(self, journal: Journal, door: Door) -> None:
        self._journal, self._door = journal, door
        self._kept: dict[str, Result] = {}
        self._unsynced: deque[tuple[int, Result]] = deque()
        self._asked = 0  # up to which journal position a sync was asked for
        self._acknowledged: dict[str, None] = {}

    def __contains__(self, attempt: str) -> bool:
        return attempt in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def was_acknowledged(self, attempt: str) -> bool:
        return attempt in self._acknowledged

    def find(self, attempt: str) -> Result | None:
        return self._kept.get(attempt)

    def add(self, result: Result) -> None:
        """Journal it; it is reported when the next sync is over. An output of one turn rides in its record."""
        record = result.line
        if result.output is not None:
            if result.output.journaled == 0:
                record = result.whole()
            else:
                for fresh in output_record(result.id, result.output):
                    self._journal.note(fresh)
        self._kept[result.id] = result
        self._unsynced.append((self._journal.note(record), result))

    def after_write(self) -> None:
        """Ask for a sync of what is new. With a disk in trouble, report without: better told than kept for ever."""
        if not self._unsynced:
            return
        reach("keeper.written")
        if self._journal.trouble is not None:
            self._report(self._unsynced[-1][0])
        elif self._unsynced[-1][0] > self._asked:
            self._asked = self._unsynced[-1][0]
            self._journal.sync_soon()

    def report_synced(self) -> None:
        self._report(self._journal.synced)

    def _report(self, position: int) -> None:
        while self._unsynced and self._unsynced[0][0] <= position:
            result = self._unsynced.popleft()[1]
            result.is_durable = True
            self._queue(result)

    def report_again(self) -> None:
        """To a new owner: everything that nobody acknowledged."""
        for result in self._kept.values():
            if result.is_durable:
                self._queue(result)

    def _queue(self, result: Result) -> None:
        if self._door.owner is not None:
            self._door.results.append(lambda: result.whole() if result.id in self._kept else None)

    def acknowledge(self, attempts: Iterable[str]) -> None:
        known = [attempt for attempt in dict.fromkeys(attempts) if attempt in self._kept]
        for attempt in known:
            output = self._kept.pop(attempt).output
            if output is not None:
                output.forget()
            self._acknowledged[attempt] = None
        while len(self._acknowledged) > _REMEMBERED:
            del self._acknowledged[next(iter(self._acknowledged))]
        if known:
            self._journal.note(encode({"k": "A", "ids": known}))
            reach("keeper.forgotten")

    def records(self) -> Iterator[bytes]:
        """For the rotated journal."""
        return (result.whole() for result in self._kept.values())


def output_record(attempt: str, output: Output) -> Iterator[bytes]:
    """What of an output the journal does not have yet, as a record; none when it has all, or a file does."""
    fresh = output.kept[output.journaled :]
    if fresh:
        data = binascii.b2a_base64(fresh, newline=False).decode()
        record: Message = {"k": "O", "id": attempt, "at": output.journaled, "data": data}
        output.journaled = len(output.kept)
        yield encode(record)
