"""Worlds in which nothing is drawn: a test says what happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rota.domain.job import JobSpec, NamedTrigger
from tests.simulation.instants import Every
from tests.simulation.jobs import TRIGGER, Job, steps
from tests.simulation.nature import Nature, Recipe
from tests.simulation.people import settle_in
from tests.simulation.world import World

FOREVER = 10_000.0
ENDLESS = Recipe(1e9, FOREVER)
RHYTHM = Every(45)


def an_endless_job() -> Job:
    """By hand; its children live on until they are ended."""
    return Job(JobSpec(name="long", steps=steps("long", 1, timeout_seconds=FOREVER)), None, ENDLESS)


def a_job_by_the_clock() -> Job:
    """Every 45 s."""
    spec = JobSpec(name="job", triggers=(NamedTrigger(name=TRIGGER, rule=RHYTHM.rule),), steps=steps("job", 1))
    return Job(spec, RHYTHM, Recipe())


@contextmanager
def a_world_of(job: Job, folder: Path, *, shares_store: bool = False, hangs: bool = False) -> Iterator[World]:
    """With no faults but those that the test brings about."""
    nature = Nature(random.Random(1), shares_store=shares_store, hangs=hangs, recipes={job.name: job.recipe})
    world = World(1, folder, nature)
    world.jobs = [job]
    settle_in(world)
    asyncio.set_event_loop(world.loop)
    try:
        yield world
    finally:
        asyncio.set_event_loop(None)
        world.end()
