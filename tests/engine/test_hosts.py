"""The hosts of a claim are read together, and each only once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from rota.domain.inventory import Host
from rota.engine import hosts as hosts_module
from rota.engine.hosts import Hosts
from rota.ports import Store, Tx
from rota.storage.inventory import HostRow, insert_hosts
from tests.support.world import World

T = TypeVar("T")


class Counting:
    """A store that counts how often it is read."""

    def __init__(self, store: Store) -> None:
        self._store, self.reads = store, 0
        self.write = store.write

    async def read(self, fn: Callable[[Tx], T]) -> T:
        self.reads += 1
        await asyncio.sleep(0)  # this world's store answers within the call; a daemon's has threads for that
        return await self._store.read(fn)


@pytest.fixture
def store(world: World) -> Counting:
    return Counting(world.store)


@pytest.fixture
async def saved(world: World) -> Sequence[HostRow]:
    hosts = [Host(name=f"web{n}", connector="ssh", address=f"10.0.0.{n}") for n in range(1, 51)]
    return await world.store.write(lambda tx: insert_hosts(tx, hosts))


async def asked_together(hosts: Hosts, saved: Sequence[HostRow]) -> list[str | None]:
    found = await asyncio.gather(*(hosts.of(row.host.name, row.version_id) for row in saved))
    return [one.host.address for one in found]


async def test_fifty_hosts_that_are_asked_for_at_once_take_two_reads(store: Counting, saved: Sequence[HostRow]) -> None:
    assert await asked_together(Hosts(store), saved) == [row.host.address for row in saved]
    assert store.reads <= 2


async def test_a_host_is_read_once(store: Counting, saved: Sequence[HostRow]) -> None:
    hosts = Hosts(store)
    await asked_together(hosts, saved)
    before = store.reads
    await asked_together(hosts, saved)
    assert store.reads == before


async def test_of_more_versions_than_are_kept_each_is_still_found(
    store: Counting, saved: Sequence[HostRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts_module, "KEPT", 10)
    hosts = Hosts(store)
    for row in saved:
        assert (await hosts.of(row.host.name, row.version_id)).host.address == row.host.address
    before = store.reads
    await hosts.of(saved[0].host.name, saved[0].version_id)
    assert store.reads == before + 1


async def test_one_who_asks_and_leaves_keeps_nobody_from_an_answer(store: Counting, saved: Sequence[HostRow]) -> None:
    hosts = Hosts(store)
    leaving = asyncio.create_task(hosts.of("web1", saved[0].version_id))
    others = asyncio.create_task(asked_together(hosts, saved))
    await asyncio.sleep(0)  # all have asked
    leaving.cancel()
    assert (await others)[0] == "10.0.0.1"
