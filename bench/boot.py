"""`boot`: many stored jobs; a cold process, from its spawn to the first correct start.

One job fell due just before the spawn, within Rota's grace of 60 s; the first thing that a started scheduler must do
is to run it. Everything counts: the interpreter, imports, opening the store, the keeper, and finding the one due job.
Both stores are filled once, in bulk; each turn works on a copy.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import peers
from bench.daemon import Scratch, a_job, daemon
from bench.harness import Bench, Figure, Sample, Turn, TurnFailed
from rota.domain.instant import SECOND
from rota.domain.trigger.spec import CronTrigger, OnceTrigger

ROTA, SQLITE = "Rota", "APScheduler SQLite"


def boot(jobs: int) -> Bench:
    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        due = datetime.now(UTC) + timedelta(days=3)
        filled = Scratch(scratch / "filled", 5)
        filled.configure()
        rule = CronTrigger(f"0 2 {due.day} {due.month} *", "UTC")
        filled.load([a_job(number, rule) for number in range(jobs)])
        theirs = scratch / "filled.db"
        peers.measured("fill", within=300, store=f"sqlite:///{theirs}", jobs=jobs, due=due.timestamp())
        return {
            ROTA: lambda: _rota(filled, scratch / f"home-{next(numbers)}", jobs),
            SQLITE: lambda: _aps(theirs, scratch / f"aps-{next(numbers)}.db"),
        }

    return Bench(
        name="boot",
        what=f"{jobs:,} stored jobs: from the spawn of a cold process to the first correct start",
        prepare=prepare,
        figures=[Figure("first start", "s", ROTA, SQLITE)],
        warm_up="none; the stores' files were copied just before, so they are in the page cache",
    )


def _rota(filled: Scratch, home: Path, jobs: int) -> Sample:
    scratch = Scratch(home, 5)
    shutil.copytree(filled.home, home)
    now = int(time.time() * SECOND)
    # Saved while it lay a moment ahead, as a person would have to; it has passed when the process starts.
    scratch.load([a_job(jobs, OnceTrigger(now + SECOND, "UTC"))])
    time.sleep(max(0.0, (now + SECOND) / SECOND + 0.1 - time.time()))
    with daemon(scratch) as running:
        scratch.wait_for(1, until=time.time() + 60)
    rows = scratch.ask("SELECT started_at FROM attempt")
    if len(rows) != 1 or scratch.number("SELECT count(*) FROM ledger"):
        raise TurnFailed(
            f"{len(rows)} starts and {scratch.number('SELECT count(*) FROM ledger')} refusals, not 1 and 0"
        )
    return Sample({"first start": rows[0][0] / SECOND - running.spawned_at})


def _aps(filled: Path, store: Path) -> Sample:
    shutil.copy(filled, store)
    due = time.time() + 1
    peers.measured("owe", within=120, store=f"sqlite:///{store}", due=due)
    time.sleep(max(0.0, due + 0.1 - time.time()))
    spawned_at = time.time()
    got = peers.measured("boot", within=180, store=f"sqlite:///{store}")
    return Sample({"first start": got["started_at"] - spawned_at})
