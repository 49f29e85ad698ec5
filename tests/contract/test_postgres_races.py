"""Two processes on one PostgreSQL database, one of them stopped between two statements of its transaction.

`test_races` lets many run and hopes that they meet; here they meet where the test says. Each node has its own line to
the server, which is held up at a chosen word while the other one goes as far as it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from rota.domain.errors import Skipped, Unavailable
from rota.domain.policy import Overlap, Patience, Policies
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState
from rota.engine.events import RunEvents
from rota.engine.launcher import _launch
from rota.engine.outbox import Outbox
from rota.ports import Tx
from rota.storage import launching, limits
from rota.storage.admission import admit
from rota.storage.finishing import CancelOrder, expire_unstarted
from rota.storage.leases import Terms, are_signs_ahead, bring_signs_back, renew, silent_owners, take_from
from rota.storage.postgres import TRIES, PostgresStore
from rota.storage.rescue import Rescued, add_owner, take_over
from rota.storage.work import AttemptEnd, Report
from tests.contract.store_world import MINUTELY, StoreWorld, a_command, a_postgres_store
from tests.support.clock import ManualClock
from tests.support.daemon import until
from tests.support.postgres import emptied
from tests.support.postgres_proxy import COMMIT, Hold, Proxy, a_proxy

T = TypeVar("T")


@dataclass
class Node(StoreWorld):
    """One process, and its line to the server."""

    store: PostgresStore
    proxy: Proxy = field(kw_only=True)

    async def loaded(self) -> None:
        """Have the cards of what is due in the next minute, as a planner has."""
        await self.load_ahead(60)

    async def launch(self, request: Any, owner: str = "own_b") -> Any:
        """What a person's trigger does in the store."""
        return await self.store.write(lambda tx: _launch(tx, request, owner, 1000))

    async def take_over(self, dead: str, owner: str) -> list[Rescued]:
        return await self.store.write(lambda tx: take_over(tx, dead, owner))


@pytest.fixture
def nodes(store_database: str) -> Iterator[tuple[Node, Node]]:
    """Two processes on one database, whose clocks agree."""
    clock = ManualClock()
    with ExitStack() as stack:
        a_postgres_store(emptied(store_database), clock).close()
        made = []
        for _ in range(2):
            proxy = stack.enter_context(a_proxy(store_database))
            store = PostgresStore(proxy.url, clock=clock)
            stack.callback(store.close)
            made.append(Node(store, clock, proxy=proxy))
        yield made[0], made[1]


@pytest.fixture
def one(nodes: tuple[Node, Node]) -> Node:
    """The process that is held up."""
    return nodes[0]


@pytest.fixture
def other(nodes: tuple[Node, Node]) -> Node:
    """The process that goes on meanwhile."""
    return nodes[1]


@pytest.fixture
def url(store_database: str) -> str:
    return store_database


async def meet(hold: Hold, held: Awaitable[T], meanwhile: Awaitable[Any], url: str) -> tuple[T, Any]:
    """Have `held` stop at its hold, `meanwhile` go as far as it can, which may be its end, and both end then."""
    first = asyncio.ensure_future(held)
    await hold.reached()
    second = asyncio.ensure_future(meanwhile)
    waiting = asyncio.ensure_future(asyncio.to_thread(until, lambda: second.done() or is_somebody_blocked(url)))
    await waiting
    hold.release()
    return await first, await second


async def pass_by(hold: Hold, held: Awaitable[T], meanwhile: Awaitable[Any]) -> tuple[T, Any]:
    """As `meet`, where `meanwhile` must come to its end while `held` still stands."""
    first = asyncio.ensure_future(held)
    await hold.reached()
    after = await asyncio.wait_for(meanwhile, 20)
    hold.release()
    return await first, after


def is_somebody_blocked(url: str) -> bool:
    """Whether a connection to this database waits for another's lock."""
    with psycopg.connect(url, autocommit=True) as watcher:
        query = "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted"
        return watcher.execute(query + " AND datname = current_database()").fetchone() is not None


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


