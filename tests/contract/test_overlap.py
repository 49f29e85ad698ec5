"""What becomes of an occurrence whose job is still at it: skip, allow, cancel_running."""

from __future__ import annotations

import pytest

from rota.domain.instant import MINUTE
from rota.domain.policy import Overlap
from rota.domain.reasons import Reason
from rota.domain.states import TargetState
from tests.contract.store_world import MINUTELY, StoreWorld, cron
from tests.support.clock import NOON


async def test_skip_leaves_the_running_one_alone_and_says_which_it_was(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.SKIP)
    world.clock.advance(60)
    await world.plan()
    world.clock.advance(60)
    planned = await world.plan()
    assert planned.work == []
    assert await world.runs("id, state") == [(1, "running")]
    assert await world.ledger("reason, blocked_by, count") == [(Reason.OVERLAP_SKIP, 1, 1)]
    assert planned.next_fire == NOON + 3 * MINUTE


async def test_skips_behind_one_run_grow_one_span(world: StoreWorld) -> None:
    await world.a_job()
    for _ in range(6):
        world.clock.advance(60)
        await world.plan()
    assert await world.ledger("first_nominal, last_nominal, count, at") == [
        (NOON + 2 * MINUTE, NOON + 6 * MINUTE, 5, NOON + 6 * MINUTE)
    ]


async def test_skips_behind_one_run_with_a_gap_between_them_are_two_spans(world: StoreWorld) -> None:
    """One span would say that something was due in the gap, or be shortened by a count that nobody can know."""
    job = await world.a_job()
    for is_enabled in (True, True, False, False, True, True):
        await world.change(job, enabled=is_enabled)
        world.clock.advance(60)
        await world.plan()
    assert await world.ledger("first_nominal, last_nominal, count") == [
        (NOON + 2 * MINUTE, NOON + 2 * MINUTE, 1),
        (NOON + 5 * MINUTE, NOON + 6 * MINUTE, 2),
    ]


async def test_skips_behind_another_run_begin_another_span(world: StoreWorld) -> None:
    await world.a_job()
    for _ in range(2):
        world.clock.advance(60)
        work = (await world.plan()).work
        world.clock.advance(60)
        await world.plan()
        await world.end(*work)
    assert await world.ledger("blocked_by, count") == [(1, 1), (2, 1)]


async def test_the_next_one_runs_once_the_running_one_has_ended(world: StoreWorld) -> None:
    await world.a_job()
    world.clock.advance(60)
    await world.end(*(await world.plan()).work)
    world.clock.advance(60)
    await world.plan()
    assert await world.runs() == ["succeeded", "running"]
    assert await world.ledger() == []


@pytest.mark.parametrize("instants", [4, 7])
async def test_allow_runs_at_most_three_at_once(world: StoreWorld, instants: int) -> None:
    await world.a_job(overlap=Overlap.ALLOW)
    for _ in range(instants):
        world.clock.advance(60)
        await world.plan()
    assert await world.runs() == ["running"] * 3
    assert await world.ledger() == [(Reason.OVERLAP_SKIP, instants - 3)]


async def test_allow_counts_those_of_the_same_batch(world: StoreWorld) -> None:
    await world.a_job("busy", MINUTELY, MINUTELY, MINUTELY, MINUTELY, overlap=Overlap.ALLOW)
    world.clock.advance(60)
    await world.plan()
    assert await world.runs() == ["running"] * 3
    assert await world.ledger("reason, blocked_by") == [(Reason.OVERLAP_SKIP, 3)]


async def test_a_skip_within_a_batch_names_the_run_of_that_batch(world: StoreWorld) -> None:
    await world.a_job("twice", MINUTELY, MINUTELY)
    world.clock.advance(60)
    await world.end(*(await world.plan()).work)
    world.clock.advance(60)
    await world.plan()
    assert await world.runs("id, state") == [(1, "succeeded"), (2, "running")]
    assert await world.ledger("blocked_by") == [1, 2]


async def test_cancel_running_asks_for_the_end_of_the_old_and_the_new_one_waits(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.CANCEL_RUNNING)
    world.clock.advance(60)
    [old] = (await world.plan()).work
    world.clock.advance(60)
    planned = await world.plan()
    assert [(order.run_id, order.reason) for order in planned.cancels] == [(old.run_id, Reason.OVERLAP_REPLACED)]
    assert await world.runs("state, waiting_for") == [("running", None), ("waiting", "overlap")]
    assert await world.admit() == []

    await world.end(old, state=TargetState.CANCELLED, reason=Reason.OVERLAP_REPLACED)
    assert await world.admit() == [2]
    assert len(await world.claim()) == 1
    assert await world.runs("state, reason") == [("cancelled", Reason.OVERLAP_REPLACED), ("running", None)]


async def test_of_several_that_wait_for_the_old_one_the_newest_wins(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.CANCEL_RUNNING)
    works = []
    for _ in range(3):
        world.clock.advance(60)
        works += (await world.plan()).work
    assert await world.runs("state, reason") == [
        ("running", None), ("skipped", Reason.OVERLAP_REPLACED), ("waiting", None),
    ]  # fmt: skip
    await world.end(*works, state=TargetState.CANCELLED, reason=Reason.OVERLAP_REPLACED)
    assert await world.admit() == [3]


async def test_of_several_due_at_once_only_the_newest_is_made(world: StoreWorld) -> None:
    await world.a_job("twice", MINUTELY, MINUTELY, overlap=Overlap.CANCEL_RUNNING)
    world.clock.advance(60)
    planned = await world.plan()
    assert len(planned.work) == 1
    assert await world.runs("state, trigger_id") == [("running", 2)]
    assert await world.ledger("reason, trigger_id") == [(Reason.OVERLAP_REPLACED, 1)]


async def test_of_several_within_grace_only_the_newest_runs(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.CANCEL_RUNNING, grace_seconds=600.0)
    world.clock.advance(300)
    await world.plan()
    assert await world.runs("nominal, state") == [(NOON + 5 * MINUTE, "running")]
    assert await world.ledger("reason, first_nominal") == [
        (Reason.OVERLAP_REPLACED, NOON + i * MINUTE) for i in range(1, 5)
    ]


async def test_the_new_one_need_not_wait_for_an_old_one_that_never_started(world: StoreWorld) -> None:
    await world.cap(0)
    await world.a_job(overlap=Overlap.CANCEL_RUNNING)
    for _ in range(2):
        world.clock.advance(60)
        planned = await world.plan()
    assert planned.left_waiting
    assert await world.runs() == ["skipped", "waiting"]
    await world.cap(5)
    assert await world.admit() == [2]


async def test_jobs_do_not_stand_in_each_others_way(world: StoreWorld) -> None:
    await world.a_job("a", cron("1 * * * *"))
    await world.a_job("b", cron("2 * * * *"))
    for _ in range(2):
        world.clock.advance(60)
        await world.plan()
    assert await world.runs("title, state") == [("a", "running"), ("b", "running")]
