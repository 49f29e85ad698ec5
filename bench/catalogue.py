"""Every benchmark by name, in full and in the short form that `python -m bench` runs without names.

Goals are those of the issue that asked for the benchmark. The short form is for a look: fewer rounds, shorter waits;
figures to keep come from the full form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.add import add
from bench.boot import boot
from bench.cli import cli
from bench.eval import Goals, evaluate
from bench.fleet import fleet
from bench.fleet_memory import fleet_memory
from bench.harness import Bench, Goal
from bench.herd import herd
from bench.idle import idle
from bench.keeper_rate import keeper_rate
from bench.preview import preview
from bench.real_start import real_start
from bench.steady import steady


@dataclass(frozen=True, slots=True)
class Entry:
    full: Callable[[], Bench]
    short: Callable[[], Bench]


def at_most(value: float) -> Goal:
    return Goal("at most", value)


def at_least(value: float) -> Goal:
    return Goal("at least", value)


def _herd_1k() -> Bench:
    return herd("herd-1k", 1_000, against_memory=None, against_sqlite=at_most(0.03))


def _herd_10k() -> Bench:
    return herd("herd-10k", 10_000, against_memory=at_most(0.35))


def _herd_100k() -> Bench:
    return herd("herd-100k", 100_000, against_memory=at_most(0.4))


def _real_start() -> Bench:
    return real_start(1_000, at_least(0.7))


def _cli() -> Bench:
    return cli(1_000, help_goal=at_most(2), list_goal=at_most(2.5))


def _eval() -> Bench:
    goals = Goals(at_least(12), at_least(4), next_mean=at_least(20), next_worst=at_least(8))
    return evaluate(goals=goals)


CATALOGUE = {
    "eval": Entry(_eval, lambda: evaluate(instants=500)),
    "preview": Entry(lambda: preview(100_000, at_least(8)), lambda: preview(2_000)),
    "keeper": Entry(lambda: keeper_rate(1_000), lambda: keeper_rate(500)),
    "cli": Entry(_cli, lambda: cli(1_000, help_goal=at_most(2), list_goal=at_most(2.5), rounds=7)),
    "add": Entry(lambda: add(10_000, sqlite_jobs=10_000), lambda: add(2_000, sqlite_jobs=500)),
    "boot": Entry(lambda: boot(100_000), lambda: boot(20_000)),
    "idle": Entry(lambda: idle(10_000, 60), lambda: idle(10_000, 20, settle=5)),
    "real-start": Entry(_real_start, _real_start),
    "herd-1k": Entry(_herd_1k, _herd_1k),
    "herd-10k": Entry(_herd_10k, _herd_10k),
    "herd-100k": Entry(_herd_100k, _herd_100k),
    "fleet": Entry(lambda: fleet(200), lambda: fleet(50)),
    "fleet-memory": Entry(lambda: fleet_memory(2_000), lambda: fleet_memory(100)),
    "steady": Entry(lambda: steady(15), lambda: steady(8, rates=(500, 2_000, 4_000))),
}
