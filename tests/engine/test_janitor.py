"""The janitor's daily round: what is older than its keep goes, and nothing that is still needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from rota.domain.calendars import Scope
from rota.domain.errors import Unavailable
from rota.domain.instant import DAY, HOUR, Micros
from rota.engine import janitor as module
from rota.engine.janitor import Janitor
from rota.ports import Tx
from rota.storage import pauses
from rota.storage.executor import InlineExecutor
from rota.storage.output import Chunk, OutputStore
from rota.storage.retention import LOOKED_AT, MOST_TARGETS
from rota.storage.sqlite import SqliteStore
from tests.contract.store_world import cron
from tests.support.clock import NOON
from tests.support.world import World


def a_janitor(world: World, *, days: int = 90) -> Janitor:
    return Janitor(store=world.store, output=world.output, clock=world.clock, retention_days=days)


async def a_pause(world: World, *, until: Micros | None = None) -> str:
    made = await world.store.write(
        lambda tx: pauses.insert_pause(tx, scope=Scope.ALL, key="", job_id=None, until=until, reason="", by="ada")
    )
    return made.public_id


async def kept(world: World) -> list[str]:
    return [public_id for (public_id,) in await world.sql("SELECT public_id FROM pause ORDER BY id")]


async def test_pauses_go_once_they_have_been_over_for_the_retention_days(world: World) -> None:
    timed, resumed = await a_pause(world, until=NOON + HOUR), await a_pause(world, until=NOON + 400 * DAY)
    await world.store.write(lambda tx: pauses.end_pause(tx, resumed, by="bob"))
    lasting, long = await a_pause(world), await a_pause(world, until=NOON + 400 * DAY)
    janitor = a_janitor(world)
    world.clock.advance(90 * 86_400)
    await janitor.sweep_if_due()
    assert await kept(world) == [timed, resumed, lasting, long]
    world.clock.advance(86_400)
    await janitor.sweep_if_due()
    assert await kept(world) == [lasting, long]


async def test_a_pause_that_still_says_why_something_did_not_start_stays(world: World) -> None:
    """A daemon that was away for longer than the keep finds the pause that its first look back needs."""
    await world.a_job("hourly", cron("0 * * * *"))
    await a_pause(world, until=NOON + 5 * HOUR)
    world.clock.advance(200 * 86_400)
    janitor = a_janitor(world)
    await janitor.sweep_if_due()
    assert len(await kept(world)) == 1
    await world.start()
    assert [reason for (reason,) in await world.sql("SELECT reason FROM ledger ORDER BY id")] == ["paused", "missed"]
    world.clock.advance(86_400)
    await janitor.sweep_if_due()
    assert await kept(world) == []


@pytest.mark.parametrize("days", [0, 1])
async def test_it_goes_round_once_a_day_and_not_at_all_where_everything_is_kept(world: World, days: int) -> None:
    janitor = a_janitor(world, days=days)
    await janitor.sweep_if_due()
    await a_pause(world, until=NOON + HOUR)
    world.clock.advance(3 * 86_400 if days == 0 else 86_399)
    await janitor.sweep_if_due()
    assert len(await kept(world)) == 1
    world.clock.advance(3 * 86_400)
    await janitor.sweep_if_due()
    assert len(await kept(world)) == (1 if days == 0 else 0)


async def old_history(world: World, runs: int, *, targets: int = 1) -> None:
    """So many runs of long ago, of no job, each with a piece of output; written as rows, for speed."""
    run_ids = range(1, runs + 1)
    await world.sql(
        f"""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})
        INSERT INTO run (id, public_id, title, kind, catch_up, state, priority, plan_id, target_set_id, total, ok,
                         open_targets, targets_at_once, run_timeout, principal, created_at, due_at, finished_at)
        SELECT i, 'public-' || i, 'x', 'adhoc', 0, 'succeeded', 0, 1, 1, {targets}, {targets},
               0, 10, 1, 'ada', i, i, i FROM n
        """
    )
    await world.sql(
        f"""
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {runs * targets - 1})
        INSERT INTO run_target (id, run_id, host, connector, state, priority, fence, cursor, finished_at)
        SELECT i + 1, i / {targets} + 1, 'h', 'local', 'succeeded', 0, 1, 0, 1 FROM n
        """
    )
    await world.sql(
        "INSERT INTO attempt (id, run_target_id, step, number, state, intended_at, finished_at)"
        " SELECT id, id, 0, 1, 'succeeded', 1, 1 FROM run_target"
    )
    await world.output.append([Chunk(run_id, run_id, 0, b"x") for run_id in run_ids])


def sqlite_of(world: World) -> SqliteStore:
    assert isinstance(world.store, SqliteStore)
    return world.store


@contextmanager
def counting(world: World) -> Iterator[list[int]]:
    """How many rows each write transaction of the store changes."""
    store = sqlite_of(world)
    driver, executor = store._writer.driver, store._executor
    assert isinstance(executor, InlineExecutor)
    changed, write_group = list[int](), executor._write_group

    def counted(group: Sequence[Callable[[Tx], Any]]) -> list[Any]:
        before = driver.total_changes
        result = write_group(group)
        changed.append(driver.total_changes - before)
        return result

    executor._write_group = counted
    yield changed
    executor._write_group = write_group


async def whole_round(janitor: Janitor) -> list[int]:
    """What went in each turn, until nothing is left to do."""
    turns = [await janitor.sweep_if_due()]
    while janitor._round is not None:
        turns.append(await janitor.sweep_if_due())
    return turns


@pytest.mark.parametrize(("runs", "targets"), [(3000, 1), (40, 60), (1, 2600)])
async def test_no_write_is_long_however_much_is_old(world: World, runs: int, targets: int) -> None:
    await old_history(world, runs, targets=targets)
    with counting(world) as changed:
        assert sum(await whole_round(a_janitor(world))) == runs
    rows_of_a_run = 2 + 1 / targets  # a target and its attempt; the run
    assert max(changed) <= MOST_TARGETS * rows_of_a_run + 1
    assert await world.one("SELECT count(*) FROM attempt") == 0
    assert await world.output.after(1, 0, 10) == []


async def test_a_look_touches_so_many_rows_and_no_more(world: World) -> None:
    """Counted in steps of SQLite's machine: twice as much history makes a slice no more expensive."""
    steps = []
    for runs in (LOOKED_AT * 2, LOOKED_AT * 8):
        await world.sql("DELETE FROM run")
        await world.sql("DELETE FROM run_target")
        await world.sql("DELETE FROM attempt")
        await old_history(world, runs)
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        for reader in sqlite_of(world)._readers:
            reader.driver.set_progress_handler(step, 100)
        slices = a_janitor(world).slices(before=world.clock.now())
        await anext(slices)  # the keys
        await anext(slices)
        for reader in sqlite_of(world)._readers:
            reader.driver.set_progress_handler(None, 100)
        await slices.aclose()
        steps.append(count)
    assert steps[1] <= steps[0] * 1.1
    assert steps[0] > 0


