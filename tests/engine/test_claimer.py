"""Where writes go on beside each other, what waits is claimed beside the commits of what has ended (decision 29)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from rota.domain.instant import SECOND, Micros
from rota.engine.claimer import Claimer, Looked
from rota.engine.reporter import Reporter
from rota.ports import Tx
from rota.storage.admission import Waiting
from rota.storage.work import Settled
from tests.engine.test_starts_first import a_verdict
from tests.support.clock import NOON, ManualClock

Kind = Literal["ends", "look", "both"]


class Slow:
    """A store whose commits are under way until the test ends them: of ends, a look, or both."""

    def __init__(self, *, is_apart: bool) -> None:
        self._is_apart = is_apart
        self._under_way: list[tuple[Kind, asyncio.Future[Any]]] = []

    async def write(self, fn: Callable[[Tx], Any]) -> Any:
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        kind: Kind = "look" if not hasattr(fn, "keywords") else "ends" if self._is_apart else "both"
        self._under_way.append((kind, ended))
        return await ended

    async def read(self, fn: Callable[[Tx], Any]) -> Any:
        raise NotImplementedError

    def close(self) -> None: ...

    @property
    def under_way(self) -> list[Kind]:
        return [kind for kind, _ in self._under_way]

    async def end(self, kind: Kind, *, look_at: Micros | None = None) -> None:
        ((_, ended),) = found = [each for each in self._under_way if each[0] == kind]
        self._under_way.remove(found[0])
        settled = Settled({}, set(), [])
        looked = Looked(settled, [], Waiting(is_anything=False, turn_at=None, expires_at=None), look_at)
        ended.set_result(looked if kind == "look" else (settled, looked if kind == "both" else None))
        await quiet()


async def quiet() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def at_work(*, is_apart: bool) -> AsyncIterator[tuple[Reporter, Claimer, Slow, ManualClock]]:
    clock, store = ManualClock(), Slow(is_apart=is_apart)
    claimer = Claimer(
        store, clock, "own", slots=lambda: 0, only_runs=None, is_apart=is_apart, on_work=lambda _: None,
        on_settled=lambda *_: None,
    )  # fmt: skip
    reporter = Reporter(store, clock, claimer, slots=lambda: 0, on_settled=lambda *_: None)
    tasks = [asyncio.create_task(each.run()) for each in (reporter, claimer)]
    yield reporter, claimer, store, clock
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def report(reporter: Reporter, number: int = 1) -> None:
    reporter.add([a_verdict(number)])
    await quiet()


async def test_one_settles_while_the_other_claims() -> None:
    async with at_work(is_apart=True) as (reporter, _, store, _):
        await report(reporter)
        await store.end("ends")
        assert store.under_way == ["look"]
        await report(reporter, 2)
        assert store.under_way == ["look", "ends"]


async def test_a_look_that_began_before_something_ended_is_followed_by_another() -> None:
    async with at_work(is_apart=True) as (reporter, claimer, store, _):
        claimer.look()
        await report(reporter)
        await store.end("ends")
        assert store.under_way == ["look"]
        await store.end("look")
        assert store.under_way == ["look"]


async def test_with_one_writer_the_commit_of_what_ended_looks_too() -> None:
    async with at_work(is_apart=False) as (reporter, _, store, _):
        await report(reporter)
        assert store.under_way == ["both"]
        await store.end("both")
        assert store.under_way == []


async def test_a_moment_that_the_commit_of_what_ended_saw_is_kept() -> None:
    async with at_work(is_apart=False) as (reporter, _, store, clock):
        await report(reporter)
        await store.end("both", look_at=NOON + 3 * SECOND)
        clock.advance(2)
        await quiet()
        assert store.under_way == []
        clock.advance(1)
        await quiet()
        assert store.under_way == ["look"]
