"""A target that waits is a row that nobody holds, and comes back by itself."""

from __future__ import annotations

from rota.domain.reasons import Reason
from rota.domain.states import AttemptState
from rota.storage.admission import what_waits
from rota.storage.parking import next_look
from rota.storage.rescue import take_over
from rota.storage.work import AttemptEnd, Report
from tests.contract.store_world import StoreWorld, a_command
from tests.storage.fleet import a_run, park, targets

SHOWN = "state, owner, waiting_for, reason, message"


async def test_a_parked_target_is_held_by_nobody_and_says_what_it_waits_for(world: StoreWorld) -> None:
    _, [work] = await world.make()
    await park(world, work, 60)
    assert await targets(world, SHOWN) == [("queued", None, "retry", "step_failed", "it is said why")]
    assert await world.sql("SELECT state, reason FROM attempt") == [("failed", "step_failed")]


async def test_it_is_claimed_when_its_moment_has_come_and_not_before(world: StoreWorld) -> None:
    _, [work] = await world.make()
    await park(world, work, 60)
    world.clock.advance(59)
    assert await world.claim() == []
    world.clock.advance(1)
    [again] = await world.claim("own_b")
    assert (again.target_id, again.cursor, again.number, again.fence) == (work.target_id, 0, 2, 2)
    assert await targets(world, SHOWN) == [("running", "own_b", None, None, None)]


async def test_its_cursor_and_what_it_changed_are_kept(world: StoreWorld) -> None:
    _, [work] = await world.make(steps=(a_command("a"), a_command("b")))
    work.changed = True
    attempt = AttemptEnd(state=AttemptState.SUCCEEDED, changed=True, finished_at=world.clock.now())
    await world.settle(Report(work=work, attempt=attempt, then=(1, 1)))
    await park(world, work, 60)
    world.clock.advance(60)
    [again] = await world.claim()
    assert (again.cursor, again.number, again.changed) == (1, 2, True)


async def test_a_look_for_an_offline_host_is_no_try_of_the_step(world: StoreWorld) -> None:
    await a_run(world, 1, on_offline="wait")
    for _ in range(3):
        [work] = await world.claim()
        assert work.number == 1
        await park(world, work, 30, reason=Reason.HOST_OFFLINE, begun=False)
        assert await world.one("SELECT count(*) FROM attempt") == 0
        world.clock.advance(30)
    assert await targets(world, "waiting_for, started_at") == [("host", None)]


async def test_the_next_look_is_at_the_soonest_of_those_that_wait(world: StoreWorld) -> None:
    work = [(await world.make())[1][0] for _ in range(3)]
    for one, seconds in zip(work, (50, 20, 90), strict=True):
        await park(world, one, seconds)
    assert await world.store.read(lambda tx: next_look(tx, None)) == world.clock.now() + 20_000_000
    assert await world.store.read(lambda tx: next_look(tx, {1, 3})) == world.clock.now() + 50_000_000
    assert await world.store.read(lambda tx: next_look(tx, set())) is None


async def test_what_waits_for_a_moment_is_no_reason_to_look_before(world: StoreWorld) -> None:
    _, [work] = await world.make()
    await park(world, work, 60)
    assert not (await world.store.read(what_waits)).is_anything


async def test_a_parked_target_makes_room_for_another(world: StoreWorld) -> None:
    _, [work] = await world.make(targets=3, targets_at_once=1)
    await park(world, work, 60)
    assert len(await world.claim()) == 1


async def test_the_dead_hold_nothing_that_is_parked(world: StoreWorld) -> None:
    _, [work] = await world.make()
    await park(world, work, 60)
    assert await world.store.write(lambda tx: take_over(tx, "own_a", "own_b")) == []


async def test_one_whose_work_was_taken_over_parks_nothing(world: StoreWorld) -> None:
    _, [stale] = await world.make()
    await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    settled = await park(world, stale, 60)
    assert settled.fenced == {stale.claim}
    assert await targets(world, "state, owner") == [("running", "own_b")]
    assert await world.sql("SELECT state FROM attempt") == [("running",)]


async def test_a_run_whose_end_was_asked_for_parks_nothing(world: StoreWorld) -> None:
    run_id, [work] = await world.make()
    await world.cancel(run_id)
    settled = await park(world, work, 60)
    assert settled.finished_runs == [run_id]
    assert await targets(world, "state, reason") == [("cancelled", "user_cancelled")]


async def test_cancelling_ends_what_is_parked_at_once(world: StoreWorld) -> None:
    run_id, [work] = await world.make()
    await park(world, work, 60)
    assert await world.cancel(run_id) is None
    assert await targets(world, "state, waiting_for, not_before") == [("cancelled", None, None)]
    assert await world.runs() == ["cancelled"]
