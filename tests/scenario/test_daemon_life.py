"""A daemon from its banner to its end: what it picks up, what it keeps waiting, and how it lets go of running work."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from rota.client.api import Body
from rota.domain.instant import DAY, SECOND, format_rfc3339
from rota.domain.step import Json
from rota.usecases.shapes import Run
from tests.support.daemon import Home, until


def every(home: Home, name: str, seconds: int, do: str, **fields: Json) -> None:
    home.client.create_job(
        {"name": name, "triggers": [{"kind": "interval", "every": f"{seconds}s"}], "do": do, **fields}
    )


def a_run_of(home: Home, name: str) -> str:
    """The id of the job's first run, once there is one."""
    return until(lambda: home.client.runs(job=name, limit=1)["items"])[0]["id"]


# Shutdown


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stop_cancels_running_work_records_it_and_ends_in_a_moment(home: Home, number: signal.Signals) -> None:
    daemon = home.daemon()
    run = home.run("shell: echo begun; sleep 300")
    home.await_output(run, "begun")
    began = time.monotonic()
    assert daemon.stop(number) == 0
    assert time.monotonic() - began < 30  # half of its grace
    (row,) = home.rows("SELECT state, reason FROM run")
    assert tuple(row) == ("cancelled", "shutdown")
    assert home.processes() == {}
    steps = [home.log.index(f"{step} of 4") for step in (1, 2, 3, 4)]
    assert steps == sorted(steps)


def test_a_stop_waits_no_longer_than_its_grace_for_what_ignores_term(home: Home) -> None:
    home.settings("shutdown_grace_seconds: 1")
    daemon = home.daemon()
    run = home.run("shell: trap '' TERM; echo begun; while :; do sleep 1; done")
    home.await_output(run, "begun")
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 30  # half of the grace that it has by default
    assert home.processes() == {}
    home.daemon()
    end = home.finished(run)
    assert (end["state"], end["reason"]) == ("cancelled", "shutdown")


def test_work_that_is_left_lives_on_and_the_next_daemon_finds_its_result(home: Home) -> None:
    home.settings("on_shutdown: leave")
    daemon = home.daemon()
    gate = home.gate()
    run = home.run(f"shell: echo begun; read line < {gate.path}; echo end; exit 3")
    home.await_output(run, "begun")
    assert daemon.stop() == 0
    assert home.processes_of(run)
    gate.open()
    until(lambda: not home.processes_of(run))
    home.settings("")  # the next one leaves nothing behind
    home.daemon()
    end = home.finished(run)
    assert (end["state"], end["targets"][0]["attempts"][0]["exit_code"]) == ("failed", 3)
    assert home.output(run) == "begun\nend\n"


def test_work_that_is_left_and_still_runs_is_adopted(home: Home) -> None:
    home.settings("on_shutdown: leave")
    first = home.daemon()
    gate = home.gate()
    run = home.run(f"shell: echo begun; read line < {gate.path}; echo end")
    home.await_output(run, "begun")
    assert first.stop() == 0
    home.settings("")
    home.daemon()
    assert home.client.run(run)["state"] == "running"
    gate.open()
    assert home.finished(run)["state"] == "succeeded"


# Slots


def test_the_run_that_finds_no_slot_waits_says_so_and_runs_later(home: Home) -> None:
    home.daemon()
    gate = home.gate()
    held = [home.run(f"shell: read line < {gate.path}") for _ in range(5)]  # the default of max_concurrent_schedules
    sixth = home.run("shell: echo sixth")
    waiting = home.client.run(sixth)
    assert (waiting["state"], waiting["waiting_for"]) == ("waiting", "slot")
    why = home.rota("why", sixth)
    assert "waits for a slot" in why.out
    assert "waiting (slot)" in home.rota("runs", "list").out
    gate.open(times=5)
    assert home.finished(sixth)["state"] == "succeeded"
    assert {home.finished(run)["state"] for run in held} == {"succeeded"}


# Playbooks


@contextmanager
def busy(home: Home) -> Iterator[None]:
    """Something runs meanwhile: then the daemon looks after its chores every second rather than every five."""
    gate = home.gate()
    run = home.run(f"shell: read line < {gate.path}")
    yield
    gate.open()
    home.finished(run)


PLAYBOOK = "name: backup\nsteps:\n  - name: copy\n    exec: {command}\n"


def test_a_playbook_file_is_picked_up_when_it_is_written_and_when_it_changes(home: Home) -> None:
    home.daemon()
    file = home.path / "playbooks" / "backup.yaml"
    with busy(home):
        file.write_text(PLAYBOOK.format(command="echo one"))
        until(lambda: home.client.playbooks()["items"])
        trigger: Body = {"name": "nightly", "triggers": [{"kind": "manual"}], "playbook": "backup", "target": "all"}
        home.client.create_job(trigger)
        assert home.output(ended(home, home.client.trigger_job("nightly")["id"])) == "one\n"
        file.write_text(PLAYBOOK.format(command="echo two"))
        until(lambda: "echo two" in home.client.playbook("backup")["text"])
        assert home.output(ended(home, home.client.trigger_job("nightly")["id"])) == "two\n"


