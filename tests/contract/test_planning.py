"""`plan_due`: each instant becomes one run or a place in the ledger, and every trigger gets its next instant."""

from __future__ import annotations

from typing import Any

import pytest

from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, parse_rfc3339
from rota.domain.inventory import Host
from rota.domain.policy import Overlap
from rota.domain.reasons import Reason
from rota.domain.step import Step
from rota.domain.trigger.spec import OnceTrigger
from rota.ports import Tx
from rota.storage.counters import bump
from rota.storage.inventory import delete_host, insert_host
from rota.storage.jobs import delete_job
from rota.storage.planning import plan_due
from tests.contract.store_world import StoreWorld, cron, every
from tests.support.clock import NOON

DUE = NOON + MINUTE  # when a job of this file is first due


async def test_what_is_not_due_is_left_alone(world: StoreWorld) -> None:
    await world.a_job()
    planned = await world.plan()
    assert (planned.handled, planned.work, planned.next_fire) == (0, [], DUE)


async def test_an_instant_on_time_becomes_one_run_already_claimed(world: StoreWorld) -> None:
    job = await world.a_job()
    world.clock.advance(60.2)
    planned = await world.plan(owner="own_a")
    [work] = planned.work
    assert (work.job_id, work.due_at, work.run_started_at, work.fence, work.number) == (
        job.id, DUE, DUE + SECOND // 5, 1, 1,
    )  # fmt: skip
    assert await world.runs("state, kind, nominal, catch_up") == [("running", "cron", DUE, 0)]
    assert await world.sql("SELECT owner, state FROM run_target") == [("own_a", "running")]
    assert await world.sql("SELECT id, state FROM attempt") == [(work.attempt_id, "running")]
    assert planned.next_fire == DUE + MINUTE


async def test_an_instant_late_but_within_grace_runs(world: StoreWorld) -> None:
    await world.a_job("hourly", cron("0 * * * *"), grace_seconds=120.0)
    world.clock.advance(3600 + 120)
    await world.plan()
    assert await world.runs("nominal") == [NOON + HOUR]
    assert await world.ledger() == []


async def test_several_instants_within_grace_each_get_their_due(world: StoreWorld) -> None:
    await world.a_job("often", every(20), overlap=Overlap.ALLOW)
    world.clock.advance(60)
    await world.plan()
    assert await world.runs("nominal") == [NOON + 20 * SECOND, NOON + 40 * SECOND, NOON + 60 * SECOND]


async def test_a_long_grace_is_settled_in_batches_and_loses_nothing(world: StoreWorld) -> None:
    await world.a_job("every-second", every(1), grace_seconds=86400.0)
    world.clock.advance(2500)
    for _ in range(3):
        await world.plan()
    [run] = await world.runs("id")
    assert await world.ledger("reason, blocked_by, count, first_nominal, last_nominal") == [
        (Reason.OVERLAP_SKIP, run, 2499, NOON + 2 * SECOND, NOON + 2500 * SECOND)
    ]


async def test_once_is_due_once_and_never_again(world: StoreWorld) -> None:
    await world.a_job("once", OnceTrigger(DUE, "UTC"))
    world.clock.advance(60)
    planned = await world.plan()
    assert (await world.runs("kind, nominal"), planned.next_fire) == ([("once", DUE)], None)
    world.clock.advance(86400)
    assert (await world.plan()).handled == 0


async def test_a_batch_takes_the_oldest_first_and_no_more_than_its_limit(world: StoreWorld) -> None:
    for minute in (3, 1, 2):
        await world.a_job(f"at-{minute}", cron(f"{minute} * * * *"), grace_seconds=3600.0)
    world.clock.advance(600)
    planned = await world.plan(limit=2)
    assert planned.handled == 2
    assert await world.runs("title") == ["at-1", "at-2"]
    assert planned.next_fire == NOON + 3 * MINUTE


async def test_a_trigger_without_a_card_is_named_and_left_as_it_is(world: StoreWorld) -> None:
    await world.a_job()
    world.clock.advance(60)
    planned = await world.store.write(lambda tx: plan_due(tx, {}, limit=10, owner="own_a", slots=10))
    assert (planned.missing, planned.handled, planned.next_fire) == ([1], 0, DUE)
    assert await world.runs() == []


async def test_a_card_from_before_an_edit_is_out_of_date(world: StoreWorld) -> None:
    job = await world.a_job()
    await world.load_ahead(60)
    await world.change(job, description="edited")
    world.clock.advance(60)
    planned = await world.store.write(lambda tx: plan_due(tx, world.cards, limit=10, owner="own_a", slots=10))
    assert planned.missing == [1]


@pytest.mark.parametrize(
    ("fields", "counter"),
    [
        ({"target": "all"}, "inventory_version"),
        ({"steps": [Step(name="p", action="playbook", params={"playbook": "x"})]}, "library_version"),
    ],
)
async def test_a_card_is_out_of_date_when_what_it_froze_has_changed(
    world: StoreWorld, fields: dict[str, Any], counter: Any
) -> None:
    await world.a_job(**fields)
    await world.load_ahead(60)
    await world.store.write(lambda tx: bump(tx, counter))
    world.clock.advance(60)
    planned = await world.store.write(lambda tx: plan_due(tx, world.cards, limit=10, owner="own_a", slots=10))
    assert planned.missing == [1]


async def test_a_card_does_not_age_with_what_it_does_not_depend_on(world: StoreWorld) -> None:
    await world.a_job()
    await world.load_ahead(60)

    def change_both(tx: Tx) -> None:
        bump(tx, "inventory_version")
        bump(tx, "library_version")

    await world.store.write(change_both)
    world.clock.advance(60)
    planned = await world.store.write(lambda tx: plan_due(tx, world.cards, limit=10, owner="own_a", slots=10))
    assert planned.handled == 1


