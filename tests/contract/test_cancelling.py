"""Cancelling is durable, and ends at once what nobody has begun."""

from __future__ import annotations

import pytest

from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import TargetState
from rota.storage.rescue import cancels_for
from tests.contract.store_world import StoreWorld
from tests.support.clock import NOON


async def test_cancelling_what_runs_is_an_order_to_its_owner(world: StoreWorld) -> None:
    run_id, _ = await world.make()
    order = await world.cancel(run_id)
    assert order == (run_id, Reason.USER_CANCELLED)
    assert await world.runs("state, cancel_reason, cancel_requested_at") == [("running", Reason.USER_CANCELLED, NOON)]
    assert await world.store.read(lambda tx: cancels_for(tx, "own_a")) == [(run_id, Reason.USER_CANCELLED)]
    assert await world.store.read(lambda tx: cancels_for(tx, "own_b")) == []


@pytest.mark.parametrize("targets", [1, 3])
async def test_cancelling_what_is_queued_ends_it_at_once(world: StoreWorld, targets: int) -> None:
    job = await world.a_job()
    run_id, _ = await world.make(job, targets=targets, owner=None)
    assert await world.cancel(run_id) is None
    assert await world.runs("state, reason, message, ok") == [
        ("cancelled", Reason.USER_CANCELLED, EXPLANATIONS[Reason.USER_CANCELLED], 0)
    ]
    assert (await world.used(), await world.active(job)) == (0, 0)


async def test_cancelling_what_waits_ends_it_at_once_and_frees_no_slot(world: StoreWorld) -> None:
    await world.cap(1)
    await world.make()
    run_id, _ = await world.make()
    assert await world.cancel(run_id) is None
    assert (await world.runs(), await world.used()) == (["running", "cancelled"], 1)
    assert await world.runs("waiting_for") == [None, None]


async def test_cancelling_ends_the_queued_targets_and_asks_for_the_others(world: StoreWorld) -> None:
    run_id, work = await world.make(targets=5, targets_at_once=2)
    assert await world.cancel(run_id) == (run_id, Reason.USER_CANCELLED)
    assert await world.runs("state, open_targets") == [("running", 2)]
    await world.end(*work, state=TargetState.CANCELLED, reason=Reason.USER_CANCELLED)
    assert await world.runs("state, ok, open_targets") == [("cancelled", 0, 0)]


async def test_cancelling_twice_or_too_late_is_told(world: StoreWorld) -> None:
    run_id, work = await world.make()
    await world.cancel(run_id)
    assert await world.cancel(run_id, Reason.SHUTDOWN) is False
    await world.end(*work, state=TargetState.CANCELLED, reason=Reason.USER_CANCELLED)
    assert await world.cancel(run_id) is False
    assert await world.runs("cancel_reason") == [Reason.USER_CANCELLED]


async def test_what_succeeded_before_the_cancel_arrived_stays_succeeded(world: StoreWorld) -> None:
    run_id, [work] = await world.make()
    await world.cancel(run_id)
    await world.end(work)
    assert await world.runs() == ["succeeded"]
