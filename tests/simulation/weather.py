"""What breaks, and when: faults fall on a world at moments that its seed draws, and end by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from rota.domain.instant import DAY, SECOND
from tests.simulation.process import Process
from tests.simulation.world import World, micros

MEAN_SECONDS = 7.0  # between two faults
MOST_SET_BACK = 120.0  # seconds in all: what waits for a moment waits so much longer


async def weather(world: World) -> None:
    """Faults until cancelled."""
    while True:
        await asyncio.sleep(world.draw.expovariate(1 / MEAN_SECONDS))
        kinds = [kind for kind in BREAK if kind in world.nature.faults]
        if kinds:
            BREAK[world.draw.choice(kinds)](world)


def one_that_lives(world: World, kind: str | None = None) -> Process | None:
    found = [each for each in world.processes if each.is_well and kind in {None, each.kind}]
    return world.draw.choice(found) if found else None


def _crash(world: World) -> None:
    """Besides those at yields: a process dies while it sleeps."""
    if (process := one_that_lives(world)) is not None:
        world.crash(process, "rest")


def _freeze(world: World) -> None:
    if (process := one_that_lives(world)) is not None:
        world.freeze(process, world.draw.uniform(0.5, 25))


def _put_to_sleep(world: World) -> None:
    """Frozen for about a lease or longer, perhaps in the middle of a write: others may take over, and then it wakes."""
    if (process := one_that_lives(world)) is not None:
        lease, grace = world.terms.lease / SECOND, world.terms.grace / SECOND
        seconds = world.draw.uniform(0.7 * lease, 1.2 * lease + world.draw.choice([0, 1]) * grace)
        match world.draw.choice(["now", "now", "commit", "answer"]):
            case "now":
                world.freeze(process, seconds)
            case "commit" | "answer" as before:
                process.drowsy = (before, seconds)


def _cut_off(world: World) -> None:
    if (process := one_that_lives(world)) is not None:
        lease, grace = world.terms.lease / SECOND, world.terms.grace / SECOND
        is_long = world.draw.random() < 0.5
        world.cut_off(process, world.draw.uniform(1.0, 1.6) * (lease + grace) if is_long else
                      world.draw.uniform(0.3, 1.4) * lease)  # fmt: skip


def _away(world: World) -> None:
    world.send_away(world.draw.uniform(0.5, 15))


def _slow(world: World) -> None:
    seconds, world.nature.slowness = world.draw.uniform(2, 15), world.draw.uniform(0.02, 1.0)
    world.witness.troubles.append((world.time - 1, world.time + seconds + 10))
    world.store_troubles.append((world.time, world.time + seconds + 10))
    world.note("slow disk")
    world.later(seconds, _quick_again, world)


def _quick_again(world: World) -> None:
    world.nature.slowness = 0.0


def _step_clock(world: World) -> None:
    """Where machines share a store all go by its clock: theirs matter until the store tells the time again."""
    draw = world.draw
    if world.nature.shares_store and draw.random() < 0.6:
        seconds = draw.choice([-20.0, -5.0, 5.0, 30.0])
        draw.choice(world.walls).off += micros(seconds)
        world.has_set_machines = True
        world.note("clock of a machine", seconds)
        return
    if world.is_astray:
        return
    seconds = draw.choice([5.0, 40.0, 90.0, 700.0]) if draw.random() < 0.5 else -draw.choice([5.0, 20.0, 60.0])
    set_back = -sum(step for _, step in world.witness.clock_steps if -DAY < step < 0)
    if set_back - min(0, micros(seconds)) <= micros(MOST_SET_BACK):
        set_clock(world, seconds)


def _go_astray(world: World) -> None:
    """Once in a world somebody types another date, and sees it soon after."""
    if world.is_astray or world.witness.astray:
        return
    world.is_astray = True
    set_clock(world, world.draw.uniform(1.2, 3.0) * DAY / SECOND)
    world.later(world.draw.uniform(3, 30), come_back, world)


def come_back(world: World) -> None:
    """The clock that was days ahead is right again."""
    if world.is_astray:
        world.is_astray = False
        world.witness.astray.append((world.time, world.wall.now()))
        set_clock(world, -max(step for _, step in world.witness.clock_steps) / SECOND)


def set_clock(world: World, seconds: float) -> None:
    world.witness.clock_steps.append((world.time, micros(seconds)))
    world.wall.off += micros(seconds)
    world.note("clock", seconds)


def _lose_keeper(world: World) -> None:
    found = [keeper for keeper in world.machines.keepers if not keeper.lost and keeper.children]
    if found:
        keeper = world.draw.choice(found)
        world.machines.lose(keeper, with_children=world.draw.random() < 0.5)


def _silence(world: World) -> None:
    world.witness.troubles.append((world.time - 1, world.time + 30))
    for keeper in world.machines.keepers:
        if world.draw.random() < 0.5:
            keeper.silent_until = world.time + world.draw.uniform(1, 20)


def _take_host_away(world: World) -> None:
    host = f"h{world.draw.randrange(6)}"
    world.machines.offline.add(host)
    world.note("offline", host)
    world.later(world.draw.uniform(5, 45), world.machines.offline.discard, host)


BREAK: Mapping[str, Callable[[World], None]] = {
    "crash": _crash, "freeze": _freeze, "asleep": _put_to_sleep, "cutoff": _cut_off, "away": _away, "slow": _slow,
    "clock": _step_clock, "keeper": _lose_keeper, "silence": _silence, "offline": _take_host_away,
    "astray": _go_astray,
}  # fmt: skip


def heal(world: World) -> None:
    """From now on nothing breaks, and what is broken works again. Who is dead stays dead."""
    come_back(world)
    world.nature.heal()
    world.away_until = 0.0
    world.rests_until.clear()
    world.machines.offline.clear()
    for keeper in world.machines.keepers:
        keeper.silent_until = 0.0
    for child in world.machines.children:
        if child.result is None and child.killer is not None and child.killer.when() > world.time + 60:
            world.machines.kill(child, "timeout")
    for process in world.processes:
        process.cut_off_until = 0.0
        world.thaw(process)
    now = world.wall.now()
    world.sql("UPDATE pause SET ended_at = ? WHERE ended_at IS NULL", now)
    world.witness.pauses[:] = [(since, min(until, now), when) for since, until, when in world.witness.pauses]
    world.note("healed")
