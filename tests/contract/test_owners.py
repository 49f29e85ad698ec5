"""Owners, and how what a dead one held passes to another."""

from __future__ import annotations

from rota.domain.reasons import Reason
from rota.domain.states import AttemptState
from rota.storage.rescue import add_owner, end_owner, living_owners, take_over
from rota.storage.work import AttemptEnd, Report
from tests.contract.store_world import StoreWorld, a_command
from tests.support.clock import NOON


async def test_owners_live_until_they_are_known_to_have_ended(world: StoreWorld) -> None:
    for owner in ("own_a", "own_b"):
        await world.store.write(
            lambda tx, owner=owner: add_owner(tx, owner, kind="daemon", pid=7)  # type: ignore[misc]
        )
    await world.store.write(lambda tx: end_owner(tx, "own_a"))
    assert await world.store.read(living_owners) == ["own_b"]


async def test_everything_a_dead_owner_held_is_taken_over_once(world: StoreWorld) -> None:
    await world.make(targets=3)
    await world.make(owner="own_c")
    taken = await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    assert [(one.work.target_id, one.work.fence, one.attempt_open) for one in taken] == [
        (i, 2, True) for i in range(1, 4)
    ]
    assert await world.store.write(lambda tx: take_over(tx, "own_a", "own_d")) == []
    assert await world.sql("SELECT DISTINCT owner FROM run_target ORDER BY 1") == [("own_b",), ("own_c",)]


async def test_a_rescued_target_goes_on_at_its_cursor_with_its_open_attempt(world: StoreWorld) -> None:
    _, [work] = await world.make(steps=(a_command("a"), a_command("b")))
    attempt = AttemptEnd(state=AttemptState.SUCCEEDED, finished_at=NOON)
    await world.settle(Report(work=work, attempt=attempt, then=(1, 1)))
    [taken] = await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    assert (taken.work.cursor, taken.work.number, taken.work.attempt_id) == (1, 1, work.attempt_id)


async def test_a_target_rescued_between_two_attempts_goes_on_with_the_next_number(world: StoreWorld) -> None:
    _, [work] = await world.make()
    await world.settle(Report(work=work, attempt=AttemptEnd(state=AttemptState.FAILED, finished_at=NOON)))
    [taken] = await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    assert (taken.attempt_open, taken.work.attempt_id, taken.work.number) == (False, 0, 2)


async def test_a_rescue_tells_that_the_end_was_asked_for(world: StoreWorld) -> None:
    run_id, _ = await world.make()
    await world.cancel(run_id)
    [taken] = await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    assert taken.cancel is Reason.USER_CANCELLED
