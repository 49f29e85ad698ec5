"""The evaluator and a minute-by-minute search must agree on every occurrence around every clock change."""

from __future__ import annotations

from random import Random
from subprocess import run
from sys import executable

import pytest

from tests.oracle.brute import Window, draw, transitions, year_begins
from tests.oracle.comparing import (
    HARD_ZONES,
    ZONES,
    Tally,
    changes_of,
    compare,
    compare_in,
    some_changes_of,
)

SHARDS = 16


def test_the_brute_force_imports_nothing_of_rota() -> None:
    code = "import sys, tests.oracle.brute; print([name for name in sys.modules if name.split('.')[0] == 'rota'])"
    done = run([executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_random_expressions_agree_at_changes_of_hard_zones() -> None:
    random, tally = Random(20261121), Tally()
    for zone in HARD_ZONES:
        compare(zone, some_changes_of(zone, random, 6), random, tally, expressions=6)
    print(tally)
    assert tally.occurrences > 2_000


def test_random_expressions_agree_in_every_zone() -> None:
    random, tally = Random(4), Tally()
    for zone in ZONES:
        compare(zone, some_changes_of(zone, random, 1), random, tally)
    print(tally)
    assert tally.occurrences > 5_000


def test_random_expressions_agree_where_a_whole_day_is_missing() -> None:
    random, tally = Random(1), Tally()
    for zone, year in (("Pacific/Apia", 2011), ("Pacific/Kwajalein", 1993)):
        change = transitions(zone, year_begins(year), year_begins(year + 1))[-1]
        window = Window.around(zone, change, hours=40)
        near = window.shown[-1][1].date()
        for _ in range(20):
            compare_in(window, draw(random, near), random, tally)
    assert tally.occurrences > 300


@pytest.mark.slow
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_random_expressions_agree_at_every_change_of_every_zone(shard: int) -> None:
    """Every zone of tzdata, every change from 1970 to 2100. `pytest -s` shows the mix of each part."""
    random, tally = Random(shard), Tally()
    for zone in ZONES[shard::SHARDS]:
        compare(zone, changes_of(zone), random, tally)
    print(tally)
    assert tally.occurrences > 50_000
