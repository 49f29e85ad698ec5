"""Batches, throttles and `max_fail`: what a claim gives out, and what the end of a target sets in motion."""

from __future__ import annotations

import pytest

from rota.domain.instant import SECOND
from rota.domain.reasons import Reason
from rota.domain.states import TargetState
from rota.storage import fanout
from rota.storage.parking import next_look
from rota.storage.retention import delete_runs
from tests.contract.store_world import StoreWorld
from tests.storage.fleet import FAILED, a_run, names, park, targets


async def test_a_run_with_rules_is_queued_and_claimed_not_started_at_once(world: StoreWorld) -> None:
    await a_run(world, 3, owner="own_a", max_fail="1")
    assert await targets(world) == ["queued"] * 3
    assert len(await world.claim()) == 3
    assert await targets(world) == ["running"] * 3


async def test_a_run_without_rules_starts_at_once_and_has_no_row_of_them(world: StoreWorld) -> None:
    await a_run(world, 3, owner="own_a")
    assert await targets(world) == ["running"] * 3
    assert await world.one("SELECT count(*) FROM run_fanout") == 0


async def test_only_the_first_batch_starts(world: StoreWorld) -> None:
    await a_run(world, 10, batch="1, 30%, 100%")
    assert names(await world.claim()) == ["host-00000"]
    assert await targets(world, "batch") == [1, 2, 2, 2, 3, 3, 3, 3, 3, 3]


async def test_the_next_batch_opens_when_the_last_of_the_one_before_has_ended(world: StoreWorld) -> None:
    run_id = await a_run(world, 6, batch="2")
    work = await world.claim()
    await world.end(work[0])
    assert await world.claim() == []
    await world.end(work[1])
    assert names(await world.claim()) == ["host-00002", "host-00003"]
    progress = await world.store.read(lambda tx: fanout.progress_of(tx, run_id))
    assert progress is not None
    assert (progress.open_batch, progress.last_batch) == (2, 3)


async def test_all_batches_together_are_the_run(world: StoreWorld) -> None:
    await a_run(world, 7, batch="1, 2")
    sizes = []
    while work := await world.claim():
        sizes.append(len(work))
        await world.end(*work)
    assert sizes == [1, 2, 2, 2]
    assert await world.runs("state, ok") == [("succeeded", 7)]


async def test_between_two_batches_the_pause_passes(world: StoreWorld) -> None:
    await a_run(world, 2, batch="1", batch_pause_seconds=600)
    await world.end(*await world.claim())
    world.clock.advance(599)
    assert await world.claim() == []
    assert await world.store.read(lambda tx: next_look(tx, None)) == world.clock.now() + SECOND
    world.clock.advance(1)
    assert len(await world.claim()) == 1


async def test_a_canary_that_fails_stops_the_rest(world: StoreWorld) -> None:
    await a_run(world, 10, batch="1, 100%")
    [canary] = await world.claim()
    settled = await world.end(canary, state=FAILED, reason=Reason.STEP_FAILED)
    assert settled.finished_runs == [1]
    assert await targets(world, "state, reason") == [("failed", "step_failed")] + [("skipped", "max_fail")] * 9
    assert await world.runs("state, reason, ok, open_targets") == [("failed", "step_failed", 0, 0)]
    assert await world.used() == 0


async def test_as_many_may_fail_as_max_fail_says(world: StoreWorld) -> None:
    await a_run(world, 10, batch="2", max_fail="20%")
    for _ in range(2):
        good, bad = await world.claim()
        await world.end(good)
        await world.end(bad, state=FAILED)
    good, bad = await world.claim()
    await world.end(bad, state=FAILED)
    assert await targets(world) == ["succeeded", "failed"] * 2 + ["running", "failed"] + ["skipped"] * 4
    await world.end(good)
    assert await world.runs("state, ok") == [("partial", 3)]


@pytest.mark.parametrize("state", [FAILED, TargetState.TIMED_OUT, TargetState.UNREACHABLE, TargetState.UNKNOWN])
async def test_every_bad_end_counts(world: StoreWorld, state: TargetState) -> None:
    await a_run(world, 3, at_once=1, max_fail="0")
    await world.end(*await world.claim(), state=state)
    assert await targets(world) == [state, "skipped", "skipped"]


async def test_a_host_that_was_left_out_does_not_count_as_bad(world: StoreWorld) -> None:
    await a_run(world, 3, batch="1", on_offline="skip")
    [first] = await world.claim()
    await world.end(first, state=TargetState.SKIPPED, reason=Reason.HOST_OFFLINE)
    assert len(await world.claim()) == 1