async def test_a_turn_is_short_and_the_next_goes_on_where_it_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SLICES", 2)
    await old_history(world, 2000)
    turns = await whole_round(a_janitor(world))
    assert sum(turns) == 2000
    assert max(turns) <= 2 * MOST_TARGETS
    assert len(turns) > 3


async def test_a_round_that_the_store_interrupted_begins_anew_and_finishes(world: World) -> None:
    await old_history(world, 50)
    driver, janitor = sqlite_of(world)._writer.driver, a_janitor(world)
    driver.execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="read-only"):
        await janitor.sweep_if_due()
    driver.execute("PRAGMA query_only = OFF")
    assert await janitor.sweep_if_due() == 50


async def test_a_broken_store_of_output_keeps_no_history_from_going(world: World) -> None:
    await old_history(world, 10)
    broken = OutputStore(world.output.path.with_name("broken.db"))
    broken.path.write_bytes(b"not a database" * 1000)
    janitor = Janitor(store=world.store, output=broken, clock=world.clock, retention_days=90)
    assert await janitor.sweep_if_due() == 10
    broken.close()


async def test_the_file_of_a_store_in_balance_does_not_grow(world: World) -> None:
    """What goes makes room for what comes: pages are used again."""
    sizes = []
    for _ in range(6):
        await old_history(world, 1500)
        await whole_round(a_janitor(world))
        sqlite_of(world)._writer.driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append((sqlite_of(world).path.stat().st_size, world.output.path.stat().st_size))
    assert sizes[-1][0] <= sizes[1][0]
    assert sizes[-1][1] <= sizes[1][1]
