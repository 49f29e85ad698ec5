"""Two processes on one PostgreSQL database, one of them stopped between two statements of its transaction.

`test_races` lets many run and hopes that they meet; here they meet where the test says. Each node has its own line to
the server, which is held up at a chosen word while the other one goes as far as it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import pytest

from rota.engine.launcher import _launch
from rota.storage.postgres import PostgresStore
from rota.storage.rescue import Rescued, take_over
from tests.contract.store_world import StoreWorld, a_postgres_store
from tests.support.clock import ManualClock
from tests.support.daemon import until
from tests.support.postgres import emptied
from tests.support.postgres_proxy import Hold, Proxy, a_proxy

T = TypeVar("T")


@dataclass
class Node(StoreWorld):
    """One process, and its line to the server."""

    store: PostgresStore
    proxy: Proxy = field(kw_only=True)

    async def loaded(self) -> None:
        """Have the cards of what is due in the next minute, as a planner has."""
        await self.load_ahead(60)

    async def launch(self, request: Any, owner: str = "own_b") -> Any:
        """What a person's trigger does in the store."""
        return await self.store.write(lambda tx: _launch(tx, request, owner, 1000))

    async def take_over(self, dead: str, owner: str) -> list[Rescued]:
        return await self.store.write(lambda tx: take_over(tx, dead, owner))

    async def a_waiting_run(self, **fields: Any) -> int:
        """A run that waited for the only slot, which is free now."""
        await self.cap(1)
        _, work = await self.make()
        run_id, _ = await self.make(**fields)
        await self.end(*work)
        return run_id


@pytest.fixture
def nodes(store_database: str) -> Iterator[tuple[Node, Node]]:
    """Two processes on one database, whose clocks agree."""
    clock = ManualClock()
    with ExitStack() as stack:
        a_postgres_store(emptied(store_database), clock).close()
        made = []
        for _ in range(2):
            proxy = stack.enter_context(a_proxy(store_database))
            store = PostgresStore(proxy.url, clock=clock)
            stack.callback(store.close)
            made.append(Node(store, clock, proxy=proxy))
        yield made[0], made[1]


@pytest.fixture
def one(nodes: tuple[Node, Node]) -> Node:
    """The process that is held up."""
    return nodes[0]


@pytest.fixture
def other(nodes: tuple[Node, Node]) -> Node:
    """The process that goes on meanwhile."""
    return nodes[1]


@pytest.fixture
def url(store_database: str) -> str:
    return store_database


async def meet(hold: Hold, held: Awaitable[T], meanwhile: Awaitable[Any], url: str) -> tuple[T, Any]:
    """Have `held` stop at its hold, `meanwhile` go as far as it can, which may be its end, and both end then."""
    first = asyncio.ensure_future(held)
    await hold.reached()
    second = asyncio.ensure_future(meanwhile)
    waiting = asyncio.ensure_future(asyncio.to_thread(until, lambda: second.done() or is_somebody_blocked(url)))
    await waiting
    hold.release()
    return await first, await second


async def pass_by(hold: Hold, held: Awaitable[T], meanwhile: Awaitable[Any]) -> tuple[T, Any]:
    """As `meet`, where `meanwhile` must come to its end while `held` still stands."""
    first = asyncio.ensure_future(held)
    await hold.reached()
    after = await asyncio.wait_for(meanwhile, 20)
    hold.release()
    return await first, after


def is_somebody_blocked(url: str) -> bool:
    """Whether a connection to this database waits for another's lock."""
    with psycopg.connect(url, autocommit=True) as watcher:
        query = "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted"
        return watcher.execute(query + " AND datname = current_database()").fetchone() is not None
