"""On a store that several machines share: this owner's signs of life, and what becomes of the work of the silent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from rota.domain.errors import Conflict, Unavailable
from rota.domain.instant import SECOND, Micros
from rota.domain.reasons import Reason
from rota.engine.worker import Worker
from rota.ports import Clock, Store
from rota.storage.leases import Terms, renew, silent_owners, take_from
from rota.storage.rescue import Rescued

RENEWALS = 4  # in the time of one lease
ENDING_SECONDS = 15.0  # what the ends of children may take: asked, then killed


class Leases:
    """`run` renews until cancelled. `looks_after`: this owner takes over from silent ones too."""

    def __init__(
        self, *, store: Store, clock: Clock, worker: Worker, owner: str, terms: Terms, looks_after: bool
    ) -> None:
        self._store, self._clock, self._worker = store, clock, worker
        self._owner, self._terms, self._looks_after = owner, terms, looks_after
        # (monotonic: since when the store's clock is trusted, when it was seen last; its own time then)
        self._trusted: tuple[float, float, Micros] | None = None

    async def run(self) -> None:
        """Raises Conflict when this owner was given up: what it held is another's, and its own children are ended."""
        every = self._terms.lease / SECOND / RENEWALS
        until_given_up = (self._terms.lease + self._terms.grace) / SECOND
        renewed, has_let_go = self._clock.monotonic(), False
        while True:
            began = self._clock.monotonic()
            try:
                async with asyncio.timeout(until_given_up / 2):
                    at = await self._store.write(lambda tx: renew(tx, self._owner))
                    if at is not None and self._looks_after:
                        await self._look_after(at)
            except (Unavailable, TimeoutError):
                if began - renewed > until_given_up - ENDING_SECONDS and not has_let_go:
                    has_let_go = True  # others may soon take what runs here for lost: it must not run on then
                    self._worker.cancel_all(Reason.WORKER_LOST)
            else:
                if at is None:
                    await self._give_up()
                renewed, has_let_go = began, False
            await self._clock.sleep(every)

    async def _look_after(self, at: Micros) -> None:
        """Take over from the silent, but only after a lease in which the store's clock went as time does: set forward,
        or seen for the first time, it makes all others look silent who are about to renew."""
        now = self._clock.monotonic()
        since, then, seen = self._trusted or (now, now, at)
        stepped = abs((at - seen) / SECOND - (now - then)) > self._terms.lease / SECOND / RENEWALS
        since = now if stepped else since
        self._trusted = (since, now, at)
        if now - since >= self._terms.lease / SECOND:
            for silent in await self._store.read(lambda tx: silent_owners(tx, self._terms)):
                for one in await self._store.write(
                    partial(take_from, silent=silent, owner=self._owner, terms=self._terms)
                ):
                    self._go_on(one)
        self._worker.reporter.look()  # what waits may be what a silent one would have started

    def _go_on(self, rescued: Rescued) -> None:
        """What is done on hosts is followed there; what the silent one's machine did nobody here can tell."""
        work = rescued.work
        if not rescued.attempt_open:
            self._worker.resume(work, follow=False, cancel=rescued.cancel)
        elif work.connector == "local":
            self._worker.lost(work, Reason.WORKER_LOST, cancel=rescued.cancel)
        else:
            self._worker.resume(work, follow=True, cancel=rescued.cancel)

    async def _give_up(self) -> None:
        self._worker.close()
        self._worker.cancel_all(Reason.WORKER_LOST)
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                await self._worker.until_idle()
        raise Conflict(
            "this process gave no sign of life for too long, and others have taken over its work",
            hint="start it again: rota daemon",
        )


def terms_of(node: str, *, lease_seconds: float, grace_seconds: float) -> Terms:
    lease: Micros = round(lease_seconds * SECOND)
    return Terms(node, lease, round(grace_seconds * SECOND))
