"""How much runs at once: the cap on runs, and `targets_at_once` within each. Neither is overshot at any instant."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.policy import Overlap
from rota.domain.states import TargetState
from rota.storage.work import Assignment
from tests.contract.store_world import MINUTELY, StoreWorld, a_store
from tests.support.clock import ManualClock


async def test_a_batch_starts_no_more_runs_than_the_cap_allows(world: StoreWorld) -> None:
    for i in range(8):
        await world.a_job(f"job-{i}")
    world.clock.advance(60)
    assert len((await world.plan()).work) == 5
    assert await world.runs("state, waiting_for") == [("running", None)] * 5 + [("waiting", "slot")] * 3
    assert await world.used() == 5


async def test_what_waits_for_a_slot_has_no_targets_yet_and_does_not_expire(world: StoreWorld) -> None:
    await world.cap(0)
    await world.a_job()
    world.clock.advance(60)
    await world.plan()
    world.clock.advance(30 * 86400)
    assert await world.admit() == []
    assert await world.sql("SELECT id FROM run_target") == []
    await world.cap(1)
    assert await world.admit() == [1]


async def test_a_run_that_ends_makes_room_for_one_more(world: StoreWorld) -> None:
    await world.cap(1)
    _, first = await world.make()
    second, nothing = await world.make()
    assert (nothing, await world.admit()) == ([], [])
    await world.end(*first)
    assert await world.admit() == [second]
    assert await world.used() == 1


async def test_larger_priority_goes_first_then_the_older_due_then_the_id(world: StoreWorld) -> None:
    await world.cap(0)
    for title, priority in (("late", 0), ("early", 0), ("urgent", 9), ("early too", 0)):
        await world.make(title=title, priority=priority)
    await world.sql("UPDATE run SET due_at = due_at - 1 WHERE title LIKE 'early%'")
    order = []
    for cap in range(1, 5):
        await world.cap(cap)
        order += await world.admit()
    titles = dict(await world.runs("id, title"))
    assert [titles[run_id] for run_id in order] == ["urgent", "early", "early too", "late"]


async def test_of_what_is_due_together_the_larger_priority_gets_the_slot(world: StoreWorld) -> None:
    await world.cap(1)
    await world.a_job("plain")
    await world.a_job("urgent", priority=5)
    world.clock.advance(60)
    [work] = (await world.plan()).work
    assert work.title == "urgent"


async def test_a_cap_lowered_below_what_runs_starts_nothing_and_ends_nothing(world: StoreWorld) -> None:
    works = [(await world.make())[1] for _ in range(3)]
    await world.cap(2)
    await world.make()
    assert await world.admit() == []
    await world.end(*works[0])
    assert await world.admit() == []
    await world.end(*works[1])
    assert await world.admit() == [4]


async def test_a_run_starts_no_more_targets_than_it_may_at_once(world: StoreWorld) -> None:
    _, work = await world.make(targets=25, targets_at_once=10)
    assert len(work) == 10
    assert await world.claim() == []
    await world.end(*work[:3])
    assert len(await world.claim()) == 3
    assert await world.claim("own_b") == []


async def test_each_run_has_its_own_count_of_targets(world: StoreWorld) -> None:
    for _ in range(2):
        await world.make(targets=6, targets_at_once=2, owner=None)
    work = await world.claim()
    assert sorted(one.run_id for one in work) == [1, 1, 2, 2]


async def test_a_large_run_that_may_start_nothing_more_hides_no_other(world: StoreWorld) -> None:
    """However few slots the worker has: what waits behind `targets_at_once` stands in nobody's way."""
    await world.make(targets=2000, targets_at_once=1)
    other, _ = await world.make(owner=None)
    [work] = await world.claim(slots=1)
    assert work.run_id == other


async def test_admitting_for_a_command_sees_past_what_is_not_its_own(world: StoreWorld) -> None:
    await world.cap(0)
    runs = [(await world.make())[0] for _ in range(9)]
    await world.cap(1)
    assert await world.admit(only_runs={runs[-1]}) == [runs[-1]]
    assert await world.admit(only_runs=set()) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["minute", "trigger", "hosts", "finish", "fail", "cancel", "admit", "claim", "cap"]),
        st.integers(0, 7),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
async def test_whatever_happens_the_caps_hold_and_every_slot_comes_back(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        store = a_store(Path(folder) / "rota.db", clock)
        try:
            await _live_through(StoreWorld(store, clock), steps)
        finally:
            store.close()


async def _live_through(world: StoreWorld, steps: list[tuple[str, int]]) -> None:
    cap = 2
    await world.cap(cap)
    jobs = [await world.a_job(policy.value, MINUTELY, MINUTELY, overlap=policy) for policy in Overlap]
    held: list[Assignment] = []

    async def cancelled(run_ids: list[Any]) -> None:
        for one in [one for one in held if one.run_id in run_ids]:
            held.remove(one)
            await world.end(one, state=TargetState.CANCELLED)

    for step, number in steps:
        if step == "minute":
            world.clock.advance(60)
            planned = await world.plan(slots=number)
            held += planned.work
            if number % 2:
                await cancelled([order.run_id for order in planned.cancels])
        elif step == "trigger":
            held += (await world.make(jobs[number % 3]))[1]
        elif step == "hosts":
            held += (await world.make(targets=2 + number, targets_at_once=2))[1]
        elif step in {"finish", "fail"} and held:
            state = TargetState.SUCCEEDED if step == "finish" else TargetState.FAILED
            await world.end(held.pop(number % len(held)), state=state)
        elif step == "cancel":
            unfinished = await world.runs("id", "finished_at IS NULL")
            if unfinished:
                run_id = unfinished[number % len(unfinished)]
                await world.cancel(run_id)
                await cancelled([run_id])
        elif step == "admit":
            await world.admit()
        elif step == "claim":
            held += await world.claim(slots=number)
        elif step == "cap":
            cap = max(cap, number % 4)
            await world.cap(cap)
        await _check(world, cap)
    while unfinished := await world.runs("id", "finished_at IS NULL"):
        await world.cap(max(cap, 1))
        await world.admit()
        held += await world.claim()
        if not held:
            raise AssertionError(f"runs {unfinished} wait for nothing")
        await world.end(*held)
        held.clear()
    await _check(world, 9)
    assert await world.used() == 0
    assert [await world.active(job) for job in jobs] == [0] * len(Overlap)
    assert await world.one("SELECT count(*) FROM attempt WHERE state = 'running'") == 0
    ended = await world.one("SELECT count(*) FROM outbox")
    assert ended == len(await world.runs())


async def _check(world: StoreWorld, cap: int) -> None:
    in_work = len(await world.runs("id", "state IN ('queued', 'running')"))
    assert in_work == await world.used() <= cap
    for run_id, at_once in await world.runs("id, targets_at_once"):
        claimed = await world.one("SELECT count(*) FROM run_target WHERE run_id = ? AND state = 'running'", run_id)
        assert claimed <= at_once
    for job_id, active in await world.sql("SELECT job_id, active FROM job_state"):
        assert active == len(await world.runs("id", f"finished_at IS NULL AND job_id = {job_id}"))
    counted = "(SELECT count(*) FROM run_target WHERE run_id = run.id AND finished_at IS NULL)"
    assert await world.runs("id", f"state IN ('queued', 'running') AND open_targets <> {counted}") == []
