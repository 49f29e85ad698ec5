"""The rescuer: what dead owners on this machine held is taken over, and each attempt's true fate is found.

An owner is dead when its lock can be taken, and only then. What its keeper still runs is followed to its end; what was
never started is started, as the same attempt; what has no result is `unknown`, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

from rota.actions.registry import KINDS
from rota.actions.spec import AtOnce, InProcess
from rota.domain.plan import Plan
from rota.domain.reasons import Reason
from rota.domain.states import Fate
from rota.engine.takeover import Judged, Taken, take_and_settle
from rota.engine.worker import Worker
from rota.failpoints import reach
from rota.ports import Connector, Store, Tx
from rota.storage.rescue import Rescued, end_owner, fence_off, living_owners, take_over
from rota.storage.work import token_of

DeadOf = Callable[[Collection[str]], Collection[str]]


class Rescuer:
    """`dead_of` tells which of these owner ids have a lock that can be taken; `dead_here` which lock files of dead
    owners there are, so whether it is worth asking. `swept` is called with those whose files are not needed any more.
    """

    def __init__(
        self,
        *,
        store: Store,
        connectors: Mapping[str, Connector],
        worker: Worker,
        owner: str,
        dead_of: DeadOf,
        dead_here: Callable[[], Collection[str]],
        swept: Callable[[Collection[str]], object],
        node: str | None = None,
    ) -> None:
        self._store, self._connectors, self._worker = store, connectors, worker
        self._owner, self._dead_of, self._dead_here, self._swept = owner, dead_of, dead_here, swept
        self._node = node
        self._silent: set[str] = set()
        self.is_done = True  # no sweep was broken off, or has to be done again for keepers that did not answer

    async def sweep_if_needed(self) -> None:
        """Sweep if an owner died lately; costs a look at a folder otherwise."""
        dead = self._dead_here()
        if dead or not self.is_done:
            await self.sweep()
            self._swept([owner for owner in dead if owner not in self._silent])

    async def sweep(self) -> int:
        """Settle everything that dead owners held. Returns how many targets that were."""
        owners = [owner for owner in await self._store.read(self._owners) if owner != self._owner]
        dead = list(self._dead_of(owners))
        if not dead and self._node is None:  # on a shared store one that others gave up may have left its keeper
            self._silent, self.is_done = set(), True
            return 0
        self.is_done = False
        self._silent = set()
        for connector in self._connectors.values():
            self._silent |= await connector.adopt(lambda owner: bool(self._dead_of([owner])))
        reach("rescue.adopted")
        # Of those whose keeper lives and does not answer nothing is said: they are asked again at the next sweep.
        count = sum([await self._settle(owner) for owner in dead if owner not in self._silent])
        self.is_done = not self._silent
        self._worker.claimer.look()
        return count

    def _owners(self, tx: Tx) -> list[str]:
        return living_owners(tx, self._node)

    async def _settle(self, dead: str) -> int:
        """Find the fate of each attempt first, then take all over in one commit, with the verdicts on what is lost."""
        held = await self._store.write(partial(fence_off, dead=dead))
        judged = {}
        for one in held:
            if one.attempt_open:
                plan = await self._worker.plan_of(one.work)
                judged[one.work.attempt_id] = self._judge(one, plan, dead)
        taken = await self._worker.given_by(
            self._store, partial(self._take, dead=dead, judged=judged), self._worker.carry_on
        )
        return len(taken.going_on) + len(taken.lost)

    def _judge(self, rescued: Rescued, plan: Plan, dead: str) -> Judged:
        work = rescued.work
        match KINDS[plan.steps[work.cursor].action].work:
            case AtOnce():
                return Judged(work.run_id, plan)
            case InProcess():  # it was done inside the process that died
                return Judged(work.run_id, plan, lost=Reason.DAEMON_CRASHED)
        match self._connectors[work.connector].fate(token_of(work.attempt_id), owner=dead):
            case Fate.LIVE | Fate.ENDED:
                return Judged(work.run_id, plan, follow=True)
            case Fate.NEVER_STARTED:
                return Judged(work.run_id, plan)
            case Fate.GONE | Fate.STILL_RUNNING:
                return Judged(work.run_id, plan, lost=Reason.KEEPER_LOST)
            case None:
                return Judged(work.run_id, plan, lost=Reason.DAEMON_CRASHED)

    def _take(self, tx: Tx, dead: str, judged: Mapping[int, Judged]) -> Taken:
        taken = take_and_settle(tx, lambda tx: take_over(tx, dead, self._owner), judged)
        end_owner(tx, dead)
        return taken
