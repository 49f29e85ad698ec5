"""Each signal to each process with work in flight: what is expected of it, and that nothing is lost, doubled or left.

| to | signal | expected |
| --- | --- | --- |
| daemon | TERM INT HUP | an orderly end: exit 0, its runs `cancelled` (shutdown), no process left |
| daemon | QUIT KILL | as a crash: its children live on, and the next daemon finds their true end |
| daemon | USR1 USR2 PIPE | nothing |
| keeper | HUP INT QUIT USR1 USR2 PIPE | nothing |
| keeper | TERM | the machine goes down: its children are ended, their targets told so |
| keeper | KILL | `unknown`, keeper_lost; what it leaves running is not started again |
| `rota run` | TERM INT HUP | its run is cancelled and seen to its end: exit 130 |
| `rota run` | QUIT KILL USR1 USR2 | as a crash: the next daemon finds the true end |
| `rota run` | PIPE | nothing |
| child | any that ends it | its step failed, and the signal is told |
| each | STOP, then CONT | it goes on where it was |

A keeper that is killed: test_keeper_and_daemon_deaths.py.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from signal import Signals

import pytest

from tests.fault.invariants import assert_counters_are_true, witnessed
from tests.fault.test_run_beside_daemon import claimed
from tests.support.daemon import Daemon, Gate, Home, a_home, until

INTERRUPTED = 130
ONCE = "echo $ROTA_ATTEMPT_TOKEN >> $TMPDIR/witness"
HARMLESS_TO_DAEMON = [Signals.SIGUSR1, Signals.SIGUSR2, Signals.SIGPIPE]
HARMLESS_TO_KEEPER = [Signals.SIGHUP, Signals.SIGINT, Signals.SIGQUIT, *HARMLESS_TO_DAEMON]
ENDS_A_CHILD = [Signals.SIGTERM, Signals.SIGINT, Signals.SIGHUP, Signals.SIGQUIT, Signals.SIGUSR1, Signals.SIGUSR2,
                Signals.SIGPIPE, Signals.SIGKILL]  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[Home]:
    """A home with a daemon that none of those who share it takes down."""
    with a_home() as home:
        home.daemon()
        yield home


def in_long_form(number: Signals) -> object:
    return pytest.param(number, marks=pytest.mark.slow)


def in_flight(home: Home) -> tuple[str, Gate]:
    """A run whose child has begun and waits; opened, it ends with 3."""
    gate = home.gate()
    run = home.run(f"shell: {ONCE}; read line < {gate.path}; exit 3")
    gate.reached()
    return run, gate


def true_end(home: Home, run: str) -> None:
    """It ended as its child did, which was started once; and nothing is held or counted any more."""
    (target,) = home.finished(run)["targets"]
    assert [(one["state"], one["exit_code"]) for one in target["attempts"]] == [("failed", 3)]
    assert len(witnessed(home.tmp)) == len(set(witnessed(home.tmp)))
    assert_counters_are_true(home)


def stop_and_continue(pid: int) -> None:
    """The kernel says so when it has stopped: nothing is assumed."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: _state_of(pid) == "T")
    os.kill(pid, signal.SIGCONT)
    until(lambda: _state_of(pid) != "T")


