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
from pathlib import Path

from bench import peers
from bench.daemon import Scratch, a_job, daemon, daily, minute_after, seconds_after
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed

ROTA, MEMORY, SQLITE = "Rota", "APScheduler memory", "APScheduler SQLite"
SPARE_RUNS = 100


def herd(
    name: str, jobs: int, *, against_memory: Goal | None, against_sqlite: Goal | None = None, lead: float = 20.0
) -> Bench:
    """`lead` is the least time between the daemon's start and the due second, besides what loading takes."""
    figures = [Figure("last start", "s", ROTA, MEMORY, against_memory)]
    if against_sqlite is not None:
        figures.append(Figure("last start", "s", ROTA, SQLITE, against_sqlite))

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        turns: dict[str, Turn] = {
            ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", jobs, lead),
            MEMORY: lambda: _aps(jobs, "memory", 4 + jobs / 2_000),
        }
        if against_sqlite is not None:
            turns[SQLITE] = lambda: _aps(jobs, f"sqlite:///{scratch}/aps-{next(numbers)}.db", 10 + jobs / 40)
        return turns

    return Bench(
        name=name,
        what=f"{jobs:,} no-op jobs due in the same second: how late the last of them starts",
        prepare=prepare,
        figures=figures,
        raised={"schedule.max_concurrent_schedules": f"{jobs + SPARE_RUNS} (default 5): all may run at once"},
        warm_up=f"none; the daemon runs at least {lead:g} s before the due second, as it does for any job",
    )


def _aps(jobs: int, store: str, lead: float) -> Sample:
    got = peers.measured("herd", within=lead + 120 + jobs / 200, store=store, jobs=jobs, lead=lead)
    if got["started"] != jobs:
        raise TurnFailed(f"{got['started']} starts of {jobs} jobs")
    return Sample({"last start": got["last"]}, {"first": round(got["first"], 4), "middle": round(got["middle"], 4)})


def _rota(home: Path, jobs: int, lead: float) -> Sample:
    scratch = Scratch(home, jobs + SPARE_RUNS)
    scratch.configure()
    # Loading: 5,000 jobs a second at the least. Cards are made ahead of time, while there is a minute for it.
    due = minute_after(time.time() + lead + jobs / 5_000 + jobs / 4_000)
    scratch.load([a_job(number, daily(due)) for number in range(jobs)])
    with daemon(scratch):
        if (early := due - time.time()) < lead:
            raise TurnFailed(f"set-up left {early:.0f} s before the due second, not {lead:g} s")
        time.sleep(due - time.time())
        done = scratch.wait_for(jobs, until=due + 60 + jobs / 500)
    return _read(scratch, jobs, due, done)


def _read(scratch: Scratch, jobs: int, due: float, done: float) -> Sample:
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
        {"last start": seconds_after(last, due)},
        {
            "first": round(seconds_after(first, due), 4),
            "last intent": round(seconds_after(intended, due), 4),
            "all ends durable": round(done - due, 1),
            "succeeded": jobs,
            "duplicates": 0,
        },
    )
