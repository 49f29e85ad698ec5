"""What is lost of another owner's work has its verdict in the commit that takes it over."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rota.domain.errors import Unavailable
from rota.domain.reasons import Reason
from rota.domain.states import Fate, RunState
from rota.engine.plans import Plans
from rota.engine.takeover import Judged, Taken, take_and_settle
from rota.storage.rescue import take_over
from rota.storage.work import Assignment
from tests.contract.store_world import a_command
from tests.support.world import World


async def lost(world: World, work: Assignment) -> Mapping[int, Judged]:
    plan = await Plans(world.store).get(work.plan_id)
    return {work.attempt_id: Judged(work.run_id, plan, lost=Reason.KEEPER_LOST)}


async def taken(world: World, judged: Mapping[int, Judged]) -> Taken:
    return await world.store.write(lambda tx: take_and_settle(tx, lambda tx: take_over(tx, "own_a", "own_b"), judged))


async def test_whoever_comes_after_the_heir_finds_the_verdict_and_starts_nothing(world: World) -> None:
    """The heir's own keeper never heard of the attempt: asked, it would say that it was never started."""
    run_id, [work] = await world.make(owner="own_a", steps=[a_command()])
    await taken(world, await lost(world, work))
    world.dead |= {"own_a", "own_b"}
    world.connector.fates["att-1"] = Fate.NEVER_STARTED
    await world.start("own_c")
    assert world.connector.started == []
    assert (await world.verdict(run_id))[:2] == (RunState.FAILED, Reason.KEEPER_LOST)
    assert await world.attempts() == [(0, 1, "unknown", Reason.KEEPER_LOST)]


async def test_the_next_try_of_an_idempotent_step_is_intended_in_it_too(world: World) -> None:
    _, [work] = await world.make(owner="own_a", steps=[a_command(idempotent=True, retry_delay_seconds=0)])
    [report] = (await taken(world, await lost(world, work))).lost
    assert report.then == (0, 2)
    assert await world.attempts() == [(0, 1, "unknown", Reason.KEEPER_LOST), (0, 2, "running", None)]
    assert await world.sql("SELECT owner FROM run_target") == [("own_b",)]


async def test_what_was_begun_since_it_was_judged_is_not_taken(world: World) -> None:
    await world.make(owner="own_a", steps=[a_command()])
    with pytest.raises(Unavailable, match="went on while its owner was taken for dead"):
        await taken(world, {})
    assert await world.sql("SELECT owner FROM run_target") == [("own_a",)]
