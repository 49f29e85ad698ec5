"""A world in which nothing is drawn: one daemon lives through a clock that is two days ahead for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.domain.instant import DAY, SECOND
from rota.engine import clock_watch
from tests.simulation import wrong_leases
from tests.simulation.check_coverage import check_coverage
from tests.simulation.facts import Facts
from tests.simulation.mutants import ALL
from tests.simulation.sabotage import Mutant, instead
from tests.simulation.undrawn import a_job_by_the_clock, a_world_of
from tests.simulation.weather import come_back, set_clock
from tests.simulation.world import World

STEPS_OVERLOOKED = Mutant(
    "steps-overlooked", "nobody looks whether the clock was set",
    (instead(clock_watch.ClockWatch, "_look", wrong_leases.leave_alone),),
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world_of(a_job_by_the_clock(), tmp_path) as world:
        yield world


async def a_clock_goes_astray(world: World) -> int:
    """How many starts there are once it is right."""
    world.start("daemon", 0)
    await asyncio.sleep(100)
    world.is_astray = True
    set_clock(world, 2 * DAY / SECOND)
    await asyncio.sleep(20)
    come_back(world)
    before = len(world.witness.lives)
    await asyncio.sleep(4 * 45)
    return len(world.witness.lives) - before


def test_schedules_go_on_once_the_clock_is_right(world: World) -> None:
    assert world.loop.run_until_complete(a_clock_goes_astray(world)) == 4
    assert list(check_coverage(Facts(world))) == []


@pytest.mark.parametrize("mutant", [STEPS_OVERLOOKED, ALL["ahead-kept"]], ids=lambda mutant: mutant.name)
def test_that_nobody_sees_to_it_is_noticed(world: World, mutant: Mutant) -> None:
    """In a world of its own: in those that are drawn most daemons are soon started anew, and see to it then."""
    with mutant.planted():
        assert world.loop.run_until_complete(a_clock_goes_astray(world)) == 0
