"""The simulation catches what it is there to catch: each planted mutant, alone and beside another."""

from __future__ import annotations

import json
import math
import re
import time
from itertools import chain, combinations
from pathlib import Path

import pytest

from tests.simulation.__main__ import MOST_SEEDS
from tests.simulation.mutants import ALL
from tests.simulation.run import simulate

PAGE = Path(__file__).parents[2] / "docs" / "simulation.md"
_ROW = re.compile(r"^\| `([a-z-]+)` \| (.+) \|$", re.MULTILINE)


# Of CPU, as the machine may have more to do. Less than pytest's own limit: what that throws into a world would be taken
# for a fault of the daemon in it.
SHORT_SECONDS = 90.0


# The first seed whose world caught each, when somebody last looked: tried before all others, as a search from 0 takes
# three minutes. One that no longer catches costs that search, and nothing else.
CAUGHT_BY: dict[str, int] = json.loads((Path(__file__).parent / "caught_by.json").read_text())


def is_caught(*names: str, seconds: float = math.inf) -> bool:
    until = time.process_time() + seconds
    seeds = chain((CAUGHT_BY[name] for name in names if name in CAUGHT_BY), range(MOST_SEEDS))
    return any(time.process_time() < until and simulate(seed, names).violations for seed in seeds)


@pytest.mark.parametrize("name", ALL)
def test_a_planted_mutant_is_caught(name: str) -> None:
    assert is_caught(name, seconds=SHORT_SECONDS), f"nobody notices that {ALL[name].deed}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", ALL)
def test_no_mutant_hides_another(first: str) -> None:
    survivors = [pair for pair in combinations(ALL, 2) if pair[0] == first and not is_caught(*pair)]
    assert survivors == []


def test_the_page_names_every_mutant_and_what_it_does() -> None:
    told = dict(_ROW.findall(PAGE.read_text()))
    assert told == {name: mutant.deed for name, mutant in ALL.items()}
