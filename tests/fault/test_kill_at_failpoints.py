"""kill -9 at each durable step, at its n-th passing: nothing is lost, nothing doubled, nothing started twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rota.failpoints import NAMES
from tests.fault.invariants import (
    WITNESS,
    assert_counters_are_true,
    assert_nothing_lost_or_doubled,
    assert_started_at_most_once,
    witnessed,
)
from tests.support.daemon import Home, until


@pytest.mark.parametrize("times", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("point", NAMES)
def test_a_kill_at_any_durable_step_loses_nothing_and_doubles_nothing(home: Home, point: str, times: int) -> None:
    mark = home.tmp / "mark"
    first = home.daemon({"ROTA_TEST": "1", "ROTA_FAILPOINT": f"{point}:{times}", "ROTA_FAILPOINT_MARK": str(mark)})
    schedule(home)
    assert first.wait() == -signal.SIGKILL
    assert mark.read_text() == point
    before = len(witnessed(home.tmp))

    second = home.daemon()
    until(lambda: goes_on(home, before))
    disable(home)
    until(lambda: home.unfinished() == 0)
    assert second.stop() == 0

    assert_nothing_lost_or_doubled(home)
    assert_started_at_most_once(home)
    assert_counters_are_true(home)
    states = {row["state"] for row in home.rows("SELECT DISTINCT state FROM run")}
    assert states == {"succeeded"}  # the keeper outlived the daemon: every result is known
    assert home.rows("SELECT 1 FROM attempt GROUP BY run_target_id, step HAVING count(*) > 1") == []


def schedule(home: Home) -> None:
    """Two jobs that say when they start, one with two steps; and one that is over in an instant."""
    every = [{"kind": "interval", "every": "1s"}]
    home.client.create_job({"name": "witness", "triggers": every, "do": f"shell: {WITNESS}"})
    steps = [
        {"name": "first", "action": "shell", "params": {"command": f"{WITNESS}; sleep 0.2"}},
        {"name": "second", "action": "shell", "params": {"command": WITNESS}},
    ]
    home.client.create_job({"name": "witness-two-steps", "triggers": every, "steps": steps})
    home.client.create_job({"name": "instant", "triggers": every, "do": "noop"})


def goes_on(home: Home, before: int) -> bool:
    """The new daemon has carried out work of its own."""
    return len(witnessed(home.tmp)) >= before + 3


def disable(home: Home) -> None:
    for job in home.client.jobs()["items"]:
        home.client.disable_job(job["name"])


def test_a_failpoint_does_nothing_where_no_test_asks_for_it(home: Home, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    home.daemon({"ROTA_FAILPOINT": "order.ready:1", "ROTA_FAILPOINT_MARK": str(mark)})
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"
    assert not mark.exists()
