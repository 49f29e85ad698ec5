"""A write that gives an owner work may be answered when nobody waits for the answer any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from rota.domain.errors import Unavailable
from rota.domain.reasons import Reason
from rota.domain.states import Fate, RunState
from rota.ports import Tx
from rota.storage.executor import InlineExecutor
from tests.contract.store_world import a_command, every
from tests.support.world import Process, World, a_world

T = TypeVar("T")


class Late(InlineExecutor):
    """A store that answers late: what is written is committed at once, and told when `answers` is set."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()

    async def write(self, fn: Callable[[Tx], T]) -> T:
        written = await super().write(fn)
        await self.answers.wait()
        return written


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def late(world: World) -> Late:
    late = Late()
    late.start(world.store._write_group)
    world.store._executor = late
    return late


async def being_launched(world: World, late: Late, process: Process) -> asyncio.Task[int]:
    """A run that is claimed by the store, of which the process has not heard."""
    request = await world.request(steps=[a_command()])
    late.answers.clear()
    launching = asyncio.create_task(process.launcher.launch(request))
    await world.quiet()
    assert world.connector.started == []
    return launching


async def test_what_was_claimed_is_carried_out_though_whoever_asked_went_away(world: World, late: Late) -> None:
    daemon = await world.start()
    launching = await being_launched(world, late, daemon)
    launching.cancel()
    late.answers.set()
    await world.quiet()
    assert world.connector.started == ["att-1"]


async def test_a_daemon_that_is_stopped_cancels_what_it_was_being_given(world: World, late: Late) -> None:
    daemon = await world.start()
    launching = await being_launched(world, late, daemon)
    stopping = asyncio.create_task(daemon.engine.stop("cancel", 20.0))
    await world.quiet()
    late.answers.set()
    run_id = await launching
    for _ in range(3):
        await world.advance(1)
    await stopping
    assert (await world.verdict(run_id))[:2] == (RunState.CANCELLED, Reason.SHUTDOWN)


async def test_what_a_daemon_was_being_given_as_it_left_is_the_next_ones(world: World, late: Late) -> None:
    daemon = await world.start()
    launching = await being_launched(world, late, daemon)
    await daemon.engine.stop("leave", 20.0)
    late.answers.set()
    run_id = await launching  # answered when its engine has ended
    assert world.connector.started == []
    world.dead.add("own_a")
    world.connector.fates["att-1"] = Fate.NEVER_STARTED
    second = await world.start("own_b")
    world.connector.live[0].ends()
    assert (await world.over(second, run_id))[0] is RunState.SUCCEEDED


async def test_an_instant_that_was_being_planned_as_the_daemon_left_is_the_next_ones(world: World, late: Late) -> None:
    await world.a_job("job", every(30), steps=[a_command()])
    daemon = await world.start()
    late.answers.clear()
    await world.advance(30)
    await daemon.engine.stop("leave", 20.0)
    late.answers.set()
    await world.quiet()
    assert world.connector.started == []
    world.dead.add("own_a")
    world.connector.fates["att-1"] = Fate.NEVER_STARTED
    await world.start("own_b")
    assert world.connector.started == ["att-1"]


async def test_a_daemon_that_ends_takes_on_nothing_more(world: World) -> None:
    daemon = await world.start()
    await daemon.engine.stop("leave", 20.0)
    with pytest.raises(Unavailable, match="is ending"):
        await world.trigger(daemon, steps=[a_command()])
    assert await world.one("SELECT count(*) FROM run") == 0
