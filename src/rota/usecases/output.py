"""A run's output as text, each piece with the host, step and attempt that wrote it."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rota.ports import OutputItem, Tx
from rota.storage import freeze, runs
from rota.storage.runs import RunRow
from rota.usecases import resources, shapes
from rota.usecases.context import Context


class _Source(NamedTuple):
    host: str
    step: str
    number: int


class OutputText:
    """Knows who wrote what, and keeps characters whole that were cut in two between pieces.

    One for each reader: a page, or the whole life of a stream.
    """

    def __init__(self) -> None:
        self._sources: dict[int, _Source] = {}
        self._held: dict[int, OutputItem] = {}  # attempt -> the beginning of a character whose end has not come

    async def read(
        self, ctx: Context, row: RunRow, items: Sequence[OutputItem], *, more_comes: bool
    ) -> list[shapes.Output]:
        """The pieces as text. Unless `more_comes`, nothing is held back: half a character becomes U+FFFD."""
        if any(item.attempt_id not in self._sources for item in items):
            self._sources = await ctx.store.read(lambda tx: _sources(tx, row))
        known = [item for item in items if item.attempt_id in self._sources]
        last = {item.attempt_id: item.seq for item in known}
        found = [self._one(item, hold=more_comes or last[item.attempt_id] != item.seq) for item in known]
        if not more_comes:
            found += [self._shown(item) for item in self._held.values()]
            self._held.clear()
        return found

    def _one(self, item: OutputItem, *, hold: bool) -> shapes.Output:
        before = self._held.pop(item.attempt_id, None)
        if before is not None and not item.cut:
            item = replace(item, offset=before.offset, data=before.data + item.data)
        rest = unfinished_character(item.data) if hold else 0
        if rest:
            whole = len(item.data) - rest
            self._held[item.attempt_id] = replace(item, offset=item.offset + whole, data=item.data[whole:], cut=0)
            item = replace(item, data=item.data[:whole])
        return self._shown(item)

    def _shown(self, item: OutputItem) -> shapes.Output:
        return resources.output(item, *self._sources[item.attempt_id])


async def read_page(ctx: Context, row: RunRow, *, after: int, limit: int) -> list[shapes.Output]:
    """One page of a run's output."""
    items = await ctx.output.after(row.id, after, limit)
    return await OutputText().read(ctx, row, items, more_comes=False)


def unfinished_character(data: bytes) -> int:
    """How many bytes at the end of `data` are the beginning of a UTF-8 character whose end has not come (0 to 3)."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(data[-4:])
    return len(decoder.getstate()[0])


def _sources(tx: Tx, row: RunRow) -> dict[int, _Source]:
    names = [step.name for step in freeze.get_plan(tx, row.plan_id).steps]
    return {
        attempt.id: _Source(target.host, names[attempt.step], attempt.number)
        for target in runs.targets_of(tx, row.id)
        for attempt in target.attempts
    }
