"""What a restored store does by itself: nothing, and all of that is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rota.domain.instant import HOUR, MINUTE, Micros
from rota.domain.policy import Missed
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import RunState
from rota.domain.trigger.spec import ContinuousTrigger
from rota.storage.backup import hold_still
from rota.storage.pauses import end_pause, pauses_since
from tests.contract.store_world import a_command, cron
from tests.support.world import Process, World, a_world

WHY = EXPLANATIONS[Reason.RESTORED]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


@pytest.fixture
async def daemon(world: World) -> Process:
    """The one that was at work when the backup was made."""
    return await world.start()


async def restore(world: World, daemon: Process | None = None, *, made_at: Micros | None = None) -> int:
    """The store as it is now is what the backup holds; nobody of before lives any more."""
    if daemon is not None:
        await daemon.die()
    at = world.clock.now() if made_at is None else made_at
    return await world.store.write(lambda tx: hold_still(tx, made_at=at, principal="ada"))


async def resume(world: World) -> None:
    [pause] = await world.store.read(lambda tx: pauses_since(tx, tx.at))
    await world.store.write(lambda tx: end_pause(tx, pause.public_id, by="ada"))


async def test_a_command_that_ran_is_unknown_and_never_ordered_again(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command(idempotent=True)])
    assert await restore(world, daemon) == 1
    await world.start("own_b")
    assert await world.verdict(run_id) == (RunState.FAILED, Reason.RESTORED, WHY)
    assert await world.attempts() == [(0, 1, "unknown", "restored")]
    assert world.connector.started == ["att-1"]


async def test_what_waited_or_was_queued_never_starts(world: World) -> None:
    await world.cap(1)
    work = [await world.make(targets=3, targets_at_once=1, owner=None), await world.make()]
    assert await restore(world) == 2
    await world.start("own_b")
    assert await world.runs("id, state, reason") == [(run_id, "cancelled", "restored") for run_id, _ in work]
    assert world.connector.started == []
    assert await world.used() == 0


async def test_a_target_that_waited_for_its_retry_is_over(world: World, daemon: Process) -> None:
    step = a_command(retries=3, retry_delay_seconds=60)
    run_id = await world.trigger(daemon, steps=[step])
    world.connector.live[0].ends(1)
    await world.quiet()
    await restore(world, daemon)
    await world.start("own_b")
    await world.advance(600)
    assert (await world.verdict(run_id))[:2] == (RunState.CANCELLED, Reason.RESTORED)
    assert world.connector.started == ["att-1"]


async def test_no_event_of_before_is_delivered_again(world: World, daemon: Process) -> None:
    await world.trigger(daemon, steps=[a_command()])
    await restore(world, daemon)
    assert await world.one("SELECT count(*) FROM outbox WHERE delivered_at IS NULL") == 0


async def test_hosts_are_not_asked_about_attempts_of_another_instance(world: World, daemon: Process) -> None:
    await world.trigger(daemon, steps=[a_command()])
    await restore(world, daemon)
    assert await world.one("SELECT count(*) FROM attempt WHERE state = 'unknown' AND evidence IS NULL") == 0


@pytest.mark.parametrize("missed", list(Missed))
async def test_what_came_due_between_backup_and_resume_is_in_the_ledger_and_never_runs(
    world: World, missed: Missed
) -> None:
    await world.a_job("hourly", cron("0 * * * *"), missed=missed)
    made_at = world.clock.now()
    world.clock.advance(5 * 3600)
    await restore(world, made_at=made_at)
    await world.start("own_b")
    await world.advance(3600)
    assert await world.ledger() == [("paused", 6)]
    await resume(world)
    world.processes[-1].engine._oversees.planner.nudge()  # type: ignore[union-attr]  # as the use case does
    await world.quiet()
    assert await world.runs() == []
    await world.to_next_due()
    assert await world.runs() == ["succeeded"]


async def test_what_was_missed_before_the_backup_was_made_does_not_run_either(world: World) -> None:
    """No daemon ran when it was made: the original may have caught up since."""
    await world.a_job("hourly", cron("0 * * * *"), missed=Missed.RUN_ONCE)
    world.clock.advance(3 * 3600 + 60)
    await restore(world)
    await world.start("own_b")
    assert await world.runs() == []
    assert await world.ledger() == [("paused", 3)]


async def test_a_continuous_job_waits_for_the_resume(world: World) -> None:
    await world.a_job("always", ContinuousTrigger(gap=MINUTE, backoff=HOUR))
    await restore(world)
    await world.start("own_b")
    await world.advance(7200)
    assert await world.runs() == []


async def test_a_person_may_still_run_something(world: World) -> None:
    job = await world.a_job("hourly", cron("0 * * * *"))
    await restore(world)
    daemon = await world.start("own_b")
    run_id = await world.trigger(daemon, job)
    assert await world.verdict(run_id) == (RunState.SUCCEEDED, None, None)


async def test_ids_go_on_where_the_backup_ended(world: World, daemon: Process) -> None:
    await world.trigger(daemon)
    await restore(world, daemon)
    assert await world.trigger(await world.start("own_b")) == 2
