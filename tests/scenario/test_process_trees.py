"""Cancel, timeout and `cancel_running` leave no process, whatever a command made of itself."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import pytest

from rota.usecases.shapes import Run
from tests.support.daemon import Home, until

# Each says `begun` once all of it is there, and would go on for minutes.
TREES = {
    "plain": "echo begun; exec sleep 300",
    "children": "sleep 300 & sleep 300 & echo begun; wait",
    "ignores TERM": "trap '' TERM; echo begun; while :; do sleep 1; done",
    "forks twice": "( ( sleep 300 >/dev/null 2>&1 & ) & ); echo begun; exec sleep 300",
    "holds stdout": "(trap '' TERM; exec sleep 300) & echo begun; exec sleep 300",
    "stopped": "(kill -STOP $$) & echo begun; while :; do sleep 1; done",
    "own session": "setsid sleep 300 & echo begun; exec sleep 300",
}
GRACE_SECONDS = 10


@dataclass(frozen=True)
class Ended:
    """How a run of each tree ended: by tree, and for `replaced` with its successor."""

    cancelled: dict[str, Run]
    timed_out: dict[str, Run]
    replaced: dict[str, tuple[Run, Run]]


@pytest.fixture(scope="session")
def ended(served: Home) -> Ended:
    """Each tree ended in each way, all at once: what ignores TERM takes its whole grace, three times."""
    cancelled = {tree: served.run(f"shell: {command}") for tree, command in TREES.items()}
    timed_out = {tree: served.run(steps=[a_step(command, timeout_seconds=1)]) for tree, command in TREES.items()}
    replaced = {tree: replace(served, number, command) for number, (tree, command) in enumerate(TREES.items())}
    for run in cancelled.values():
        served.await_output(run, "begun")
        served.client.cancel_run(run)
    return Ended(
        cancelled={tree: served.finished(run) for tree, run in cancelled.items()},
        timed_out={tree: served.finished(run) for tree, run in timed_out.items()},
        replaced={tree: (served.finished(one), served.finished(two)) for tree, (one, two) in replaced.items()},
    )


def a_step(command: str, **fields: object) -> dict[str, object]:
    return {"name": "tree", "action": "shell", "params": {"command": command}, **fields}


def replace(home: Home, number: int, command: str) -> tuple[str, str]:
    """Two runs of a `cancel_running` job: the second, which is over at once, replaces the first."""
    name = f"replaced-{number}"
    do = f"shell: mkdir $TMPDIR/{name} 2>/dev/null || exit 0; {command}"
    home.client.create_job(
        {"name": name, "triggers": [{"kind": "manual"}], "do": do, "overlap_policy": "cancel_running"}
    )
    first = home.client.trigger_job(name)["id"]
    home.await_output(first, "begun")
    return first, home.client.trigger_job(name)["id"]


def assert_nothing_is_left(home: Home, run: Run) -> None:
    assert home.processes_of(run["id"]) == {}


@pytest.mark.parametrize("tree", TREES)
def test_a_cancelled_run_leaves_no_process(served: Home, ended: Ended, tree: str) -> None:
    run = ended.cancelled[tree]
    assert (run["state"], run["reason"]) == ("cancelled", "user_cancelled")
    assert_nothing_is_left(served, run)


@pytest.mark.parametrize("tree", TREES)
def test_a_timed_out_step_leaves_no_process(served: Home, ended: Ended, tree: str) -> None:
    run = ended.timed_out[tree]
    (target,) = run["targets"]
    assert (run["state"], target["reason"]) == ("timed_out", "step_timeout")
    assert_nothing_is_left(served, run)


@pytest.mark.parametrize("tree", TREES)
def test_a_replaced_run_leaves_no_process_and_its_successor_starts_after_its_end(
    served: Home, ended: Ended, tree: str
) -> None:
    first, second = ended.replaced[tree]
    assert (first["state"], first["reason"]) == ("cancelled", "overlap_replaced")
    assert second["state"] == "succeeded"
    assert first["finished_at"] is not None
    assert second["started_at"] is not None
    assert second["started_at"] >= first["finished_at"]
    assert_nothing_is_left(served, first)


def test_what_ignores_term_gets_its_grace_and_what_heeds_it_does_not_wait(ended: Ended) -> None:
    def seconds(tree: str) -> float:
        return ended.cancelled[tree]["duration_seconds"] or 0

    assert seconds("ignores TERM") >= GRACE_SECONDS
    assert seconds("plain") < GRACE_SECONDS / 2


def test_a_run_timeout_ends_the_run_and_its_tree(served: Home) -> None:
    run = served.finished(served.run(f"shell: {TREES['children']}", run_timeout_seconds=1))
    assert (run["state"], run["reason"]) == ("timed_out", "run_timeout")
    assert_nothing_is_left(served, run)


def test_a_command_that_leaves_a_process_behind_succeeds_and_says_so(served: Home) -> None:
    run = served.finished(served.run("shell: sleep 300 >/dev/null 2>&1 & exit 0"))
    ((attempt,),) = (target["attempts"] for target in run["targets"])
    left = served.processes_of(run["id"])
    try:
        assert run["state"] == "succeeded"
        assert list(left.values()) == ["sleep 300"]
        assert "may still be running" in (attempt["message"] or "")
    finally:
        for pid in left:
            os.kill(pid, signal.SIGKILL)


def test_a_process_left_behind_that_holds_stdout_does_not_hold_up_the_run(served: Home) -> None:
    run = served.finished(served.run("shell: echo said; sleep 300 & exit 0"))
    left = served.processes_of(run["id"])
    try:
        assert run["state"] == "succeeded"
        assert (run["duration_seconds"] or 0) < 30
        assert served.output(run["id"]) == "said\n"
    finally:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    until(lambda: not served.processes_of(run["id"]))


def test_cancelling_a_schedule_cancels_its_unfinished_runs(served: Home) -> None:
    served.client.create_job(
        {"name": "endless", "triggers": [{"kind": "manual"}], "do": "shell: echo begun; sleep 300"}
    )
    run = served.client.trigger_job("endless")["id"]
    served.await_output(run, "begun")
    assert served.rota("schedule", "cancel", "endless").code == 0
    assert served.finished(run)["reason"] == "user_cancelled"
