"""The real thing: `rota daemon run` on a scratch instance with a real SQLite file, and what its store says afterwards.

Jobs are put into the store before the daemon starts, in bulk: setting up is not what is measured.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import process
from bench.harness import TurnFailed
from rota.clock import SystemClock
from rota.domain.instant import SECOND, Micros
from rota.domain.inventory import Host
from rota.domain.job import JobSpec, NamedTrigger
from rota.domain.step import Step
from rota.domain.trigger.spec import CronTrigger, TriggerSpec
from rota.ports import Tx
from rota.storage.inventory import insert_hosts
from rota.storage.jobs import insert_job
from rota.storage.schema import prepare
from rota.storage.sqlite import SqliteStore

NOOP = Step(name="main", action="noop")
READY_SECONDS = 120.0
STOP_SECONDS = 90.0
_CHUNK = 5_000
# Copies of the first job, each under its own name and id: saving a million one by one would take minutes.
_COPIES = """
CREATE TEMP TABLE copies AS
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :jobs - 1) SELECT i FROM n;
INSERT INTO job SELECT id + i, lower(hex(randomblob(8))), 'job-' || i, enabled, version, version_id + i, created_at,
    created_by, updated_at, updated_by, deleted_at FROM job, copies WHERE id = 1;
INSERT INTO job_version SELECT id + i, job_id + i, number, replace(spec, '"job-0"', '"job-' || i || '"'),
    lower(hex(randomblob(32))), principal, created_at FROM job_version, copies WHERE id = 1;
INSERT INTO job_state (job_id, active) SELECT job_id + i, active FROM job_state, copies WHERE job_id = 1;
INSERT INTO trigger SELECT id + i, job_id + i, name, kind, timetable_id FROM trigger, copies WHERE id = 1;
INSERT INTO due SELECT trigger_id + i, nominal, fire_at, high_water, generation, deferred_by FROM due, copies
    WHERE trigger_id = 1;
