"""A queued target is claimed by one owner, within the caps, with its intent written."""

from __future__ import annotations

from rota.storage.rescue import take_over
from tests.contract.store_world import StoreWorld


async def test_a_claimed_target_is_not_given_to_a_second_owner(world: StoreWorld) -> None:
    await world.make(targets=30, targets_at_once=30, owner=None)
    first = await world.claim("own_a", slots=12)
    second = await world.claim("own_b", slots=100)
    assert len(first) == 12
    assert {one.target_id for one in first} | {one.target_id for one in second} == set(range(1, 31))
    assert len(second) == 18


async def test_a_claim_writes_the_intent_and_starts_the_run(world: StoreWorld) -> None:
    await world.make(owner=None)
    world.clock.advance(3)
    [work] = await world.claim()
    assert await world.sql("SELECT id, step, number, state, intended_at FROM attempt") == [
        (work.attempt_id, 0, 1, "running", world.clock.now())
    ]
    assert await world.runs("state, started_at") == [("running", world.clock.now())]


async def test_the_fence_grows_with_each_claim(world: StoreWorld) -> None:
    await world.make(owner=None)
    [work] = await world.claim("own_a")
    [taken] = await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    assert (work.fence, taken.work.fence) == (1, 2)


async def test_a_claim_takes_the_larger_priority_first(world: StoreWorld) -> None:
    for priority in (0, -3, 7):
        await world.make(owner=None, priority=priority)
    claimed = [(await world.claim(slots=1))[0].run_id for _ in range(3)]
    assert claimed == [3, 1, 2]


async def test_no_slots_means_no_work(world: StoreWorld) -> None:
    await world.make(owner=None)
    assert await world.claim(slots=0) == []


async def test_a_command_claims_only_of_the_runs_it_made(world: StoreWorld) -> None:
    for _ in range(3):
        await world.make(owner=None)
    [work] = await world.claim(only_runs={2})
    assert work.run_id == 2
    assert await world.claim(only_runs=set()) == []


async def test_a_run_whose_end_was_asked_for_gives_out_no_more_targets(world: StoreWorld) -> None:
    run_id, _ = await world.make(targets=4, targets_at_once=2)
    await world.cancel(run_id)
    assert await world.claim() == []
