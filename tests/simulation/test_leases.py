"""A world in which nothing is drawn: one home of two is cut off from the store they share, and hears no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.domain.instant import DAY, SECOND
from rota.domain.job import JobSpec
from rota.engine import leases, worker
from rota.storage.leases import Terms
from tests.simulation import wrong_leases
from tests.simulation.jobs import Job, steps
from tests.simulation.mutants import ALL
from tests.simulation.nature import Recipe
from tests.simulation.people import request_of
from tests.simulation.process import Process
from tests.simulation.sabotage import Mutant, around, instead
from tests.simulation.undrawn import FOREVER, a_world_of, an_endless_job
from tests.simulation.weather import set_clock
from tests.simulation.world import World

LOST_RUNS_ON = Mutant(
    "lost-runs-on", "who cannot renew does not end what others are about to take for lost",
    (instead(worker.Worker, "end_local", wrong_leases.leave_alone),),
)  # fmt: skip

GRACE_UNWAITED = Mutant(
    "grace-unwaited", "what a silent machine itself does is taken for lost before the grace is over",
    (around(leases, "take_from", wrong_leases.without_grace),),
)  # fmt: skip
GIVEN_UP_STAYS = Mutant(
    "given-up-stays", "who was given up goes on", (instead(leases.Leases, "_give_up", wrong_leases.leave_alone),)
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world_of(an_endless_job(), tmp_path, shares_store=True, hangs=True) as world:
        yield world


async def trigger(world: World, process: Process) -> None:
    await process.launcher.launch(await world.store.write(lambda tx: request_of(tx, world.jobs[0])))


def test_who_is_cut_off_is_not_given_up_earlier_as_the_clock_of_the_store_was_set_forward(world: World) -> None:
    """Others cannot know by that clock for how long it has been silent, and it has its children end by its own."""

    async def pass_through() -> None:
        first, _ = world.start("daemon", 0), world.start("daemon", 1)
        await asyncio.sleep(40)
        first.act(trigger(world, first))
        await asyncio.sleep(1)
        world.cut_off(first, FOREVER)
        await asyncio.sleep(1)
        set_clock(world, 2 * DAY / SECOND)
        await asyncio.sleep(200)

    world.terms = Terms("", 30 * SECOND, 40 * SECOND)
    world.loop.run_until_complete(pass_through())
    assert world.violations == []
    assert "given up own_000 by own_001" in [words for _, words in world.trace]


def test_who_died_under_a_clock_far_ahead_is_given_up_once_the_clock_is_right(world: World) -> None:
    async def pass_through() -> None:
        set_clock(world, 2 * DAY / SECOND)
        first = await one_at_work(world)
        world.cut_off(first, FOREVER)
        set_clock(world, -2 * DAY / SECOND)
        await asyncio.sleep(200)

    world.terms = Terms("", 30 * SECOND, 40 * SECOND)
    world.loop.run_until_complete(pass_through())
    assert world.violations == []
    assert "given up own_000 by own_001" in [words for _, words in world.trace]


async def one_at_work(world: World) -> Process:
    """Two homes have a daemon, which have heard of each other, and the first one's carries something out."""
    first, _ = world.start("daemon", 0), world.start("daemon", 1)
    await asyncio.sleep(world.terms.lease / SECOND + 5)
    first.act(trigger(world, first))
    await asyncio.sleep(1)
    return first


async def hears_no_answer(world: World) -> Process:
    """The first home carries something out when it is cut off, for ever."""
    lease, grace = world.terms.lease / SECOND, world.terms.grace / SECOND
    first = await one_at_work(world)
    world.cut_off(first, FOREVER)
    await asyncio.sleep(2 * (lease + grace))
    return first


@pytest.mark.parametrize(("lease", "grace"), [(30, 30), (30, 40), (20, 30), (20, 40), (60, 120), (10, 60)])
def test_who_hears_no_answer_has_ended_what_it_ran_before_it_is_given_up(world: World, lease: int, grace: int) -> None:
    world.terms = Terms("", lease * SECOND, grace * SECOND)
    first = world.loop.run_until_complete(hears_no_answer(world))
    assert world.violations == []  # none runs on when its owner is given up
    assert f"given up {first.owner} by own_001" in [words for _, words in world.trace]
    (life,) = world.witness.lives.values()
    assert life.ended < world.time


@pytest.mark.parametrize("mutant", [LOST_RUNS_ON, GRACE_UNWAITED], ids=lambda mutant: mutant.name)
def test_a_mutant_that_lets_them_run_on_is_noticed(world: World, mutant: Mutant) -> None:
    """In a world of its own: those that are drawn seldom cut off for so long who runs something."""
    world.terms = Terms("", 30 * SECOND, 40 * SECOND)
    with mutant.planted():
        world.loop.run_until_complete(hears_no_answer(world))
    assert world.violations == ["I6 att-1 runs on, and own_000 was given up"]


async def sleeps_too_long(world: World) -> Process:
    """The first home carries something out when it is frozen; it wakes when others have given it up."""
    lease, grace = world.terms.lease / SECOND, world.terms.grace / SECOND
    first = await one_at_work(world)
    world.freeze(first, 3 * (lease + grace))
    await asyncio.sleep(3 * (lease + grace) + 60)
    return first


def test_who_wakes_when_it_was_given_up_ends_what_it_ran_and_leaves(world: World) -> None:
    first = world.loop.run_until_complete(sleeps_too_long(world))
    (life,) = world.witness.lives.values()
    assert world.violations == []
    assert first.is_gone
    assert life.ended < world.time


def test_that_a_mutant_stays_is_noticed(world: World) -> None:
    """`given-up-stays`."""
    with GIVEN_UP_STAYS.planted():
        first = world.loop.run_until_complete(sleeps_too_long(world))
    (life,) = world.witness.lives.values()
    assert not first.is_gone
    assert life.ended > world.time


@pytest.fixture
def repeating(tmp_path: Path) -> Iterator[World]:
    """What it runs takes as long as it takes, and may be run again where nobody knows how it ended."""
    recipe = Recipe(1e9, 100.0, failing=0.0)
    work = steps("again", 1, timeout_seconds=FOREVER, idempotent=True)
    with a_world_of(Job(JobSpec(name="again", steps=work), None, recipe), tmp_path, shares_store=True) as world:
        world.terms = Terms("", 30 * SECOND, 40 * SECOND)
        yield world


async def sleeps_before_it_tells(world: World) -> None:
    """The first home sleeps as it is about to commit a verdict, and wakes when the second has begun it again."""
    first = await one_at_work(world)
    (life,) = world.witness.lives.values()
    while not life.told:
        await asyncio.sleep(0.01)
    first.drowsy = ("commit", (world.terms.lease + world.terms.grace) / SECOND + 30)
    await asyncio.sleep(400)


def ends(world: World) -> list[str]:
    """The end of what was begun again, and of its run, in their order."""
    return [words for _, words in world.trace if words in {"ended att-2 0", "finished 1"}]


def test_who_sleeps_before_it_tells_changes_nothing_where_another_has_begun_it_again(repeating: World) -> None:
    repeating.loop.run_until_complete(sleeps_before_it_tells(repeating))
    assert repeating.violations == []
    assert ends(repeating) == ["ended att-2 0", "finished 1"]


def test_that_its_verdict_does_not_name_its_fence_is_noticed(repeating: World) -> None:
    """`unfenced`, which few of the worlds that are drawn notice."""
    with ALL["unfenced"].planted():
        repeating.loop.run_until_complete(sleeps_before_it_tells(repeating))
    assert ends(repeating) == ["finished 1", "ended att-2 0"]
