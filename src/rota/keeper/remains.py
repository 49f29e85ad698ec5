"""What a dead keeper left behind: its journal, its output files, and perhaps processes that still run.

Never restart what may have run. A process is recognised by its number and by a start tick within the bracket that the
keeper took around the spawn (CLOCK_BOOTTIME), on the same boot and in the same pid namespace.
"""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rota.domain.errors import NotFound
from rota.domain.states import Fate
from rota.keeper import records
from rota.keeper.orders import Ended, OutputSlice, StartFailed
from rota.keeper.process.journal import record_of
from rota.keeper.process.proctree import TICKS, ProcessTable, token_of
from rota.keeper.process.protocol import BEGUN, JOURNAL, OUTPUTS, SOCK
from rota.keeper.process.ring import read_ring
from rota.keeper.process.service import machine


@dataclass(slots=True)
class _Story:
    """What a journal tells, in its own records."""

    birth: dict[str, Any] | None = None
    begun: set[str] = field(default_factory=set)
    starts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, StartFailed] = field(default_factory=dict)
    results: dict[str, Ended] = field(default_factory=dict)
    outputs: dict[str, bytearray] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    damaged: int = 0  # bad lines that are followed by good ones, so not just a torn tail


class Remains:
    """The judgement, made once by `examine`. `results` are those that nobody acknowledged, oldest first."""

    def __init__(self, directory: Path, story: _Story) -> None:
        self.directory = directory
        self._story = story
        self.results: tuple[Ended, ...] = tuple(story.results.values())
        self.failures: tuple[StartFailed, ...] = tuple(story.failures.values())
        self._is_complete = (_is_same_machine(story.birth) and not story.damaged) or _was_never_born(directory)
        self.running: dict[str, tuple[int, ...]] = self._look_for_processes()

    @classmethod
    def examine(cls, directory: Path) -> Remains:
        """Read the journal and look at all processes once. Blocking; for a thread."""
        return cls(directory, read_story(directory / JOURNAL))

    def fate(self, id: str) -> Fate:  # noqa: A002
        """ENDED, NEVER_STARTED, STILL_RUNNING or GONE.

        An order that the journal does not mention was never started, provided that the journal can be trusted to be
        whole: it exists, has no bad line in its middle, and the machine has not been restarted since (a start is
        written before it is made, but only a running kernel keeps what was written and not synced). Where a keeper was
        begun and came to no journal on the same boot, it never took an order.
        """
        story = self._story
        if id in story.results or id in story.acknowledged:
            return Fate.ENDED
        if id in story.failures:
            return Fate.NEVER_STARTED
        if id in self.running:
            return Fate.STILL_RUNNING
        if id in story.starts or id in story.begun or not self._is_complete:
            return Fate.GONE
        return Fate.NEVER_STARTED

    async def read(self, id: str, offset: int, limit: int = 65_536) -> OutputSlice:  # noqa: A002
        """Output as far as the keeper got it. Raises NotFound when there is none of that id."""
        result = self._story.results.get(id)
        try:
            data, at, total, cut = read_ring(
                f"{self.directory}/{OUTPUTS}/{id}", offset, limit, total=result.output_total if result else None
            )
        except FileNotFoundError:
            if id not in self._story.begun and result is None:
                raise NotFound(f"the keeper's remains have no output of attempt {id!r}") from None
        else:
            return OutputSlice(data=data, offset=at, total=total, cut=cut)
        kept = bytes(self._story.outputs.get(id, b""))
        return records.memory_slice(kept, offset, limit, result.output_total if result else len(kept))

    def discard(self) -> None:
        """Delete the directory, once everything in it has been committed elsewhere."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _look_for_processes(self) -> dict[str, tuple[int, ...]]:
        """By attempt: what still lives of it. One scan for all."""
        story = self._story
        unfinished = (story.begun | story.starts.keys()) - story.results.keys() - story.failures.keys()
        unfinished -= story.acknowledged
        if not unfinished or not _is_same_machine(story.birth):
            return {}
        table = ProcessTable()
        by_token: dict[str, set[int]] = {}
        for pid in table.start:
            if (token := token_of(pid)) in unfinished and token is not None:
                by_token.setdefault(token, set()).add(pid)
        found: dict[str, tuple[int, ...]] = {}
        for attempt in unfinished:
            seeds = by_token.get(attempt, set())
            start = story.starts.get(attempt)
            if start is not None and _is_this_start(table, start):
                seeds = seeds | {start["pid"]} | set(table.session.get(start["pid"], ()))
            if tree := table.closure(seeds):
                found[attempt] = tuple(sorted(tree))
        return found


def read_story(path: Path) -> _Story:
    """Read a journal. A torn tail is cut at its last good line; bad lines before that are counted."""
    story, bad = _Story(), 0
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return story
    for line in content.split(b"\n"):
        record = record_of(line)
        if record is None:
            bad += bool(line)
            continue
        story.damaged = bad
        _tell(story, json.loads(record))
    return story


def _tell(story: _Story, record: dict[str, Any]) -> None:
    match record["k"]:
        case "K":
            story.birth = record
        case "B":
            story.begun.update(record["ids"])
        case "S":
            story.begun.add(record["id"])
            story.starts[record["id"]] = record
        case "F":
            story.failures[record["id"]] = records.start_failed(record)
        case "O":
            kept = story.outputs.setdefault(record["id"], bytearray())
            kept[record["at"] :] = base64.b64decode(record["data"])
        case "E":
            story.results[record["id"]] = records.ended(record)
            if "out" in record:
                story.outputs[record["id"]] = bytearray(base64.b64decode(record["out"]))
        case "A":
            for id in record["ids"]:  # noqa: A001
                story.acknowledged.add(id)
                story.results.pop(id, None)
                story.failures.pop(id, None)
                story.outputs.pop(id, None)


def _is_same_machine(birth: dict[str, Any] | None) -> bool:
    """The same boot and the same pid namespace, so process numbers mean the same."""
    return birth is not None and all(birth.get(name) == value for name, value in machine().items())


def _was_never_born(directory: Path) -> bool:
    """Its owner died between the folder and the process: the journal is the first thing that a keeper writes, before it
    opens its door. One that had a door and has no journal has lost it."""
    try:
        begun = json.loads((directory / BEGUN).read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    journal = directory / JOURNAL
    if (directory / SOCK).exists():
        return False
    return _is_same_machine(begun) and not (journal.exists() and journal.stat().st_size)


def _is_this_start(table: ProcessTable, start: dict[str, Any]) -> bool:
    tick = table.start.get(start["pid"])
    return tick is not None and int(start["b0"] * TICKS) <= tick <= int(start["b1"] * TICKS)
