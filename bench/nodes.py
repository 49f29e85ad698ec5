"""`nodes-N`: a herd on one PostgreSQL database that N daemons share, on this machine: how many starts a second.

The server and all daemons share its cores, so what is added is what one daemon leaves idle while it waits for the
server. Each start's intent is committed before it, each end recorded, as in `herd`; each occurrence is counted in the
database afterwards: one run of each, whoever planned it.

`nodes-kill`: of two daemons one is killed (SIGKILL) in the middle. What it had begun and not told is `unknown` once its
lease and the grace are over; all else is started by the other one.
"""

from __future__ import annotations

import itertools
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from bench import postgres
from bench.daemon import Running, Scratch, a_job, daemon, seconds_after
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from rota.database.copying import copy
from rota.database.sides import open_side
from rota.domain.instant import SECOND
from rota.domain.trigger.spec import IntervalTrigger
from rota.storage.listening import CHANNEL

DAY = 86_400 * SECOND
LEASE_SECONDS, GRACE_SECONDS = 3, 2  # of `nodes-kill`: what is waited for is not what is measured
SPARE_RUNS = 100


def nodes(name: str, count: int, jobs: int, *, goal: Goal | None = None, lead: float = 5.0) -> Bench:
    """`count` daemons beside one. `lead` is the time that the daemons have for what is due then."""
    ours, alone = _called(count), _called(1)
    contenders = {ours: count, alone: 1}

    def prepare(scratch: Path, stack: ExitStack) -> Mapping[str, Turn]:
        herd = Herd.load(scratch, stack, jobs, lead)
        return {called: partial(herd.turn, count, whole) for called, count in contenders.items()}

    peer = None if count == 1 else alone
    return Bench(
        name=name,
        what=f"{jobs:,} no-op jobs due in the same second, on one PostgreSQL database with {ours}",
        prepare=prepare,
        figures=[Figure("claims", "/s", ours, peer, goal), Figure("last start", "s", ours, peer)],
        raised=raised(jobs),
    )


def nodes_kill(name: str, jobs: int, *, lead: float = 5.0) -> Bench:
    ours = "2 nodes, 1 killed"

    def prepare(scratch: Path, stack: ExitStack) -> Mapping[str, Turn]:
        return {ours: partial(Herd.load(scratch, stack, jobs, lead).turn, 2, _bereft)}

    return Bench(
        name=name,
        what=f"{jobs:,} no-op jobs due in the same second; of two daemons on one database one is killed in the middle",
        prepare=prepare,
        figures=[Figure("last start", "s", ours, None), Figure("all settled", "s", ours, None)],
        raised=raised(jobs) | {"database.lease_seconds": f"{LEASE_SECONDS} (default 60)",
                                "database.lost_grace_seconds": f"{GRACE_SECONDS} (default 120)"},
    )  # fmt: skip


