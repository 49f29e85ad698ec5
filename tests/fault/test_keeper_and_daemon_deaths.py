"""kill -9 of the daemon, of the keeper, and of both, with work in flight."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fault.invariants import assert_counters_are_true
from tests.support.daemon import Home, until


@pytest.fixture
def hanging_server() -> Iterator[tuple[str, socket.socket]]:
    """An address that accepts connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(20)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", server


def outlives(home: Home, seconds: float) -> None:
    """A child writes once a tenth of a second; the daemon dies after its first word, and the next finds all of it."""
    first = home.daemon()
    count = int(seconds * 10)
    run = home.run(f"shell: i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); sleep 0.1; done; echo last")
    home.await_output(run, "line 2\n")
    first.kill()
    until(home.keepers)
    second = home.daemon()
    end = home.finished(run)
    assert end["state"] == "succeeded"
    assert home.output(run) == "".join(f"line {i}\n" for i in range(count)) + "last\n"
    assert second.stop() == 0


def test_a_child_that_outlives_the_daemon_succeeds_with_its_whole_output(home: Home) -> None:
    outlives(home, 3)


@pytest.mark.slow
def test_a_child_that_outlives_the_daemon_by_20_s_succeeds_with_its_whole_output(home: Home) -> None:
    outlives(home, 20)


def test_a_child_that_ends_while_no_daemon_lives_gets_its_own_result(home: Home) -> None:
    first = home.daemon()
    gate = home.gate()
    run = home.run(f"shell: echo begun; read line < {gate.path}; echo end; exit 7")
    home.await_output(run, "begun")
    first.kill()
    gate.open()
    until(lambda: "/bin/sh" not in str(home.processes()))
    home.daemon()
    end = home.finished(run)
    assert (end["state"], end["reason"]) == ("failed", "step_failed")


def test_a_request_that_died_with_the_daemon_is_cancelled_and_says_so(
    home: Home, hanging_server: tuple[str, socket.socket]
) -> None:
    address, server = hanging_server
    first = home.daemon()
    run = home.run(f"http: GET {address}")
    connection, _ = server.accept()
    with closing(connection):
        first.kill()
    home.daemon()
    end = home.finished(run)
    assert (end["state"], end["message"]) == ("cancelled", "daemon crashed during execution")
    assert "daemon crashed during execution" in home.rota("runs", "show", run).out


def test_a_keeper_that_is_killed_makes_its_targets_unknown_and_the_daemon_goes_on(home: Home) -> None:
    home.daemon()
    run = home.run("shell: echo begun; echo once >> $TMPDIR/witness; exec sleep 60")
    home.await_output(run, "begun")
    (keeper,) = home.keepers()
    os.kill(keeper, signal.SIGKILL)
    end = home.finished(run)
    (target,) = end["targets"]
    assert (target["state"], target["reason"]) == ("unknown", "keeper_lost")
    assert home.output(run) == "begun\n"
    assert (home.tmp / "witness").read_text() == "once\n"
    for pid, line in home.processes().items():
        if line == "sleep 60":
            os.kill(pid, signal.SIGKILL)
    again = home.finished(home.run("shell: echo a new keeper"))
    assert again["state"] == "succeeded"
    assert_counters_are_true(home)


def test_when_daemon_and_keeper_are_killed_nothing_is_started_twice(home: Home) -> None:
    first = home.daemon()
    run = home.run("shell: echo begun; echo once >> $TMPDIR/witness; exec sleep 60")
    home.await_output(run, "begun")
    (keeper,) = home.keepers()
    os.kill(keeper, signal.SIGKILL)
    first.kill()
    home.daemon()
    end = home.finished(run)
    (target,) = end["targets"]
    assert (target["state"], target["reason"]) == ("unknown", "keeper_lost")
    assert (home.tmp / "witness").read_text() == "once\n"
    for pid, line in home.processes().items():
        if line == "sleep 60":
            os.kill(pid, signal.SIGKILL)


def test_of_two_daemons_that_start_at_once_one_serves_and_the_other_exits_6(home: Home) -> None:
    both = [home.starting_daemon(), home.starting_daemon()]
    (loser,) = until(lambda: [one for one in both if one.process.poll() is not None])
    (winner,) = (one for one in both if one is not loser)
    assert loser.wait() == 6
    home.await_banner(winner)
    assert home.client.instance()["daemon"]["pid"] == winner.pid
    assert f"PID {winner.pid}) already runs the instance" in home.log
