"""While nothing more may be begun, what is at work goes on and ends; what waits begins when that is over."""

from __future__ import annotations

from rota.domain.states import RunState
from tests.contract.store_world import a_command
from tests.support.world import Process, World


async def test_what_waits_for_a_slot_is_not_started_before_that_is_over(world: World, daemon: Process) -> None:
    await world.cap(1)
    first = await world.trigger(daemon, steps=[a_command()])
    second = await world.trigger(daemon, steps=[a_command()])
    daemon.worker.holds_back = lambda: True
    world.connector.live[0].ends()
    await world.quiet()
    assert (await world.verdict(first))[0] is RunState.SUCCEEDED
    await world.advance(5)
    assert world.connector.started == ["att-1"]
    daemon.worker.holds_back = lambda: False
    await world.advance(5)
    assert len(world.connector.started) == 2
    assert (await world.verdict(second))[0] is RunState.RUNNING


async def test_a_run_of_several_steps_goes_on_to_its_next_one(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    daemon.worker.holds_back = lambda: True
    for _ in range(2):
        world.connector.live[-1].ends()
        await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED
