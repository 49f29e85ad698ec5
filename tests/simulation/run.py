"""Carry one world through: faults and people for a while, then the end as it stands, or healing and its proof."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.simulation import invariants, mutants
from tests.simulation.check_ends import check_continuous
from tests.simulation.jobs import drawn
from tests.simulation.loop import Stalled
from tests.simulation.people import operators, people, save, settle_in
from tests.simulation.weather import heal, weather
from tests.simulation.world import World

TROUBLE_SECONDS = 240.0
CALM_SECONDS = 60.0  # nothing breaks any more, people and jobs go on
LOST_GRACE_SECONDS = 120.0  # DESIGN §2 unknown
LEASE_SECONDS = 60.0  # DESIGN §5
LIVE_WITHIN_SECONDS = 2 * LEASE_SECONDS + 30 + LOST_GRACE_SECONDS
STANDSTILL_SECONDS, MOST_ROUNDS = 160.0, 8  # longer than any step may take
SHARED_MEMORY = Path("/dev/shm")  # a folder of our own is made in it


@dataclass(frozen=True)
class Outcome:
    """What became of a world. `violations` is empty where every promise was kept."""

    seed: int
    mode: str
    violations: tuple[str, ...]
    trace: tuple[str, ...]
    faults: tuple[str, ...]
    starts: int

    @property
    def digest(self) -> str:
        """The same for the same seed and the same code."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def simulate(seed: int, sabotage: Collection[str] = ()) -> Outcome:
    """Run the world of this seed, with these mutants in place of the real code; not if none of them could do harm in
    it. Stops at the first violation."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None))
        for name in sabotage:
            stack.enter_context(mutants.ALL[name].planted())
        world = World(seed, Path(folder))
        mode = "liveness" if seed % 2 else "safety"
        asyncio.set_event_loop(world.loop)
        try:
            world.jobs = drawn(world.draw)
            world.nature.recipes = {job.name: job.recipe for job in world.jobs}
            settle_in(world)
            try:
                if not sabotage or any(mutants.ALL[name].needs <= world.traits for name in sabotage):
                    world.loop.run_until_complete(_carry_through(world, mode))
            except Stalled:
                world.violate("I4 nothing will ever happen any more")
            if not world.violations:
                for violation in invariants.check(world, is_live=mode == "liveness"):
                    world.violate(violation)
            for error in world.loop.errors:
                world.violate(f"I0 nobody caught: {error}")
        finally:
            asyncio.set_event_loop(None)
            world.end()
        return Outcome(
            seed, mode, tuple(world.violations), tuple(f"{at:12.6f} {words}" for at, words in world.trace),
            tuple(sorted(world.known_faults)), len(world.witness.lives),
        )  # fmt: skip


async def _carry_through(world: World, mode: str) -> None:
    breaking = asyncio.create_task(weather(world))
    acting = asyncio.create_task(people(world))
    operating = asyncio.create_task(operators(world))
    await _let_pass(world, TROUBLE_SECONDS)
    if mode == "liveness":
        breaking.cancel()
        heal(world)
        world.closes_at = world.time + CALM_SECONDS
        await _let_pass(world, CALM_SECONDS)
        acting.cancel()
        world.checked_until = world.wall.now()
        world.is_closed = True
        for violation in check_continuous(world):
            world.violate(violation)
        for job in world.jobs:
            await save(world, job, enabled=False)
        await _let_pass(world, LIVE_WITHIN_SECONDS)
        for _ in range(MOST_ROUNDS):  # a long queue is no standstill: it is worked off first
            if world.time - world.last_work > STANDSTILL_SECONDS:
                break
            await _let_pass(world, STANDSTILL_SECONDS)
    for task in (breaking, acting, operating):
        if task.done() and not task.cancelled():
            task.result()  # the world itself has a fault
        task.cancel()


async def _let_pass(world: World, seconds: float) -> None:
    """Let the world go on for so long, or until something has gone wrong."""
    until = world.time + seconds
    while world.time < until and not world.violations:
        await asyncio.sleep(min(5.0, until - world.time))
        world.look_for_spinning()
