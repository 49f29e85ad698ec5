"""Runs that have not started when their patience is over: they expire, and say why."""

from __future__ import annotations

from rota.domain.instant import MINUTE
from rota.domain.policy import Overlap, Policies
from rota.domain.reasons import Reason
from rota.ports import Tx
from rota.storage.admission import what_waits
from rota.storage.finishing import expire_unstarted, free_slots
from rota.storage.work import Settled
from tests.contract.store_world import StoreWorld

IMPATIENT = Policies(start_within_seconds=300.0)
SHORT_QUEUE = Policies(queue_timeout_seconds=300.0)


async def expire(world: StoreWorld, **options: set[int]) -> list[int]:
    """Expire what is due to; the runs that ended by it."""

    def run(tx: Tx) -> list[int]:
        settled = Settled({}, set(), [])
        expire_unstarted(tx, settled, **options)
        free_slots(tx, settled)
        return settled.finished_runs

    return await world.store.write(run)


async def test_a_run_that_got_no_slot_within_start_within_is_expired(world: StoreWorld) -> None:
    await world.cap(0)
    job = await world.a_job(policies=IMPATIENT)
    world.clock.advance(60)
    await world.plan()
    world.clock.advance(299)
    assert await expire(world) == []
    world.clock.advance(1)
    assert await expire(world) == [1]
    assert await world.runs("state, reason") == [("expired", Reason.PAST_DEADLINE)]
    assert await world.active(job) == 0
    assert await world.used() == 0


async def test_a_run_that_waited_in_the_queue_too_long_is_expired_with_that_reason(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.QUEUE, policies=SHORT_QUEUE)
    for _ in range(2):
        world.clock.advance(60)
        await world.plan()
    world.clock.advance(300)
    assert await expire(world) == [2]
    assert await world.runs("state, reason") == [("running", None), ("expired", Reason.QUEUE_EXPIRED)]


async def test_a_run_without_patience_of_its_own_waits_for_ever(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.QUEUE)
    for _ in range(2):
        world.clock.advance(60)
        await world.plan()
    world.clock.advance(365 * 86_400)
    assert await expire(world) == []
    assert await world.runs() == ["running", "waiting"]


async def test_a_queued_run_gives_its_slot_back_and_its_targets_are_skipped(world: StoreWorld) -> None:
    await world.a_job(policies=SHORT_QUEUE)
    world.clock.advance(60)
    await world.plan(owner=None)
    assert await world.runs() == ["queued"]
    world.clock.advance(300)
    assert await expire(world) == [1]
    assert await world.runs("state, reason") == [("expired", Reason.QUEUE_EXPIRED)]
    assert await world.sql("SELECT state, reason FROM run_target") == [("skipped", Reason.QUEUE_EXPIRED)]
    assert await world.used() == 0
    assert await world.claim() == []


async def test_a_run_that_has_started_is_left_alone(world: StoreWorld) -> None:
    await world.a_job(policies=IMPATIENT)
    world.clock.advance(60)
    await world.plan(owner=None)
    assert len(await world.claim()) == 1
    world.clock.advance(3600)
    assert await expire(world) == []
    assert await world.runs() == ["running"]
    assert await world.sql("SELECT * FROM run_turn") == []


async def test_a_run_whose_patience_is_over_is_not_admitted_even_before_it_is_expired(world: StoreWorld) -> None:
    await world.cap(0)
    await world.a_job(policies=IMPATIENT)
    world.clock.advance(60)
    await world.plan()
    world.clock.advance(300)
    await world.cap(5)
    assert await world.admit() == []


async def test_it_is_known_when_the_first_of_them_expires(world: StoreWorld) -> None:
    await world.cap(0)
    await world.a_job(policies=IMPATIENT)
    world.clock.advance(60)
    due = world.clock.now()
    await world.plan()
    assert (await world.store.read(what_waits)).expires_at == due + 5 * MINUTE


async def test_a_command_looks_after_its_own_runs_only(world: StoreWorld) -> None:
    await world.cap(0)
    await world.a_job(policies=IMPATIENT)
    world.clock.advance(60)
    await world.plan()
    world.clock.advance(3600)
    assert await expire(world, only_runs={99}) == []
    waiting = await world.store.read(lambda tx: what_waits(tx, only_runs={99}))
    assert waiting.expires_at is None


async def test_a_cancelled_run_leaves_nothing_to_expire(world: StoreWorld) -> None:
    await world.cap(0)
    await world.a_job(policies=IMPATIENT)
    world.clock.advance(60)
    await world.plan()
    await world.cancel(1)
    assert await world.sql("SELECT * FROM run_turn") == []


async def test_a_run_that_retention_has_taken_is_forgotten(world: StoreWorld) -> None:
    await world.cap(0)
    await world.a_job(policies=IMPATIENT)
    world.clock.advance(60)
    await world.plan()
    await world.sql("DELETE FROM run")
    world.clock.advance(3600)
    assert await expire(world) == []
    assert await world.sql("SELECT * FROM run_turn") == []
