"""The loop of virtual time keeps what asyncio promises, and nothing more."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from tests.simulation.loop import PROCESS, Stalled, VirtualLoop


class Someone:
    is_stopped = False


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop(random.Random(1))
    yield made
    made.close()


def begin(loop: VirtualLoop, process: Someone, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    context = copy_context()
    context.run(PROCESS.set, process)
    return loop.create_task(work, context=context)


def test_an_hour_passes_at_once(loop: VirtualLoop) -> None:
    loop.run_until_complete(asyncio.sleep(3600))
    assert loop.time() == 3600


def test_within_a_process_callbacks_run_in_their_order(loop: VirtualLoop) -> None:
    seen: list[int] = []

    async def ask() -> None:
        for number in range(50):
            loop.call_soon(seen.append, number)
        await asyncio.sleep(1)

    loop.run_until_complete(ask())
    assert seen == list(range(50))


def test_between_processes_the_order_is_drawn(loop: VirtualLoop) -> None:
    seen: list[str] = []

    async def say(word: str) -> None:
        for _ in range(20):
            seen.append(word)
            await asyncio.sleep(0)

    tasks = [begin(loop, Someone(), say(word)) for word in ("a", "b")]
    loop.run_until_complete(asyncio.wait(tasks))
    assert sorted(seen) == ["a"] * 20 + ["b"] * 20
    assert seen not in (["a"] * 20 + ["b"] * 20, ["a", "b"] * 20)


def test_a_stopped_process_does_nothing_until_it_is_thawed(loop: VirtualLoop) -> None:
    seen: list[float] = []

    async def tick() -> None:
        await asyncio.sleep(1)
        seen.append(loop.time())

    process = Someone()
    task = begin(loop, process, tick())
    process.is_stopped = True
    loop.run_until_complete(asyncio.sleep(10))
    assert seen == []
    process.is_stopped = False
    loop.thaw(process)
    loop.run_until_complete(asyncio.wait([task]))
    assert seen == [11]


def test_tasks_are_in_the_same_places_of_a_set_in_each_world_of_a_seed() -> None:
    async def hashes() -> list[int]:
        tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(20)]
        await asyncio.wait(tasks)
        return [hash(task) for task in tasks]

    def world() -> list[int]:
        loop = VirtualLoop(random.Random(1))
        try:
            return loop.run_until_complete(hashes())
        finally:
            loop.close()

    assert world() == world()


def test_when_nothing_can_happen_any_more_it_says_so(loop: VirtualLoop) -> None:
    future = loop.create_future()
    with pytest.raises(Stalled):
        loop.run_until_complete(future)
