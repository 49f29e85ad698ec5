"""kill -9 at each durable step of daemon and keeper: nothing is lost, nothing doubled, nothing started twice.

And when a daemon dies, nothing is `unknown`: its keeper outlives it, so each child's true end is known; what was not
started is started by the next; what is done in an instant is done over.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.failpoints import DAEMON, KEEPER, RESCUE
from tests.fault.deaths import SETTINGS, Trial, told
from tests.fault.on_postgres import a_home_on
from tests.support.daemon import Home, until
from tests.support.postgres import Postgres, postgres

__all__ = ["postgres"]  # a fixture

ROUNDS = 30  # of the long form, at each place
KNOWN = {("succeeded", None)}
LOST = ("unknown", "keeper_lost")


@pytest.fixture
def trial(home: Home) -> Trial:
    home.settings(SETTINGS)
    return Trial(home)


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A trial on each store."""
    if request.param == "sqlite":
        yield request.getfixturevalue("trial")
        return
    server: Postgres = request.getfixturevalue("postgres")
    with server.a_database() as url, a_home_on(url, SETTINGS) as home:
        yield Trial(home)


def often(point: str, *, seed: int) -> int:
    """At which passing to die: any of the first few, where a place is passed often."""
    return random.Random(f"{point} {seed}").randint(1, 5) if point in {*DAEMON, *KEEPER} else 1


@pytest.mark.parametrize("points", [DAEMON[:5], DAEMON[5:], RESCUE], ids=["start", "end", "rescue"])
def test_whatever_step_a_daemon_dies_at_nothing_is_lost_doubled_or_unknown(
    trial: Trial, points: tuple[str, ...]
) -> None:
    for number, point in enumerate(points):
        trial.daemon_dies_at(point, times=1 + number % 3 if point in DAEMON else 1)
    trial.settles()
    assert trial.ends() == KNOWN


@pytest.mark.parametrize("points", [KEEPER[:4], KEEPER[4:]], ids=["start", "end"])
def test_whatever_step_a_keeper_dies_at_nothing_is_lost_or_doubled_and_what_is_unknown_says_so(
    trial: Trial, points: tuple[str, ...]
) -> None:
    for number, point in enumerate(points):
        trial.keeper_dies_at(point, times=1 + number % 3, with_daemon=number % 2 == 1)
    trial.settles()
    assert KNOWN <= trial.ends() <= {*KNOWN, LOST}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("point", [*DAEMON, *RESCUE])
def test_a_daemon_dies_thirty_times_at_each_step(either: Trial, point: str) -> None:
    for number in range(ROUNDS):
        either.daemon_dies_at(point, times=often(point, seed=number))
    either.settles()
    told(either)
    assert either.ends() == KNOWN


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("point", KEEPER)
def test_a_keeper_dies_thirty_times_at_each_step(either: Trial, point: str) -> None:
    for number in range(ROUNDS):
        either.keeper_dies_at(point, times=often(point, seed=number), with_daemon=number % 2 == 1)
    either.settles()
    told(either)
    assert KNOWN <= either.ends() <= {*KNOWN, LOST}


def test_commands_that_die_before_anything_was_started_are_carried_out_by_the_next_daemon(home: Home) -> None:
    """Their runs are claimed by them, and durable; no keeper has heard of them."""
    points = ["launch.committed", "keeper.begun", "keeper.ready", "order.ready"]
    for point in points:
        said = home.rota(
            "run", "--do", "shell: echo $ROTA_ATTEMPT_TOKEN >> $TMPDIR/witness",
            env={"ROTA_TEST": "1", "ROTA_FAILPOINT": point},
        )  # fmt: skip
        assert (point, said.code) == (point, -9)
    assert not (home.tmp / "witness").exists()
    home.daemon()
    until(lambda: home.unfinished() == 0)
    assert [tuple(row) for row in home.rows("SELECT state, reason FROM run")] == [("succeeded", None)] * len(points)
    assert [tuple(row) for row in home.rows("SELECT number, state FROM attempt")] == [(1, "succeeded")] * len(points)
    started = sorted((home.tmp / "witness").read_text().splitlines())
    assert started == [f"att-{number}" for number in range(1, len(points) + 1)]


def test_a_failpoint_does_nothing_where_no_test_asks_for_it(home: Home, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    home.daemon({"ROTA_FAILPOINT": "order.ready:1", "ROTA_FAILPOINT_MARK": str(mark)})
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"
    assert not mark.exists()
