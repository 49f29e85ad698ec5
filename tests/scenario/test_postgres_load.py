"""Eight daemons race for the same due jobs on one PostgreSQL database.

Two guards stand in the database itself, and refuse what must never be: a second unfinished run of a job that skips,
and more runs at once than the cap. Afterwards each instant is counted by SQL, and what children saw of each other.

What two cores cannot keep up with is late, and in the ledger: lost or doubled it is not. How late is told.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack

import psycopg
import pytest

from rota.clock import SystemClock
from rota.domain.instant import SECOND
from rota.domain.policy import Overlap, Policies
from rota.ports import Tx
from rota.storage.database_clock import DatabaseClock
from rota.storage.jobs import JobRow, get_job_by_id, insert_job, save_version
from rota.storage.postgres import PostgresStore
from tests.contract.store_world import a_command, a_spec, every
from tests.support.daemon import Home, a_home, until
from tests.support.postgres import Postgres, postgres
from tests.support.postgres_invariants import (
    assert_counters_are_true,
    assert_each_instant_is_covered_once,
    is_at_rest,
    most_at_once,
    one,
    rows,
    stays,
    witness,
)

__all__ = ["postgres"]  # a fixture

DAEMONS = 8
RATE = int(os.environ.get("ROTA_TEST_LOAD", "500"))  # due instants a second
CAP = 300  # runs at once
WITNESSES, ALLOWED = 4, 2  # jobs with children, every other of which allows so many runs at once


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """An empty database."""
    with postgres.a_database() as url:
        yield url


@pytest.fixture
def homes(url: str) -> Iterator[list[Home]]:
    """Eight machines, each with a daemon at work."""
    settings = f'database: {{url: "{url}"}}\nschedule: {{max_concurrent_schedules: {CAP}}}\n'
    with ExitStack() as stack:
        homes = [stack.enter_context(a_home(settings)) for _ in range(DAEMONS)]
        homes[0].daemon()  # makes the tables
        for home, daemon in [(home, home.starting_daemon()) for home in homes[1:]]:
            home.await_banner(daemon)
        yield homes


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, clock=DatabaseClock(SystemClock()))
    yield store
    store.close()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("seconds", [60, pytest.param(600, marks=pytest.mark.slow)])
async def test_eight_daemons_start_each_of_500_instants_a_second_once(
    homes: Sequence[Home], url: str, store: PostgresStore, seconds: int
) -> None:
    jobs = await store.write(lambda tx: make_jobs(tx, homes[0]))
    guard(url, jobs[: RATE // 2])
    homes[0].client.create_job({"name": "heard", "triggers": [{"kind": "manual"}], "do": "noop"})
    await asyncio.sleep(seconds)  # the load itself
    await store.write(lambda tx: disable(tx, jobs))
    until(lambda: is_at_rest(url), seconds=300)

    instants = assert_each_instant_is_covered_once(url)
    assert instants >= RATE * seconds / 2
    assert_counters_are_true(url)
    assert rows(url, "SELECT DISTINCT state FROM run") == [("succeeded",)]
    assert one(url, "SELECT count(*) - count(DISTINCT run_target_id) FROM attempt") == 0
    seen = stays(homes[0].tmp)
    for i in range(WITNESSES):
        at_once = most_at_once(stay for stay in seen if stay.job == f"witness-{i}")
        assert at_once <= (ALLOWED if i % 2 else 1)
    assert all(home.client.instance()["daemon"]["running"] for home in homes)
    print(told(url, instants, seconds))


def make_jobs(tx: Tx, home: Home) -> list[JobRow]:
    """Half of the instants at full seconds, in one herd, the others spread; each job is due once a second."""
    made = []
    for i in range(RATE // 2):
        made.append(insert_job(tx, a_spec(f"herd-{i}", every(1)), "admin"))
        made.append(insert_job(tx, a_spec(f"spread-{i}", every(1, anchor=i * SECOND // (RATE // 2))), "admin"))
    for i in range(WITNESSES):
        policies = Policies(overlap_limit=ALLOWED) if i % 2 else Policies()
        overlap = Overlap.ALLOW if i % 2 else Overlap.SKIP
        do = a_command(text=witness(home.tmp, stays=0.7).removeprefix("shell: "))
        rules = [every(1), every(1, anchor=SECOND // 3), every(1, anchor=SECOND // 2)]
        made.append(
            insert_job(tx, a_spec(f"witness-{i}", *rules, steps=[do], overlap=overlap, policies=policies), "admin")
        )
    return made


def disable(tx: Tx, jobs: Sequence[JobRow]) -> None:
    tx.driver.execute("SELECT 1 FROM due ORDER BY trigger_id FOR UPDATE")  # so that planners are through with them
    for job in jobs:
        current = get_job_by_id(tx, job.id)
        save_version(tx, current, current.spec.but(enabled=False), "admin", why="it is over")


def guard(url: str, jobs: Sequence[JobRow]) -> None:
    """Have the database refuse what must never be."""
    ids = ", ".join(str(job.id) for job in jobs)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE UNIQUE INDEX guard ON run (job_id) WHERE finished_at IS NULL AND job_id IN ({ids})")
        connection.execute("ALTER TABLE run_limit ADD CONSTRAINT guard CHECK (used BETWEEN 0 AND cap)")


def told(url: str, instants: int, seconds: int) -> str:
    late = "percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (ORDER BY started_at - nominal)"
    middle, most, last = one(url, f"SELECT {late} FROM run WHERE nominal IS NOT NULL")
    runs = one(url, "SELECT count(*) FROM run")
    shares = [count for (count,) in rows(url, "SELECT count(*) FROM run_target GROUP BY owner ORDER BY 1")]
    return (
        f"{DAEMONS} daemons, {instants / seconds:.0f} instants/s: {runs} runs, {instants - runs} in the ledger;"
        f" late p50 {middle / 1000:.0f} ms, p99 {most / 1000:.0f} ms, most {last / 1000:.0f} ms; by daemon {shares}"
    )
