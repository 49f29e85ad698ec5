"""Deaths over SSH: of the daemon, of a host's sshd, of one connection; and ends that a tree resists. Each attempt is
started once, its true end is found where it can be, and else is `unknown` and said so."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

import pytest

from rota.demo.openssh import OpenSsh
from rota.demo.sshd import Server
from rota.domain.step import Json
from tests.fault.invariants import assert_counters_are_true
from tests.support.daemon import until
from tests.support.fleet import (
    Fleet,
    a_fleet,
    come_back,
    ends,
    openssh,
    read_when_there,
    target,
    told,
    vanish,
    witnesses,
)

__all__ = ["openssh"]

SETTINGS = "ssh: {connect_timeout_seconds: 2, kill_grace_seconds: 1, lost_grace_seconds: 2}"
WITNESS = "echo $ROTA_ATTEMPT_TOKEN >> witness"


@pytest.fixture
def fleet(openssh: OpenSsh) -> Iterator[Fleet]:
    with a_fleet(openssh, SETTINGS) as fleet:
        yield fleet


def begun(fleet: Fleet, server: Server, do: str, **body: object) -> str:
    """A run on `web1` that has begun there, by its witness."""
    run = fleet.begin(f"shell: {WITNESS}; {do}", "host:web1", **body)
    until(lambda: witnesses(server))
    return run


def assert_started_once(server: Server, hosts: int = 1) -> None:
    started = witnesses(server)
    assert len(started) == len(set(started)) == hosts


# The daemon dies


def test_after_a_kill_of_the_daemon_the_command_is_followed_to_its_true_end(fleet: Fleet) -> None:
    server = fleet.serve("web1")
    gate = fleet.gate(server)
    run = begun(fleet, server, f"read line < {gate.path}; exit 7")
    fleet.daemon.kill()
    fleet.restart()
    gate.open()
    end = fleet.home.finished(run)
    assert ends(end) == {"web1": ("failed", "step_failed")}
    assert target(end, "web1")["attempts"][0]["exit_code"] == 7
    assert_started_once(server)
    assert_counters_are_true(fleet.home)


def test_an_end_that_came_while_no_daemon_was_there_is_found_by_the_marker(fleet: Fleet) -> None:
    server = fleet.serve("web1")
    gate = fleet.gate(server)
    run = begun(fleet, server, f"read line < {gate.path}; echo over > over")
    fleet.daemon.kill()
    gate.open()
    read_when_there(server.home / "over")
    fleet.restart()
    assert fleet.home.finished(run)["state"] == "succeeded"
    assert_started_once(server)


def test_many_hosts_are_each_followed_to_their_own_end(fleet: Fleet) -> None:
    names = [f"web{n}" for n in range(1, 13)]
    server = fleet.serve(*names)
    gate = fleet.gate(server)
    do = f"shell: {WITNESS}; read line < {gate.path}; test $ROTA_HOST != web5"
    run = fleet.begin(do, targets_at_once=12)
    until(lambda: len(witnesses(server)) == len(names))
    fleet.daemon.kill()
    fleet.restart()
    gate.open(times=len(names))
    end = fleet.home.finished(run)
    assert end["state"] == "partial"
    assert end["hosts"] == {"ok": 11, "total": 12}
    assert ends(end)["web5"] == ("failed", "step_failed")
    assert_started_once(server, hosts=len(names))


def test_hosts_that_had_not_begun_begin_under_the_next_daemon(fleet: Fleet) -> None:
    names = [f"web{n}" for n in range(1, 7)]
    server = fleet.serve(*names)
    gate = fleet.gate(server)
    run = fleet.begin(f"shell: {WITNESS}; [ -e free ] || read line < {gate.path}", targets_at_once=2)
    until(lambda: len(witnesses(server)) == 2)
    fleet.daemon.kill()
    server.put("free", "")
    gate.open(times=2)
    fleet.restart()
    end = fleet.home.finished(run)
    assert end["hosts"] == {"ok": 6, "total": 6}
    assert_started_once(server, hosts=len(names))


def test_while_a_lost_host_is_looked_for_everybody_can_see_that(openssh: OpenSsh) -> None:
    with a_fleet(openssh, "ssh: {connect_timeout_seconds: 2, lost_grace_seconds: 60}") as fleet:
        server = fleet.serve("web1")
        gate = fleet.gate(server)
        run = begun(fleet, server, f"read line < {gate.path}; exit 7")
        lost_since = "SELECT 1 FROM run_target WHERE lost_since IS NOT NULL"
        vanish(server)
        until(lambda: fleet.home.rows(lost_since))
        assert "lost since" in (target(fleet.home.client.run(run), "web1")["message"] or "")
        assert "it is looked for" in fleet.home.rota("why", run).out
        gate.open()
        (marker,) = (server.home / ".rota").iterdir()
        until(lambda: "rc 7" in marker.read_text())
        come_back(server)
        assert ends(fleet.home.finished(run)) == {"web1": ("failed", "step_failed")}
        assert fleet.home.rows(lost_since) == []


def test_a_host_that_is_gone_at_the_restart_leaves_it_unknown_and_its_word_later_moves_nothing(fleet: Fleet) -> None:
    server = fleet.serve("web1")
    gate = fleet.gate(server)
    run = begun(fleet, server, f"read line < {gate.path}; exit 7")
    fleet.daemon.kill()
    vanish(server)
    fleet.restart()
    end = fleet.home.finished(run)
    assert ends(end) == {"web1": ("unknown", "daemon_crashed")}
    assert (end["state"], end["message"]) == ("cancelled", "daemon crashed during execution")
    history = fleet.home.rota("schedule", "history").out
    assert "cancelled (daemon crashed during execution)" in history
    gate.open()
    (marker,) = (server.home / ".rota").iterdir()
    until(lambda: "rc 7" in marker.read_text())
    come_back(server)
    fleet.daemon.stop()  # the next daemon asks at once; this one would ask again in half a minute
    fleet.restart()
    evidence = until(lambda: target(fleet.home.client.run(run), "web1")["attempts"][0]["evidence"])
    assert (evidence or "").startswith("exit code 7 at ")
    assert "exit code 7" in fleet.home.rota("runs", "show", run).out
    after = fleet.home.client.run(run)
    assert (after["state"], ends(after), after["finished_at"]) == (end["state"], ends(end), end["finished_at"])
    assert_started_once(server)


# A connection dies


def test_a_command_outlives_its_connection_and_its_true_end_is_found(fleet: Fleet) -> None:
    server = fleet.serve("web1")
    gate = fleet.gate(server)
    run = begun(fleet, server, f"read line < {gate.path}; exit 7")
    server.cut()
    gate.open()
    end = fleet.home.finished(run)
    assert ends(end) == {"web1": ("failed", "step_failed")}
    assert target(end, "web1")["attempts"][0]["exit_code"] == 7
    assert_started_once(server)


def test_a_host_that_stays_away_leaves_its_target_unknown_and_the_others_alone(fleet: Fleet) -> None:
    server = fleet.serve("web1")
    other = fleet.serve("web2")
    gate, there = fleet.gate(server), fleet.gate(other)
    run = fleet.begin(f"shell: {WITNESS}; read line < gate-0")
    until(lambda: witnesses(server) and witnesses(other))
    vanish(server)
    until(lambda: ends(fleet.home.client.run(run))["web1"][0] == "unknown")
    there.open()
    end = fleet.home.finished(run)
    assert end["state"] == "partial"
    assert ends(end) == {"web1": ("unknown", "connection_lost"), "web2": ("succeeded", None)}
    assert "may still be running on web1" in (target(end, "web1")["attempts"][0]["message"] or "")
    gate.open()
    assert_started_once(server)


def test_a_reboot_of_the_host_is_told_as_gone_without_a_result(fleet: Fleet) -> None:
    server = fleet.serve("web1")
    run = begun(fleet, server, "sleep 300")
    server.stop()  # ends everything of it
    server.start()
    end = fleet.home.finished(run)
    assert ends(end) == {"web1": ("unknown", "connection_lost")}
    assert "gone without a result" in (target(end, "web1")["attempts"][0]["message"] or "")
    assert_started_once(server)


# Trees that are to end

TREES = {
    "plain": "sleep 300 & echo begun; wait",
    "ignores TERM": "trap '' TERM; sleep 300 & echo begun; while :; do sleep 1; done",
    "own session": "setsid sleep 300 & echo begun; sleep 300",
    "own session, ignores TERM": "(trap '' TERM; exec setsid sleep 300) & echo begun; sleep 300",
}


@pytest.fixture(scope="module")
def shared(openssh: OpenSsh) -> Iterator[Fleet]:
    """One daemon for those tests that do it no harm. Each serves a host of its own."""
    with a_fleet(openssh, SETTINGS) as fleet:
        yield fleet


_numbers = itertools.count(1)


def a_tree(fleet: Fleet, tree: str) -> tuple[Server, str, str]:
    """A tree that has begun on a host of its own: server, host, run."""
    host = f"tree-{next(_numbers)}"
    server = fleet.serve(host)
    run = fleet.begin(f"shell: {TREES[tree]}", f"host:{host}")
    fleet.home.await_output(run, "begun")
    return server, host, run


@pytest.mark.parametrize("tree", TREES)
def test_a_cancelled_tree_leaves_no_process_on_the_host(shared: Fleet, tree: str) -> None:
    _, host, run = a_tree(shared, tree)
    assert shared.home.rota("runs", "cancel", run).code == 0
    assert ends(shared.home.finished(run)) == {host: ("cancelled", "user_cancelled")}
    assert shared.home.processes_of(run) == {}


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_whose_time_is_up_leaves_no_process_on_the_host(shared: Fleet, tree: str) -> None:
    shared.serve(host := f"tree-{next(_numbers)}")
    step: Json = {"name": "tree", "action": "shell", "params": {"command": TREES[tree]}, "timeout_seconds": 1}
    end = shared.home.finished(shared.home.client.start_run({"steps": [step], "target": f"host:{host}"})["id"])
    assert ends(end) == {host: ("timed_out", "step_timeout")}
    assert shared.home.output(end["id"]) == "begun\n"
    assert shared.home.processes_of(end["id"]) == {}


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_that_is_cancelled_after_its_connection_was_lost_leaves_no_process(shared: Fleet, tree: str) -> None:
    server, host, run = a_tree(shared, tree)
    server.cut()
    shared.home.client.cancel_run(run)
    assert ends(shared.home.finished(run)) == {host: ("cancelled", "user_cancelled")}
    assert shared.home.processes_of(run) == {}


def test_what_a_command_leaves_in_a_session_of_its_own_is_told(shared: Fleet) -> None:
    shared.serve("leaves")
    end = shared.run("shell: setsid sleep 300 & echo left", "host:leaves")
    assert end["state"] == "succeeded"
    assert "1 process may still be running on leaves" in (target(end, "leaves")["attempts"][0]["message"] or "")
    (left,) = shared.home.processes_of(end["id"])
    os.kill(left, signal.SIGKILL)


def test_a_cancel_that_cannot_be_confirmed_says_so(shared: Fleet) -> None:
    server, host, run = a_tree(shared, "plain")
    vanish(server)
    shared.home.client.cancel_run(run)
    assert ends(shared.home.finished(run)) == {host: ("cancelled", "cancel_unconfirmed")}
    assert f"may still be running on {host}" in told(shared.home.rota("runs", "show", run))
    assert f"may still be running on {host}: {host} (127" in shared.home.log


# The daemon stops


def test_a_daemon_that_is_stopped_ends_what_runs_on_hosts(fleet: Fleet) -> None:
    server = fleet.serve("web1")
    fleet.home.settings(SETTINGS + "\nshutdown_grace_seconds: 0")
    fleet.daemon.stop()
    fleet.restart()
    run = begun(fleet, server, "sleep 300")
    assert fleet.daemon.stop() == 0
    assert fleet.home.processes_of(run) == {}
    (row,) = fleet.home.rows("SELECT state, reason FROM run_target")
    assert tuple(row) == ("cancelled", "shutdown")