async def a_waiting_run(node: Node, **fields: Any) -> int:
    """A run that waited for the only slot, which is free now."""
    await node.cap(1)
    _, work = await node.make()
    run_id, _ = await node.make(**fields)
    await node.end(*work)
    return run_id


@pytest.mark.parametrize("word", [b"SELECT id, job_id", b"UPDATE run SET state", COMMIT])
async def test_a_run_is_cancelled_or_admitted_and_never_both(one: Node, other: Node, url: str, word: bytes) -> None:
    run_id = await a_waiting_run(one)
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
    run_id = await a_waiting_run(one, patience=Patience(queue_timeout=60_000_000))

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


# Caps


@pytest.mark.parametrize("word", [b"SELECT count(*) FROM run_target", b"UPDATE run_target", COMMIT])
async def test_a_cap_on_targets_is_not_overshot_by_two_that_claim(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await one.sql("INSERT INTO run_limit (key, cap, used) VALUES ('targets', 3, 0)")
    for _ in range(2):
        await one.make(targets=2, owner=None)
    await meet(one.proxy.hold_at(word), one.claim("own_a", slots=2), other.claim("own_b", slots=2), url)
    assert await one.one("SELECT count(*) FROM run_target WHERE state = 'running'") in {2, 3}
    await one.claim("own_a")
    assert await one.one("SELECT count(*) FROM run_target WHERE state = 'running'") == 3


async def meet_at_a_cap_of_one(one: Node, other: Node, url: str, word: bytes) -> None:
    """Two make a run each where there is room for one: the other's waits."""
    await one.cap(1)
    requests = [await node.request() for node in (one, other)]
    await meet(
        one.proxy.hold_at(word), one.launch(requests[0], "own_a"), other.launch(requests[1], "own_b"), url
    )  # fmt: skip
    assert sorted(await one.runs()) == ["running", "waiting"]
    assert await one.used() == 1


@pytest.mark.parametrize("word", [b"SELECT cap, used", b"INSERT INTO run (", COMMIT])
async def test_the_cap_on_runs_is_not_overshot_by_two_that_make_them(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await meet_at_a_cap_of_one(one, other, url, word)


BATCHES = [b"SAVEPOINT launch", b"INSERT INTO run (", b"UPDATE run_limit", COMMIT]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every start goes the way of a batch of many: the caps are held last."""
    monkeypatch.setattr(launching, "MANY", 1)


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("word", BATCHES)
async def test_the_cap_on_runs_is_not_overshot_by_two_batches_that_both_saw_room(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await meet_at_a_cap_of_one(one, other, url, word)


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("word", BATCHES)
@pytest.mark.parametrize("key", ["targets", "host:host-1"])
async def test_a_cap_on_targets_is_not_overshot_by_two_batches_that_both_saw_room(
    one: Node, other: Node, url: str, word: bytes, key: str
) -> None:
    await one.sql("INSERT INTO run_limit (key, cap, used) VALUES (?, 1, 0)", key)
    requests = [await node.request(targets=2) for node in (one, other)]
    await meet(
        one.proxy.hold_at(word), one.launch(requests[0], "own_a"), other.launch(requests[1], "own_b"), url
    )  # fmt: skip
    at_work = {row.key: row.used for row in await one.store.read(limits.all_limits)}
    assert at_work[key] == 1
    await one.claim()
    assert {row.key: row.used for row in await one.store.read(limits.all_limits)} == at_work


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("word", BATCHES)
async def test_a_cap_on_targets_is_not_overshot_by_a_batch_and_a_claim(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    await one.sql("INSERT INTO run_limit (key, cap, used) VALUES ('targets', 3, 0)")
    request = await one.request(targets=2)
    await one.make(targets=2, owner=None)
    await meet(one.proxy.hold_at(word), one.launch(request, "own_a"), other.claim("own_b"), url)
    await one.claim("own_a")
    assert await one.one("SELECT count(*) FROM run_target WHERE state = 'running'") == 3


@pytest.mark.usefixtures("batches")
async def test_nobody_waits_for_a_batch_that_is_being_written(one: Node, other: Node) -> None:
    _, [work] = await other.make()
    request = await one.request()
    hold = one.proxy.hold_at(b"INSERT INTO run (")
    await pass_by(hold, one.launch(request, "own_a"), other.end(work))
    assert (await one.runs(), await one.used()) == (["succeeded", "running"], 1)


@pytest.mark.parametrize("word", [b"SELECT cap, used", b"UPDATE run SET state", COMMIT])
async def test_the_cap_on_runs_is_not_overshot_by_two_that_admit(one: Node, other: Node, url: str, word: bytes) -> None:
    await a_waiting_run(one)
    await one.cap(0)
    await one.make()
    await one.cap(1)
    admitted = await meet(one.proxy.hold_at(word), one.admit(), other.admit(), url)
    assert sum(map(len, admitted)) == 1 == await one.used()


# Owners: the silent, and those who take over from them

LEASE, GRACE = 60_000_000, 120_000_000
TERMS = Terms("other", LEASE, GRACE)


async def a_silent_owner(node: Node) -> None:
    await node.store.write(lambda tx: add_owner(tx, "own_a", kind="daemon", pid=1, node="one"))


async def test_who_wakes_while_its_work_is_taken_changes_nothing(one: Node, other: Node, url: str) -> None:
    _, [work] = await one.make()
    taken, settled = await meet(one.proxy.hold_at(COMMIT), one.take_over("own_a", "own_b"), other.end(work), url)
    assert settled.fenced == {work.claim}
    assert await one.sql("SELECT state, owner, fence FROM run_target") == [("running", "own_b", 2)]
    assert await one.sql("SELECT state FROM attempt") == [("running",)]
    await one.end(taken[0].work)
    assert (await one.runs(), await one.used()) == (["succeeded"], 0)


@pytest.mark.parametrize("word", [b"UPDATE run_target SET cursor", b"INSERT INTO attempt", COMMIT])
async def test_what_is_taken_stands_where_its_owner_left_it_at_that_very_moment(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    _, [work] = await one.make(steps=(a_command("a"), a_command("b")))
    attempt = AttemptEnd(state=AttemptState.SUCCEEDED, finished_at=one.clock.now())
    going_on = one.settle(Report(work=work, attempt=attempt, then=(1, 1)))
    _, [taken] = await meet(one.proxy.hold_at(word), going_on, other.take_over("own_a", "own_b"), url)
    cursor, attempt_id = (await one.sql("SELECT step, id FROM attempt WHERE state = 'running'"))[0]
    assert (taken.work.cursor, taken.work.attempt_id, taken.attempt_open) == (cursor, attempt_id, True)
    assert await one.sql("SELECT step, state FROM attempt ORDER BY id") == [(0, "succeeded"), (1, "running")]


async def test_what_ends_at_the_moment_it_would_be_taken_is_not_taken(one: Node, other: Node, url: str) -> None:
    _, [work] = await one.make()
    _, taken = await meet(one.proxy.hold_at(COMMIT), one.end(work), other.take_over("own_a", "own_b"), url)
    assert taken == []
    assert await one.runs() == ["succeeded"]


async def test_two_take_from_a_silent_one_and_one_gets_it(one: Node, other: Node, url: str) -> None:
    await a_silent_owner(one)
    await one.make(targets=3)
    one.clock.advance(60 + 120)

    def take(node: Node, owner: str) -> Awaitable[list[Rescued]]:
        return node.store.write(lambda tx: take_from(tx, "own_a", owner, TERMS, may_give_up=True))

    taken = await meet(one.proxy.hold_at(COMMIT), take(one, "own_b"), take(other, "own_c"), url)
    assert sorted(map(len, taken)) == [0, 3]


@pytest.mark.parametrize("word", [b"SELECT run_target.id", COMMIT])
async def test_a_sign_of_life_that_comes_too_late_is_no_sign(one: Node, other: Node, url: str, word: bytes) -> None:
    await a_silent_owner(one)
    one.clock.advance(60 + 120)
    taking = one.store.write(lambda tx: take_from(tx, "own_a", "own_b", TERMS, may_give_up=True))
    _, renewed = await meet(
        one.proxy.hold_at(word), taking, other.store.write(lambda tx: renew(tx, "own_a")), url
    )  # fmt: skip
    assert renewed is None


async def test_a_sign_of_life_that_comes_in_time_is_heard(one: Node, other: Node, url: str) -> None:
    await a_silent_owner(one)
    await one.make()
    one.clock.advance(60 + 120)
    _, taken = await meet(
        one.proxy.hold_at(COMMIT), one.store.write(lambda tx: renew(tx, "own_a")),
        other.store.write(lambda tx: take_from(tx, "own_a", "own_b", TERMS, may_give_up=True)), url,
    )  # fmt: skip
    assert taken == []


async def test_signs_of_life_from_a_clock_that_was_ahead_are_brought_back_by_one_of_two(
    one: Node, other: Node, url: str
) -> None:
    await a_silent_owner(one)
    one.clock.advance(-3600)
    assert await one.store.read(are_signs_ahead)
    await meet(one.proxy.hold_at(COMMIT), one.store.write(bring_signs_back), other.store.write(bring_signs_back), url)
    assert not await one.store.read(are_signs_ahead)
    one.clock.advance(60 + 120)
    assert await one.store.read(lambda tx: silent_owners(tx, TERMS)) == ["own_a"]


# What the server refuses for now


@pytest.mark.parametrize("code", ["40P01", "40001"])
async def test_what_the_server_ended_for_others_sake_is_carried_out_again(one: Node, code: str) -> None:
    calls = []

    def write(tx: Tx) -> str:
        calls.append(1)
        tx.driver.execute("INSERT INTO instance VALUES ('a', '1')")
        if len(calls) < TRIES:
            tx.driver.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")
        return "done"

    assert await one.store.write(write) == "done"
    assert (len(calls), await one.one("SELECT count(*) FROM instance WHERE key = 'a'")) == (TRIES, 1)


async def test_who_is_ended_for_others_sake_again_and_again_is_told_to_try_later(one: Node) -> None:
    def write(tx: Tx) -> None:
        tx.driver.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$")

    with pytest.raises(Unavailable, match="too many write at once"):
        await one.store.write(write)


@pytest.mark.parametrize("at_its_end", [False, True])
async def test_who_stands_still_in_a_transaction_for_too_long_is_told_and_works_again(
    one: Node, url: str, at_its_end: bool
) -> None:
    """A process that was stopped holds locks that everybody needs: the server ends its transaction (here at once).

    Over a line of its own: the proxy may hang up before it has passed on the server's last word. That may be lost as
    well where anything is sent to a server process that is gone: then all one knows is that it does not answer.
    """
    said = "stood still" if at_its_end else "stood still|does not answer"
    store = PostgresStore(url, clock=one.clock)

    def write(tx: Tx) -> None:
        backend = Path(f"/proc/{tx.driver.connection.info.backend_pid}")
        tx.driver.execute("INSERT INTO instance VALUES ('a', '1')")
        tx.driver.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
        until(lambda: not is_anybody_in_a_transaction(url) and not backend.exists())
        if not at_its_end:
            tx.driver.execute("SELECT 1")

    with closing(store):
        with pytest.raises(Unavailable, match=said):
            await store.write(write)
        await store.write(lambda tx: tx.driver.execute("INSERT INTO instance VALUES ('b', '1')"))
    assert await one.sql("SELECT key FROM instance WHERE key IN ('a', 'b')") == [("b",)]


def is_anybody_in_a_transaction(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as watcher:
        query = "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()"
        return watcher.execute(query).fetchone() is not None


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
