"""A run's output as text, each piece with the host, step and attempt that wrote it."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from rota.ports import OutputItem, Tx
from rota.storage import freeze, runs
from rota.storage.runs import RunRow, Writer
from rota.usecases import resources, shapes
from rota.usecases.context import Context


class OutputText:
    """Knows who wrote what, and keeps characters whole that were cut in two between pieces.

    One for each reader: a page, or the whole life of a stream.
    """

    def __init__(self) -> None:
        self._steps: list[str] = []  # their names
        self._writers: dict[int, Writer] = {}  # by attempt
        self._held: dict[int, OutputItem] = {}  # attempt -> the beginning of a character whose end has not come

    async def read(
        self, ctx: Context, row: RunRow, items: Sequence[OutputItem], *, more_comes: bool
    ) -> list[shapes.Output]:
        """The pieces as text. Unless `more_comes`, nothing is held back: half a character becomes U+FFFD."""
        if new := {item.attempt_id for item in items} - self._writers.keys():
            await ctx.store.read(lambda tx: self._get_to_know(tx, row, new))
        known = [item for item in items if item.attempt_id in self._writers]
        last = {item.attempt_id: item.seq for item in known}
        pieces: list[OutputItem] = []
        for item in known:
            pieces += self._whole(item, hold=more_comes or last[item.attempt_id] != item.seq)
        if not more_comes:
            pieces += self._held.values()
            self._held = {}
        return [self._shown(piece) for piece in pieces if piece.data]

    def _get_to_know(self, tx: Tx, row: RunRow, attempt_ids: Iterable[int]) -> None:
        self._steps = self._steps or [step.name for step in freeze.get_plan(tx, row.plan_id).steps]
        self._writers |= runs.writers_of(tx, attempt_ids)

    def _shown(self, piece: OutputItem) -> shapes.Output:
        writer = self._writers[piece.attempt_id]
        return resources.output(piece, writer.host, self._steps[writer.step], writer.number)

    def _whole(self, item: OutputItem, *, hold: bool) -> Iterator[OutputItem]:
        """The piece, with what was held back before it; and if `hold`, without half a character at its end."""
        before = self._held.pop(item.attempt_id, None)
        if before is not None and item.cut:
            yield before  # its other half is among what was not kept
        elif before is not None:
            item = replace(item, offset=before.offset, data=before.data + item.data, cut=before.cut)
        rest = unfinished_character(item.data) if hold else 0
        if rest:
            end = len(item.data) - rest
            cut = item.cut if end == 0 else 0
            self._held[item.attempt_id] = replace(item, offset=item.offset + end, data=item.data[end:], cut=cut)
            item = replace(item, data=item.data[:end])
        yield item


async def read_page(ctx: Context, row: RunRow, *, after: int, limit: int) -> shapes.OutputPage:
    """One page of a run's output. `next` is the `after` of the next page."""
    items = await ctx.output.after(row.id, after, limit)
    shown = await OutputText().read(ctx, row, items, more_comes=False)
    return {"items": shown, "next": items[-1].seq if items else after}


def unfinished_character(data: bytes) -> int:
    """How many bytes at the end of `data` are the beginning of a UTF-8 character whose end has not come (0 to 3)."""
    if not data or data[-1] < 0x80:
        return 0
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(data[-4:])
    return len(decoder.getstate()[0])
