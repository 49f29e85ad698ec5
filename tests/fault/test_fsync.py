"""A disk that cannot make certain what was written: Rota stops rather than guess, and nothing acknowledged is lost.

strace answers the system calls of the living process (tests/support/disk_faults.py). A full disk: test_disk_full.py.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from rota.client.api import Body
from rota.domain.errors import Unavailable
from tests.fault.invariants import (
    WITNESS,
    assert_nothing_lost_or_doubled,
    assert_started_at_most_once,
    planned_beyond,
    witnessed,
)
from tests.support.daemon import Home, until
from tests.support.disk_faults import SYNCS, TRACEABLE, answering

INTERNAL = 70
EIO, NO_ROOM, SLOW = "error=EIO", "error=ENOSPC", "delay_enter=500000"  # µs


@pytest.fixture
def log(home: Home) -> Path:
    return home.scratch / "strace"


def a_job(name: str) -> Body:
    return {"name": name, "triggers": [{"kind": "manual"}], "do": "noop"}


def each_second(home: Home) -> None:
    body: Body = {"name": "witness", "triggers": [{"kind": "interval", "every": "1s"}], "do": f"shell: {WITNESS}"}
    home.client.create_job(body)
    until(lambda: len(witnessed(home.tmp)) >= 2)


@pytest.mark.parametrize("answer", [EIO, pytest.param(NO_ROOM, marks=pytest.mark.slow)])
def test_a_failed_sync_stops_the_daemon_and_what_was_acknowledged_is_there(home: Home, log: Path, answer: str) -> None:
    daemon = home.daemon(through=TRACEABLE)
    each_second(home)
    gate = home.gate()
    run = home.run(f"shell: {WITNESS}; read line < {gate.path}; exit 3")
    gate.reached()
    acknowledged = []
    with answering(daemon.pid, SYNCS, answer, log), suppress(Unavailable):
        for number in range(100):
            acknowledged.append(home.client.create_job(a_job(f"job-{number}"))["name"])
    assert daemon.wait() == INTERNAL
    assert "the disk failed under the store" in home.log
    assert "stopping rather than guess" in home.log
    assert len(acknowledged) < 100
    second = home.daemon()
    assert set(acknowledged) <= {job["name"] for job in home.client.jobs()["items"]}
    gate.open()
    assert home.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3
    since = max(row["nominal"] or 0 for row in home.rows("SELECT nominal FROM run"))
    home.client.update_job("witness", {"enabled": True})
    planned = until(lambda: planned_beyond(home, since))
    assert second.stop() == 0
    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)


def test_a_slow_disk_is_only_slow(home: Home, log: Path) -> None:
    """Half a second for each sync: nobody is taken for dead, nothing is lost."""
    daemon = home.daemon(through=TRACEABLE)
    each_second(home)
    with answering(daemon.pid, SYNCS, SLOW, log):
        run = home.run("shell: exit 3")
        assert home.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3
        before = len(witnessed(home.tmp))
        until(lambda: len(witnessed(home.tmp)) >= before + 2)
    since = max(row["nominal"] or 0 for row in home.rows("SELECT nominal FROM run"))
    planned = until(lambda: planned_beyond(home, since))
    assert daemon.stop() == 0
    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)


def test_a_keeper_whose_journal_cannot_be_made_certain_tells_its_ends_and_gives_way_to_another(
    home: Home, log: Path
) -> None:
    home.daemon()
    gate = home.gate()
    held = home.run(f"shell: {WITNESS}; read line < {gate.path}; exit 3")
    gate.reached()
    (keeper,) = home.keepers()
    with answering(keeper, SYNCS, EIO, log):
        assert home.finished(home.run("shell: exit 3"))["targets"][0]["attempts"][0]["exit_code"] == 3
        refused = home.finished(home.run(f"shell: {WITNESS}"))
        assert "the keeper's journal cannot be written: Input/output error" in (refused["message"] or "")
        assert len(witnessed(home.tmp)) == 1
        gate.open()
        assert home.finished(held)["targets"][0]["attempts"][0]["exit_code"] == 3
        until(lambda: keeper not in home.keepers())
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"
    assert_started_at_most_once(home)
