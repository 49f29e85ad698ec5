"""Plans, outboxes, cancels and ends on two nodes that meet between two statements (`two_nodes`)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
import pytest

from rota.domain.errors import Skipped
from rota.domain.policy import Overlap, Patience, Policies
from rota.domain.reasons import Reason
from rota.engine.events import RunEvents
from rota.engine.outbox import Outbox
from rota.storage.admission import admit
from rota.storage.finishing import CancelOrder, expire_unstarted
from tests.contract.store_world import MINUTELY
from tests.contract.two_nodes import Node, meet, pass_by
from tests.support.postgres_proxy import COMMIT

# Two triggers of one job, planned on two nodes at once

PLANS = [b"SELECT due.trigger_id", b"SELECT job_id, active", b"INSERT INTO run (", b"UPDATE due SET", COMMIT]


async def plan_two_triggers(
    one: Node, other: Node, url: str, word: bytes, overlap: Overlap, limit: int | None = None
) -> None:
    await one.a_job("job", MINUTELY, MINUTELY, overlap=overlap, policies=Policies(overlap_limit=limit))
    for node in (one, other):
        await node.loaded()
    one.clock.advance(60)
    plans = one.plan(limit=1, owner="own_a"), other.plan(limit=1, owner="own_b")
    planned = await meet(one.proxy.hold_at(word), *plans, url)
    handled = [each.handled for each in planned]
    while sum(handled) < 2:  # whoever came while both were held plans what is left
        handled.append((await other.plan(limit=1, owner="own_b")).handled)
    assert sum(handled) == 2
    assert await one.one("SELECT active FROM job_state") == await one.one("SELECT count(*) FROM run")


@pytest.mark.parametrize("word", PLANS)
async def test_of_two_triggers_of_a_job_that_skips_one_starts(one: Node, other: Node, url: str, word: bytes) -> None:
    await plan_two_triggers(one, other, url, word, Overlap.SKIP)
    assert await one.runs() == ["running"]
    assert await one.ledger() == [("overlap_skip", 1)]
    assert await one.one("SELECT blocked_by FROM ledger") == await one.one("SELECT id FROM run")


@pytest.mark.parametrize("word", PLANS)
async def test_of_two_triggers_of_a_job_that_queues_one_waits(one: Node, other: Node, url: str, word: bytes) -> None:
    await plan_two_triggers(one, other, url, word, Overlap.QUEUE)
    assert await one.runs("state, waiting_for") == [("running", None), ("waiting", "overlap")]
    assert await other.admit() == []


@pytest.mark.parametrize("word", PLANS)
async def test_of_two_triggers_of_a_job_that_replaces_the_newer_waits_for_the_older_to_end(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await plan_two_triggers(one, other, url, word, Overlap.CANCEL_RUNNING)
    assert await one.runs("state, cancel_reason, waiting_for") == [
        ("running", "overlap_replaced", None), ("waiting", None, "overlap")
    ]  # fmt: skip


@pytest.mark.parametrize("word", PLANS)
@pytest.mark.parametrize(("limit", "started"), [(1, 1), (2, 2)])
async def test_so_many_runs_at_once_as_a_job_allows_start(
    one: Node, other: Node, url: str, word: bytes, limit: int, started: int
) -> None:
    await plan_two_triggers(one, other, url, word, Overlap.ALLOW, limit)
    assert await one.runs() == ["running"] * started
    assert await one.ledger() == [("overlap_skip", 1)] * (2 - started)


@pytest.mark.parametrize("word", PLANS)
async def test_what_a_person_triggers_while_the_clock_does_is_refused_by_the_same_policy(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    job = await one.a_job("job", overlap=Overlap.SKIP)
    await one.loaded()
    one.clock.advance(60)
    request = await other.request(job)

    async def trigger() -> None:
        with suppress(Skipped):
            await other.launch(request)

    await meet(one.proxy.hold_at(word), one.plan(), trigger(), url)
    assert await one.runs() == ["running"]
    assert await one.ledger() == [("overlap_skip", 1)]


@pytest.mark.parametrize("word", PLANS)
async def test_a_job_that_is_disabled_while_it_is_planned_is_planned_before_or_not_at_all(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    job = await one.a_job("job")
    await one.loaded()
    one.clock.advance(60)
    await meet(one.proxy.hold_at(word), one.plan(), other.change(job, enabled=False), url)
    assert await one.one("SELECT count(*) FROM run") in {0, 1}
    assert await one.one("SELECT max(fire_at) FROM due") is None
    assert (await one.plan()).handled == 0


async def test_two_requests_with_one_key_make_one_run(one: Node, other: Node, url: str) -> None:
    job = await one.a_job("job", overlap=Overlap.ALLOW)
    request = await one.request(job, key="order-7")
    first, second = await meet(one.proxy.hold_at(COMMIT), one.launch(request), other.launch(request), url)
    assert first[0] == second[0]
    assert (len(first[1]), second[1]) == (1, [])


# The last targets of one run end together

ENDS = [b"UPDATE attempt", b"UPDATE run_target", b"UPDATE run SET open_targets", COMMIT]


@pytest.mark.parametrize("word", ENDS)
async def test_whoever_ends_the_last_target_ends_the_run_once(one: Node, other: Node, url: str, word: bytes) -> None:
    job = await one.a_job("job", overlap=Overlap.ALLOW)
    _, (mine, yours) = await one.make(job, targets=2)
    settled = await meet(one.proxy.hold_at(word), one.end(mine), other.end(yours), url)
    assert sorted(len(each.finished_runs) for each in settled) == [0, 1]
    assert await one.runs("state, ok, open_targets") == [("succeeded", 2, 0)]
    assert await one.one("SELECT count(*) FROM outbox") == 1
    assert (await one.active(job), await one.used()) == (0, 0)


@pytest.mark.parametrize("word", ENDS)
async def test_ends_of_the_same_runs_in_opposite_orders_do_not_lock_each_other_out(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    jobs = [await one.a_job(f"job-{i}") for i in range(2)]
    (_, (a1, a2)), (_, (b1, b2)) = [await one.make(job, targets=2) for job in jobs]
    before = deadlocks(url)
    await meet(one.proxy.hold_at(word), one.end(a1, b1), other.end(b2, a2), url)
    assert await one.runs() == ["succeeded"] * 2
    assert deadlocks(url) == before


def deadlocks(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as watcher:
        row = watcher.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


# Outbox rows


async def test_an_outbox_row_that_commits_after_later_ones_were_delivered_is_delivered_too(
    one: Node, other: Node
) -> None:
    await one.cap(1)
    (quick, [quick_work]), (slow, _) = await one.make(), await one.make()
    events = RunEvents()
    outbox = Outbox(other.store, other.clock, events)
    with events.watch(slow) as slow_told, events.watch(quick) as quick_told:

        async def quick_end_is_delivered() -> None:
            await other.end(quick_work)
            await outbox._deliver()
            assert (slow_told.is_set(), quick_told.is_set()) == (False, True)

        await pass_by(one.proxy.hold_at(COMMIT), one.cancel(slow), quick_end_is_delivered())
        await outbox._deliver()
        assert slow_told.is_set()
    assert await one.one("SELECT count(*) FROM outbox WHERE delivered_at IS NULL") == 0


async def test_an_outbox_row_that_somebody_is_delivering_is_not_delivered_twice(one: Node, other: Node) -> None:
    await one.end(*(await one.make(targets=2))[1])
    told: list[int] = []

    class Told(RunEvents):
        def ended_all(self, run_ids: Any) -> None:
            told.extend(run_ids)

    outboxes = [Outbox(node.store, node.clock, Told()) for node in (one, other)]
    await pass_by(one.proxy.hold_at(COMMIT), outboxes[0]._deliver(), outboxes[1]._deliver())
    assert len(told) == 1


# Claim and admission against cancel

CLAIMS = [b"SELECT job_id FROM job_state", b"UPDATE run_target SET state", b"INSERT INTO attempt", COMMIT]


@pytest.mark.parametrize("word", CLAIMS)
async def test_a_cancel_orders_the_end_of_a_target_that_is_just_claimed_or_comes_before_the_claim(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    job = await one.a_job("job")
    run_id, _ = await one.make(job, owner=None)
    work, order = await meet(one.proxy.hold_at(word), one.claim("own_a"), other.cancel(run_id), url)
    assert order == (CancelOrder(run_id, Reason.USER_CANCELLED) if work else None)
    assert await one.sql("SELECT state FROM run_target") == [("running" if work else "cancelled",)]
    await one.end(*work)
    assert (await one.runs("state, open_targets"), await one.used()) == ([("succeeded" if work else "cancelled", 0)], 0)


@pytest.mark.parametrize("word", [b"UPDATE run SET cancel_requested_at", b"UPDATE run_target", COMMIT])
async def test_a_claim_passes_over_what_is_just_cancelled(one: Node, other: Node, word: bytes) -> None:
    job = await one.a_job("job")
    run_id, _ = await one.make(job, owner=None)
    _, work = await pass_by(one.proxy.hold_at(word), one.cancel(run_id), other.claim("own_b"))
    assert work == []
    assert (await one.runs(), await one.used(), await one.active(job)) == (["cancelled"], 0, 0)
    assert await other.claim("own_b") == []


@pytest.mark.parametrize("word", [b"SELECT id, job_id", b"UPDATE run SET state", COMMIT])
async def test_a_run_is_cancelled_or_admitted_and_never_both(one: Node, other: Node, url: str, word: bytes) -> None:
    run_id = await one.a_waiting_run()
    admitted, order = await meet(one.proxy.hold_at(word), one.admit(), other.cancel(run_id), url)
    assert order is None  # it ended at once, in whatever order the two came
    assert await one.runs("state") == ["succeeded", "cancelled"]
    queued = await one.sql("SELECT state FROM run_target WHERE run_id = ?", run_id)
    assert queued == [("cancelled",)] * len(admitted)
    assert await one.used() == 0


@pytest.mark.parametrize("word", [b"SELECT id, job_id", b"UPDATE run SET state", COMMIT])
async def test_a_run_whose_patience_is_over_expires_or_is_admitted_and_never_both(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    run_id = await one.a_waiting_run(patience=Patience(queue_timeout=60_000_000))

    async def expire_later() -> None:
        one.clock.advance(61)
        await other.store.write(expire_unstarted)

    admitted, _ = await meet(one.proxy.hold_at(word), one.admit(), expire_later(), url)
    for _ in range(2):  # whatever was passed over is looked at again
        await other.store.write(expire_unstarted)
    assert await one.one("SELECT state FROM run WHERE id = ?", run_id) == "expired"
    states = await one.sql("SELECT state FROM run_target WHERE run_id = ?", run_id)
    assert states == [("skipped",)] * len(admitted)
    assert await one.used() == 0


async def test_admission_and_an_end_that_want_each_others_rows_both_come_through(
    one: Node, other: Node, url: str
) -> None:
    """An end holds its job and wants the cap on runs, an admission the other way round: it takes only what is free."""
    await one.cap(1)
    job = await one.a_job("job", overlap=Overlap.ALLOW)
    _, work = await one.make(job)
    await one.make(job)
    await one.cap(2)
    _, admitted = await meet(
        one.proxy.hold_at(b"UPDATE run_limit SET used"), one.end(*work), other.store.write(admit), url
    )  # fmt: skip
    assert admitted == []  # its job is being written: its turn comes in a moment
    assert len(await other.admit()) == 1
