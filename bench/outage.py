"""`outage`: a daemon that was down for long; how soon everything that it missed is settled.

"Settled" is: each instant that passed is covered by a run or a row of the ledger, each trigger has its next instant,
and what was to be caught up has ended. The time runs from the engine's own start, as the store has it (the row of its
owner), to the last of these rows; the interpreter's start before it is in the notes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.daemon import Scratch, a_job, daemon
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from bench.herd import SPARE_RUNS
from rota.domain.instant import DAY, HOUR, SECOND, Micros
from rota.domain.policy import Missed
from rota.domain.trigger.spec import CronTrigger

YEAR, HOURS = "Rota, a year", "Rota, 10 hours"
_LONGEST = 120.0
_SETTLED = "SELECT count(*) FROM due WHERE fire_at <= :now OR fire_at IS NULL"


def outage(jobs: int, *, year_goal: Goal | None = None, hours_goal: Goal | None = None) -> Bench:
    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        return {
            YEAR: lambda: _down(scratch / f"home-{next(numbers)}", 1, "* * * * *", 365 * DAY),
            HOURS: lambda: _down(scratch / f"home-{next(numbers)}", jobs, _every_5_minutes(), 10 * HOUR),
        }

    return Bench(
        name="outage",
        what=f"a job of every minute, down for a year; {jobs:,} of every 5 minutes, for 10 hours, half of them with"
        " missed_run_policy run_once: seconds until all is settled",
        prepare=prepare,
        figures=[Figure("settled", "s", YEAR, goal=year_goal), Figure("settled", "s", HOURS, goal=hours_goal)],
        raised={"schedule.max_concurrent_schedules": f"{jobs + SPARE_RUNS} (default 5): all may be caught up at once"},
    )


def _every_5_minutes() -> str:
    """Last two minutes ago, and again in two: what fell due within `grace` would be started late, not caught up."""
    return f"{(int(time.time()) // 60 - 2) % 5}-59/5 * * * *"


def _down(home: Path, jobs: int, expression: str, length: Micros) -> Sample:
    """Every other job is caught up once; the first is not."""
    scratch = Scratch(home, jobs + SPARE_RUNS)
    scratch.configure()
    rule = CronTrigger(expression, "UTC")
    policies = (Missed.SKIP, Missed.RUN_ONCE)
    scratch.load([a_job(number, rule).but(missed=policies[number % 2]) for number in range(jobs)])
    # Down since then: the first instant that nobody planned is `length` before the one that comes next.
    scratch.change(
        "UPDATE due SET nominal = nominal - :length, fire_at = nominal - :length, high_water = nominal - :length - 1",
        {"length": length},
    )
    caught_up = jobs // 2
    with daemon(scratch) as running:
        deadline = time.time() + _LONGEST
        scratch.wait_for(caught_up, until=deadline)
        while scratch.number(_SETTLED, {"now": int(time.time() * SECOND)}):
            if time.time() > deadline:
                raise TurnFailed(f"not settled after {_LONGEST:g} s")
            time.sleep(0.05)
    return _read(scratch, jobs, caught_up, running.spawned_at)


def _read(scratch: Scratch, jobs: int, caught_up: int, spawned_at: float) -> Sample:
    began = scratch.number("SELECT min(started_at) FROM owner")
    # What fell due while the daemon ran is no part of it: only runs that catch up, and rows of before it began.
    ((rows, covered, last_row),) = scratch.ask(
        "SELECT count(*), sum(count), max(at) FROM ledger WHERE reason = 'missed' AND first_nominal < :began",
        {"began": began},
    )
    ((runs, last_end),) = scratch.ask("SELECT count(*), max(finished_at) FROM run WHERE catch_up")
    if rows < jobs or runs != caught_up:
        raise TurnFailed(f"{rows} summary rows of {jobs}, {runs} runs to catch up of {caught_up}")
    settled = max(last_row, last_end or 0)
    return Sample(
        {"settled": (settled - began) / SECOND},
        {
            "from the spawn": round(settled / SECOND - spawned_at, 2),
            "summary rows": rows,
            "instants": covered,
            "caught up": runs,
        },
    )
