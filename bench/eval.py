"""`eval`: how fast the next occurrence is found, against cronsim in the same process.

14 expressions × 3 zones, random instants of 2026. Two questions apart: *next* on a timetable that exists (a herd
evaluates interned timetables), and *read + next* from text (creating a schedule). cronsim keeps no evaluator between
start instants, so its own best case, walking on from its last answer, is a contender as well. A turn measures all 42
pairs; its figure is the geometric mean over them. The pair that Rota does worst at, of all 42, is a turn of its own,
in which both are asked about each pair in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
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
NEXT, READ, CRONSIM, WALKING = "Rota next", "Rota read + next", "cronsim read + next", "cronsim walking"
WORST = "Rota next ÷ cronsim"


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


def evaluate(
    *, instants: int = 2_000, worst: Goal | None = None, mean: Goal | None = None, pairs: int | None = None
) -> Bench:
    """`pairs` limits how many of the 42 are measured."""

    def prepare(_scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        asked = [Pair(*pair, instants) for pair in list(product(EXPRESSIONS, ZONES))[:pairs]]
        return {
            NEXT: lambda: _rates(asked, Pair.rota_next),
            READ: lambda: _rates(asked, Pair.rota_read_and_next),
            CRONSIM: lambda: _rates(asked, Pair.cronsim_read_and_next),
            WALKING: lambda: _rates(asked, Pair.cronsim_walk),
            WORST: lambda: _worst(asked),
        }

    return Bench(
        name="eval",
        what="next occurrences found in a second, over 14 expressions in 3 zones",
        prepare=prepare,
        figures=[
            Figure("geometric mean", "/s", NEXT, CRONSIM, mean),
            Figure("worst pair", "×", WORST, goal=worst),
            Figure("geometric mean", "/s", NEXT, WALKING),
            Figure("geometric mean", "/s", READ, CRONSIM),
        ],
        warm_up="one round, not counted",
        discarded=1,
    )


def _rates(pairs: Sequence[Pair], ask: Callable[[Pair], int]) -> Sample:
    return Sample({"geometric mean": statistics.geometric_mean(_rate(pair, ask) for pair in pairs)})


def _worst(pairs: Sequence[Pair]) -> Sample:
    ratios = [(_rate(pair, Pair.rota_next) / _rate(pair, Pair.cronsim_read_and_next), pair) for pair in pairs]
    worst, pair = min(ratios, key=lambda found: found[0])
    return Sample({"worst pair": worst}, {"pair": f"{pair.expression} {pair.zone}"})


def _rate(pair: Pair, ask: Callable[[Pair], int]) -> float:
    began = time.perf_counter()
    count = ask(pair)
    return count / (time.perf_counter() - began)
