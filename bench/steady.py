"""`steady`: starts spread evenly over time; the highest rate at which 99 of 100 start within 50 ms.

Each contender climbs a ladder of rates, with fresh processes on each rung, until it misses twice on end: the p99
lateness is 50 ms or more, or starts are missing or refused. Once is not enough, as a disk that other machines share may
stall for a second on any rung. Rota makes every start durable first; APScheduler's memory store nothing.
The p50 and p99 of every rung are in the notes, so that both can be read at the same rate.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import peers
from bench.daemon import Scratch, a_job, daemon
from bench.harness import Bench, Figure, Goal, Note, Sample, Turn, TurnFailed
from bench.peers.aps import percentile
from rota.domain.instant import SECOND
from rota.domain.trigger.spec import IntervalTrigger

ROTA, MEMORY = "Rota", "APScheduler memory"
LATEST = 0.050
EVERY = 5.0  # seconds between two starts of one job
SKIPPED = 3.0  # seconds at the beginning of a rung that do not count
RATES = (250, 500, 1_000, 2_000, 3_500, 5_000, 6_000, 8_000, 10_000)

Climb = Callable[[int], tuple[float, float]]  # rate -> (p50, p99) in seconds; raises TurnFailed if starts are missing


def steady(
    seconds: float,
    *,
    rates: Sequence[int] = RATES,
    goal: Goal | None = None,
    own_goal: Goal | None = None,
    lead: float = 8.0,
) -> Bench:
    """`seconds` is how long each rung lasts. `goal` is of the ratio, `own_goal` of Rota's rate."""

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        return {
            ROTA: lambda: _highest(
                rates, lambda rate: _rota(scratch / f"home-{next(numbers)}", rate, seconds, lead)
            ),
            MEMORY: lambda: _highest(rates, lambda rate: _aps(rate, seconds)),
        }  # fmt: skip

    return Bench(
        name="steady",
        what=f"no-op starts spread evenly, {seconds:g} s at each rate: the highest with p99 < {LATEST * 1e3:g} ms",
        prepare=prepare,
        figures=[
            Figure("highest rate", "/s", ROTA, MEMORY, goal),
            Figure("highest rate", "/s", ROTA, goal=own_goal),
        ],
        raised={"schedule.max_concurrent_schedules": "100000 (default 5): none waits for a slot"},
        warm_up=f"the first {SKIPPED:g} s at each rate are not counted",
    )


def _highest(rates: Sequence[int], climb: Climb) -> Sample:
    highest, missed, notes = 0, 0, dict[str, Note]()
    for rate in rates:
        try:
            p50, p99 = climb(rate)
        except TurnFailed as failure:
            notes[f"{rate}/s"], p99 = f"missed ({failure})", math.inf
        else:
            notes[f"{rate}/s"] = f"{p50 * 1e3:.2f}/{p99 * 1e3:.2f} ms"
        missed = 0 if p99 < LATEST else missed + 1
        if not missed:
            highest = rate
        elif missed == 2:
            break
    return Sample({"highest rate": highest}, notes)


def _aps(rate: int, seconds: float) -> tuple[float, float]:
    got = peers.measured(
        "steady", within=seconds + 60 + rate * EVERY / 1_000, rate=rate, every=EVERY, seconds=seconds, skip=SKIPPED
    )
    return _judged(int(got["started"]), round(rate * (seconds - SKIPPED)), got["p50"], got["p99"])


def _rota(home: Path, rate: int, seconds: float, lead: float) -> tuple[float, float]:
    scratch = Scratch(home, 100_000)
    scratch.configure()
    jobs, every = round(rate * EVERY), round(EVERY * SECOND)
    begin = math.ceil(time.time() + lead + jobs / 5_000 + jobs / 4_000) * SECOND
    scratch.load(
        [a_job(number, IntervalTrigger(every, begin + number * SECOND // rate, "UTC")) for number in range(jobs)],
        # An anchor is a phase, not a start: without this all jobs would be due at once while the daemon starts.
        then="UPDATE due SET (nominal, fire_at) = (SELECT later, later FROM"
        " (SELECT nominal + :every * ((:begin - nominal + :every - 1) / :every) AS later)) WHERE nominal < :begin",
        values={"every": every, "begin": begin},
    )
    with daemon(scratch):
        if time.time() > begin / SECOND - 2:
            raise TurnFailed("set-up left no time before the first start")
        time.sleep(begin / SECOND + seconds + 1 - time.time())
    window = {"first": begin + round(SKIPPED * SECOND), "end": begin + round(seconds * SECOND)}
    refused = scratch.number("SELECT count(*) FROM ledger WHERE last_nominal >= :first AND last_nominal < :end", window)
    if refused:
        raise TurnFailed(f"{refused} starts were refused, as the one before had not ended")
    late = scratch.ask(
        "SELECT attempt.started_at - run.nominal FROM run JOIN run_target ON run_target.run_id = run.id"
        " JOIN attempt ON attempt.run_target_id = run_target.id"
        " WHERE run.nominal >= :first AND run.nominal < :end ORDER BY 1",
        window,
    )
    ordered = [micros / SECOND for (micros,) in late]
    expected = round(rate * (seconds - SKIPPED))
    return _judged(len(ordered), expected, percentile(ordered, 0.50), percentile(ordered, 0.99))


def _judged(started: int, expected: int, p50: float, p99: float) -> tuple[float, float]:
    """Raises TurnFailed where more than the odd one at the window's edge is missing."""
    if started < expected - 2:
        raise TurnFailed(f"{started} of {expected} starts")
    return p50, p99
