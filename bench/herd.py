"""`herd-N`: N recurring jobs due in the same second, each a no-op; how late the last of them starts.

Rota: the real daemon, every start's intent committed before it (run, run target and attempt rows), each end recorded.
`attempt.started_at` is the worker's clock at the real start. The peers keep no record of runs at all; APScheduler's
memory store keeps nothing, its SQLite store the next due time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench import peers, process
from bench.daemon import NOOP, Scratch, a_job, daemon, daily, minute_after, seconds_after
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from rota.domain.job import JobSpec
from rota.domain.policy import Missed, Overlap, Policies
from rota.domain.step import Backoff

ROTA, MEMORY, SQLITE = "Rota", "APScheduler memory", "APScheduler SQLite"
SPARE_RUNS = 100
AHEAD_SECONDS = 120.0  # the planner looks no farther ahead
SET_UP_SECONDS = 10.0  # to make the store and to start the daemon, on a busy machine


def herd(
    name: str,
    jobs: int,
    *,
    against_memory: Goal | None,
    against_sqlite: Goal | None = None,
    lead: float = 20.0,
    policies: bool = False,
) -> Bench:
    """`lead` is the least time between the daemon's start and the due second, besides what loading takes."""
    figures = [Figure("last start", "s", ROTA, MEMORY, against_memory)]
    if against_sqlite is not None:
        figures.append(Figure("last start", "s", ROTA, SQLITE, against_sqlite))

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        turns: dict[str, Turn] = {
            ROTA: lambda: measured(scratch / f"home-{next(numbers)}", jobs, lead, policies=policies),
            MEMORY: lambda: _aps(jobs, "memory", 4 + jobs / 2_000),
        }
        if against_sqlite is not None:
            turns[SQLITE] = lambda: _aps(jobs, f"sqlite:///{scratch}/aps-{next(numbers)}.db", 10 + jobs / 40)
        return turns

    return Bench(
        name=name,
        what=f"{jobs:,} no-op jobs due in the same second{_WITH if policies else ''}: how late the last of them starts",
        prepare=prepare,
        figures=figures,
        raised=raised(jobs),
        warm_up=f"none; the daemon runs at least {lead:g} s before the due second, as it does for any job",
    )


def herd_alone(name: str, jobs: int, *, goal: Goal | None, lead: float = 20.0) -> Bench:
    """A herd larger than any peer can hold. Its jobs are copies of one, so that loading them takes seconds."""

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        return {ROTA: lambda: measured(scratch / f"home-{next(numbers)}", jobs, lead, copies=True)}

    return Bench(
        name=name,
        what=f"{jobs:,} no-op jobs due in the same second: how late the last of them starts",
        prepare=prepare,
        figures=[Figure("last start", "s", ROTA, goal=goal), Figure("peak resident", "MiB", ROTA)],
        raised=raised(jobs),
        warm_up=f"none; the daemon runs at least {lead:g} s before the due second, as it does for any job",
    )


def raised(jobs: int) -> dict[str, str]:
    return {"schedule.max_concurrent_schedules": f"{jobs + SPARE_RUNS} (default 5): all may run at once"}


_WITH = ", each with retries, timeouts, a queue, grace, and under caps"
LIMITED_JOBS = 10  # that have a cap of their own


def _job(number: int, due: float, *, policies: bool) -> JobSpec:
    job = a_job(number, daily(due))
    if not policies:
        return job
    return job.but(
        steps=(replace(NOOP, timeout_seconds=60.0, retries=3, retry_backoff=Backoff.EXPONENTIAL),),
        overlap=Overlap.QUEUE,
        missed=Missed.RUN_ONCE,
        grace_seconds=300.0,
        run_timeout_seconds=600.0,
        policies=Policies(overlap_limit=2, catch_up_max=5),
    )


def _load(scratch: Scratch, jobs: int, due: float, *, policies: bool, copies: bool) -> None:
    if copies:
        # Late is what is measured here, whatever the machine: with the default grace it would be missed after a minute.
        scratch.load_many(_job(0, due, policies=policies).but(grace_seconds=3600.0), jobs)
    else:
        scratch.load([_job(number, due, policies=policies) for number in range(jobs)])
    if policies:
        caps = {"targets": jobs + SPARE_RUNS} | {f"job:job-{number}": 2 for number in range(LIMITED_JOBS)}
        rows = ", ".join(f"('{key}', {cap}, 0)" for key, cap in caps.items())
        scratch.change(f"INSERT INTO run_limit (key, cap, used) VALUES {rows}")


def _aps(jobs: int, store: str, lead: float) -> Sample:
    got = peers.measured("herd", within=lead + 120 + jobs / 200, store=store, jobs=jobs, lead=lead)
    if got["started"] != jobs:
        raise TurnFailed(f"{got['started']} starts of {jobs} jobs")
    return Sample({"last start": got["last"]}, {"first": round(got["first"], 4), "middle": round(got["middle"], 4)})


def measured(home: Path, jobs: int, lead: float, *, policies: bool = False, copies: bool = False) -> Sample:
    """Rota's turn. `copies`: the jobs are copies of one."""
    scratch = Scratch(home, jobs + SPARE_RUNS)
    scratch.configure()
    # Loading: 5,000 jobs a second at the least. Cards are made ahead of time, while there is a minute for it.
    loading = jobs / 50_000 if copies else jobs / 5_000
    ahead = min(AHEAD_SECONDS, jobs / 4_000) if copies else jobs / 4_000
    due = minute_after(time.time() + lead + SET_UP_SECONDS + loading + ahead)
    _load(scratch, jobs, due, policies=policies, copies=copies)
    with daemon(scratch) as running:
        if (early := due - time.time()) < lead:
            raise TurnFailed(f"set-up left {early:.0f} s before the due second, not {lead:g} s")
        time.sleep(due - time.time())
        done = scratch.wait_for(jobs, until=due + 60 + jobs / 500)
        peak = process.peak_mib(running.pid)
    return _read(scratch, jobs, due, done, peak)


def _read(scratch: Scratch, jobs: int, due: float, done: float, peak: float) -> Sample:
    """What the store says, after the daemon has ended. Raises TurnFailed where it is not N times one clean run."""
    counts = {
        "runs": "SELECT count(*) FROM run WHERE state = 'succeeded'",
        "occurrences": "SELECT count(*) FROM (SELECT DISTINCT trigger_id, nominal FROM run)",
        "targets": "SELECT count(*) FROM run_target WHERE state = 'succeeded'",
        "attempts": "SELECT count(*) FROM attempt WHERE state = 'succeeded' AND started_at >= intended_at",
        "all attempts": "SELECT count(*) FROM attempt",
    }
    found = {what: scratch.number(query) for what, query in counts.items()}
    refused = scratch.number("SELECT count(*) FROM ledger")
    if set(found.values()) != {jobs} or refused:
        raise TurnFailed(f"expected {jobs} of each and nothing refused: {found}, {refused} refused")
    ((first, intended, last),) = scratch.ask("SELECT min(started_at), max(intended_at), max(started_at) FROM attempt")
    return Sample(
        {"last start": seconds_after(last, due), "peak resident": peak},
        {
            "first": round(seconds_after(first, due), 4),
            "last intent": round(seconds_after(intended, due), 4),
            "all ends durable": round(done - due, 1),
            "succeeded": jobs,
            "duplicates": 0,
        },
    )
