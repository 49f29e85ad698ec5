"""Real daemons whose clock is set under them, by seconds, hours, days and years: nothing twice, nothing lost or frozen.

libfaketime sets it (tests/support/faketime.py); the machine's own clock is never touched. The same on the virtual
clock, with sleeps of the machine and skew: tests/engine/test_clock_changes.py.
"""

from __future__ import annotations

import time

import pytest

from rota.client.api import Body
from rota.domain.instant import DAY, SECOND, Micros, format_rfc3339
from tests.fault.invariants import (
    WITNESS,
    assert_nothing_lost_or_doubled,
    assert_started_at_most_once,
    planned_beyond,
    witnessed,
)
from tests.support.daemon import Daemon, Home, until
from tests.support.faketime import FakeClock

DAYS = 86_400


@pytest.fixture
def clock(home: Home) -> FakeClock:
    return FakeClock(home.scratch / "clock")


def each_second(home: Home, name: str = "witness", do: str = f"shell: {WITNESS}") -> None:
    body: Body = {"name": name, "triggers": [{"kind": "interval", "every": "1s"}], "do": do}
    home.client.create_job(body)


def at_work(home: Home, clock: FakeClock) -> Daemon:
    """A daemon with a job that is due each second, and has run."""
    daemon = home.daemon(clock.env)
    each_second(home)
    until(lambda: len(witnessed(home.tmp)) >= 2)
    return daemon


def now() -> Micros:
    return time.time_ns() // 1000


def runs_on(home: Home, more: int = 2) -> None:
    """So many more runs are started."""
    before = len(witnessed(home.tmp))
    until(lambda: len(witnessed(home.tmp)) >= before + more)


def told(home: Home, words: str) -> None:
    """It is in the log, and where people ask."""
    until(lambda: words in home.log)
    change = home.client.instance()["clock"]["last_change"]
    assert change is not None
    assert words in change["message"]


def settled(home: Home, daemon: Daemon) -> dict[str, int]:
    """Up to where each job is planned, once it is planned after now; then the daemon is stopped."""
    instant = now()
    planned = until(lambda: planned_beyond(home, instant))
    assert daemon.stop() == 0
    return planned


LONG_FORM = pytest.mark.slow


@pytest.mark.parametrize("seconds", [3600, pytest.param(12 * 3600, marks=LONG_FORM)])
def test_a_clock_set_back_fires_nothing_twice_and_is_told(home: Home, clock: FakeClock, seconds: int) -> None:
    daemon = at_work(home, clock)
    clock.set_off(-seconds)
    told(home, "the clock was set back by")
    assert "set back by" in str(home.client.why("witness")["lines"])
    clock.set_off(0)
    told(home, "the clock was set forward by")
    runs_on(home)
    planned = settled(home, daemon)
    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)


def test_a_clock_set_back_by_days_freezes_no_schedule(home: Home, clock: FakeClock) -> None:
    daemon = at_work(home, clock)
    before = {row["nominal"] for row in home.rows("SELECT nominal FROM run")}
    clock.set_off(-3 * DAYS)
    told(home, "what was settled far ahead goes on from now")
    runs_on(home)
    assert daemon.stop() == 0
    after = [row["nominal"] for row in home.rows("SELECT nominal FROM run ORDER BY id")]
    assert len(after) == len(set(after))
    assert before <= set(after)
    assert min(after) < now() - 2 * DAY
    assert_started_at_most_once(home)


