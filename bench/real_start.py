"""`real-start`: N jobs due at once, each a process with captured output and its whole record.

Rota: from the first start, as its store says, to the last durable end, as another process sees it in the store, looking
every 10 ms. The peer is the least that could do the work:
a loop that spawns, captures output through pipes and reaps, with as many children at once, and records nothing.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.daemon import Scratch, a_job, daemon, daily, environment, minute_after, seconds_after
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from bench.machine import ROOT
from rota.domain.instant import SECOND
from rota.domain.step import Step

ROTA, BARE = "Rota", "bare spawn loop"
COMMAND = "/bin/true"


def real_start(jobs: int, goal: Goal | None = None, *, lead: float = 15.0) -> Bench:
    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        return {
            ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", jobs, lead),
            BARE: lambda: _bare(jobs),
        }

    return Bench(
        name="real-start",
        what=f"{jobs:,} jobs due at once, each {COMMAND} with captured output and a full run record",
        prepare=prepare,
        figures=[Figure("starts", "/s", ROTA, BARE, goal)],
        raised={"schedule.max_concurrent_schedules": f"{jobs} (default 5): all may run at once, as in the loop"},
    )


def _bare(starts: int) -> Sample:
    done = subprocess.run(
        [sys.executable, "-m", "bench.bare", COMMAND, str(starts)],
        capture_output=True, text=True, check=True, timeout=120, cwd=ROOT, env=environment(),
    )  # fmt: skip
    return Sample({"starts": starts / float(done.stdout)})


def _rota(home: Path, jobs: int, lead: float) -> Sample:
    scratch = Scratch(home, jobs)
    scratch.configure()
    due = minute_after(time.time() + lead + 5)
    step = Step(name="main", action="shell", params={"argv": [COMMAND]})
    scratch.load([a_job(number, daily(due), step) for number in range(jobs)])
    with daemon(scratch):
        time.sleep(max(0.0, due - time.time()))
        done = scratch.wait_for(jobs, until=due + 60 + jobs / 50, look_every=0.01)
    whole = scratch.number(
        "SELECT count(*) FROM run JOIN run_target ON run_target.run_id = run.id"
        " JOIN attempt ON attempt.run_target_id = run_target.id"
        " WHERE run.state = 'succeeded' AND attempt.state = 'succeeded' AND attempt.exit_code = 0"
    )
    if whole != jobs:
        raise TurnFailed(f"{whole} of {jobs} runs succeeded with exit code 0")
    ((first, last),) = scratch.ask("SELECT min(started_at), max(started_at) FROM attempt")
    return Sample(
        {"starts": jobs / (done - first / SECOND)},
        {
            "first start": round(seconds_after(first, due), 4),
            "last start": round(seconds_after(last, due), 4),
            "last durable end": round(done - due, 4),
            "succeeded": whole,
        },
    )
