"""Who takes over from whom, and whether that was right: the store's recorder tells with each commit (recorder.py).

On one machine, and within a home, only the dead are robbed. Between homes it is whoever gave no sign of life for a
lease, and that may only be one whom something kept from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.engine.leases import ENDING_SECONDS
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class Heirs:
    def __init__(self, world: World) -> None:
        self._world = world

    def look(self, actor: Process | None, owner_id: str, target_id: int | None) -> None:
        """The owner was given up, or has lost that target. `actor`: whose commit it is; None: the world's own."""
        owner = self._world.by_owner[owner_id]
        if actor is None or actor is owner:
            return
        self._judge(owner, actor)
        if target_id is not None:
            self._inherited(owner, actor, target_id)
        elif actor.home != owner.home:
            self._given_up(owner, actor)

    def _judge(self, owner: Process, actor: Process) -> None:
        world = self._world
        if owner.is_gone:
            return
        if actor.home == owner.home:
            world.violate(f"I6 {owner} was taken for dead by {actor}, and holds its lock")
        elif not owner.was_hindered(world.time - world.terms.lease / 1e6, world.time):
            world.violate(f"I6 {owner} was taken for silent by {actor}, and nothing kept it from speaking")

    def _inherited(self, owner: Process, actor: Process, target_id: int) -> None:
        ((connector,),) = self._world.sql("SELECT connector FROM run_target WHERE id = ?", target_id)
        self._world.note("took", target_id, connector, "from", owner, "by", actor)
        if connector != "local" or actor.home == owner.home:
            return
        for (attempt_id,) in self._world.sql(
            "SELECT id FROM attempt WHERE run_target_id = ? AND state IN ('running', 'unknown')", target_id
        ):
            if (life := self._world.witness.lives.get(f"att-{attempt_id}")) is not None:
                life.forsake(self._world.time)  # nobody in another home can say how it ends

    def _given_up(self, owner: Process, actor: Process) -> None:
        """What it ran itself it had to end before, unless it was dead or could not."""
        world = self._world
        world.note("given up", owner, "by", actor)
        if owner.is_stopped or owner.was_frozen(world.time - ENDING_SECONDS, world.time):
            return
        for keeper in world.machines.keepers:
            for child in keeper.children.values():
                if keeper.owner == owner.owner and not keeper.lost and child.life.ended > world.time:
                    world.violate(f"I6 {child.life.token} runs on, and {owner} was given up")
