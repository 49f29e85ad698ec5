"""What the simulation has found in Rota, each mended, each with a test of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from rota.domain.calendars import Scope
from rota.domain.clocks import Kind
from rota.domain.errors import Unavailable
from rota.domain.instant import DAY, HOUR
from rota.domain.job import NamedTrigger
from rota.domain.policy import Missed
from rota.domain.reasons import Reason
from rota.domain.states import Fate, RunState
from rota.engine.takeover import Taken
from rota.keeper import client
from rota.ports import Tx
from rota.storage.executor import InlineExecutor
from rota.storage.pauses import insert_pause
from rota.storage.rescue import take_over
from rota.storage.work import Settled
from tests.contract.store_world import a_command, cron, every
from tests.support.clock import NOON
from tests.support.keepers import a_connector
from tests.support.world import World, a_world

T = TypeVar("T")
MANY = 1_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


class Away(InlineExecutor):
    """A store that can be away: after `after` more calls of a kind, so many of that kind fail."""

    after, reads, writes = 0, 0, 0

    async def read(self, call: Callable[[], T]) -> T:
        if self.reads and not self._lets_through():
            self.reads -= 1
            raise Unavailable("the store is away")
        return await super().read(call)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        if self.writes and not self._lets_through():
            self.writes -= 1
            raise Unavailable("the store is away")
        return await super().write(fn)

    def _lets_through(self) -> bool:
        self.after -= 1
        return self.after >= 0


def may_be_away(world: World) -> Away:
    away = Away()
    away.start(world.store._write_group)
    world.store._executor = away
    return away


async def test_a_child_whose_run_is_out_of_time_when_it_is_rescued_does_not_run_on(world: World) -> None:
    daemon = await world.start()
    run_id = await world.trigger(daemon, steps=[a_command()], run_timeout=60_000_000)
    await world.kill(daemon)
    world.connector.fates["att-1"] = Fate.LIVE
    world.clock.advance(100)
    second = await world.start("own_b")
    assert (await world.over(second, run_id))[:2] == (RunState.TIMED_OUT, Reason.RUN_TIMEOUT)
    assert world.connector.live == []


async def test_an_end_that_came_in_time_counts_though_it_is_found_too_late(world: World) -> None:
    daemon = await world.start()
    run_id = await world.trigger(daemon, steps=[a_command()], run_timeout=60_000_000)
    await world.kill(daemon)
    world.connector.flights["att-1"].ends()
    world.connector.fates["att-1"] = Fate.ENDED
    world.clock.advance(100)
    second = await world.start("own_b")
    assert (await world.over(second, run_id))[0] is RunState.SUCCEEDED


async def test_what_a_command_ends_is_delivered_by_the_daemon_beside_it(world: World) -> None:
    await world.start()
    command = await world.start("own_b", oversees=False)
    run_id = await world.trigger(command, steps=[a_command()])
    world.connector.live[0].ends()
    assert (await world.over(command, run_id))[0] is RunState.SUCCEEDED
    for _ in range(12):
        await world.advance(1)
    assert await world.one("SELECT count(*) FROM outbox WHERE delivered_at IS NULL") == 0


async def test_what_was_taken_over_is_gone_on_with_though_the_store_went_away(world: World) -> None:
    away = may_be_away(world)
    daemon = await world.start()
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    await world.kill(daemon)
    world.connector.flights["att-1"].ends()
    world.connector.fates["att-1"] = Fate.ENDED
    away.after, away.reads = 3, 2  # it looks at the clock twice and who lives, and fences; the plan it cannot read
    starting = asyncio.create_task(world.start("own_b"))
    for _ in range(5):
        await world.advance(1)
    second = await starting
    assert away.reads == 0
    await world.until_started(2)
    world.connector.live[0].ends()
    assert (await world.over(second, run_id))[0] is RunState.SUCCEEDED


async def test_a_store_that_is_away_for_a_moment_does_not_fell_the_engine(world: World) -> None:
    away = may_be_away(world)
    daemon = await world.start()
    run_id, _ = await world.make(owner=None, steps=[a_command()])
    away.reads = 2  # its plan was never read
    daemon.worker.claimer.look()
    for _ in range(5):
        await world.advance(1)
    assert away.reads == 0
    world.connector.live[0].ends()
    assert (await world.over(daemon, run_id))[0] is RunState.SUCCEEDED


async def test_a_verdict_that_could_not_be_written_at_the_stop_is_left_to_the_next_owner(world: World) -> None:
    away = may_be_away(world)
    daemon = await world.start()
    run_id = await world.trigger(daemon, steps=[a_command()])
    away.after, away.writes = 1, 1  # the cancel is written, the verdict is not, and then the store is back
    await daemon.engine.stop("cancel", 0.05)
    world.dead.add("own_a")
    world.connector.fates["att-1"] = Fate.ENDED
    second = await world.start("own_b")
    assert (await world.over(second, run_id))[:2] == (RunState.CANCELLED, Reason.SHUTDOWN)


async def test_who_took_its_work_back_goes_on_though_its_earlier_claim_is_told_of_the_end_too(world: World) -> None:
    daemon = await world.start()
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    (earlier,) = world.connector.live
    await world.store.write(lambda tx: take_over(tx, "own_a", "own_b"))
    (back,) = await world.store.write(lambda tx: take_over(tx, "own_b", "own_a"))
    world.connector.fates["att-1"] = Fate.LIVE
    daemon.worker.carry_on(Taken([(back, True)], [], Settled({}, set(), [])))
    later = await world.followed("att-1")
    earlier.ends()
    later.ends()  # at once: both verdicts are in one commit
    await world.quiet()
    assert world.connector.started == ["att-1", "att-2"]
    world.connector.flights["att-2"].ends()
    assert (await world.over(daemon, run_id))[0] is RunState.SUCCEEDED


async def test_a_clock_that_was_ahead_while_the_store_was_away_is_noticed_though_it_is_right_again(
    world: World,
) -> None:
    away = may_be_away(world)
    daemon = await world.start()
    await world.a_job("hourly", every(3600))
    away.writes = MANY
    world.clock.set_wall(world.clock.now() + 400 * DAY)
    await world.advance(2)  # that is seen, and cannot be written down
    away.writes = 0
    daemon.launcher.jobs_changed()
    await world.advance(1)  # and all that was due in these days is settled
    world.clock.set_wall(world.clock.now() - 400 * DAY)
    await world.advance(2)
    assert [kind for kind, _ in world.told] == [Kind.SET_FORWARD, Kind.SET_BACK]
    await world.advance(3600)
    assert [nominal for nominal in await world.runs("nominal") if nominal < NOON + DAY] == [NOON + HOUR]


async def test_a_keeper_that_is_silent_speaks_for_all_it_has_belonged_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adopted it may have died before it took over the work of the first: that may run in it still."""
    monkeypatch.setattr(client, "_HELLO_SECONDS", 0.2)
    monkeypatch.setattr(client, "_DYING_TRIES", 1)
    first, second, third = (a_connector(tmp_path, name) for name in ("own_a", "own_b", "own_c"))
    await first.open()
    keeper = first._keeper
    assert keeper is not None
    await first.close(leave=True)
    assert await second.adopt(lambda owner: owner == "own_a") == set()
    await second.close(leave=True)
    os.kill(keeper.pid, signal.SIGSTOP)
    try:
        assert await third.adopt(lambda owner: owner in {"own_a", "own_b"}) == {"own_a", "own_b"}
    finally:
        os.kill(keeper.pid, signal.SIGKILL)


