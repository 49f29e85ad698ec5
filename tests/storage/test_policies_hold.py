"""Whatever happens, the policies hold: so many at once, oldest first, every instant settled once, every count right."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.instant import MINUTE
from rota.domain.policy import Missed, Overlap, Policies, most_at_once
from rota.domain.states import TargetState
from rota.ports import Tx
from rota.storage.finishing import expire_unstarted
from rota.storage.jobs import JobRow
from rota.storage.work import Assignment
from tests.contract.store_world import MINUTELY, StoreWorld, a_store
from tests.support.clock import NOON, ManualClock

LIMITED = frozenset({Overlap.QUEUE, Overlap.ALLOW})
JOBS = st.lists(
    st.tuples(
        st.sampled_from(Overlap),
        st.sampled_from(Missed),
        st.none() | st.integers(1, 4),  # overlap_limit
        st.none() | st.integers(30, 120),  # start_within
        st.none() | st.integers(30, 120),  # queue_timeout
    ),
    min_size=1,
    max_size=3,
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["minute", "outage", "end", "fail", "admit", "cap", "expire"]), st.integers(0, 5)),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(jobs=JOBS, steps=STEPS)
async def test_whatever_happens_the_policies_hold(jobs: list[tuple[Any, ...]], steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        store = a_store(Path(folder) / "rota.db", clock)
        try:
            await _live_through(StoreWorld(store, clock), jobs, steps)
        finally:
            store.close()


async def _live_through(world: StoreWorld, said: list[tuple[Any, ...]], steps: list[tuple[str, int]]) -> None:
    jobs = [await _a_job(world, place, *words) for place, words in enumerate(said)]
    held: list[Assignment] = []
    for step, number in [*steps, ("cap", 5), ("minute", 0)]:
        match step:
            case "minute" | "outage":
                world.clock.advance(60 if step == "minute" else 60 * 20 * (number + 1))
                planned = await world.plan(slots=number)
                held += planned.work
                for order in planned.cancels:
                    for one in [one for one in held if one.run_id == order.run_id]:
                        held.remove(one)
                        await world.end(one, state=TargetState.CANCELLED, reason=order.reason)
            case "end" | "fail" if held:
                await world.end(held.pop(number % len(held)), state=TargetState(_END[step]))
            case "admit":
                await world.admit()
                held += await world.claim(slots=number)
            case "cap":
                await world.cap(number)
            case "expire":
                world.clock.advance(number * 20)
                await _expire(world)
        await _require_truth(world, jobs)
    await _work_off(world, held)
    for job in jobs:
        assert await world.active(job) == 0
    assert await world.used() == 0
    assert set(await world.runs()) <= {"succeeded", "failed", "cancelled", "skipped", "expired"}


_END = {"end": "succeeded", "fail": "failed"}


async def _a_job(
    world: StoreWorld, place: int, overlap: Overlap, missed: Missed, limit: int | None, within: int | None,
    timeout: int | None,
) -> JobRow:  # fmt: skip
    policies = Policies(
        overlap_limit=limit if overlap in LIMITED else None, catch_up_max=4 if missed is Missed.RUN_ALL else None,
        start_within_seconds=within, queue_timeout_seconds=timeout,
    )  # fmt: skip
    return await world.a_job(f"job-{place}", MINUTELY, overlap=overlap, missed=missed, policies=policies)


async def _expire(world: StoreWorld) -> None:
    def run(tx: Tx) -> None:
        expire_unstarted(tx)

    await world.store.write(run)


async def _require_truth(world: StoreWorld, jobs: list[JobRow]) -> None:
    """What is written down agrees with the rows, and with what each job said."""
    (at_work,) = (await world.sql("SELECT count(*) FROM run WHERE state = 'queued' OR state = 'running'"))[0]
    assert await world.used() == at_work
    for job in jobs:
        rows = await world.sql("SELECT state FROM run WHERE job_id = ? AND finished_at IS NULL ORDER BY id", job.id)
        states = [state for (state,) in rows]
        assert await world.active(job) == len(states)
        busy = [state for state in states if state != "waiting"]
        assert len(busy) <= most_at_once(job.spec.overlap, job.spec.policies.overlap_limit)
        assert states[: len(busy)] == busy or job.spec.overlap is Overlap.ALLOW  # nobody overtakes an older one
        await _require_every_instant(world, job)


async def _require_every_instant(world: StoreWorld, job: JobRow) -> None:
    """Each minute up to the last that was planned is a run, or in exactly one span of the ledger."""
    (high_water,) = (
        await world.sql(
            "SELECT high_water FROM due WHERE trigger_id IN (SELECT id FROM trigger WHERE job_id = ?)", job.id
        )
    )[0]
    covered = [nominal for (nominal,) in await world.sql("SELECT nominal FROM run WHERE job_id = ?", job.id)]
    spans = await world.sql("SELECT first_nominal, last_nominal, count FROM ledger WHERE job_id = ?", job.id)
    for first, last, count in spans:
        instants = range(first, last + 1, MINUTE)
        if len(instants) == count:
            covered += instants
        else:  # a span of skips behind one run, with runs of others between
            covered += [None] * count
    known = [instant for instant in covered if instant is not None]
    assert len(known) == len(set(known))
    assert len(covered) == max(0, (high_water - NOON) // MINUTE)


async def _work_off(world: StoreWorld, held: list[Assignment]) -> None:
    """Nothing is due any more: end what runs, until all that waits has had its turn or was given up."""
    await world.sql("UPDATE due SET fire_at = NULL, nominal = NULL")
    for _ in range(200):
        await world.end(*held)
        await _expire(world)
        await world.admit()
        held = await world.claim()
        if not held and not await world.runs("id", "finished_at IS NULL"):
            return
        world.clock.advance(1)
    raise AssertionError("something never ended")
