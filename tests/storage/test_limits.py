"""Caps on targets at work, over all runs and of a site: rows that may change at any moment."""

from __future__ import annotations

from rota.ports import Tx
from rota.storage import limits
from tests.contract.store_world import StoreWorld
from tests.storage.fleet import a_run, hosts, names, park, targets


async def limit(world: StoreWorld, key: str, cap: int) -> None:
    await world.store.write(lambda tx: limits.set_limit(tx, key, cap))


async def remove(world: StoreWorld, key: str) -> None:
    def take_away(tx: Tx) -> None:
        limits.remove_limit(tx, key)

    await world.store.write(take_away)


async def test_no_more_targets_are_at_work_than_the_limit_says(world: StoreWorld) -> None:
    await limit(world, "targets", 3)
    await a_run(world, 2)
    await a_run(world, 2)
    work = await world.claim()
    assert [one.run_id for one in work] == [1, 1, 2]
    await world.end(work[0])
    assert len(await world.claim("own_b")) == 1
    assert await world.claim() == []


async def test_what_has_room_under_all_limits_starts_at_once(world: StoreWorld) -> None:
    await limit(world, "targets", 3)
    await limit(world, "site:ber", 1)
    await limit(world, "job:another", 0)
    await a_run(world, 2, owner="own_a")
    assert await targets(world) == ["running", "running"]
    await a_run(world, [*hosts(1, "ber"), *hosts(3)[1:]], owner="own_a")
    assert await targets(world, where="run_id = 2") == ["running", "queued", "queued"]
    assert await world.claim() == []


async def test_whoever_waits_under_a_limit_goes_before_what_is_made_later(world: StoreWorld) -> None:
    await limit(world, "targets", 1)
    older = await a_run(world, 1)
    await a_run(world, 1, owner="own_a", priority=-1)
    assert await targets(world) == ["queued", "queued"]
    assert [one.run_id for one in await world.claim()] == [older]


async def test_beside_all_that_wait_there_may_be_room_to_start_at_once(world: StoreWorld) -> None:
    await limit(world, "targets", 3)
    await a_run(world, 2)
    later = await a_run(world, 2, owner="own_a")
    assert await targets(world, where=f"run_id = {later}") == ["running", "queued"]
    assert len(await world.claim()) == 2


async def test_a_site_has_a_limit_of_its_own(world: StoreWorld) -> None:
    await limit(world, "site:lon", 2)
    await a_run(world, [*hosts(4, "lon"), *hosts(6, "ber")[4:]])
    work = await world.claim()
    assert [one.host for one in work] == ["host-00000", "host-00001", "host-00004", "host-00005"]
    await world.end(work[0])
    assert names(await world.claim()) == ["host-00002"]


async def test_hosts_of_a_full_site_hide_no_other(world: StoreWorld) -> None:
    await limit(world, "site:lon", 1)
    await a_run(world, hosts(1000, "lon"))
    other = await a_run(world, hosts(2, "ber"))
    assert [one.run_id for one in await world.claim(slots=3)] == [1, other, other]


async def test_hosts_without_a_site_are_in_no_limit_of_one(world: StoreWorld) -> None:
    await limit(world, "site:lon", 0)
    await a_run(world, 3)
    assert len(await world.claim()) == 3


async def test_a_limit_counts_what_ran_before_it_was_set(world: StoreWorld) -> None:
    await a_run(world, 3, owner="own_a")
    await limit(world, "targets", 4)
    await a_run(world, 3)
    assert len(await world.claim()) == 1


async def test_a_limit_that_is_raised_or_taken_away_is_so_with_the_next_claim(world: StoreWorld) -> None:
    await limit(world, "targets", 1)
    await a_run(world, 10)
    assert len(await world.claim()) == 1
    await limit(world, "targets", 4)
    assert len(await world.claim()) == 3
    await remove(world, "targets")
    assert len(await world.claim()) == 6


async def test_what_is_parked_is_not_at_work(world: StoreWorld) -> None:
    await limit(world, "targets", 1)
    await a_run(world, 2)
    [work] = await world.claim()
    await park(world, work, 60)
    assert len(await world.claim()) == 1


async def test_all_limits_are_told_with_what_is_used_of_them(world: StoreWorld) -> None:
    await limit(world, "targets", 10)
    await limit(world, "site:lon", 5)
    await a_run(world, [*hosts(2, "lon"), *hosts(3, "ber")[2:]])
    await world.claim()
    assert await world.store.read(limits.all_limits) == [("runs", 1000, 1), ("site:lon", 5, 2), ("targets", 10, 3)]