@pytest.mark.parametrize("seconds", [400 * DAYS, pytest.param(5 * 3600, marks=LONG_FORM)])
def test_a_clock_set_forward_is_downtime_in_one_row_and_why_says_so(home: Home, clock: FakeClock, seconds: int) -> None:
    daemon = at_work(home, clock)
    (first,) = home.rows("SELECT public_id FROM run ORDER BY id LIMIT 1")
    clock.set_off(seconds)
    told(home, "the clock was set forward by")
    assert "the clock was set forward by" in home.rota("daemon", "status").out
    runs_on(home)
    (span,) = home.rows("SELECT * FROM ledger WHERE reason = 'missed'")
    assert abs(span["count"] - seconds) < 120  # within its grace the newest were started
    middle = (span["first_nominal"] + span["last_nominal"]) // 2 // SECOND * SECOND
    assert "counts as downtime" in home.rota("why", "witness", "--at", format_rfc3339(middle)).out
    assert home.client.run(f"run_{first['public_id']}")["state"] == "succeeded"  # history is not forgotten at once
    daemon.stop()
    assert_started_at_most_once(home)


@LONG_FORM
def test_a_clock_that_jumps_to_and_fro_loses_and_doubles_nothing(home: Home, clock: FakeClock) -> None:
    daemon = at_work(home, clock)
    for count, off in enumerate((4, 0, -4, 0), start=1):
        clock.set_off(off)
        until(lambda count=count: home.log.count("the clock was set") >= count)  # type: ignore[misc]
    runs_on(home)
    planned = settled(home, daemon)
    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)


@pytest.mark.parametrize("off", [DAYS, pytest.param(-DAYS, marks=LONG_FORM)])
def test_what_runs_while_the_clock_is_set_is_not_ended_by_it(home: Home, clock: FakeClock, off: int) -> None:
    """Timeouts are measured, not read from the wall."""
    home.daemon(clock.env)
    gate = home.gate()
    run = home.run(f"shell: read line < {gate.path}; exit 3", run_timeout_seconds=600)
    gate.reached()
    clock.set_off(off)
    told(home, "the clock was set")
    gate.open()
    ended = home.finished(run)
    assert (ended["state"], ended["targets"][0]["attempts"][0]["exit_code"]) == ("failed", 3)


def test_a_machine_that_boots_in_1970_begins_nothing_until_its_clock_is_set(home: Home, clock: FakeClock) -> None:
    first = at_work(home, clock)
    first.stop()
    before = len(witnessed(home.tmp))
    clock.set_off(-int(time.time()) + 60)
    daemon = home.daemon(clock.env)
    status = home.rota("daemon", "status").out
    assert "this machine's clock says 1970-01-01" in status
    run = home.run("noop")
    assert home.client.run(run)["state"] == "queued"
    assert "Nothing is planned or begun now: this machine's clock says 1970" in str(home.client.why(run)["lines"])
    assert len(witnessed(home.tmp)) == before
    clock.set_off(0)
    assert home.finished(run)["state"] == "succeeded"
    runs_on(home)
    told(home, "the clock is believed")
    planned = settled(home, daemon)
    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)


def test_a_clock_that_cannot_be_right_can_be_trusted_by_a_setting(home: Home, clock: FakeClock) -> None:
    clock.set_off(-int(time.time()) + 60)
    home.daemon({**clock.env, "ROTA_TRUST_CLOCK": "true"})
    assert home.finished(home.run("noop"))["state"] == "succeeded"


@LONG_FORM
def test_a_clock_set_back_while_no_daemon_ran_is_told_at_the_start(home: Home, clock: FakeClock) -> None:
    at_work(home, clock).stop()
    clock.set_off(-3600)
    daemon = home.daemon(clock.env)
    told(home, "the clock was set back by")
    clock.set_off(0)
    runs_on(home)
    planned = settled(home, daemon)
    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)


@LONG_FORM
def test_a_killed_daemon_and_a_clock_set_back_start_nothing_twice(home: Home, clock: FakeClock) -> None:
    daemon = at_work(home, clock)
    gate = home.gate()
    run = home.run(f"shell: read line < {gate.path}; exit 3")
    gate.reached()
    daemon.kill()
    clock.set_off(-7200)
    second = home.daemon(clock.env)
    gate.open()
    assert home.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3
    clock.set_off(0)
    runs_on(home)
    planned = settled(home, second)
    assert_nothing_lost_or_doubled(home, planned)
    assert_started_at_most_once(home)
