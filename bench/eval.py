"""`eval`: how fast the next occurrence is found, against cronsim in the same run.

14 expressions × 3 zones, random instants of 2026. Two questions apart: *next* on a timetable that exists (a herd
evaluates interned timetables), and *read + next* from text (creating a schedule). cronsim keeps no evaluator between
start instants, so its own best case, walking on from its last answer, is printed as well.

    python bench/eval.py [--rounds 5]

Prints one line per pair (median of the rounds, Rota and cronsim taking turns), the geometric mean and the worst.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from random import Random
from zoneinfo import ZoneInfo

from cronsim import CronSim

from rota.domain.instant import SECOND
from rota.domain.trigger import dialect
from rota.domain.trigger.cron import cron_timetable, wall_pattern

EXPRESSIONS = (
    *("* * * * *", "*/5 * * * *", "*/7 * * * *", "0 * * * *", "0 2 * * *", "30 2 * * *", "0 */6 * * *"),
    *("0 9-17 * * 1-5", "15,45 8 1,15 * *", "0 0 13 * 5", "0 0 */10 * 1", "0 3 1 * *", "0 0 1 1 *", "0 0 29 2 *"),
)
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe")
STARTS = 2_000


def rate(work: Callable[[], None], count: int) -> float:
    """Return how often per second one of `count` things was done."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def measure(expression: str, zone: str, rounds: int) -> tuple[float, float, float, float]:
    """Return next/s of Rota, read + next/s of Rota, read + next/s of cronsim, walking next/s of cronsim."""
    random, info = Random(f"{expression} {zone}"), ZoneInfo(zone)
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    seconds = [random.randint(first, first + 365 * 86_400) for _ in range(STARTS)]
    micros = [second * SECOND for second in seconds]
    moments = [datetime.fromtimestamp(second, info) for second in seconds[: STARTS // 10]]
    times = cron_timetable(expression, zone)

    def rota_next() -> None:
        following = times.next
        for instant in micros:
            following(instant)

    def rota_read_and_next() -> None:
        for instant in micros[: STARTS // 10]:
            dialect.read_cron.cache_clear()
            wall_pattern.cache_clear()
            cron_timetable(expression, zone).next(instant)

    def cronsim_read_and_next() -> None:
        for moment in moments:
            next(CronSim(expression, moment))

    def cronsim_walk() -> None:
        for _ in islice(CronSim(expression, moments[0]), len(moments)):
            pass

    works = (
        (rota_next, STARTS),
        (rota_read_and_next, len(moments)),
        (cronsim_read_and_next, len(moments)),
        (cronsim_walk, len(moments)),
    )
    taken = [[rate(work, count) for work, count in works] for _ in range(rounds)]
    return tuple(statistics.median(column) for column in zip(*taken, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    names = ("rota next/s", "read+next", "cronsim", "walking", "ratio")
    print(f"{'expression':<18} {'zone':<20} {names[0]:>12} {names[1]:>10} {names[2]:>9} {names[3]:>9} {names[4]:>7}")
    ratios, walking = [], []
    for expression in EXPRESSIONS:
        for zone in ZONES:
            ours, read, theirs, walk = measure(expression, zone, rounds)
            ratios.append(ours / theirs)
            walking.append(ours / walk)
            print(
                f"{expression:<18} {zone:<20} {ours:>12,.0f} {read:>10,.0f} {theirs:>9,.0f} {walk:>9,.0f} "
                f"{ours / theirs:>6.1f}x"
            )
    for name, values in (("next ÷ cronsim", ratios), ("next ÷ cronsim walking", walking)):
        print(f"{name}: geometric mean {statistics.geometric_mean(values):.1f}x, worst {min(values):.1f}x")


if __name__ == "__main__":
    main()
