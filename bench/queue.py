"""`queue`: no-op jobs through a queue on PostgreSQL, with a cap on how many are in work: how many a second.

Rota: the real daemon; all are due at once, are planned, queued and claimed under the cap (`rota limits set targets`),
and each end is recorded: from the due second to the last durable end, so the making of the queue is part of it. It is
part of the peers' time too, who are given theirs 5,000 in one statement: from the first INSERT to the last end. How
fast they were without it is in the notes. All on the same server, one after the other.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import postgres
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from bench.machine import ROOT
from bench.nodes import Herd, raised, whole
from bench.peers import own, told

ROTA, PGQUEUER, PROCRASTINATE = "Rota", "PgQueuer", "Procrastinate"
AT_ONCE = 1_000
_SCRIPTS = ROOT / "bench" / "peers" / "queue"
FEW = 2_000  # jobs are enough for a peer that needs milliseconds for each
_CAP = f"INSERT INTO run_limit (key, cap, used) VALUES ('targets', {AT_ONCE}, 0)"


def queue(jobs: int, goal: Goal | None = None, *, lead: float = 5.0) -> Bench:
    def prepare(scratch: Path, stack: ExitStack) -> Mapping[str, Turn]:
        python = own.binaries(_SCRIPTS) / "python"
        herd = Herd.load(scratch, stack, jobs, lead, then=_CAP)
        numbers = itertools.count(1)

        def peer(name: str, jobs: int) -> Turn:
            return lambda: _peer(python, name.lower(), herd.dsn, f"bench_{os.getpid()}_peer_{next(numbers)}", jobs)

        return {
            ROTA: partial(herd.turn, 1, whole),
            PGQUEUER: peer(PGQUEUER, jobs),
            PROCRASTINATE: peer(PROCRASTINATE, min(jobs, FEW)),
        }

    return Bench(
        name="queue",
        what=f"{jobs:,} no-op jobs through a queue on PostgreSQL, at most {AT_ONCE:,} in work at once",
        prepare=prepare,
        figures=[Figure("done", "/s", ROTA, PGQUEUER, goal), Figure("done", "/s", ROTA, PROCRASTINATE)],
        raised=raised(jobs) | {"limit targets": f"{AT_ONCE} (default none), as the peers' concurrency"},
    )


def _peer(python: Path, name: str, dsn: str, database: str, jobs: int) -> Sample:
    with postgres.a_database(dsn, database) as url:
        argv: list[str | Path] = [python, _SCRIPTS / "with_queues.py", name, "--dsn", url]
        argv += ["--jobs", str(jobs), "--at-once", str(AT_ONCE)]
        got = told(name, argv, within=120 + jobs / 50)
    if got["done"] != jobs:
        raise TurnFailed(f"{got['done']} of {jobs} jobs were done")
    return Sample(
        {"done": jobs / got["seconds"]}, {"jobs": jobs, "without enqueueing": round(jobs / got["carried_out"])}
    )
