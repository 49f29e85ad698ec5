"""Two runs that lock their hosts never work on one at the same time; who must wait is told for whom."""

from __future__ import annotations

from rota.domain.reasons import Reason
from rota.domain.run import CONTROLLER
from rota.domain.states import TargetState
from rota.ports import Member
from rota.storage.admission import what_waits
from rota.storage.parking import next_look
from rota.storage.runs import targets_of
from tests.contract.store_world import StoreWorld
from tests.storage.fleet import FAILED, a_run, locks, names, park, targets


async def test_a_target_takes_its_host_with_its_claim_and_gives_it_back_with_its_end(world: StoreWorld) -> None:
    run_id = await a_run(world, 2, lock_hosts=True)
    work = await world.claim()
    assert await locks(world) == [("host-00000", run_id), ("host-00001", run_id)]
    await world.end(work[0])
    assert await locks(world) == [("host-00001", run_id)]


async def test_a_second_run_waits_for_the_hosts_of_the_first(world: StoreWorld) -> None:
    await a_run(world, 2, lock_hosts=True)
    first = await world.claim()
    second = await a_run(world, 3, lock_hosts=True)
    assert names(await world.claim("own_b")) == ["host-00002"]
    await world.end(first[0], state=FAILED)
    assert names(await world.claim("own_b")) == ["host-00000"]
    assert await targets(world, where=f"run_id = {second}") == ["running", "queued", "running"]


async def test_who_waits_says_for_which_host_and_who_holds_it(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True, title="nightly-backup")
    await world.claim()
    waits = await a_run(world, 1, lock_hosts=True)
    await world.claim()
    [target] = await world.store.read(lambda tx: targets_of(tx, waits))
    holder = await world.one("SELECT public_id FROM run WHERE id = 1")
    assert (target.waiting_for, target.reason, target.held_by, target.held_by_title) == (
        "host", Reason.HOST_LOCKED, holder, "nightly-backup",
    )  # fmt: skip


async def test_a_run_that_does_not_lock_neither_waits_nor_holds(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True)
    await world.claim()
    await a_run(world, 1)
    assert len(await world.claim()) == 1
    assert len(await locks(world)) == 1


async def test_of_several_that_wait_the_larger_priority_is_next(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True)
    first = await world.claim()
    await a_run(world, 1, lock_hosts=True)
    urgent = await a_run(world, 1, lock_hosts=True, priority=5)
    assert await world.claim() == []
    await world.end(*first)
    [work] = await world.claim()
    assert work.run_id == urgent


async def test_a_retry_keeps_the_host(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True)
    [work] = await world.claim()
    await park(world, work, 60)
    await a_run(world, 1, lock_hosts=True)
    assert await world.claim() == []
    world.clock.advance(60)
    [again] = await world.claim()
    assert again.run_id == 1


async def test_who_waits_for_an_offline_host_before_its_first_step_gives_it_back(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True)
    [work] = await world.claim()
    await park(world, work, 30, reason=Reason.CONNECT_REFUSED, begun=False)
    assert await locks(world) == []
    other = await a_run(world, 1, lock_hosts=True)
    [claimed] = await world.claim()
    assert claimed.run_id == other


async def test_a_cancelled_run_gives_back_what_it_kept_between_two_tries(world: StoreWorld) -> None:
    run_id = await a_run(world, 1, lock_hosts=True)
    [work] = await world.claim()
    await park(world, work, 60)
    await world.cancel(run_id)
    assert await locks(world) == []


async def test_a_cancelled_run_keeps_the_host_until_its_processes_are_gone(world: StoreWorld) -> None:
    run_id = await a_run(world, 1, lock_hosts=True)
    [work] = await world.claim()
    await world.cancel(run_id)
    assert len(await locks(world)) == 1
    await world.end(work, state=TargetState.CANCELLED)
    assert await locks(world) == []


async def test_nobody_waits_for_a_host_beyond_the_time_of_the_run(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True)
    await world.claim()
    await a_run(world, 2, lock_hosts=True, run_timeout=60)
    began = world.clock.now()
    assert names(await world.claim()) == ["host-00001"]
    assert await world.store.read(lambda tx: next_look(tx, None)) == began + 60_000_000
    world.clock.advance(60)
    assert await world.claim() == []
    assert await targets(world, "state, reason", "run_id = 2 AND host = 'host-00000'") == [("timed_out", "run_timeout")]


async def test_the_time_of_a_run_begins_with_its_first_target(world: StoreWorld) -> None:
    """Before that it waits for its host as long as it takes."""
    await a_run(world, 1, lock_hosts=True)
    [first] = await world.claim()
    await a_run(world, 1, lock_hosts=True, run_timeout=60)
    assert await world.claim() == []
    world.clock.advance(3000)
    assert await world.claim() == []
    await world.end(first)
    assert len(await world.claim()) == 1


async def test_one_locked_out_before_its_run_began_waits_no_longer_than_the_run(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True)
    await world.claim()
    await a_run(world, 2, lock_hosts=True, batch="1", max_fail="100%", run_timeout=60)
    assert await world.claim() == []
    await world.sql("UPDATE run_fanout SET open_batch = 2 WHERE run_id = 2")
    world.clock.advance(100)
    assert names(await world.claim()) == ["host-00001"]
    world.clock.advance(60)
    await world.claim()
    assert await targets(world, "state", "run_id = 2") == ["timed_out", "running"]


async def test_who_waits_for_a_host_is_worth_looking_at_again(world: StoreWorld) -> None:
    await a_run(world, 1, lock_hosts=True)
    await world.claim()
    await a_run(world, 1, lock_hosts=True)
    await world.claim()
    assert (await world.store.read(what_waits)).is_anything


async def test_what_runs_on_no_host_locks_nothing(world: StoreWorld) -> None:
    for _ in range(2):
        await a_run(world, [Member(CONTROLLER, None, "local")], lock_hosts=True)
    assert len(await world.claim()) == 2
    assert await locks(world) == []
