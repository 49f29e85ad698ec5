"""Where writes go on beside each other the reporter commits in two lanes (decision 29)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from rota.domain.instant import SECOND, Micros
from rota.engine.reporter import LANES, WORTH_SHARING, Reporter, Waits
from rota.ports import Tx
from rota.storage.work import Settled
from tests.engine.test_starts_first import a_verdict
from tests.support.clock import NOON, ManualClock

NOTHING = (False, None, None)


class Slow:
    """A store whose commits are under way until they are told to end, and then say what waits."""

    def __init__(self) -> None:
        self.under_way: list[tuple[int, asyncio.Future[tuple[bool, Micros | None, Micros | None]]]] = []

    async def write(self, fn: Callable[[Tx], Any]) -> Any:
        assert isinstance(fn, partial)
        ended = asyncio.get_running_loop().create_future()
        self.under_way.append((len(fn.keywords["reports"]), ended))
        return Settled({}, set(), []), [], Waits(*await ended)

    async def read(self, fn: Callable[[Tx], Any]) -> Any:
        raise NotImplementedError

    def close(self) -> None: ...

    @property
    def sizes(self) -> list[int]:
        return [size for size, _ in self.under_way]

    async def end(self, place: int, *waits: Any) -> None:
        self.under_way[place][1].set_result(waits or NOTHING)
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def at_work(lanes: int = LANES) -> AsyncIterator[tuple[Reporter, Slow, ManualClock]]:
    clock = ManualClock()
    store = Slow()
    reporter = Reporter(
        store, clock, "own", slots=lambda: 0, only_runs=None, on_work=lambda _: None, on_settled=lambda *_: None,
        lanes=lanes,
    )  # fmt: skip
    tasks = [asyncio.create_task(reporter.run()) for _ in range(lanes)]
    yield reporter, store, clock
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def report(reporter: Reporter, count: int) -> None:
    for number in range(count):
        reporter.add([a_verdict(number)])
    await settle()


async def test_what_is_reported_while_one_commit_is_under_way_goes_with_another() -> None:
    async with at_work() as (reporter, store, _):
        await report(reporter, 1)
        await report(reporter, 3)
        await report(reporter, 5)
        assert store.sizes == [1, 3]
        await store.end(0)
        assert store.sizes == [1, 3, 5]


async def test_with_one_lane_all_of_it_waits_for_that_commit() -> None:
    async with at_work(lanes=1) as (reporter, store, _):
        await report(reporter, 1)
        await report(reporter, 3)
        await report(reporter, 5)
        assert store.sizes == [1]
        await store.end(0)
        assert store.sizes == [1, 8]


async def test_two_free_lanes_share_what_is_much() -> None:
    async with at_work() as (reporter, store, _):
        await report(reporter, 4 * WORTH_SHARING)
        assert store.sizes == [2 * WORTH_SHARING] * 2


async def test_a_moment_that_one_of_two_saw_is_kept_when_the_other_saw_none() -> None:
    async with at_work() as (reporter, store, clock):
        await report(reporter, 1)
        await report(reporter, 1)
        await store.end(0, True, NOON + 3 * SECOND, None)
        await store.end(1)
        assert reporter.something_waits
        clock.advance(2)
        await settle()
        assert len(store.under_way) == 2
        clock.advance(1)
        await settle()
        assert store.sizes == [1, 1, 0]


async def test_a_lane_at_rest_hears_of_an_earlier_moment_that_the_other_saw() -> None:
    async with at_work() as (reporter, store, clock):
        await report(reporter, 1)
        await store.end(0, False, NOON + 60 * SECOND, None)
        await report(reporter, 1)
        await store.end(1, False, NOON + SECOND, None)
        clock.advance(1)
        await settle()
        assert store.sizes == [1, 1, 0]


async def test_once_a_commit_was_alone_it_says_what_waits() -> None:
    async with at_work() as (reporter, store, _):
        await report(reporter, 1)
        await report(reporter, 1)
        await store.end(0, True, None, None)
        await store.end(1, True, None, None)
        await report(reporter, 1)
        await store.end(2)
        assert not reporter.something_waits
