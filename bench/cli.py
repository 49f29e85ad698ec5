"""`cli`: how long the command line takes, against the least that such a program could import.

The base is `python -c 'import click, http.client'`: the same interpreter of the same virtual environment, with the
argument parser and the HTTP client of the standard library, doing nothing. Rota's commands are the installed `rota`;
`schedule list` asks a running daemon for its jobs and prints all of them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.daemon import Scratch, a_job, daemon, environment
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from rota.domain.trigger.spec import CronTrigger

HELP, LIST, BASE = "rota --help", "rota schedule list", "import click, http.client"


def cli(jobs: int, *, help_goal: Goal | None = None, list_goal: Goal | None = None, rounds: int = 15) -> Bench:
    def prepare(scratch: Path, stack: ExitStack) -> Mapping[str, Turn]:
        instance = Scratch(scratch / "home", 5)
        instance.configure()
        rules = [CronTrigger(f"{number % 60} {number // 60 % 24} * * *", "UTC") for number in range(jobs)]
        instance.load([a_job(number, rule) for number, rule in enumerate(rules)])
        stack.enter_context(daemon(instance))
        rota = str(Path(sys.executable).with_name("rota"))
        return {
            HELP: lambda: _timed([rota, "--help"], least_lines=10),
            LIST: lambda: _timed([rota, "--home", str(instance.home), "schedule", "list"], least_lines=jobs),
            BASE: lambda: _timed([sys.executable, "-c", f"{BASE}"], least_lines=0),
        }

    return Bench(
        name="cli",
        what=f"the command line's time; `schedule list` with {jobs:,} jobs",
        prepare=prepare,
        figures=[Figure("time", "ms", HELP, BASE, help_goal), Figure("time", "ms", LIST, BASE, list_goal)],
        warm_up="one round, not counted",
        discarded=1,
        least_rounds=rounds,
    )


def _timed(argv: Sequence[str], *, least_lines: int) -> Sample:
    began = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, check=False, env=environment(), timeout=60)
    took = time.perf_counter() - began
    lines = done.stdout.count(b"\n")
    if done.returncode != 0 or lines < least_lines:
        raise TurnFailed(f"{argv[1:]} ended with {done.returncode} and {lines} lines: {done.stderr.decode()[-300:]}")
    return Sample({"time": took * 1000}, {"lines": lines})
