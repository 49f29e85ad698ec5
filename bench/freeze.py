"""`freeze`: many jobs due at once, each on every host of a large inventory; how many rows say who belongs to which run.

The naive way is a row for each run and host. Rota's runs share one frozen target set: a run's row points at it, and a
host is in it once. Only five runs may go on at once (the default), so the others wait, frozen; the rows of the targets
that have begun are work in the queue, and are in the notes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench.daemon import Scratch, a_job, daemon, daily, minute_after, seconds_after
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from rota.domain.inventory import Host

ROTA = "Rota"
_RUNS_AT_ONCE = 5


def freeze(jobs: int, hosts: int, *, goal: Goal | None = None, lead: float = 15.0) -> Bench:
    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        return {ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", jobs, hosts, lead)}

    return Bench(
        name="freeze",
        what=f"{jobs:,} jobs on all of {hosts:,} hosts due at once: rows that say who belongs to which run",
        prepare=prepare,
        figures=[Figure("membership rows", "rows", ROTA, goal=goal), Figure("last frozen", "s", ROTA)],
    )


def _rota(home: Path, jobs: int, hosts: int, lead: float) -> Sample:
    scratch = Scratch(home, _RUNS_AT_ONCE)
    scratch.configure()
    scratch.add_hosts([Host(name=f"host-{number:05}", connector="local") for number in range(hosts)])
    due = minute_after(time.time() + lead + jobs / 5_000 + jobs / 4_000)
    scratch.load([a_job(number, daily(due)).but(target="all") for number in range(jobs)])
    with daemon(scratch):
        if time.time() > due - 5:
            raise TurnFailed("set-up left no time before the due second")
        time.sleep(due - time.time())
        deadline = due + 60 + jobs / 500
        while (made := scratch.number("SELECT count(*) FROM run")) < jobs:
            if time.time() > deadline:
                raise TurnFailed(f"{made} of {jobs} runs were made in time")
            time.sleep(0.25)
    refused, sets = scratch.number("SELECT count(*) FROM ledger"), scratch.number("SELECT count(*) FROM target_set")
    members = scratch.number("SELECT sum(size) FROM target_set WHERE id IN (SELECT target_set_id FROM run)")
    frozen = scratch.number("SELECT count(*) FROM run WHERE total = :hosts", {"hosts": hosts})
    if refused or frozen != jobs:
        raise TurnFailed(f"{frozen} of {jobs} runs have {hosts} hosts, {refused} were refused")
    return Sample(
        {
            "membership rows": frozen + members,
            "last frozen": seconds_after(scratch.number("SELECT max(created_at) FROM run"), due),
        },
        {
            "target sets": sets,
            "naive": jobs * hosts,
            "targets begun": scratch.number("SELECT count(*) FROM run_target"),
        },
    )
