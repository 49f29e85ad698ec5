"""What nobody refers to any more goes, and nothing that a run, a job or a host still leads to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rota.domain.instant import DAY, HOUR
from rota.domain.inventory import Host
from rota.domain.job import digest
from rota.domain.trigger.spec import OnceTrigger
from rota.engine.janitor import Janitor
from rota.engine.leftovers import Leftovers
from rota.ports import Tx
from rota.storage import inventory, leftovers, library, tables
from rota.storage.executor import InlineExecutor
from rota.storage.freeze import get_plan
from rota.storage.jobs import JobRow, delete_job, get_job_by_id
from rota.storage.output import OutputStore
from rota.storage.postgres import PostgresStore
from rota.storage.retention import KEPT_PER_JOB, MOST_ROWS, MOST_TARGETS
from rota.storage.sqlite import SqliteStore
from tests.contract.store_world import StoreWorld, a_command, a_store, cron
from tests.support.clock import ManualClock

KEEP = 30 * DAY
LATER = 40 * 86_400.0  # seconds


async def look(world: StoreWorld) -> None:
    """A round, for what had no use thirty days ago."""
    async for _ in Leftovers(world.store, before=world.clock.now() - KEEP).slices():
        pass


async def looked_for_days(world: StoreWorld) -> None:
    """Three rounds, a day between them: what is there in the first is set aside in the second and goes in the third."""
    for _ in range(3):
        await look(world)
        world.clock.advance(86_400)


async def count(world: StoreWorld, table: str) -> int:
    return int(await world.one(f"SELECT count(*) FROM {table}"))


async def forget_runs(world: StoreWorld) -> None:
    for table in ("attempt", "run_target", "run"):
        await world.sql(f"DELETE FROM {table}")


async def ran(world: StoreWorld, job: JobRow | None = None, **fields: Any) -> int:
    """A run from beginning to end; its row id."""
    run_id, work = await world.make(job, **fields)
    await world.end(*work)
    return run_id


async def remove(world: StoreWorld, job: JobRow) -> None:
    await world.store.write(lambda tx: delete_job(tx, get_job_by_id(tx, job.id), why="deleted"))


async def a_host(world: StoreWorld, name: str = "web-1") -> None:
    await world.store.write(lambda tx: inventory.insert_host(tx, Host(name=name)))


async def move(world: StoreWorld, address: str, name: str = "web-1") -> None:
    def change(tx: Tx) -> None:
        row = inventory.load(tx).get(name)
        inventory.change_hosts(tx, [(row, replace(row.host, address=address))])

    await world.store.write(change)


def playbook(command: str) -> str:
    return f"name: backup\nsteps: [{{name: one, exec: '{command}'}}]"


async def a_playbook(world: StoreWorld, text: str) -> None:
    await world.store.write(
        lambda tx: library.put_playbook(tx, name="backup", digest=digest(text), text=text, source="import")
    )


# Plans and target sets


async def set_aside(world: StoreWorld) -> None:
    """Two rounds, a day between them: what is there in the first is set aside in the second."""
    await look(world)
    world.clock.advance(86_400)
    await look(world)


async def test_a_plan_that_no_run_has_goes_after_a_day_of_being_set_aside(world: StoreWorld) -> None:
    await ran(world, steps=[a_command(text="true")])
    await forget_runs(world)
    await set_aside(world)
    world.clock.advance(86_399)
    await look(world)
    assert await count(world, "plan") == 1
    world.clock.advance(1)
    await look(world)
    assert await count(world, "plan") == 0


async def test_however_often_a_daemon_is_started_plans_are_looked_at_once_a_day(world: StoreWorld) -> None:
    request = await world.request(steps=[a_command()])
    for _ in range(5):
        await look(world)
        world.clock.advance(3600)
    assert (await world.request(steps=[a_command()])).plan_id == request.plan_id


async def test_a_plan_that_a_run_has_stays(world: StoreWorld) -> None:
    await ran(world)
    await looked_for_days(world)
    assert await count(world, "plan") == 1


async def test_a_plan_that_was_set_aside_while_a_run_was_made_of_it_is_brought_back(world: StoreWorld) -> None:
    request = await world.request(steps=[a_command()])
    before = await world.sql("SELECT id, digest FROM plan")
    await set_aside(world)
    assert await world.sql("SELECT id, digest FROM plan") != before
    run_id = await ran(world, plan_id=request.plan_id)
    await looked_for_days(world)
    assert await world.sql("SELECT id, digest FROM plan WHERE id = ?", request.plan_id) == before
    plan_id = await world.one("SELECT plan_id FROM run WHERE id = ?", run_id)
    assert await world.store.read(lambda tx: get_plan(tx, plan_id)) is not None


async def test_where_an_equal_plan_was_made_meanwhile_both_stay_while_runs_have_them(world: StoreWorld) -> None:
    first = await world.request(steps=[a_command()])
    await set_aside(world)
    second = await world.request(steps=[a_command()])
    assert first.plan_id != second.plan_id
    for request in (first, second):
        await ran(world, plan_id=request.plan_id)
    await looked_for_days(world)
    both = "SELECT id FROM plan WHERE id IN (?, ?) ORDER BY id"
    assert len(await world.sql(both, first.plan_id, second.plan_id)) == 2
    await world.sql("DELETE FROM run WHERE plan_id = ?", first.plan_id)
    await looked_for_days(world)
    assert await world.sql(both, first.plan_id, second.plan_id) == [(second.plan_id,)]


async def test_what_a_planner_knows_by_heart_stays_though_there_is_no_run_of_it_yet(world: StoreWorld) -> None:
    """A card is made once and used when its job is due, however much later."""
    await a_host(world)
    await world.a_job("yearly", cron("0 0 1 1 *"), steps=[a_command()], target="all")
    await world.load_ahead(366 * 86_400)
    await looked_for_days(world)
    world.clock.set_wall(await world.next_due() or 0)
    planned = await world.plan()
    assert len(planned.work) == 1
    assert await world.one("SELECT count(*) FROM plan JOIN run ON run.plan_id = plan.id") == 1
    assert await world.one("SELECT count(*) FROM target_set JOIN run ON run.target_set_id = target_set.id") == 1


async def test_a_target_set_that_no_run_has_goes(world: StoreWorld) -> None:
    await a_host(world)
    job = await world.a_job("a", target="all")
    for address in ("10.0.0.1", "10.0.0.2"):
        await move(world, address)
        await world.load_ahead(120)
    assert await count(world, "target_set") == 2
    await remove(world, job)
    await looked_for_days(world)
    assert await count(world, "target_set") == 0


# Versions


async def test_of_a_job_the_last_versions_stay_and_older_ones_that_a_run_has(world: StoreWorld) -> None:
    job = await world.a_job("a")
    await ran(world, await world.change(job, steps=(a_command(text="2"),)))
    for number in range(KEPT_PER_JOB + 5):
        job = await world.change(job, steps=(a_command(text=f"later {number}"),))
    world.clock.advance(LATER)
    await look(world)
    numbers = [number for (number,) in await world.sql("SELECT number FROM job_version ORDER BY number")]
    assert numbers == [2, *range(job.version - KEPT_PER_JOB + 1, job.version + 1)]


async def test_versions_of_a_job_that_are_young_stay(world: StoreWorld) -> None:
    job = await world.a_job("a")
    for number in range(KEPT_PER_JOB + 5):
        job = await world.change(job, steps=(a_command(text=f"{number}"),))
    await look(world)
    assert await count(world, "job_version") == KEPT_PER_JOB + 6


async def test_a_host_keeps_the_version_it_has_and_those_of_target_sets(world: StoreWorld) -> None:
    await a_host(world)
    job = await world.a_job("a", target="all")
    for number in range(1, 5):
        await move(world, f"10.0.0.{number}")
        if number == 2:
            await world.load_ahead(120)
            world.clock.advance(60)
            await world.end(*(await world.plan()).work)
    assert await count(world, "run") == 1
    await world.change(job, enabled=False)
    world.clock.advance(LATER)
    await looked_for_days(world)
    assert await world.sql("SELECT number FROM host_version ORDER BY id") == [(3,), (5,)]
    assert (await world.store.read(inventory.load)).get("web-1").version == 5


# What deleted jobs and hosts leave behind


async def test_a_deleted_job_goes_when_its_history_has(world: StoreWorld) -> None:
    job = await world.a_job("a", max_runs=3)
    await ran(world, job)
    await remove(world, job)
    world.clock.advance(LATER)
    await look(world)
    assert await count(world, "job") == 1
    await forget_runs(world)
    await world.sql("DELETE FROM ledger")
    await look(world)
    for table in ("job", "job_version", "job_state", "trigger", "due", "run_quota"):
        assert await count(world, table) == 0


async def test_a_job_that_was_deleted_of_late_stays(world: StoreWorld) -> None:
    await remove(world, await world.a_job("a"))
    await look(world)
    assert await count(world, "job") == 1


async def test_a_timetable_goes_with_its_last_trigger(world: StoreWorld) -> None:
    await world.a_job("a", cron("1 2 * * *"))
    job = await world.a_job("b", cron("3 4 * * *"))
    await world.change(job, triggers=(replace(job.spec.triggers[0], rule=cron("1 2 * * *")),))
    assert await count(world, "timetable") == 2
    await look(world)
    assert await count(world, "timetable") == 1


async def test_a_timetable_that_comes_into_use_while_it_is_deleted_stays(world: StoreWorld) -> None:
    """On PostgreSQL, where both happen at once: the delete waits for the trigger, and then looks again."""
    job = await world.a_job("a", cron("1 2 * * *"))
    await world.change(job, triggers=(replace(job.spec.triggers[0], rule=cron("3 4 * * *")),))
    (unused,) = await world.store.read(lambda tx: leftovers.find_unused_timetables(tx, 0))
    back = f"UPDATE trigger SET timetable_id = {unused}"
    if isinstance(world.store, PostgresStore):
        with psycopg.connect(world.store.server.conninfo) as other:
            other.execute(back)
            deleting = asyncio.create_task(world.store.write(lambda tx: leftovers.delete_timetables(tx, [unused])))
            with psycopg.connect(world.store.server.conninfo, autocommit=True) as watching:
                while not watching.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                    await asyncio.sleep(0)
            other.commit()
            await deleting
    else:
        await world.sql(back)
        await world.store.write(lambda tx: leftovers.delete_timetables(tx, [unused]))
    assert await world.one("SELECT count(*) FROM timetable WHERE id = ?", unused) == 1


async def test_a_deleted_host_goes_when_no_target_set_has_it(world: StoreWorld) -> None:
    await a_host(world)
    await world.store.write(lambda tx: inventory.delete_host(tx, inventory.load(tx).get("web-1")))
    await look(world)
    assert (await count(world, "host"), await count(world, "host_version")) == (1, 1)
    world.clock.advance(LATER)
    await look(world)
    assert (await count(world, "host"), await count(world, "host_version")) == (0, 0)


async def test_the_text_of_a_playbook_stays_while_it_has_a_name_or_a_plan_was_made_of_it(world: StoreWorld) -> None:
    texts = [playbook(f"echo {number}") for number in range(3)]
    step = replace(a_command(), action="playbook", params={"playbook": "backup"})
    await a_playbook(world, texts[0])
    job = await world.a_job("a", steps=[step])
    await ran(world, job)
    for text in texts[1:]:
        await a_playbook(world, text)
    world.clock.advance(LATER)
    await looked_for_days(world)
    assert await world.sql("SELECT content FROM library_item ORDER BY id") == [(texts[0],), (texts[2],)]


# A year


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[tuple[StoreWorld, OutputStore]]:
    """A SQLite store, and that of its output."""
    clock = ManualClock()
    store, output = a_store(tmp_path / "rota.db", clock), OutputStore(tmp_path / "output.db")
    yield StoreWorld(store, clock), output
    output.close()
    store.close()


@contextmanager
def longest_write(store: SqliteStore) -> Iterator[Callable[[], int]]:
    """How many rows the largest write transaction has changed."""
    driver, executor, most = store._writer.driver, store._executor, 0
    assert isinstance(executor, InlineExecutor)
    write_group = executor._write_group

    def counted(group: Any) -> Any:
        nonlocal most
        before = driver.total_changes
        result = write_group(group)
        most = max(most, driver.total_changes - before)
        return result

    executor._write_group = counted
    yield lambda: most
    executor._write_group = write_group


async def a_day(world: StoreWorld, job: JobRow, number: int) -> None:
    """Everything changes once: the job, its playbook, its host; and a job for this one day comes and goes."""
    await a_playbook(world, playbook(f"echo {number}"))
    await move(world, f"10.0.{number // 200}.{number % 200 + 1}")
    await world.change(job, variables={"day": str(number)})
    once = await world.a_job(f"once-{number}", OnceTrigger(world.clock.now() + HOUR, "UTC"))
    for _ in ("once", "daily"):
        world.clock.set_wall(await world.next_due() or 0)
        await world.end(*(await world.plan()).work)
    await remove(world, once)


@pytest.mark.parametrize(
    ("days", "keep"), [(90, 7), pytest.param(365, 30, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
async def test_after_a_year_there_is_no_more_than_after_half_of_it(
    embedded: tuple[StoreWorld, OutputStore], days: int, keep: int
) -> None:
    world, output = embedded
    janitor = Janitor(store=world.store, output=output, clock=world.clock, retention_days=keep)
    step = replace(a_command(), action="playbook", params={"playbook": "backup"})
    await a_host(world)
    await a_playbook(world, playbook("true"))
    job = await world.a_job("daily", cron("0 6 * * *"), steps=[step], target="all")
    counts: dict[int, dict[str, int]] = {}
    assert isinstance(world.store, SqliteStore)
    with longest_write(world.store) as longest:
        for number in range(1, days + 1):
            await a_day(world, job, number)
            await world.sql("UPDATE outbox SET delivered_at = at")
            await janitor.sweep_if_due()
            if number in (days // 2, days):
                counts[number] = {table.name: await count(world, table.name) for table in tables.metadata.sorted_tables}
    assert counts[days] == counts[days // 2]
    assert counts[days]["run"] > keep
    assert all(rows <= 3 * (keep + KEPT_PER_JOB) for rows in counts[days].values()), counts[days]
    assert longest() <= max(MOST_ROWS, 3 * MOST_TARGETS)