def test_a_faulty_playbook_file_keeps_the_old_text_and_is_told(home: Home) -> None:
    file = home.path / "playbooks" / "backup.yaml"
    file.parent.mkdir()
    file.write_text(PLAYBOOK.format(command="echo one"))
    home.daemon()
    with busy(home):
        assert home.client.playbooks()["items"]  # read at start
        file.write_text("name: backup\nsteps: [{name: x, exce: ls}]\n")
        until(lambda: home.client.playbooks()["items"][0]["faults"])
        assert "echo one" in home.client.playbook("backup")["text"]
        listed = home.rota("playbook", "list")
        assert "exce" in listed.out + listed.err


def test_a_run_keeps_the_playbook_it_began_with(home: Home) -> None:
    home.daemon()
    gate = home.gate()
    steps = "name: backup\nsteps:\n  - {{name: one, exec: 'read line < {}'}}\n  - {{name: two, exec: echo {}}}\n"
    home.client.import_playbook(steps.format(gate.path, "old"))
    run = home.run(playbook="backup", target="all")
    home.client.import_playbook(steps.format(gate.path, "new"))
    gate.open()
    assert home.output(ended(home, run)) == "old\n"
    again = home.client.rerun(run)["id"]  # a rerun is the same plan again
    gate.open()
    assert home.output(ended(home, again)) == "old\n"


def ended(home: Home, run: str) -> str:
    assert home.finished(run)["state"] == "succeeded"
    return run


# Why, and what was missed


def test_what_was_missed_while_no_daemon_ran_is_one_span_that_why_explains(home: Home) -> None:
    first = home.daemon()
    every(home, "tick", 1, "noop", grace_seconds=1)
    due = time.time_ns() // 1000 + 5 * SECOND
    soon = format_rfc3339(due)
    late: Body = {"name": "late", "triggers": [{"kind": "once", "at": soon}], "do": "noop", "grace_seconds": 1}
    home.client.create_job({**late, "missed_run_policy": "run_once"})
    a_run_of(home, "tick")
    first.kill()
    until(lambda: time.time_ns() // 1000 > due + 2 * SECOND)  # what has to pass is time without a daemon
    home.daemon()

    span = until(lambda: home.rows("SELECT * FROM ledger WHERE reason = 'missed' AND job_name = 'tick'"))[0]
    assert span["count"] == (span["last_nominal"] - span["first_nominal"]) // SECOND + 1 >= 2
    why = home.client.why("tick", at=format_rfc3339(span["first_nominal"]))
    assert "no daemon was planning at that time, and the missed-run policy says skip" in why["answer"]
    assert f"missed ×{span['count']}" in home.rota("schedule", "history", "tick").out
    caught = home.client.run(a_run_of(home, "late"))
    assert (caught["trigger"], caught["catch_up"], caught["nominal_at"]) == ("once", True, soon)


def test_why_answers_for_a_run_that_failed(served: Home) -> None:
    run = served.run("shell: exit 4")
    served.finished(run)
    said = served.rota("why", run)
    assert said.code == 0
    assert "failed: a step failed" in said.out
    assert "shell: exit 4" in said.out


def test_why_answers_in_json_too(served: Home) -> None:
    every(served, "asked", 3600, "noop")
    found = json.loads(served.rota("why", "asked", "-o", "json").out)
    assert found["subject"] == "job asked"
    assert found["next_look_at"] is not None


# Settings


def test_with_scheduling_off_the_daemon_starts_and_says_so_and_nothing_fires(home: Home) -> None:
    home.settings("schedule: {enabled: false}")
    daemon = home.daemon()
    assert "schedule.enabled is false" in "\n".join(daemon.banner)
    every(home, "tick", 1, "noop")
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 1.5)
    assert home.client.runs(limit=10)["items"] == []
    assert home.rota("schedule", "trigger", "tick").code == 0


def test_history_older_than_its_keep_goes_when_a_daemon_starts(home: Home) -> None:
    home.settings("schedule: {retention_days: 30}")
    first = home.daemon()
    home.client.create_job({"name": "often", "triggers": [{"kind": "manual"}], "do": "shell: echo kept"})
    runs = [home.finished(home.client.trigger_job("often")["id"]) for _ in range(25)]
    first.stop()
    age(home, 31 * DAY)
    home.daemon()
    kept = until(lambda: _fewer_than(home, 25))
    assert [run["id"] for run in kept] == [run["id"] for run in reversed(runs)][:20]  # the floor: the last 20


def _fewer_than(home: Home, count: int) -> list[Run]:
    runs = home.client.runs(job="often", limit=100)["items"]
    return runs if len(runs) < count else []


def age(home: Home, by: int) -> None:
    """Make the whole history older by `by` µs, as if time had passed while no daemon ran."""
    columns = ("created_at", "due_at", "queued_at", "started_at", "finished_at")
    with closing(sqlite3.connect(home.path / "rota.db")) as store:
        store.execute("UPDATE run SET " + ", ".join(f"{column} = {column} - {by}" for column in columns))
        store.commit()