def _called(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"


def raised(jobs: int) -> dict[str, str]:
    return {"schedule.max_concurrent_schedules": f"{jobs + SPARE_RUNS} (default 5): all may run at once"}


class _Node(Scratch):
    """A home of its own whose store is the database that all share."""

    def configure_for(self, url: str) -> None:
        self.configure()
        with (self.home / "rota.yaml").open("a") as file:
            file.write(
                f'database: {{url: "{url}", lease_seconds: {LEASE_SECONDS}, lost_grace_seconds: {GRACE_SECONDS}}}\n'
            )


@dataclass(frozen=True, slots=True)
class Shared:
    """The database, and what has become of its jobs. All is due at `due`, epoch seconds."""

    url: str
    jobs: int
    due: float

    def ask(self, query: str) -> tuple[float, ...]:
        """The one row that `query` asks for; 0 for NULL."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query).fetchone()
        assert row is not None, "a question with an answer"
        return tuple(value or 0 for value in row)

    def is_past(self, at: float) -> bool:
        """Whether this is a later instant than the one that all is due at."""
        return at > self.due * SECOND

    def wait_until(self, query: str, enough: Callable[[float], bool], *, within: float, what: str) -> None:
        """Ask a cheap question a few times a second. Raises TurnFailed after `within` seconds."""
        deadline = time.monotonic() + within
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not enough((connection.execute(query).fetchone() or (0,))[0] or 0):
                if time.monotonic() > deadline:
                    raise TurnFailed(f"{what} did not happen within {within:g} s")
                time.sleep(0.1)


_TAKEN = "SELECT value FROM sequence WHERE name = 'run'"  # numbers, of runs that are about to be made
_NEXT_DUE = "SELECT min(fire_at) FROM due"
_AT_WORK = "SELECT used FROM run_limit WHERE key = 'runs'"
_COUNTS = """
SELECT count(*), count(DISTINCT (trigger_id, nominal)), count(*) FILTER (WHERE state = 'succeeded'),
       (SELECT count(*) FROM attempt), (SELECT count(DISTINCT run_target_id) FROM attempt),
       (SELECT count(*) FROM run_target WHERE state = 'unknown'), (SELECT count(*) FROM ledger),
       (SELECT count(DISTINCT owner) FROM run_target)
FROM run
"""
_STARTS = "SELECT min(started_at), max(intended_at), max(started_at) FROM attempt WHERE started_at IS NOT NULL"

Middle = Callable[[Shared, Sequence[Running]], Sample]


@dataclass(frozen=True, slots=True)
class Herd:
    """A database with all the jobs, from which each turn's is made."""

    scratch: Path
    dsn: str
    loaded: str
    jobs: int
    lead: float
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def load(cls, scratch: Path, stack: ExitStack, jobs: int, lead: float, *, then: str | None = None) -> Herd:
        """Into SQLite, as the other benches do, and from there as `rota db copy` does. `then`: one more statement."""
        dsn = stack.enter_context(postgres.server())
        name = f"bench_{os.getpid()}"
        url = stack.enter_context(postgres.a_database(dsn, name))
        first = Scratch(scratch / "loaded", jobs)
        first.configure()
        rule = IntervalTrigger(DAY, round(time.time() + DAY / SECOND / 2) * SECOND, "UTC")
        first.load([a_job(number, rule) for number in range(jobs)], then=then)
        sides = [open_side(each, first.store, first.home / "output.db", create=True) for each in ("sqlite", url)]
        try:
            copy(*sides, tell=lambda _table, _rows: None)
        finally:
            for side in sides:
                side.close()
        return cls(scratch, dsn, name, jobs, lead)

    def turn(self, count: int, middle: Middle) -> Sample:
        """Start the daemons on a database of their own, and hand over when all is due."""
        number = next(self.numbers)
        with (
            postgres.a_database(self.dsn, f"{self.loaded}_{number}", template=self.loaded) as url,
            ExitStack() as stack,
        ):
            running = []
            for place in range(count):
                node = _Node(self.scratch / f"turn-{number}-node-{place}", self.jobs + SPARE_RUNS)
                node.configure_for(url)
                running.append(stack.enter_context(daemon(node)))
            # Each has all cards at hand then, as it has of any herd: with less time their loading would be seen.
            due = math.ceil(time.time() + self.lead + self.jobs * count / 500)
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"UPDATE due SET nominal = {due * SECOND}, fire_at = {due * SECOND}")
                connection.execute(f"SELECT pg_notify({CHANNEL}, 'bench jobs')")  # as whoever saves a job does
                connection.execute("VACUUM ANALYZE")
            time.sleep(max(0.0, due - time.time()))
            return middle(Shared(url, self.jobs, due), running)


def whole(shared: Shared, running: Sequence[Running]) -> Sample:
    jobs = shared.jobs
    shared.wait_until(_NEXT_DUE, shared.is_past, within=60 + jobs / 200, what="the last run")
    shared.wait_until(_AT_WORK, lambda used: not used, within=60 + jobs / 200, what="the last end")
    done = time.time()
    found = shared.ask(_COUNTS)
    if found[:7] != (jobs, jobs, jobs, jobs, jobs, 0, 0):
        raise TurnFailed(f"expected {jobs} of each, none unknown and none refused: {found}")
    if found[7] != len(running) and jobs >= 1_000:
        raise TurnFailed(f"{found[7]} of {len(running)} daemons started something")
    first, intended, last = (seconds_after(round(at), shared.due) for at in shared.ask(_STARTS))
    return Sample(
        {"claims": jobs / last, "last start": last, "done": jobs / (done - shared.due)},
        {"first": round(first, 4), "last intent": round(intended, 4), "all ends durable": round(done - shared.due, 1)},
    )


def _bereft(shared: Shared, running: Sequence[Running]) -> Sample:
    """Kill one when a third has been planned."""
    jobs = shared.jobs
    shared.wait_until(_TAKEN, lambda taken: taken >= jobs / 3, within=60, what="the middle of the herd")
    os.kill(running[0].pid, signal.SIGKILL)
    shared.wait_until(_NEXT_DUE, shared.is_past, within=60 + jobs / 200, what="the last run")
    within = 60 + LEASE_SECONDS + GRACE_SECONDS + jobs / 200
    shared.wait_until(_AT_WORK, lambda used: not used, within=within, what="the last end")
    done = time.time()
    runs, occurrences, succeeded, attempts, started, unknown, refused, _ = shared.ask(_COUNTS)
    if (runs, occurrences, attempts, started, refused) != (jobs, jobs, jobs, jobs, 0) or succeeded + unknown != jobs:
        raise TurnFailed(
            f"of {jobs}: {runs} runs of {occurrences} occurrences, {attempts} attempts, {succeeded} succeeded,"
            f" {unknown} unknown, {refused} refused"
        )
    *_, last = shared.ask(_STARTS)
    return Sample(
        {"last start": seconds_after(round(last), shared.due), "all settled": done - shared.due},
        {"succeeded": int(succeeded), "unknown": int(unknown), "duplicates": 0, "missing": 0},
    )
