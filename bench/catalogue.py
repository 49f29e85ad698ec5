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
from bench.freeze import freeze
from bench.harness import Bench, Goal
from bench.herd import herd, herd_alone
from bench.herd_peers import herd_peers
from bench.idle import idle, idle_alone
from bench.keeper_rate import keeper_rate
from bench.nodes import nodes, nodes_kill
from bench.outage import outage
from bench.preview import preview
from bench.queue import queue
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


def _herd_policies() -> Bench:
    return herd("herd-policies", 100_000, against_memory=at_most(0.25), policies=True)


def _herd_1m() -> Bench:
    return herd_alone("herd-1m", 1_000_000, goal=at_most(30))


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
    "herd-policies": Entry(
        _herd_policies, lambda: herd("herd-policies", 20_000, against_memory=at_most(0.25), policies=True)
    ),
    "herd-peers": Entry(lambda: herd_peers(1_000), lambda: herd_peers(200)),
    "herd-1m": Entry(_herd_1m, lambda: herd_alone("herd-1m", 100_000, goal=None)),
    "idle-1m": Entry(
        lambda: idle_alone("idle-1m", 1_000_000, 60, goal=at_most(0.5), settle=60),
        lambda: idle_alone("idle-1m", 200_000, 20, goal=at_most(0.5), settle=20),
    ),
    "outage": Entry(lambda: outage(10_000, year_goal=at_most(1), hours_goal=at_most(1.5)), lambda: outage(1_000)),
    "freeze": Entry(lambda: freeze(10_000, 1_000, goal=at_most(11_000)), lambda: freeze(500, 100, goal=at_most(600))),
    "fleet": Entry(lambda: fleet(200), lambda: fleet(50)),
    "fleet-memory": Entry(lambda: fleet_memory(2_000), lambda: fleet_memory(100)),
    "nodes-1": Entry(lambda: nodes("nodes-1", 1, 20_000), lambda: nodes("nodes-1", 1, 2_000)),
    "nodes-2": Entry(
        lambda: nodes("nodes-2", 2, 20_000, goal=at_least(1.2)), lambda: nodes("nodes-2", 2, 2_000, goal=at_least(1.2))
    ),
    "nodes-4": Entry(lambda: nodes("nodes-4", 4, 20_000), lambda: nodes("nodes-4", 4, 2_000)),
    "nodes-kill": Entry(lambda: nodes_kill("nodes-kill", 20_000), lambda: nodes_kill("nodes-kill", 2_000)),
    "queue": Entry(lambda: queue(20_000, at_least(1)), lambda: queue(2_000, at_least(1))),
    "steady": Entry(lambda: steady(15, own_goal=at_least(5_000)), lambda: steady(8, rates=(500, 2_000, 4_000))),
}
