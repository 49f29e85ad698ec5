"""Every benchmark at a tiny size, from end to end: real daemon, real peers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import process
from bench.add import add
from bench.boot import boot
from bench.catalogue import CATALOGUE
from bench.cli import cli
from bench.eval import evaluate
from bench.freeze import freeze
from bench.harness import Bench, Goal, Outcome, Sample, run
from bench.herd import herd, herd_alone
from bench.idle import idle, idle_alone
from bench.keeper_rate import keeper_rate
from bench.outage import outage
from bench.peers.aps import percentile
from bench.preview import preview
from bench.real_start import real_start
from bench.steady import steady


def outcome_of(bench: Bench, scratch: Path) -> Outcome:
    """One round; every turn of it went well, and nothing is left running or lying about."""
    outcome = run(bench, rounds=1, tell=lambda _: None, scratch=scratch)
    assert {name: samples for name, samples in outcome.samples.items() if not isinstance(samples[0], Sample)} == {}
    assert process.with_word(str(scratch)) == []
    assert list(scratch.iterdir()) == []
    return outcome


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_benchmark_says_what_it_measures_and_compares(name: str) -> None:
    for bench in (CATALOGUE[name].full(), CATALOGUE[name].short()):
        assert bench.name == name
        assert bench.what
        assert bench.figures


@pytest.mark.parametrize(("part", "value"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0)])
def test_a_percentile_is_one_of_the_values(part: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], part) == value


def test_of_nothing_the_percentile_is_infinite() -> None:
    assert percentile([], 0.99) == float("inf")


def test_eval_runs(tmp_path: Path) -> None:
    (compared, *_) = outcome_of(evaluate(instants=20, pairs=2), tmp_path).compared()
    assert compared.ratio is not None and compared.ratio > 0


def test_preview_runs(tmp_path: Path) -> None:
    (compared,) = outcome_of(preview(200), tmp_path).compared()
    assert compared.ratio is not None and compared.ratio > 0


def test_keeper_runs(tmp_path: Path) -> None:
    outcome_of(keeper_rate(3), tmp_path)


def test_cli_runs(tmp_path: Path) -> None:
    outcome_of(cli(3, rounds=1), tmp_path)


def test_add_runs(tmp_path: Path) -> None:
    outcome_of(add(10, sqlite_jobs=3, in_flight=4), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bench",
    [
        lambda: herd("herd", 20, against_memory=None, against_sqlite=Goal("at most", 1), lead=3),
        lambda: real_start(5, lead=3),
        lambda: steady(4, rates=(20,), lead=3),
        lambda: boot(20),
        lambda: idle(20, 1, settle=1),
        lambda: herd("herd-policies", 20, against_memory=None, lead=3, policies=True),
        lambda: herd_alone("herd-1m", 30, goal=None, lead=3),
        lambda: idle_alone("idle-1m", 30, 1, goal=Goal("at most", 100), settle=1),
        lambda: outage(6),
        lambda: freeze(8, 5, lead=6),
    ],
    ids=["herd", "real-start", "steady", "boot", "idle", "herd-policies", "herd-1m", "idle-1m", "outage", "freeze"],
)
def test_a_benchmark_that_must_wait_runs(bench: Callable[[], Bench], tmp_path: Path) -> None:
    for compared in outcome_of(bench(), tmp_path).compared():
        assert None not in compared.ours
