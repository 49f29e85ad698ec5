"""The planner: sleeps until something is due, then turns due instants into runs, batch by batch.

Waking is by capped polling of the wall clock, never by one long sleep: a clock that is set and a machine that slept are
noticed within the cap. The first batch is small so that the first start is early; while there is a backlog it grows.
"""

from __future__ import annotations

import asyncio
from functools import partial

from rota.domain.errors import Unavailable
from rota.domain.instant import SECOND, Micros
from rota.domain.trigger.tzversion import zone_data
from rota.engine.plans import Plans
from rota.engine.worker import Worker
from rota.failpoints import reach
from rota.ports import Clock, Store, Tx
from rota.storage.cards import Card, load_cards, upcoming
from rota.storage.events import daemon_started, look_at_continuous
from rota.storage.planning import Planned, plan_due
from rota.storage.zonedata import use_release

FIRST_BATCH, LARGEST_BATCH, GROWTH = 256, 10_000, 8
LONGEST_SLEEP_SECONDS = 5.0
LOOK_AGAIN: Micros = 60 * SECOND  # what another process changed is seen within this
AHEAD: Micros = 120 * SECOND  # cards of what is due within this are at hand when it comes
BESIDE_SECONDS = 0.05  # what is due is just being planned by another daemon: look again then
CARDS_AHEAD = 1_000_000  # some 0.3 KB each
CARDS_KEPT = 200_000  # of what is not due soon
LOADED_AT_ONCE = 500  # 4 ms where jobs are alike, 30 where no two are: a start may have to wait so long for them


class Planner:
    def __init__(self, *, store: Store, clock: Clock, plans: Plans, worker: Worker, owner: str) -> None:
        self._store, self._clock, self._plans, self._worker, self._owner = store, clock, plans, worker, owner
        self._cards: dict[int, Card] = {}
        self._wake = asyncio.Event()
        self._looked_ahead_until: Micros = 0
        self._has_continuous = False  # triggers that go on when a run of their job ends

    def nudge(self) -> None:
        """A job, the library or the inventory changed: something may be due sooner."""
        self._looked_ahead_until = 0
        self._wake.set()

    def runs_ended(self) -> None:
        """Runs may have ended: a continuous trigger may go on."""
        if self._has_continuous:
            self._wake.set()

    async def run(self) -> None:
        """Plan until cancelled. While the store cannot be had nothing is lost: what is due stays due."""
        begun, batch = False, FIRST_BATCH
        while True:
            try:
                if not begun:
                    self._has_continuous = await self._store.write(_begin)
                    begun = True
                batch = await self._turn(batch)
            except Unavailable:
                await self._clock.sleep(1.0)

    async def _turn(self, batch: int) -> int:
        """Plan one batch; rest if that was all there is. Returns the size of the next."""
        if self._has_continuous:
            await self._store.write(look_at_continuous)
        planned = await self._plan(batch)
        if planned.missing:
            await self._load(planned.missing)
            return batch
        is_behind = planned.next_fire is not None and planned.next_fire <= planned.at
        if is_behind and not planned.handled:
            await self._clock.sleep(BESIDE_SECONDS)
            return batch
        self._worker.reporter.starts_first(is_behind, ends_make_room=planned.left_waiting)
        if is_behind:
            return min(batch * GROWTH, LARGEST_BATCH)
        await self._look_ahead(planned.next_fire)
        await self._sleep(planned.next_fire)
        return FIRST_BATCH

    async def _plan(self, batch: int) -> Planned:
        plan = partial(plan_due, cards=self._cards, limit=batch, owner=self._owner, slots=self._worker.slots())
        return await self._worker.given_by(self._store, plan, self._planned)

    def _planned(self, planned: Planned) -> None:
        self._has_continuous = self._has_continuous or planned.continuous
        if planned.handled:
            reach("plan.flushed")
        for order in planned.cancels:
            self._worker.cancel(order.run_id, order.reason)
        if planned.work:
            self._worker.accept(planned.work)
        if planned.left_waiting:
            self._worker.claimer.look()

    async def _load(self, trigger_ids: list[int]) -> None:
        if len(self._cards) > CARDS_AHEAD + CARDS_KEPT:
            self._cards.clear()
        cards = await self._store.write(lambda tx: load_cards(tx, trigger_ids))
        self._cards.update(cards)
        await self._plans.load({card.terms.plan_id for card in cards.values() if card.terms.refusal is None})

    async def _look_ahead(self, next_fire: Micros | None) -> None:
        """Have the cards of what is due soon at hand, so that a herd need not wait for them; stop when one is due."""
        now = self._clock.now()
        if now + AHEAD // 2 < self._looked_ahead_until:
            return
        soon = await self._store.read(lambda tx: upcoming(tx, until=now + AHEAD, limit=CARDS_AHEAD))
        if len(self._cards) > CARDS_KEPT:
            known = self._cards
            self._cards = {trigger_id: known[trigger_id] for trigger_id in soon if trigger_id in known}
        missing = [trigger_id for trigger_id in soon if trigger_id not in self._cards]
        for start in range(0, len(missing), LOADED_AT_ONCE):
            if self._wake.is_set() or (next_fire is not None and next_fire <= self._clock.now()):
                return
            await self._load(missing[start : start + LOADED_AT_ONCE])
        self._looked_ahead_until = now + AHEAD

    async def _sleep(self, next_fire: Micros | None) -> None:
        """Return when something may be due, when nudged, or after `LOOK_AGAIN`; the wall clock is read at each wake.

        Between those it touches no store: an idle daemon costs next to nothing.
        """
        until = self._clock.now() + LOOK_AGAIN
        if next_fire is not None:
            until = min(until, next_fire)
        while 0 < (left := until - self._clock.now()) <= LOOK_AGAIN:  # more than that: the clock was set back meanwhile
            if await self._clock.sleep(min(left / SECOND, LONGEST_SLEEP_SECONDS), wake=self._wake):
                return


def _begin(tx: Tx) -> bool:
    """What the start of planning sets off. Returns whether there are continuous triggers."""
    use_release(tx, zone_data().release)
    return daemon_started(tx)
