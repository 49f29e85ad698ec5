"""kill -9 at each durable step, at its n-th passing: nothing is lost, nothing doubled, nothing started twice."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rota.domain.errors import Unavailable
from rota.domain.instant import SECOND, format_rfc3339
from rota.domain.step import Json
from rota.failpoints import NAMES
from tests.fault.invariants import (
    WITNESS,
    assert_counters_are_true,
    assert_nothing_lost_or_doubled,
    assert_started_at_most_once,
    planned_beyond,
)
from tests.support.daemon import Home, until


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("point", NAMES)
def test_a_kill_at_any_durable_step_loses_nothing_and_doubles_nothing(home: Home, point: str, times: int) -> None:
    mark = home.tmp / "mark"
    first = home.daemon({"ROTA_TEST": "1", "ROTA_FAILPOINT": f"{point}:{times}", "ROTA_FAILPOINT_MARK": str(mark)})
    schedule(home)
    assert first.wait() == -signal.SIGKILL
    assert mark.read_text() == point

    second = home.daemon()
    restarted = time.time_ns() // 1000
    planned = until(lambda: planned_beyond(home, restarted))
    disable(home)
    until(lambda: home.unfinished() == 0)
    assert second.stop() == 0

    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)
    assert_counters_are_true(home)
    ends = {tuple(row) for row in home.rows("SELECT DISTINCT title = 'instant', state, message FROM run")}
    # The keeper outlived the daemon, so every child's result is known; a noop that was begun has none.
    assert ends <= {(0, "succeeded", None), (1, "succeeded", None), (1, "cancelled", "daemon crashed during execution")}
    assert home.rows("SELECT 1 FROM attempt GROUP BY run_target_id, step HAVING count(*) > 1") == []


def schedule(home: Home) -> None:
    """Every second: one child, two children in a row, and what is over in an instant. Between them, five jobs that come
    due once."""
    steps: list[Json] = [
        {"name": "first", "action": "shell", "params": {"command": f"{WITNESS}; sleep 0.2"}},
        {"name": "second", "action": "shell", "params": {"command": WITNESS}},
    ]
    every: dict[str, Json] = {"kind": "interval", "every": "1s"}
    soon = time.time_ns() // 1000 + SECOND
    works: list[tuple[str, dict[str, Json], dict[str, Json]]] = [
        ("witness", every, {"do": f"shell: {WITNESS}"}),
        ("witness-two-steps", every, {"steps": steps}),
        ("instant", every, {"do": "noop"}),
    ]
    for number in range(5):
        at = format_rfc3339(soon + number * SECOND // 5)
        works.append((f"witness-once-{number}", {"kind": "once", "at": at}, {"do": f"shell: {WITNESS}"}))
    with suppress(Unavailable):  # the first of them may come due, and the daemon die, before the last is made
        for name, trigger, work in works:
            home.client.create_job({"name": name, "triggers": [trigger], **work})


def disable(home: Home) -> None:
    for job in home.client.jobs()["items"]:
        home.client.disable_job(job["name"])


def test_a_failpoint_does_nothing_where_no_test_asks_for_it(home: Home, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    home.daemon({"ROTA_FAILPOINT": "order.ready:1", "ROTA_FAILPOINT_MARK": str(mark)})
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"
    assert not mark.exists()