async def test_a_span_does_not_grow_over_an_instant_that_has_run(world: World) -> None:
    """By another rhythm the instant before was the last of the span; by the one it had then, one in between has run."""
    job = await world.a_job("job", every(30))

    async def pause(tx_at: float, *, starts: bool) -> None:
        world.clock.advance(tx_at)
        await world.sql("DELETE FROM pause")
        if not starts:
            await world.store.write(_pause_all)
        world.clock.advance(1)
        await world.plan()

    await pause(59, starts=True)  # 12:00:30 and 12:01:00
    await world.sql("UPDATE run SET state = 'succeeded', finished_at = 1")
    await world.sql("UPDATE job_state SET active = 0")
    await pause(0, starts=True)
    spans = "SELECT reason, count, (last_nominal - first_nominal) / 1000000 FROM ledger WHERE reason = 'paused'"
    await pause(28, starts=False)  # 12:01:30
    await pause(29, starts=False)  # 12:02:00
    await pause(29, starts=True)  # 12:02:30 runs
    await world.change(job, triggers=(NamedTrigger(name="t0", rule=cron("* * * * *")),))
    await pause(29, starts=False)  # 12:03:00
    assert await world.sql(spans) == [("paused", 2, 30), ("paused", 1, 0)]


async def test_a_backlog_that_a_wrong_clock_went_on_with_does_not_wait_until_that_clock_is_right(world: World) -> None:
    """The first start paced the others: one second after a time that is two days off."""
    job = await world.a_job("job", cron("0 * * * *"), missed=Missed.RUN_ALL)
    world.clock.advance(3 * 3600 + 1800)
    await world.plan(owner=None)
    await world.change(job, enabled=False)
    world.clock.set_wall(world.clock.now() + 2 * DAY)
    await world.start()
    assert await world.runs() == ["succeeded", "waiting", "waiting"]
    world.clock.set_wall(world.clock.now() - 2 * DAY)
    for _ in range(6):
        await world.advance(1)
    assert await world.runs() == ["succeeded"] * 3


def _pause_all(tx: Tx) -> None:
    insert_pause(tx, scope=Scope.ALL, key="", job_id=None, until=None, reason="quiet", by="someone")
