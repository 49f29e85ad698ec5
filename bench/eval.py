"""`eval`: how fast the next occurrence is found, against cronsim in the same process.

14 expressions × 3 zones, instants of 2026. Three questions:

- *kept*: both keep their object and walk on from their last answer, which is cronsim's best case, as it keeps no
  evaluator between start instants;
- *next*: Rota on a timetable that exists (a herd evaluates interned timetables), at random instants; cronsim must
  read the expression anew;
- *read + next*: both from text (creating a schedule).

A turn measures all 42 pairs; its figure is the geometric mean over them. The pair that Rota does worst at, of all
42, is a turn of its own, in which both are asked about each pair in turn, three times. Rates are of the thread's CPU
time: nobody waits here for anything but a processor, and that others use it as well is not a contender's fault.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from cronsim import CronSim

from bench.harness import Bench, Figure, Goal, Sample, Turn
from rota.domain.instant import SECOND
from rota.domain.trigger import dialect
from rota.domain.trigger.cron import cron_timetable, wall_pattern

EXPRESSIONS = (
    *("* * * * *", "*/5 * * * *", "*/7 * * * *", "0 * * * *", "0 2 * * *", "30 2 * * *", "0 */6 * * *"),
    *("0 9-17 * * 1-5", "15,45 8 1,15 * *", "0 0 13 * 5", "0 0 */10 * 1", "0 3 1 * *", "0 0 1 1 *", "0 0 29 2 *"),
)
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe")
KEPT, KEPT_CRONSIM = "Rota kept", "cronsim kept"
NEXT, READ, CRONSIM = "Rota next", "Rota read + next", "cronsim read + next"
WORST_KEPT, WORST_NEXT = "Rota kept ÷ cronsim", "Rota next ÷ cronsim"
ASKED_OF_EACH_PAIR = 3


class Pair:
    """One expression in one zone, and the instants it is asked about."""

    def __init__(self, expression: str, zone: str, instants: int) -> None:
        random, info = Random(f"{expression} {zone}"), ZoneInfo(zone)
        first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
        seconds = [random.randint(first, first + 365 * 86_400) for _ in range(instants)]
        self.expression, self.zone = expression, zone
        self.micros = [second * SECOND for second in seconds]
        self.moments = [datetime.fromtimestamp(second, info) for second in seconds[: max(1, instants // 10)]]
        self.times = cron_timetable(expression, zone)

    def rota_next(self) -> int:
        following = self.times.next
        for instant in self.micros:
            following(instant)
        return len(self.micros)

    def rota_walk(self) -> int:
        at, following = self.micros[0], self.times.next
        for _ in self.micros:
            at = following(at) or self.micros[0]
        return len(self.micros)

    def rota_read_and_next(self) -> int:
        asked = self.micros[: len(self.moments)]
        for instant in asked:
            dialect.read_cron.cache_clear()
            wall_pattern.cache_clear()
            cron_timetable(self.expression, self.zone).next(instant)
        return len(asked)

    def cronsim_read_and_next(self) -> int:
        for moment in self.moments:
            next(CronSim(self.expression, moment))
        return len(self.moments)

    def cronsim_walk(self) -> int:
        for _ in islice(CronSim(self.expression, self.moments[0]), len(self.moments)):
            pass
        return len(self.moments)


@dataclass(frozen=True, slots=True)
class Goals:
    """What Rota's rate ÷ cronsim's is to be, in the mean and for the worst pair: both kept, and next ÷ read + next."""

    kept_mean: Goal | None = None
    kept_worst: Goal | None = None
    next_mean: Goal | None = None
    next_worst: Goal | None = None


NO_GOALS = Goals()


def evaluate(*, instants: int = 2_000, goals: Goals = NO_GOALS, pairs: int | None = None) -> Bench:
    """`pairs` limits how many of the 42 are measured."""

    def prepare(_scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        asked = [Pair(*pair, instants) for pair in list(product(EXPRESSIONS, ZONES))[:pairs]]
        return {
            KEPT: lambda: _rates(asked, Pair.rota_walk),
            KEPT_CRONSIM: lambda: _rates(asked, Pair.cronsim_walk),
            NEXT: lambda: _rates(asked, Pair.rota_next),
            CRONSIM: lambda: _rates(asked, Pair.cronsim_read_and_next),
            READ: lambda: _rates(asked, Pair.rota_read_and_next),
            WORST_KEPT: lambda: _worst(asked, Pair.rota_walk, Pair.cronsim_walk),
            WORST_NEXT: lambda: _worst(asked, Pair.rota_next, Pair.cronsim_read_and_next),
        }

    return Bench(
        name="eval",
        what="next occurrences found in a second of CPU time, over 14 expressions in 3 zones",
        prepare=prepare,
        figures=[
            Figure("geometric mean", "/s", KEPT, KEPT_CRONSIM, goals.kept_mean),
            Figure("worst pair", "×", WORST_KEPT, goal=goals.kept_worst),
            Figure("geometric mean", "/s", NEXT, CRONSIM, goals.next_mean),
            Figure("worst pair", "×", WORST_NEXT, goal=goals.next_worst),
            Figure("geometric mean", "/s", READ, CRONSIM),
        ],
        warm_up="one round, not counted",
        discarded=1,
    )


def _rates(pairs: Sequence[Pair], ask: Callable[[Pair], int]) -> Sample:
    return Sample({"geometric mean": statistics.geometric_mean(_rate(pair, ask) for pair in pairs)})


def _worst(pairs: Sequence[Pair], ours: Callable[[Pair], int], theirs: Callable[[Pair], int]) -> Sample:
    """The lowest of the pairs' ratios, each the median of three."""
    ratios = [
        (statistics.median(_rate(pair, ours) / _rate(pair, theirs) for _ in range(ASKED_OF_EACH_PAIR)), pair)
        for pair in pairs
    ]
    worst, pair = min(ratios, key=lambda found: found[0])
    return Sample({"worst pair": worst}, {"pair": f"{pair.expression} {pair.zone}"})


def _rate(pair: Pair, ask: Callable[[Pair], int]) -> float:
    began = time.thread_time()
    count = ask(pair)
    return count / (time.thread_time() - began)