async def test_max_fail_holds_without_batches_too(world: StoreWorld) -> None:
    await a_run(world, 10, at_once=2, max_fail="1")
    for work in [await world.claim(), await world.claim()]:
        for one in work:
            await world.end(one, state=FAILED)
    assert await targets(world) == ["failed"] * 2 + ["skipped"] * 8


async def test_what_had_begun_when_the_run_was_stopped_goes_on(world: StoreWorld) -> None:
    await a_run(world, 4, at_once=3, max_fail="0")
    bad, retried, at_work = await world.claim()
    await park(world, retried, 60)
    await world.end(bad, state=FAILED)
    assert await targets(world) == ["failed", "queued", "running", "skipped"]
    world.clock.advance(60)
    [again] = await world.claim()
    await world.end(again, at_work)
    assert await world.runs("state, ok") == [("partial", 2)]


async def test_a_host_that_was_away_when_the_run_was_stopped_is_not_begun_with(world: StoreWorld) -> None:
    await a_run(world, 3, max_fail="0")
    bad, away, late = await world.claim()
    await park(world, away, 30, reason=Reason.CONNECT_REFUSED, begun=False)
    await world.end(bad, state=FAILED)
    await park(world, late, 30, reason=Reason.CONNECT_REFUSED, begun=False)
    assert await targets(world, "state, reason") == [
        ("failed", None), ("skipped", "max_fail"), ("skipped", "max_fail"),
    ]  # fmt: skip
    assert await world.runs() == ["failed"]


async def test_a_throttled_run_starts_one_target_at_a_time(world: StoreWorld) -> None:
    await a_run(world, 3, throttle="1/s")
    assert len(await world.claim()) == 1
    assert await world.claim() == []
    world.clock.advance(0.5)
    assert await world.claim() == []
    assert await world.store.read(lambda tx: next_look(tx, None)) == world.clock.now() + SECOND // 2
    world.clock.advance(0.5)
    assert len(await world.claim("own_b")) == 1


async def test_a_run_that_may_not_start_anything_hides_no_other(world: StoreWorld) -> None:
    await a_run(world, 1000, throttle="1/h")
    await a_run(world, 1000, batch="1")
    other = await a_run(world, 2)
    first = await world.claim(slots=3)
    assert [one.run_id for one in first] == [1, 2, other]
    [second] = await world.claim(slots=1)
    assert second.run_id == other


async def test_a_retry_is_a_start_too(world: StoreWorld) -> None:
    await a_run(world, 2, throttle="1/m")
    [first] = await world.claim()
    await park(world, first, 1)
    world.clock.advance(2)
    assert await world.claim() == []
    world.clock.advance(58)
    assert names(await world.claim()) == ["host-00000"]


async def test_rules_of_a_run_that_waits_hold_when_it_is_admitted(world: StoreWorld) -> None:
    await world.cap(0)
    await a_run(world, 5, batch="2, 100%")
    await world.cap(1)
    await world.admit()
    assert await targets(world, "batch") == [1, 1, 2, 2, 2]
    assert len(await world.claim()) == 2


async def test_a_run_whose_time_is_over_ends_what_it_had_not_started(world: StoreWorld) -> None:
    await a_run(world, 5, at_once=1, run_timeout=60)
    [work] = await world.claim()
    world.clock.advance(60)
    await world.end(work)
    assert await world.claim() == []
    assert await targets(world, "state, reason") == [("succeeded", None)] + [("timed_out", "run_timeout")] * 4
    assert await world.runs("state, reason, ok") == [("partial", "run_timeout", 1)]


async def test_a_pause_longer_than_the_run_ends_with_it(world: StoreWorld) -> None:
    await a_run(world, 2, batch="1", batch_pause_seconds=3600, run_timeout=60)
    world.clock.advance(5)
    await world.end(*await world.claim())
    assert await world.store.read(lambda tx: next_look(tx, None)) == world.clock.now() + 60 * SECOND
    world.clock.advance(60)
    assert await world.claim() == []
    assert await targets(world) == ["succeeded", "timed_out"]


async def test_a_cancelled_run_opens_no_batch(world: StoreWorld) -> None:
    run_id = await a_run(world, 4, batch="1", batch_pause_seconds=60)
    [work] = await world.claim()
    await world.cancel(run_id)
    await world.end(work, state=TargetState.CANCELLED)
    world.clock.advance(60)
    assert await world.claim() == []
    assert await world.runs() == ["cancelled"]


async def test_rules_go_with_the_history_of_their_run(world: StoreWorld) -> None:
    run_id = await a_run(world, 1, throttle="1/s")
    await world.end(*await world.claim())
    await world.store.write(lambda tx: delete_runs(tx, [run_id]))
    assert await world.one("SELECT count(*) FROM run_fanout") == 0
