"""`rota run` beside a starting daemon, and the reverse: each leaves the other's work alone."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from tests.fault.invariants import assert_counters_are_true, assert_started_at_most_once
from tests.support.daemon import Home, Said, until


def claimed(home: Home) -> str:
    """The id of the one run that is in work, once it is."""
    rows = until(lambda: home.rows("SELECT public_id FROM run WHERE state = 'running'") if store(home) else [])
    return f"run_{rows[0]['public_id']}"


def store(home: Home) -> bool:
    return (home.path / "rota.db").exists() and home.rows("PRAGMA user_version")[0][0] > 0


def test_a_daemon_that_starts_beside_a_run_leaves_it_alone(home: Home) -> None:
    gate = home.gate()
    command = home.start("run", "--do", f"shell: read line < {gate.path}; echo done")
    run = claimed(home)
    (before,) = home.rows("SELECT owner, fence FROM run_target")
    home.daemon()
    gate.open()
    said = home.end_of(command)
    assert (said.code, "done" in said.out) == (0, True)
    (after,) = home.rows("SELECT owner, fence FROM run_target")
    assert tuple(after) == tuple(before)  # the daemon never took it over
    assert home.client.run(run)["state"] == "succeeded"


def test_a_run_that_was_killed_is_taken_over_by_the_next_daemon(home: Home) -> None:
    gate = home.gate()
    command = home.start("run", "--do", f"shell: read line < {gate.path}; echo done")
    run = claimed(home)
    gate.reached()
    command.kill()
    command.wait()
    home.daemon()
    gate.open()
    assert home.finished(run)["state"] == "succeeded"
    assert home.output(run) == "done\n"


def test_a_running_daemon_takes_over_from_a_run_that_is_killed_beside_it(home: Home) -> None:
    gate = home.gate()
    command = home.start("run", "--do", f"shell: read line < {gate.path}; echo done")
    run = claimed(home)
    gate.reached()
    home.daemon()
    command.kill()
    command.wait()
    gate.open()
    assert home.finished(run)["state"] == "succeeded"
    assert home.output(run) == "done\n"


def beside_each_other(home: Home, seconds: float) -> None:
    """Rounds of commands that begin before, while and after a daemon starts, until the time is over."""
    home.settings("schedule: {max_concurrent_schedules: 50}")
    made = home.rota(
        "schedule", "create", "--name", "witness", "--every", "1s", "--do",
        "shell: echo $ROTA_ATTEMPT_TOKEN >> $TMPDIR/witness",
    )  # fmt: skip
    assert made.code == 0, made.err
    deadline, commands = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        early = [work(home) for _ in range(2)]
        daemon = home.starting_daemon()
        late = [work(home) for _ in range(2)]
        home.await_banner(daemon)
        after = work(home)
        for command in (*early, *late, after):
            said = home.end_of(command)
            assert said.code == 0, said.err
            assert wrote(said) == [f"line {i}" for i in range(10)] + ["last"]
            commands += 1
        due = home.rows("SELECT count(*) AS n FROM run WHERE kind = 'interval'")[0]["n"]
        until(lambda due=due: home.rows("SELECT count(*) AS n FROM run WHERE kind = 'interval'")[0]["n"] > due)  # type: ignore[misc]
        until(lambda: home.unfinished() == 0)
        assert daemon.stop(signal.SIGTERM) == 0
    assert "ERROR" not in home.log.upper(), home.log
    assert_started_at_most_once(home)
    assert_counters_are_true(home)
    ends = {tuple(row) for row in home.rows("SELECT DISTINCT kind, state FROM run")}
    assert ends <= {("adhoc", "succeeded"), ("interval", "succeeded"), ("interval", "cancelled")}
    (ran,) = home.rows("SELECT count(*) AS n FROM run WHERE kind = 'adhoc'")
    assert ran["n"] == commands


def work(home: Home) -> subprocess.Popen[str]:
    lines = "i=0; while [ $i -lt 10 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; echo last"
    return home.start("run", "--do", f"shell: {lines}")


def wrote(said: Said) -> list[str]:
    return [line.partition("| ")[2] for line in said.out.splitlines() if line.startswith("@controller| ")]


def test_commands_and_a_starting_daemon_do_not_disturb_each_other(home: Home) -> None:
    beside_each_other(home, 4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_and_a_starting_daemon_do_not_disturb_each_other_for_ten_minutes(home: Home) -> None:
    beside_each_other(home, 600)
