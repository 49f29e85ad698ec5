"""The rescuer: what dead owners on this machine held is taken over, and each attempt's true fate is found.

An owner is dead when its lock can be taken, and only then. What its keeper still runs is followed to its end; what the
keeper never got is started, as the same attempt; what has no result is `unknown`, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from rota.actions.registry import KINDS
from rota.domain.reasons import Reason
from rota.domain.states import Fate
from rota.engine.worker import Worker
from rota.ports import Connector, Store, Tx
from rota.storage.rescue import Rescued, end_owner, living_owners, take_over
from rota.storage.work import token_of

DeadOf = Callable[[Collection[str]], Collection[str]]


class Rescuer:
    """`dead_of` tells which of these owner ids have a lock that can be taken; `has_dead` whether it is worth asking.

    `swept` is called when the dead hold nothing any more, so that their files can go.
    """

    def __init__(
        self,
        *,
        store: Store,
        connectors: Mapping[str, Connector],
        worker: Worker,
        owner: str,
        dead_of: DeadOf,
        has_dead: Callable[[], bool],
        swept: Callable[[], object],
        node: str | None = None,
    ) -> None:
        self._store, self._connectors, self._worker = store, connectors, worker
        self._owner, self._dead_of, self._has_dead, self._swept = owner, dead_of, has_dead, swept
        self._node = node
        self._unfinished = False

    async def sweep_if_needed(self) -> None:
        """Sweep if an owner died lately; costs a look at a folder otherwise."""
        if self._has_dead() or self._unfinished:
            await self.sweep()
            self._swept()

    async def sweep(self) -> int:
        """Settle everything that dead owners held. Returns how many targets that were."""
        owners = [owner for owner in await self._store.read(self._owners) if owner != self._owner]
        dead = list(self._dead_of(owners))
        if not dead and self._node is None:  # on a shared store one that others gave up may have left its keeper
            return 0
        silent: set[str] = set()
        for connector in self._connectors.values():
            silent |= await connector.adopt(lambda owner: bool(self._dead_of([owner])))
        self._unfinished = bool(silent)
        count = 0
        for owner in dead:
            if owner in silent:
                continue  # its keeper lives and does not answer: asked again at the next sweep
            rescued = await self._store.write(lambda tx, owner=owner: take_over(tx, owner, self._owner))  # type: ignore[misc]
            for one in rescued:
                await self._go_on(one)
            await self._store.write(lambda tx, owner=owner: end_owner(tx, owner))  # type: ignore[misc]
            count += len(rescued)
        self._worker.reporter.look()
        return count

    def _owners(self, tx: Tx) -> list[str]:
        return living_owners(tx, self._node)

    async def _go_on(self, rescued: Rescued) -> None:
        work = rescued.work
        plan = await self._worker.plan_of(work)  # it is ours now, and must be gone on with: the store may be away
        if not rescued.attempt_open:
            self._worker.resume(work, follow=False, cancel=rescued.cancel)
            return
        if not KINDS[plan.steps[work.cursor].action].touches_host:  # it was done inside the process that died
            self._worker.lost(work, Reason.DAEMON_CRASHED, cancel=rescued.cancel)
            return
        match self._connectors[work.connector].fate(token_of(work.attempt_id)):
            case Fate.LIVE | Fate.ENDED:
                self._worker.resume(work, follow=True, cancel=rescued.cancel)
            case Fate.NEVER_STARTED:
                self._worker.resume(work, follow=False, cancel=rescued.cancel)
            case Fate.GONE | Fate.STILL_RUNNING:
                self._worker.lost(work, Reason.KEEPER_LOST, cancel=rescued.cancel)
            case None:
                self._worker.lost(work, Reason.DAEMON_CRASHED, cancel=rescued.cancel)
