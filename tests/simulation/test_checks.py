"""What the checks must not take for a fault."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.domain.instant import DAY, SECOND
from tests.simulation.check_coverage import check_coverage
from tests.simulation.facts import Facts
from tests.simulation.people import save
from tests.simulation.undrawn import RHYTHM, a_job_by_the_clock, a_world_of
from tests.simulation.weather import set_clock
from tests.simulation.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world_of(a_job_by_the_clock(), tmp_path) as world:
        yield world


def test_an_edit_under_a_clock_far_ahead_that_leaves_the_rhythm_begins_nothing_anew(world: World) -> None:
    """Nobody planned meanwhile, so nothing is taken back; the trigger goes on from where it was."""
    (job,) = world.jobs

    async def pass_through() -> None:
        set_clock(world, 2 * DAY / SECOND)
        await save(world, job)
        set_clock(world, -2 * DAY / SECOND)
        world.start("daemon", 0)
        await asyncio.sleep(100)
        await save(world, job)
        await asyncio.sleep(30)
        await save(world, job, enabled=False)
        await asyncio.sleep(100)

    world.loop.run_until_complete(pass_through())
    assert [run.nominal for run in Facts(world).runs.values()] == [RHYTHM.anchor + n * 45 * SECOND for n in (1, 2)]
    assert list(check_coverage(Facts(world))) == []


def test_an_instant_that_nobody_settled_is_missed_though_the_job_was_edited(world: World) -> None:
    (job,) = world.jobs

    async def pass_through() -> None:
        world.start("daemon", 0)
        await asyncio.sleep(80)
        await save(world, job)
        await asyncio.sleep(80)

    world.loop.run_until_complete(pass_through())
    assert list(check_coverage(Facts(world))) == []
    world.write(lambda tx: tx.driver.execute("DELETE FROM run WHERE id = 2"))
    (found,) = check_coverage(Facts(world))
    assert "12:01:00Z was lost without a word" in found
