"""The store is away for a while: no verdict is lost, nothing is done twice, and the engine lives on."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rota.domain.errors import Unavailable
from rota.domain.instant import MINUTE
from rota.domain.states import RunState
from rota.ports import Tx
from tests.contract.store_world import a_command, cron
from tests.support.clock import NOON
from tests.support.world import Process, World

SUCCEEDED = (RunState.SUCCEEDED, None, None)


async def disk_full(world: World) -> None:
    """Fill the file to its last page, and let it grow no more."""

    def fill(tx: Tx) -> None:
        (pages,) = tx.driver.execute("PRAGMA page_count").fetchone()
        tx.driver.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    await world.store.write(fill)
    for size in (3000, 1000, 200, 40, 1):
        with pytest.raises(Unavailable):
            while True:
                await world.store.write(
                    lambda tx, size=size: tx.driver.execute(  # type: ignore[misc]
                        "INSERT INTO audit (id, at, principal, verb, subject) VALUES (?, 0, ?, '', '')",
                        (tx.take_ids("audit"), "x" * size),
                    )
                )


async def space_again(world: World) -> None:
    await world.store.write(lambda tx: tx.driver.execute("PRAGMA max_page_count = 1000000").fetchall())


@asynccontextmanager
async def held_by_another(world: World) -> AsyncIterator[None]:
    """Meanwhile another process holds the write lock, longer than anybody waits for it."""
    await world.store.write(lambda tx: tx.driver.execute("PRAGMA busy_timeout = 0").fetchall())
    other = sqlite3.connect(world.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


async def test_verdicts_wait_for_the_store_and_are_not_lost(world: World, daemon: Process) -> None:
    runs = [await world.trigger(daemon, steps=[a_command("a", register="a"), a_command("b")]) for _ in range(5)]
    await disk_full(world)
    for flight in world.connector.live:
        flight.ends(output=b"x" * 30_000)
    await world.quiet()
    for _ in range(10):
        await world.advance(1)
    assert world.connector.forgotten == []
    await space_again(world)
    await world.advance(1)
    for flight in world.connector.live:
        flight.ends()
    await world.quiet()
    assert [await world.verdict(run_id) for run_id in runs] == [SUCCEEDED] * 5
    assert sorted(await world.attempts("step, number, state")) == [
        (step, 1, "succeeded") for step in (0, 1) for _ in range(5)
    ]
    assert len(world.connector.started) == 10


async def test_what_came_due_meanwhile_is_planned_once_when_the_store_is_back(world: World, daemon: Process) -> None:
    for i in range(40):
        await world.a_job(f"job-{i}", cron("1 12 * * *"))
    await disk_full(world)
    await world.advance(60)
    for _ in range(20):
        await world.advance(1)
    assert await world.runs() == []
    await space_again(world)
    for _ in range(12):
        await world.advance(1)
    assert await world.runs("count(*), min(state), max(nominal)") == [(40, "succeeded", NOON + MINUTE)]
    assert await world.ledger() == []


async def test_a_run_asked_for_meanwhile_is_refused_as_a_whole(world: World, daemon: Process) -> None:
    request = await world.request(targets=200)
    await disk_full(world)
    with pytest.raises(Unavailable):
        await daemon.launcher.launch(request)
    await space_again(world)
    await world.advance(5)
    assert (await world.runs(), await world.used(), world.connector.started) == ([], 0, [])


async def test_ends_are_delivered_once_the_store_is_back(world: World, daemon: Process) -> None:
    await world.trigger(daemon)
    async with held_by_another(world):
        for _ in range(5):
            await world.advance(1)
    await world.advance(1)
    await world.advance(1)
    assert await world.sql("SELECT state FROM outbox WHERE delivered_at IS NOT NULL") == [("succeeded",)]


async def test_nothing_is_lost_while_another_process_holds_the_store(world: World, daemon: Process) -> None:
    await world.a_job()
    daemon.launcher.jobs_changed()
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    async with held_by_another(world):
        world.connector.live[0].ends()
        for _ in range(90):
            await world.advance(1)
    for _ in range(2):
        await world.advance(1)
    world.connector.live[0].ends()
    await world.quiet()
    assert await world.verdict(run_id) == SUCCEEDED
    assert await world.runs("nominal", "nominal IS NOT NULL") == [NOON + MINUTE]


async def test_each_end_is_delivered_soon_after_it(world: World, daemon: Process) -> None:
    await world.advance(60)
    await world.trigger(daemon)
    await world.trigger(daemon, steps=[a_command()])
    world.connector.live[0].ends(1)
    await world.quiet()
    await world.advance(0.25)
    assert await world.sql("SELECT state, delivered_at FROM outbox") == [
        ("succeeded", world.clock.now()), ("failed", world.clock.now()),
    ]  # fmt: skip


async def test_a_daemon_can_be_stopped_while_the_store_is_away(world: World, daemon: Process) -> None:
    async with held_by_another(world):
        await daemon.engine.stop("leave", grace_seconds=1)
        await daemon.task


async def test_a_daemon_that_cannot_record_the_cancels_of_its_shutdown_stops_all_the_same(
    world: World, daemon: Process
) -> None:
    run_id = await world.trigger(daemon, steps=[a_command()])
    async with held_by_another(world):
        await daemon.engine.stop("cancel", grace_seconds=1)
        await daemon.task
    assert (await world.verdict(run_id))[0] is RunState.RUNNING  # for the next daemon to find out
