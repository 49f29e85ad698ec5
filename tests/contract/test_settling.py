"""Verdicts: each counts once, under its fence, and the last target to end rolls its run up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.domain.reasons import Reason
from rota.domain.states import AttemptState, TargetState
from rota.storage.finishing import settle
from rota.storage.repeated import settle_again
from rota.storage.rescue import take_over
from rota.storage.work import AttemptEnd, Report, Settled, TargetEnd
from tests.contract.store_world import StoreWorld, a_command
from tests.support.clock import NOON


async def test_a_settled_target_ends_its_attempt_itself_and_its_run(world: StoreWorld) -> None:
    run_id, [work] = await world.make()
    world.clock.advance(2)
    settled = await world.end(work)
    assert (settled.finished_runs, settled.fenced) == ([run_id], set())
    at = world.clock.now()
    for table in ("attempt", "run_target", "run"):
        assert await world.sql(f"SELECT state, finished_at FROM {table}") == [("succeeded", at)]
    assert await world.runs("ok, open_targets") == [(1, 0)]


async def test_a_report_under_an_old_fence_changes_nothing(world: StoreWorld) -> None:
    _, [stale] = await world.make()
    await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    before = [await world.sql(f"SELECT * FROM {table}") for table in ("attempt", "run_target", "run", "outbox")]
    settled = await world.end(stale)
    after = [await world.sql(f"SELECT * FROM {table}") for table in ("attempt", "run_target", "run", "outbox")]
    assert (settled.fenced, settled.finished_runs, after) == ({stale.claim}, [], before)
    onward = await world.settle(Report(work=stale, attempt=None, then=(0, 2)))
    assert (onward.fenced, onward.next_attempts) == ({stale.claim}, {})
    assert await world.one("SELECT count(*) FROM attempt") == 1


async def test_the_fenced_of_a_batch_do_not_hold_up_the_others(world: StoreWorld) -> None:
    _, [stale] = await world.make()
    await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    good_run, [good] = await world.make()
    settled = await world.end(stale, good)
    assert (settled.fenced, settled.finished_runs) == ({stale.claim}, [good_run])
    assert await world.runs() == ["running", "succeeded"]


async def test_the_old_claim_of_whoever_took_a_target_back_does_not_hold_up_the_new_one(world: StoreWorld) -> None:
    _, [old] = await world.make(steps=(a_command("a"), a_command("b")))
    await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    [new] = [back.work for back in await world.store.write(lambda tx: take_over(tx, "own_b", "own_a"))]
    end = AttemptEnd(state=AttemptState.SUCCEEDED, finished_at=NOON)
    settled = await world.settle(*(Report(work=work, attempt=end, then=(1, 1)) for work in (old, new)))
    assert (settled.fenced, settled.next_attempts) == ({old.claim}, {new.claim: 2})
    assert (old.cursor, new.cursor, new.attempt_id) == (0, 1, 2)


async def told_again(world: StoreWorld, *reports: Report) -> Settled:
    """As a reporter does that never heard whether its commit went through."""
    return await world.store.write(lambda tx: settle_again(tx, reports))


async def test_a_verdict_told_again_is_known_as_the_same(world: StoreWorld) -> None:
    run_id, [work] = await world.make()
    report = world.report(work)
    await world.store.write(lambda tx: settle(tx, [report]))
    before = [await world.sql(f"SELECT * FROM {table}") for table in ("attempt", "run_target", "run", "outbox")]
    again = await told_again(world, report)
    assert (again.finished_runs, again.fenced) == ([run_id], set())
    assert before == [await world.sql(f"SELECT * FROM {table}") for table in ("attempt", "run_target", "run", "outbox")]


async def test_the_next_intent_told_again_is_the_same_attempt(world: StoreWorld) -> None:
    _, [work] = await world.make()
    end = AttemptEnd(state=AttemptState.SUCCEEDED, finished_at=world.clock.now())
    report = Report(work=work, attempt=end, then=(1, 1))
    first = await world.store.write(lambda tx: settle(tx, [report]))
    again = await told_again(world, report)
    assert again.next_attempts == first.next_attempts == {work.claim: 2}
    assert await world.sql("SELECT id, state FROM attempt") == [(1, "succeeded"), (2, "running")]


async def test_what_the_first_commit_never_did_is_done_by_the_second(world: StoreWorld) -> None:
    run_id, [work] = await world.make()
    assert (await told_again(world, world.report(work))).finished_runs == [run_id]
    assert await world.runs() == ["succeeded"]


async def test_a_verdict_told_again_under_an_old_fence_is_refused(world: StoreWorld) -> None:
    _, [stale] = await world.make()
    await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    assert (await told_again(world, world.report(stale))).fenced == {stale.claim}
    assert await world.runs() == ["running"]


async def test_a_verdict_reported_twice_counts_once(world: StoreWorld) -> None:
    job = await world.a_job()
    _, [work] = await world.make(job)
    await world.make(job)
    await world.end(work)
    again = await world.end(work)
    assert (again.fenced, again.finished_runs) == ({work.claim}, [])
    assert (await world.active(job), await world.used()) == (1, 1)
    assert await world.one("SELECT count(*) FROM outbox") == 1


async def test_a_verdict_twice_in_one_batch_counts_once(world: StoreWorld) -> None:
    _, work = await world.make(targets=2)
    await world.end(work[0], work[0])
    assert await world.runs("open_targets, ok") == [(1, 1)]


async def test_no_verdict_changes_once_it_is_final(world: StoreWorld) -> None:
    _, [work] = await world.make()
    await world.end(work)
    await world.end(work, state=TargetState.FAILED)
    assert await world.runs() == ["succeeded"]
    assert await world.sql("SELECT state FROM attempt") == [("succeeded",)]


async def test_a_report_that_goes_on_moves_the_cursor_and_writes_the_next_intent(world: StoreWorld) -> None:
    _, [work] = await world.make(steps=(a_command("a"), a_command("b")))
    first = work.attempt_id
    attempt = AttemptEnd(state=AttemptState.SUCCEEDED, changed=True, registered='{"x": 1}', finished_at=NOON)
    settled = await world.settle(Report(work=work, attempt=attempt, then=(1, 1)))
    assert (work.cursor, work.number, work.attempt_id) == (1, 1, first + 1)
    assert settled.next_attempts == {work.claim: first + 1}
    assert await world.sql("SELECT step, number, state, changed FROM attempt") == [
        (0, 1, "succeeded", 1), (1, 1, "running", None),
    ]  # fmt: skip
    assert await world.sql("SELECT cursor, state FROM run_target") == [(1, "running")]


async def test_an_assignment_stays_as_it_is_until_its_commit_is_durable(world: StoreWorld) -> None:
    _, [work] = await world.make()
    before = replace(work)
    await world.store.write(lambda tx: settle(tx, [Report(work=work, attempt=None, then=(0, 2))]))
    assert work == before


async def test_a_target_may_end_before_its_first_attempt(world: StoreWorld) -> None:
    _, [work] = await world.make()
    end = TargetEnd(state=TargetState.CANCELLED, reason=Reason.USER_CANCELLED)
    await world.settle(Report(work=work, attempt=None, end=end))
    assert await world.runs("state, reason") == [("cancelled", Reason.USER_CANCELLED)]


S, F, T, C, U, X = (
    TargetState.SUCCEEDED, TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED, TargetState.UNREACHABLE,
    TargetState.UNKNOWN,
)  # fmt: skip


@pytest.mark.parametrize(
    ("ends", "run", "ok"),
    [
        ((S, S, S), "succeeded", 3),
        ((S, F, S), "partial", 2),
        ((F, F, F), "failed", 0),
        ((T, T, T), "timed_out", 0),
        ((T, F, U), "failed", 0),
        ((S, S, U), "partial", 2),
        ((C, C, C), "cancelled", 0),
        ((S, C, C), "cancelled", 1),
        ((S, X, S), "partial", 2),
    ],
)
async def test_the_last_target_to_end_rolls_the_run_up(
    world: StoreWorld, ends: tuple[TargetState, ...], run: str, ok: int
) -> None:
    run_id, work = await world.make(targets=3)
    for i, (one, state) in enumerate(zip(work, ends, strict=True)):
        settled = await world.end(one, state=state)
        assert settled.finished_runs == ([run_id] if i == 2 else [])
    assert await world.runs("state, ok, open_targets") == [(run, ok, 0)]


async def test_all_targets_may_end_in_one_batch(world: StoreWorld) -> None:
    _, work = await world.make(targets=7)
    await world.end(*work)
    assert await world.runs("state, ok") == [("succeeded", 7)]


@pytest.mark.parametrize("targets", [1, 3])
async def test_a_run_whose_started_targets_all_crashed_is_cancelled_and_says_so(
    world: StoreWorld, targets: int
) -> None:
    _, work = await world.make(targets=targets)
    await world.end(*work, state=TargetState.UNKNOWN, reason=Reason.DAEMON_CRASHED)
    assert await world.runs("state, reason, message") == [
        ("cancelled", Reason.DAEMON_CRASHED, "daemon crashed during execution")
    ]


async def test_one_target_lost_with_its_keeper_makes_the_run_failed(world: StoreWorld) -> None:
    _, work = await world.make()
    await world.end(*work, state=TargetState.UNKNOWN, reason=Reason.KEEPER_LOST)
    assert await world.runs("state, reason") == [("failed", Reason.KEEPER_LOST)]


async def test_the_state_of_the_job_is_that_of_its_newest_run(world: StoreWorld) -> None:
    job = await world.a_job()
    (_, [older]), (_, [newer]) = await world.make(job), await world.make(job, kind="rerun")
    await world.end(newer, state=TargetState.FAILED, reason=Reason.STEP_FAILED)
    world.clock.advance(5)
    await world.end(older)
    columns = "active, last_run_id, last_state, last_reason, last_kind, last_started_at, last_finished_at"
    assert await world.sql(f"SELECT {columns} FROM job_state") == [
        (0, 2, "failed", Reason.STEP_FAILED, "rerun", NOON, NOON)
    ]


async def test_a_failing_run_and_a_manual_one_move_no_timetable(world: StoreWorld) -> None:
    job = await world.a_job()
    before = await world.sql("SELECT * FROM due")
    _, work = await world.make(job)
    await world.end(*work, state=TargetState.FAILED)
    assert await world.sql("SELECT * FROM due") == before


async def test_each_run_leaves_one_event_of_its_end(world: StoreWorld) -> None:
    _, one = await world.make()
    _, many = await world.make(targets=3)
    waiting_cap = world.cap(2)
    await waiting_cap
    never, _ = await world.make()
    await world.end(*one)
    await world.end(*many, state=TargetState.FAILED)
    await world.cancel(never)
    assert await world.sql("SELECT run_id, state, delivered_at FROM outbox ORDER BY run_id") == [
        (1, "succeeded", None), (2, "failed", None), (3, "cancelled", None),
    ]  # fmt: skip