async def test_a_selector_that_matches_nobody_is_in_the_ledger_and_the_timetable_goes_on(world: StoreWorld) -> None:
    await world.a_job(target="tag:env=moon")
    world.clock.advance(60)
    planned = await world.plan()
    assert await world.ledger("reason, message") == [(Reason.NO_TARGETS, "no host matches tag:env=moon")]
    assert (await world.runs(), planned.next_fire) == ([], DUE + MINUTE)


async def test_refusals_in_a_row_for_one_reason_grow_one_span(world: StoreWorld) -> None:
    await world.a_job(target="host:web-1")
    for _ in range(3):
        world.clock.advance(60)
        await world.plan()
    host = await world.store.write(lambda tx: insert_host(tx, Host(name="web-1", connector="local")))
    world.clock.advance(60)
    await world.end(*(await world.plan()).work)
    await world.store.write(lambda tx: delete_host(tx, host))
    for _ in range(2):
        world.clock.advance(60)
        await world.plan()
    assert await world.runs("nominal") == [NOON + 4 * MINUTE]
    assert await world.ledger("first_nominal, last_nominal, count") == [
        (DUE, NOON + 3 * MINUTE, 3), (NOON + 5 * MINUTE, NOON + 6 * MINUTE, 2),
    ]  # fmt: skip


async def test_a_playbook_that_is_gone_is_in_the_ledger_and_the_timetable_goes_on(world: StoreWorld) -> None:
    await world.a_job(steps=[Step(name="main", action="playbook", params={"playbook": "gone"})])
    world.clock.advance(60)
    planned = await world.plan()
    [(reason, message)] = await world.ledger("reason, message")
    assert reason == Reason.PLAN_FAILED
    assert "gone" in message
    assert planned.next_fire == DUE + MINUTE


async def test_a_disabled_job_is_never_due_and_starts_anew_when_enabled(world: StoreWorld) -> None:
    job = await world.a_job()
    job = await world.change(job, enabled=False)
    world.clock.advance(3600)
    assert (await world.plan()).handled == 0
    await world.change(job, enabled=True)
    assert await world.next_due() == NOON + HOUR + MINUTE
    assert await world.ledger() == []


async def test_a_deleted_job_is_never_due(world: StoreWorld) -> None:
    job = await world.a_job()
    await world.store.write(lambda tx: delete_job(tx, job, why="it was deleted"))
    world.clock.advance(3600)
    assert (await world.plan()).handled == 0


async def test_a_clock_set_back_fires_nothing_twice(world: StoreWorld) -> None:
    job = await world.a_job()
    world.clock.advance(60)
    await world.end(*(await world.plan()).work)
    world.clock.set_wall(NOON - DAY)
    assert (await world.plan()).handled == 0
    await world.change(job, description="edited while the clock was back")
    world.clock.set_wall(DUE)
    assert (await world.plan()).handled == 0
    world.clock.set_wall(DUE + MINUTE)
    await world.plan()
    assert await world.runs("nominal") == [DUE, DUE + MINUTE]


async def test_a_new_rule_names_nothing_that_was_planned_already(world: StoreWorld) -> None:
    job = await world.a_job()
    world.clock.advance(60)
    await world.end(*(await world.plan()).work)
    world.clock.set_wall(NOON - HOUR)
    trigger = type(job.spec.triggers[0])(name="t0", rule=every(30))
    await world.change(job, triggers=(trigger,))
    assert await world.next_due() == DUE + 30 * SECOND


async def test_planning_is_all_or_nothing(world: StoreWorld) -> None:
    """Advancing without inserting would lose an instant; inserting without advancing would run it twice."""
    await world.a_job()
    await world.load_ahead(60)
    world.clock.advance(60)

    def fail(tx: Tx) -> None:
        plan_due(tx, world.cards, limit=10, owner="own_a", slots=10)
        raise ValueError

    with pytest.raises(ValueError):
        await world.store.write(fail)
    assert (await world.runs(), await world.next_due(), await world.used()) == ([], DUE, 0)


async def test_two_planners_never_settle_the_same_instant(world: StoreWorld) -> None:
    for i in range(20):
        await world.a_job(f"job-{i}")
    await world.cap(100)
    await world.load_ahead(60)
    world.clock.advance(60)
    first = await world.plan(limit=12, owner="own_a")
    second = await world.plan(limit=12, owner="own_b")
    assert (first.handled, second.handled) == (12, 8)
    assert len(await world.runs()) == 20


async def test_without_an_owner_runs_are_queued_for_whoever_claims(world: StoreWorld) -> None:
    await world.a_job()
    world.clock.advance(60)
    planned = await world.plan(owner=None)
    assert (planned.work, await world.runs()) == ([], ["queued"])
    assert len(await world.claim("own_b")) == 1


async def test_more_than_the_slots_stays_queued(world: StoreWorld) -> None:
    for i in range(4):
        await world.a_job(f"job-{i}")
    world.clock.advance(60)
    planned = await world.plan(slots=3)
    assert len(planned.work) == 3
    assert await world.runs() == ["running"] * 3 + ["queued"]


async def test_dst_gap_and_fold_give_one_run_per_civil_day(world: StoreWorld) -> None:
    await world.a_job("nightly", cron("30 2 * * *", "America/New_York"))
    for _ in range(370):
        due = await world.next_due()
        assert due is not None
        world.clock.set_wall(due)
        await world.end(*(await world.plan()).work)
    assert len(await world.runs()) == 370
    around = [parse_rfc3339("2026-03-08T07:00:00Z"), parse_rfc3339("2026-11-01T07:30:00Z")]
    assert [instant for instant in await world.runs("nominal") if instant in around] == around
