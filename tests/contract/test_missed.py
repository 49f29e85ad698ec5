"""What passed while nobody planned: a place in the ledger, and one run where the policy asks for it."""

from __future__ import annotations

import time

from rota.domain.instant import DAY, HOUR, MINUTE
from rota.domain.policy import Missed
from rota.domain.reasons import Reason
from rota.domain.trigger.spec import OnceTrigger
from tests.contract.store_world import StoreWorld, cron
from tests.support.clock import NOON

DUE = NOON + MINUTE  # when a job of this file is first due


async def test_an_instant_later_than_grace_is_missed(world: StoreWorld) -> None:
    await world.a_job("hourly", cron("0 * * * *"), grace_seconds=120.0)
    world.clock.advance(3600 + 121)
    planned = await world.plan()
    assert await world.runs() == []
    columns = "reason, first_nominal, last_nominal, count, job_name, kind, at"
    assert await world.ledger(columns) == [
        (Reason.MISSED, NOON + HOUR, NOON + HOUR, 1, "hourly", "cron", world.clock.now())
    ]
    assert planned.next_fire == NOON + 2 * HOUR


async def test_run_once_runs_the_newest_missed_instant_late_and_marked(world: StoreWorld) -> None:
    await world.a_job("hourly", cron("0 * * * *"), missed=Missed.RUN_ONCE)
    world.clock.advance(10 * 3600 + 1800)
    await world.plan()
    assert await world.runs("nominal, catch_up") == [(NOON + 10 * HOUR, 1)]
    assert await world.ledger("first_nominal, last_nominal, count, message") == [
        (NOON + HOUR, NOON + 9 * HOUR, 9, "the newest of them was caught up")
    ]


async def test_run_once_with_one_missed_instant_leaves_no_ledger_row(world: StoreWorld) -> None:
    await world.a_job("hourly", cron("0 * * * *"), missed=Missed.RUN_ONCE)
    world.clock.advance(3600 + 1800)
    await world.plan()
    assert await world.runs("nominal, catch_up") == [(NOON + HOUR, 1)]
    assert await world.ledger() == []


async def test_run_once_does_not_catch_up_beside_an_instant_that_is_in_time(world: StoreWorld) -> None:
    await world.a_job("hourly", cron("0 * * * *"), missed=Missed.RUN_ONCE)
    world.clock.advance(3 * 3600 + 30)
    await world.plan()
    assert await world.runs("nominal, catch_up") == [(NOON + 3 * HOUR, 0)]
    assert await world.ledger("last_nominal, count, message") == [(NOON + 2 * HOUR, 2, "a newer one was still in time")]


async def test_a_year_down_at_every_minute_is_one_span_and_takes_no_time(world: StoreWorld) -> None:
    await world.a_job()
    world.clock.advance(365 * 86400 + 30)
    began = time.process_time()
    planned = await world.plan()
    assert time.process_time() - began < 1.0
    assert await world.ledger("reason, first_nominal, last_nominal, count") == [
        (Reason.MISSED, DUE, NOON + 365 * DAY - MINUTE, 365 * 1440 - 1)
    ]
    assert await world.runs("nominal") == [NOON + 365 * DAY]
    assert planned.next_fire == NOON + 365 * DAY + MINUTE


async def test_once_that_was_missed_is_in_the_ledger(world: StoreWorld) -> None:
    await world.a_job("once", OnceTrigger(DUE, "UTC"))
    world.clock.advance(86400)
    assert (await world.plan()).next_fire is None
    assert await world.ledger("reason, first_nominal, count") == [(Reason.MISSED, DUE, 1)]
