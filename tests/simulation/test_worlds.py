"""Every promise holds in every world (docs/simulation.md)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.keeping import keep, kept
from tests.simulation.nature import FAULTS, Nature
from tests.simulation.run import simulate
from tests.simulation.world import World

CHUNK = 5


def hold(seeds: range) -> None:
    """A seed that fails is kept, with what happened in it."""
    for seed in seeds:
        outcome = simulate(seed)
        if outcome.violations:
            pytest.fail(f"seed {seed}: {outcome.violations[0]}; see {keep(outcome)}", pytrace=False)


def chunks(first: int, last: int) -> list[range]:
    return [range(start, start + CHUNK) for start in range(first, last, CHUNK)]


@pytest.mark.parametrize("seeds", chunks(0, 200), ids=str)
def test_every_promise_is_kept_in_every_world(seeds: range) -> None:
    hold(seeds)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", chunks(200, 1200), ids=str)
def test_every_promise_is_kept_in_a_thousand_worlds(seeds: range) -> None:
    hold(seeds)


@pytest.mark.parametrize("seed", kept() or [0])
def test_what_failed_once_holds_now(seed: int) -> None:
    assert simulate(seed).violations == ()


def test_the_same_seed_is_the_same_world_whatever_the_order_of_hashes() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seed", "5", "--digest"]
    digests = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize(("seconds", "said"), [(600, ["I14 somebody spins"]), (1200, [])])
def test_what_spins_is_told_by_the_time_it_had(tmp_path: Path, seconds: float, said: list[str]) -> None:
    """A queue that is worked off for long is no spinning."""
    world = World(1, tmp_path, Nature(random.Random(1)))
    world.loop._now, world.loop.turns = seconds, 220_000
    world.look_for_spinning()
    assert world.violations == said
    world.end()


def test_all_faults_are_drawn_and_none_is_in_every_world() -> None:
    worlds = [Nature.drawn(random.Random(seed)).faults for seed in range(200)]
    assert set(FAULTS) == frozenset.union(*worlds)
    assert not frozenset.intersection(*worlds)


def test_much_happens_in_a_world() -> None:
    outcome = simulate(3)
    assert outcome.starts > 20
    assert {"crashed", "left"} & {line.split()[1] for line in outcome.trace}