def _state_of(pid: int) -> str:
    """One letter, proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def dies_of(daemon: Daemon, number: Signals) -> None:
    assert daemon.stop(number) == -number


# The daemon


@pytest.mark.parametrize("number", [Signals.SIGTERM, in_long_form(Signals.SIGINT), in_long_form(Signals.SIGHUP)])
def test_a_daemon_that_is_asked_to_end_cancels_its_runs_and_leaves_no_process(home: Home, number: Signals) -> None:
    daemon = home.daemon()
    run, _gate = in_flight(home)
    assert daemon.stop(number) == 0
    until(lambda: not home.processes())
    said = home.rota("runs", "show", run).out
    assert "cancelled" in said
    assert "shutdown" in said
    assert len(witnessed(home.tmp)) == 1
    assert_counters_are_true(home)


@pytest.mark.parametrize("number", [Signals.SIGQUIT, in_long_form(Signals.SIGKILL)])
def test_a_daemon_that_dies_of_a_signal_takes_no_child_with_it(home: Home, number: Signals) -> None:
    daemon = home.daemon()
    run, gate = in_flight(home)
    dies_of(daemon, number)
    home.daemon()
    gate.open()
    true_end(home, run)


def test_signals_that_mean_nothing_to_a_daemon_and_a_pause_change_nothing(served: Home) -> None:
    daemon = served.client.instance()["daemon"]["pid"]
    assert daemon is not None
    run, gate = in_flight(served)
    for number in HARMLESS_TO_DAEMON:
        os.kill(daemon, number)
    stop_and_continue(daemon)
    gate.open()
    true_end(served, run)
    assert "ignored a signal that means nothing here" in served.log
    assert served.finished(served.run("noop"))["state"] == "succeeded"


# The keeper


def test_signals_that_mean_nothing_to_a_keeper_and_a_pause_change_nothing(served: Home) -> None:
    run, gate = in_flight(served)
    (keeper,) = served.keepers()
    for number in HARMLESS_TO_KEEPER:
        os.kill(keeper, number)
    stop_and_continue(keeper)
    gate.open()
    true_end(served, run)
    assert served.keepers() == [keeper]


def test_a_keeper_that_is_asked_to_end_ends_its_children_and_a_new_one_goes_on(home: Home) -> None:
    """So does a machine that goes down, which asks everybody."""
    home.daemon()
    run, _gate = in_flight(home)
    (keeper,) = home.keepers()
    os.kill(keeper, signal.SIGTERM)
    ended = home.finished(run)
    assert ended["state"] in {"cancelled", "failed"}
    assert not home.processes_of(run)
    until(lambda: keeper not in home.keepers())
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"
    assert len(witnessed(home.tmp)) == 1
    assert_counters_are_true(home)


# A command without a daemon


@pytest.mark.parametrize("number", [Signals.SIGHUP, in_long_form(Signals.SIGINT), in_long_form(Signals.SIGTERM)])
def test_a_run_that_is_asked_to_end_cancels_and_sees_its_end(home: Home, number: Signals) -> None:
    gate = home.gate()
    command = home.start("run", "--do", f"shell: {ONCE}; read line < {gate.path}; exit 3")
    claimed(home)
    gate.reached()
    command.send_signal(number)
    said = home.end_of(command)
    assert said.code == INTERRUPTED
    assert "Cancelling the run" in said.err + said.out
    assert [tuple(row) for row in home.rows("SELECT state, reason FROM run")] == [("cancelled", "user_cancelled")]
    assert not home.processes()
    assert_counters_are_true(home)


@pytest.mark.parametrize("number", [Signals.SIGUSR1, in_long_form(Signals.SIGQUIT), in_long_form(Signals.SIGUSR2)])
def test_a_run_that_dies_of_a_signal_takes_no_child_with_it(home: Home, number: Signals) -> None:
    gate = home.gate()
    command = home.start("run", "--do", f"shell: {ONCE}; read line < {gate.path}; exit 3")
    run = claimed(home)
    gate.reached()
    command.send_signal(number)
    assert home.end_of(command).code == -number
    home.daemon()
    gate.open()
    true_end(home, run)


def test_a_closed_pipe_s_signal_and_a_pause_change_nothing_for_a_run(home: Home) -> None:
    gate = home.gate()
    command = home.start("run", "--do", f"shell: {ONCE}; read line < {gate.path}; echo done")
    claimed(home)
    gate.reached()
    command.send_signal(signal.SIGPIPE)
    stop_and_continue(command.pid)
    gate.open()
    said = home.end_of(command)
    assert (said.code, "done" in said.out) == (0, True)


# The child


def test_whatever_ends_a_child_is_told_and_nothing_else_is_touched(served: Home) -> None:
    bystander, gate = in_flight(served)
    for number in ENDS_A_CHILD:
        run = served.run(f"shell: kill -{number.name[3:]} $$; sleep 60")
        (target,) = served.finished(run)["targets"]
        (attempt,) = target["attempts"]
        assert (target["state"], attempt["signal"]) == ("failed", int(number))
        assert attempt["message"] == f"ended by signal {int(number)}"
        assert not served.processes_of(run)
    gate.open()
    true_end(served, bystander)


def test_a_child_that_is_stopped_for_a_while_goes_on(served: Home) -> None:
    run, gate = in_flight(served)
    (child,) = served.processes_of(run)
    stop_and_continue(child)
    gate.open()
    true_end(served, run)
