"""Caps of one host, one group of hosts, one job: whichever of them is used up holds, and none is ever overshot."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.domain.inventory import Group, Host
from rota.ports import Tx
from rota.storage import inventory, limits
from rota.storage.work import Assignment
from tests.contract.store_world import StoreWorld
from tests.storage.fleet import a_run, a_start, hosts, names


async def limit(world: StoreWorld, key: str, cap: int) -> None:
    await world.store.write(lambda tx: limits.set_limit(tx, key, cap))


async def a_group(world: StoreWorld, name: str, *members: int) -> None:
    """Hosts of the inventory, under the names that runs of these tests use, and the group that they are in."""

    def save(tx: Tx) -> None:
        inventory.insert_groups(tx, [Group(name=name)])
        groups = frozenset({name})
        inventory.insert_hosts(
            tx, [Host(name=f"host-{place:05}", connector="ssh", address="::1", groups=groups) for place in members]
        )

    await world.store.write(save)


async def test_a_host_works_for_no_more_runs_at_a_time_than_its_limit_says(world: StoreWorld) -> None:
    await limit(world, "host:host-00001", 1)
    for _ in range(2):
        await a_run(world, 2)
    assert names(await world.claim()) == ["host-00000", "host-00001", "host-00000"]


async def test_a_groups_limit_holds_over_all_its_hosts_and_runs(world: StoreWorld) -> None:
    await a_group(world, "db", 0, 1, 2)
    await limit(world, "group:db", 2)
    await a_run(world, 5)
    work = await world.claim()
    assert names(work) == ["host-00000", "host-00001", "host-00003", "host-00004"]
    await world.end(work[0])
    assert names(await world.claim()) == ["host-00002"]


async def test_a_jobs_limit_holds_over_all_its_runs_and_leaves_the_others_alone(world: StoreWorld) -> None:
    await limit(world, "job:busy", 3)
    busy = await world.a_job("busy", enabled=False)
    for _ in range(2):
        await world.make(busy, targets=2, owner=None)
    other, _ = await world.make(targets=2, owner=None)
    work = await world.claim()
    assert [one.run_id for one in work] == [1, 1, 2, other, other]
    await world.end(work[0])
    assert [one.run_id for one in await world.claim()] == [2]


async def test_the_runs_of_a_full_job_are_passed_over_in_one_leap(world: StoreWorld) -> None:
    await limit(world, "job:busy", 0)
    busy = await world.a_job("busy", enabled=False)
    await world.make(busy, targets=2000, targets_at_once=2000)
    other = await a_run(world, 1)
    assert [one.run_id for one in await world.claim(slots=3)] == [other]


async def test_a_limit_of_what_is_not_there_limits_nothing(world: StoreWorld) -> None:
    for key in ("job:nobody", "group:nobody", "host:nobody", "site:nowhere"):
        await limit(world, key, 0)
    await a_run(world, 2)
    assert len(await world.claim()) == 2


async def test_all_of_them_are_told_with_what_is_used(world: StoreWorld) -> None:
    await a_group(world, "db", 0, 1)
    busy = await world.a_job("busy", enabled=False)
    await world.make(busy, targets=1)
    await a_run(world, hosts(2), owner="own_a")
    for key in ("group:db", "host:host-00000", "job:busy"):
        await limit(world, key, 9)
    assert await world.store.read(limits.all_limits) == [
        ("group:db", 9, 2), ("host:host-00000", 9, 1), ("job:busy", 9, 1), ("runs", 1000, 2),
    ]  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    caps=st.fixed_dictionaries(
        {key: st.integers(0, 4) for key in ("targets", "group:db", "host:host-00000", "job:busy", "site:lon")}
    ),
    sizes=st.lists(st.tuples(st.integers(1, 6), st.sampled_from([None, "own_a"])), min_size=1, max_size=4),
    slots=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
async def test_no_limit_is_ever_overshot(
    world: StoreWorld, caps: dict[str, int], sizes: list[tuple[int, str | None]], slots: list[int]
) -> None:
    if not await world.store.read(lambda tx: inventory.load(tx).groups):
        await a_group(world, "db", 0, 1, 2)
        await world.a_job("busy", enabled=False)
    for key, cap in caps.items():
        await limit(world, key, cap)
    started: list[Assignment] = []
    for size, owner in sizes:
        started += (await a_start(world, hosts(size, "lon"), owner=owner))[1]
        await none_is_overshot(world)
    for many in slots:
        work = await world.claim(slots=many)
        await none_is_overshot(world)
        await world.end(*work)
    await world.sql("DELETE FROM run_limit WHERE key <> 'runs'")
    while work := await world.claim():
        await world.end(*work)
    await world.end(*started)


async def none_is_overshot(world: StoreWorld) -> None:
    for row in await world.store.read(limits.all_limits):
        assert row.key == "runs" or row.used <= row.cap
