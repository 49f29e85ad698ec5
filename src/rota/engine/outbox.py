"""The outbox: what a final state must set off is taken by `delivered_at IS NULL`, never by "id greater than last".

Today that is telling watchers of this process; cascades and notifications of later issues are delivered from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from rota.domain.errors import Unavailable
from rota.engine.events import RunEvents
from rota.failpoints import reach
from rota.ports import Clock, Hint, Store, Tx
from rota.storage.unwritten import Unwritten

BATCH = 2_000
LINGER_SECONDS = 0.25  # a herd's ends are delivered a few times a second, after its starts


class Outbox:
    def __init__(self, store: Store, clock: Clock, events: RunEvents, *, unwritten: Unwritten | None = None) -> None:
        """`unwritten` spares looks, where it can be told that nobody has written."""
        self._store, self._clock, self._events, self._unwritten = store, clock, events, unwritten
        self._wake = asyncio.Event()
        self._wake.set()  # what an earlier process left undelivered

    def nudge(self) -> None:
        self._wake.set()

    def delivered_elsewhere(self, run_ids: Iterable[int]) -> None:
        """Another process has delivered the ends of these runs, and cannot tell those who watch them here."""
        self._events.ended_all(run_ids)

    async def look(self) -> None:
        """See whether somebody else's ends wait: those of a command beside the daemon nudge nobody here."""
        if self._unwritten is not None:
            await self._unwritten.spare(self._ask)
        else:
            await self._ask()

    async def _ask(self) -> None:
        if not self._wake.is_set() and await self._store.read(_is_anything_open):
            self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._wake.wait()
            await self._clock.sleep(LINGER_SECONDS)
            self._wake.clear()
            try:
                await self._deliver()
            except Unavailable:
                self._wake.set()

    async def _deliver(self) -> None:
        while run_ids := await self._store.write(_take):
            reach("outbox.delivered")
            self._events.ended_all(run_ids)
            if len(run_ids) < BATCH:
                break


def _is_anything_open(tx: Tx) -> bool:
    (found,) = tx.driver.execute("SELECT EXISTS (SELECT 1 FROM outbox WHERE delivered_at IS NULL)").fetchone()
    return bool(found)


def _take(tx: Tx) -> list[int]:
    rows = tx.driver.execute(
        "UPDATE outbox SET delivered_at = ? WHERE id IN /*pg instead: = ANY (ARRAY */"
        " (SELECT id FROM outbox WHERE delivered_at IS NULL ORDER BY id LIMIT ? /*pg: FOR UPDATE SKIP LOCKED) */)"
        " RETURNING run_id",
        (tx.at, BATCH),
    ).fetchall()
    run_ids = [run_id for (run_id,) in rows]
    if run_ids:
        tx.tell(Hint.ENDED, run_ids)
    return run_ids