UPDATE sequence SET value = :jobs WHERE name IN ('job', 'job_version', 'trigger');
"""


def a_job(number: int, rule: TriggerSpec, step: Step = NOOP) -> JobSpec:
    return JobSpec(name=f"job-{number}", steps=(step,), triggers=(NamedTrigger(name="main", rule=rule),))


def daily(at: float) -> CronTrigger:
    """Every day at the minute that begins at `at`, seconds since the epoch."""
    moment = datetime.fromtimestamp(at, UTC)
    return CronTrigger(f"{moment.minute} {moment.hour} * * *", "UTC")


def minute_after(at: float) -> float:
    """The first full minute at or after `at`."""
    return -(-at // 60) * 60.0


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch instance. `runs_at_once` is the one setting that differs from the default."""

    home: Path
    runs_at_once: int

    @property
    def store(self) -> Path:
        return self.home / "rota.db"

    @property
    def socket(self) -> Path:
        return self.home / "rota.sock"

    def configure(self) -> None:
        self.home.mkdir(mode=0o700, parents=True)
        (self.home / "rota.yaml").write_text(f"schedule: {{max_concurrent_schedules: {self.runs_at_once}}}\n")

    def load(
        self, jobs: Sequence[JobSpec], *, then: str | None = None, values: Mapping[str, int] | None = None
    ) -> None:
        """Save jobs as the API would, in few transactions. `then` is one more SQL statement, with its values."""
        prepare(self.store, create=True)
        asyncio.run(self._load(jobs, then, values or {}))

    async def _load(self, jobs: Sequence[JobSpec], then: str | None, values: Mapping[str, int]) -> None:
        store = SqliteStore(self.store, clock=SystemClock())
        try:
            for start in range(0, len(jobs), _CHUNK):
                await store.write(lambda tx, part=jobs[start : start + _CHUNK]: _insert(tx, part))  # type: ignore[misc]
            if then is not None:
                await store.write(lambda tx: tx.driver.execute(then, values))
        finally:
            await asyncio.to_thread(store.close)

    def load_many(self, first: JobSpec, jobs: int) -> None:
        """Save `first`, which is called job-0, and copies of it: so many jobs in all, in a store that has none."""
        self.load([first])
        with closing(sqlite3.connect(self.store, isolation_level=None)) as driver:
            driver.execute("BEGIN")
            for statement in filter(str.strip, _COPIES.split(";")):
                driver.execute(statement, {"jobs": jobs} if ":jobs" in statement else {})
            driver.execute("COMMIT")

    def change(self, statement: str, values: Mapping[str, int] | None = None) -> None:
        """One statement on the store, while no daemon runs."""
        with closing(sqlite3.connect(self.store, isolation_level=None)) as driver:
            driver.execute(statement, values or {})

    def add_hosts(self, hosts: Sequence[Host]) -> None:
        """Save hosts as the API would."""
        prepare(self.store, create=True)
        asyncio.run(self._add_hosts(hosts))

    async def _add_hosts(self, hosts: Sequence[Host]) -> None:
        store = SqliteStore(self.store, clock=SystemClock())
        try:
            await store.write(lambda tx: insert_hosts(tx, hosts))
        finally:
            await asyncio.to_thread(store.close)

    def ask(self, query: str, values: Mapping[str, int] | None = None) -> list[tuple[int, ...]]:
        """Read from the store, beside the daemon or after it."""
        with closing(self._connect()) as driver:
            return driver.execute(query, values or {}).fetchall()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=10, isolation_level=None)

    def number(self, query: str, values: Mapping[str, int] | None = None) -> int:
        """The one number that `query` asks for; 0 for NULL."""
        return self.ask(query, values)[0][0] or 0

    def wait_for(self, attempts: int, *, until: float, look_every: float = 0.25) -> float:
        """Wait until so many attempts were made and nothing runs or waits; return when that was seen (epoch seconds).

        Seen from outside, so what was seen is committed. Two look-ups by key at a time: watching must cost the
        watched nothing worth naming. Raises TurnFailed after `until`.
        """
        made = busy = 0
        with closing(self._connect()) as driver:
            while time.time() < until:
                ((made, busy),) = driver.execute(
                    "SELECT (SELECT value FROM sequence WHERE name = 'attempt'), used FROM run_limit WHERE key = 'runs'"
                )
                if (made or 0) >= attempts and not busy:
                    return time.time()
                time.sleep(look_every)
        raise TurnFailed(f"{made or 0} of {attempts} were started in time, {busy} runs were not done")


def _insert(tx: Tx, jobs: Sequence[JobSpec]) -> None:
    for spec in jobs:
        insert_job(tx, spec, "bench")


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that has said that it is up."""

    pid: int
    spawned_at: float  # epoch seconds
    home: Path

    def family(self) -> list[int]:
        """The daemon, its children (the template renderer) and its keeper."""
        others = {*process.children(self.pid), *process.with_word(str(self.home))} - {self.pid}
        return [self.pid, *sorted(others)]


@contextmanager
def daemon(scratch: Scratch) -> Iterator[Running]:
    """Run the daemon of a scratch instance; ends it, and whatever it would leave behind.

    What was written before is on the disk first: the daemon's commits would wait for it.
    """
    os.sync()
    argv = [sys.executable, "-m", "rota", "--home", str(scratch.home), "daemon", "run"]
    errors = scratch.home / "stderr.txt"
    with errors.open("wb") as stderr:
        spawned_at = time.time()
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, env=environment(), cwd="/"
        )
    running = Running(child.pid, spawned_at, scratch.home)
    assert child.stdout is not None
    try:
        if not select.select([child.stdout], [], [], READY_SECONDS)[0] or b"started" not in child.stdout.readline():
            raise TurnFailed(f"the daemon did not come up: {errors.read_text().strip()[-500:]}")
        yield running
    finally:
        _stop(child, running)
        child.stdout.close()


def _stop(child: subprocess.Popen[bytes], running: Running) -> None:
    left = running.family() if child.poll() is None else process.with_word(str(running.home))
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pid in left:
        process.end(pid)


def environment() -> dict[str, str]:
    """Ours, without anything that would choose or change an instance."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROTA_")}


def seconds_after(at: Micros, due: float) -> float:
    return at / SECOND - due
