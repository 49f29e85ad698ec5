"""`idle`: many enabled jobs, none due for days; what it costs to wait.

All of Rota's processes count: daemon, keeper, template renderer. CPU is read from the processes' CPU clocks, which
count nanoseconds, and is shown so. It is compared at the resolution of `top` and `ps`, 0.1 % of a core: the peer is
blocked without a timeout, its main thread on its standard input, and the kernel often counts not a nanosecond for it.
"""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import peers, process
from bench.daemon import READY_SECONDS, Scratch, a_job, daemon, environment
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from bench.machine import ROOT
from bench.process import Cost
from rota.domain.trigger.spec import CronTrigger

ROTA, MEMORY = "Rota", "APScheduler memory"


def idle(jobs: int, seconds: float, *, settle: float = 10.0) -> Bench:
    """`settle` seconds pass between "ready" and the first reading."""

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        due = datetime.now(UTC) + timedelta(days=3)
        return {
            ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", jobs, due, seconds, settle),
            MEMORY: lambda: _aps(jobs, due, seconds, settle),
        }

    return Bench(
        name="idle",
        what=_what(jobs, seconds),
        prepare=prepare,
        figures=[
            Figure("CPU", "% of a core", ROTA, MEMORY, Goal("at most", 1.0), resolution=0.1),
            Figure("wake-ups", "/s", ROTA, goal=Goal("at most", 2.0)),
            Figure("resident", "MiB", ROTA, MEMORY),
        ],
        warm_up=_warm_up(settle),
    )


def idle_alone(name: str, jobs: int, seconds: float, *, goal: Goal, settle: float = 10.0) -> Bench:
    """More jobs than any peer can hold: the goal is of the CPU itself, in % of a core."""

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        due = datetime.now(UTC) + timedelta(days=3)
        return {ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", jobs, due, seconds, settle, copies=True)}

    return Bench(
        name=name,
        what=_what(jobs, seconds),
        prepare=prepare,
        figures=[
            Figure("CPU", "% of a core", ROTA, goal=goal),
            Figure("wake-ups", "/s", ROTA),
            Figure("resident", "MiB", ROTA),
        ],
        warm_up=_warm_up(settle),
    )


def _what(jobs: int, seconds: float) -> str:
    return f"{jobs:,} enabled jobs, none due for days: {seconds:g} s of waiting, all processes together"


def _warm_up(settle: float) -> str:
    return f"{settle:g} s between being ready and the first reading"


def _rota(home: Path, jobs: int, due: datetime, seconds: float, settle: float, *, copies: bool = False) -> Sample:
    scratch = Scratch(home, 5)
    scratch.configure()
    rule = CronTrigger(f"0 2 {due.day} {due.month} *", "UTC")
    if copies:
        scratch.load_many(a_job(0, rule), jobs)
    else:
        scratch.load([a_job(number, rule) for number in range(jobs)])
    with daemon(scratch) as running:
        return _watch(running.family, seconds, settle)


def _aps(jobs: int, due: datetime, seconds: float, settle: float) -> Sample:
    argv = peers.argv("idle", jobs=jobs, due=due.timestamp())
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment()
    ) as child:  # fmt: skip
        assert child.stdout is not None and child.stdin is not None
        try:
            if child.stdout.readline() != b"ready\n":
                raise TurnFailed(f"it was not ready within {READY_SECONDS:g} s")
            return _watch(lambda: [child.pid], seconds, settle)
        finally:
            child.stdin.close()
            process.end(child.pid)


def _watch(family: Callable[[], list[int]], seconds: float, settle: float) -> Sample:
    time.sleep(settle)
    pids = family()
    before, began = Cost.of(pids), time.monotonic()
    time.sleep(seconds)
    after, took = Cost.of(pids), time.monotonic() - began
    if family() != pids:
        raise TurnFailed(f"the processes changed while they were watched: {pids}, then {family()}")
    return Sample(
        {
            "CPU": (after.cpu_seconds - before.cpu_seconds) / took * 100,
            "wake-ups": (after.wake_ups - before.wake_ups) / took,
            "resident": after.resident_mib,
        },
        {"processes": len(pids), "ticks of 10 ms": after.ticks - before.ticks},
    )
