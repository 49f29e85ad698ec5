"""On a store that several machines share: this owner's signs of life, and what becomes of the work of the silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from rota.actions.registry import KINDS
from rota.domain.errors import Conflict, Unavailable
from rota.domain.instant import SECOND, Micros
from rota.domain.reasons import Reason
from rota.engine.takeover import Judged, take_and_settle
from rota.engine.worker import Worker
from rota.ports import Clock, Store
from rota.storage.leases import Terms, are_signs_ahead, bring_signs_back, renew, silent_owners, take_from
from rota.storage.rescue import held_by

RENEWALS = 4  # in the time of one lease
ENDING_SECONDS = 15.0  # what the ends of children may take: asked, then killed
AGAIN_SECONDS = 1.0  # after a renewal that failed: the store may be back any moment, and much waits for it


class Leases:
    """`run` renews until cancelled; `look_after` takes over from others who do not.

    While this owner has been silent for a lease its worker claims nothing and begins nothing: what it holds may be
    another's. So a process that was stopped, or a machine that slept, is heard first and goes on then.
    """

    def __init__(
        self,
        *,
        store: Store,
        for_signs: Store,
        clock: Clock,
        worker: Worker,
        owner: str,
        terms: Terms,
        tell: Callable[[Unavailable | None], object] = lambda _: None,
    ) -> None:
        """`for_signs`: the store over a line where nothing else is written. `tell` hears when the store is away, and
        (None) when it is back."""
        self._for_signs, self._tell = for_signs, tell
        self._store, self._clock, self._worker = store, clock, worker
        self._owner, self._terms = owner, terms
        self._lease, self._given_up_after = terms.lease / SECOND, (terms.lease + terms.grace) / SECOND
        self._let_go_after = self._given_up_after - min(ENDING_SECONDS, self._given_up_after / 4)
        self._renewed = clock.boottime()  # it was made known a moment ago
        # (monotonic: since when the store's clock is trusted, when it was seen last; its own time then)
        self._trusted: tuple[float, float, Micros] | None = None
        worker.attempts.is_silent = self.is_silent

    def is_silent(self) -> bool:
        """Whether the last sign of life was so long ago that others may carry on what this owner holds."""
        return self._clock.boottime() - self._renewed >= self._lease

    async def run(self) -> None:
        """Raises Conflict when this owner was given up: what it held is another's, and its own children are ended."""
        has_let_go = is_away = False
        pause = min(AGAIN_SECONDS, self._lease / RENEWALS)
        while True:
            began, patience = self._clock.boottime(), self._lease / 2
            if not has_let_go:  # an answer that does not come must not keep us from letting go in time
                patience = min(patience, max(pause, self._until_letting_go()))
            try:
                async with asyncio.timeout(patience):
                    at = await self._for_signs.write(lambda tx: renew(tx, self._owner))
            except (Unavailable, TimeoutError) as error:
                if not is_away:
                    is_away = True
                    self._tell(error if isinstance(error, Unavailable) else Unavailable("the store does not answer"))
                if self._until_letting_go() <= 0 and not has_let_go:
                    has_let_go = True  # others may soon take what runs here for lost: it must not run on then
                    await self._worker.end_local(Reason.WORKER_LOST, seconds=0)
                await self._clock.sleep(pause)
                continue
            if is_away:
                is_away = False
                self._tell(None)
            if at is None:
                await self._give_up()
            if began - self._renewed > self._lease / 2:  # what kept us from it may have kept all others too
                self._trusted = None
            if self.is_silent():
                self._worker.attempts.heard_again()
            self._renewed, has_let_go = began, False
            await self._clock.sleep(self._lease / RENEWALS)

    def _until_letting_go(self) -> float:
        """Seconds (below 0: it is past) until what runs here must be ended, should nobody hear of us."""
        return self._renewed + self._let_go_after - self._clock.boottime()

    async def look_after(self) -> None:
        """Look for owners that are silent, until cancelled."""
        while True:
            with suppress(Unavailable):  # the store is away, or somebody who seemed dead is not: it is looked at again
                await self._look()
            await self._clock.sleep(self._lease / RENEWALS)

    async def _look(self) -> None:
        """Take over from the silent, but only after a lease in which the store's clock went as time does, and this
        owner could renew: a clock that was set forward, a store that was away or somebody who held up every write make
        all others look silent who are about to renew. And give them up only after a lease and the grace of such time:
        who is cut off counts these by a clock of its own, and does not end its children before."""
        at, silent, are_ahead = await self._store.read(
            lambda tx: (tx.at, silent_owners(tx, self._terms), are_signs_ahead(tx))
        )
        if are_ahead:
            await self._store.write(bring_signs_back)
        now = self._clock.monotonic()
        since, then, seen = self._trusted or (now, now, at)
        stepped = abs((at - seen) / SECOND - (now - then)) > self._lease / RENEWALS
        since = now if stepped else since
        self._trusted = (since, now, at)
        if now - since >= self._lease and not self.is_silent():
            for owner in silent:
                await self._take_from(owner, may_give_up=now - since >= self._given_up_after)
        self._worker.claimer.look()  # what waits may be what a silent one would have started

    async def _take_from(self, silent: str, *, may_give_up: bool) -> None:
        """What is done on hosts is followed there; what the silent one's machine did nobody here can tell."""
        judged = {}
        for one in await self._store.read(partial(held_by, owner=silent)):
            if one.attempt_open:
                plan = await self._worker.plan_of(one.work)
                is_on_host = one.work.connector != "local" and KINDS[plan.steps[one.work.cursor].action].touches_host
                lost = None if is_on_host else Reason.WORKER_LOST
                judged[one.work.attempt_id] = Judged(one.work.run_id, plan, lost, follow=is_on_host)
        take = partial(take_from, silent=silent, owner=self._owner, terms=self._terms, may_give_up=may_give_up)
        await self._worker.given_by(self._store, lambda tx: take_and_settle(tx, take, judged), self._worker.carry_on)

    async def _give_up(self) -> None:
        self._worker.close()
        await self._worker.end_local(Reason.WORKER_LOST, seconds=ENDING_SECONDS)
        raise Conflict(
            "this process gave no sign of life for too long, and others have taken over its work",
            hint="start it again: rota daemon",
        )


def terms_of(node: str, *, lease_seconds: float, grace_seconds: float) -> Terms:
    lease: Micros = round(lease_seconds * SECOND)
    return Terms(node, lease, round(grace_seconds * SECOND))
