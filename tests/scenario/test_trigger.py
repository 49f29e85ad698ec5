"""`schedule trigger` and `run`, with and without a daemon."""

from __future__ import annotations

import json
import os

from tests.support.daemon import NOBODY, Home, until

FAILED, CONFLICT, UNAVAILABLE, TIMED_OUT, SKIPPED = 1, 5, 6, 8, 9


def create(home: Home, name: str, do: str, *more: str) -> None:
    said = home.rota("schedule", "create", "--name", name, "--do", do, *(more or ("--manual",)))
    assert said.code == 0, said.err


def test_without_a_daemon_the_command_itself_carries_out_the_run(home: Home) -> None:
    create(home, "hello", "shell: echo hello")
    said = home.rota("schedule", "trigger", "hello")
    assert said.code == 0
    assert "@controller| hello" in said.out
    assert home.rows("SELECT kind, state FROM run")[0]["state"] == "succeeded"
    assert home.processes() == {}


def test_create_without_a_daemon_says_that_nothing_fires_until_one_runs(home: Home) -> None:
    said = home.rota("schedule", "create", "--name", "x", "--every", "1h", "--do", "noop")
    assert said.code == 0
    assert "rota daemon" in said.err


def test_the_exit_code_is_the_runs(served: Home) -> None:
    assert served.rota("run", "--do", "shell: exit 3").code == FAILED
    assert served.rota("run", "--do", "shell: sleep 60", "--run-timeout", "1s").code == TIMED_OUT


def test_no_wait_needs_a_daemon(home: Home) -> None:
    create(home, "hello", "shell: echo hello")
    said = home.rota("schedule", "trigger", "hello", "--no-wait")
    assert said.code == UNAVAILABLE
    assert "start a daemon with: rota daemon" in said.err
    assert home.rows("SELECT * FROM run") == []


def test_no_wait_with_a_daemon_names_the_run_and_returns_at_once(served: Home) -> None:
    create(served, "long", "shell: sleep 300")
    said = served.rota("schedule", "trigger", "long", "--no-wait", "-o", "name")
    run = said.out.strip()
    assert said.code == 0
    assert served.client.run(run)["state"] == "running"
    served.client.cancel_run(run)
    assert served.finished(run)["state"] == "cancelled"


def test_a_trigger_while_the_previous_run_is_unfinished_is_skipped_with_exit_9(served: Home) -> None:
    gate = served.gate()
    create(served, "busy", f"shell: read line < {gate.path}")
    first = served.client.trigger_job("busy")["id"]
    said = served.rota("schedule", "trigger", "busy")
    assert said.code == SKIPPED
    assert "overlap policy says skip" in said.err
    gate.open()
    served.finished(first)
    why = served.rota("why", "busy").out
    assert "Last refusal" in why
    assert "the previous run was still unfinished" in why


def test_three_runs_of_an_allow_job_go_side_by_side_and_the_fourth_is_skipped(served: Home) -> None:
    gate = served.gate()
    create(served, "beside", f"shell: read line < {gate.path}", "--manual", "--overlap-policy", "allow")
    runs = [served.client.trigger_job("beside")["id"] for _ in range(3)]
    assert {served.client.run(run)["state"] for run in runs} == {"running"}
    assert served.rota("schedule", "trigger", "beside").code == SKIPPED
    gate.open(times=3)
    assert [served.finished(run)["state"] for run in runs] == ["succeeded"] * 3


def test_a_disabled_job_can_be_triggered_and_why_says_that_it_is_disabled(served: Home) -> None:
    create(served, "off", "shell: echo ran", "--every", "1s", "--enabled", "false")
    assert served.rota("schedule", "trigger", "off").code == 0
    runs = served.client.runs(job="off", limit=10)["items"]
    assert [run["trigger"] for run in runs] == ["manual"]
    why = served.rota("why", "off")
    assert why.code == 0
    assert 'Schedule "off" is disabled' in why.out
    assert "rota schedule enable off" in why.out


def test_a_manual_run_moves_nothing(served: Home) -> None:
    create(served, "yearly", "noop", "--cron", "0 2 29 2 *")
    before = json.loads(served.rota("schedule", "show", "yearly", "-o", "json").out)
    row = "SELECT d.* FROM due d JOIN trigger t ON t.id = d.trigger_id JOIN job j ON j.id = t.job_id WHERE j.name = ?"
    due = [tuple(one) for one in served.rows(row, "yearly")]
    assert served.rota("schedule", "trigger", "yearly").code == 0
    after = json.loads(served.rota("schedule", "show", "yearly", "-o", "json").out)
    assert after["next_runs"] == before["next_runs"]
    assert [tuple(one) for one in served.rows(row, "yearly")] == due


def test_variables_of_a_trigger_hold_for_that_run_only(served: Home) -> None:
    create(served, "greet", "shell: echo hello {{ vars.who }}", "--manual", "--var", "who=world")
    assert "hello moon" in served.rota("schedule", "trigger", "greet", "--var", "who=moon").out
    assert "hello world" in served.rota("schedule", "trigger", "greet").out


def test_a_trigger_pressed_into_ctrl_c_cancels_what_the_command_itself_carries_out(home: Home) -> None:
    create(home, "long", "shell: echo begun; sleep 300")
    command = home.start("schedule", "trigger", "long")
    until(lambda: "sleep" in str(home.processes()))
    os.kill(command.pid, 2)
    said = home.end_of(command)
    assert said.code != 0
    assert home.rows("SELECT state, reason FROM run")[0]["state"] == "cancelled"
    assert home.processes() == {}


if os.geteuid() == 0:  # only root may run a command as somebody else

    def test_a_command_can_run_as_another_user(served: Home) -> None:
        served.scratch.chmod(0o755)
        run = served.run("shell: {command: 'id -u; echo $USER', run_as: nobody, cwd: /}")
        assert served.finished(run)["state"] == "succeeded"
        assert served.output(run) == f"{NOBODY}\nnobody\n"

    def test_a_user_that_does_not_exist_fails_the_step_and_is_named(served: Home) -> None:
        run = served.finished(served.run("shell: {command: id, run_as: noone-of-that-name}"))
        assert run["state"] == "failed"
        assert "noone-of-that-name" in str(run["targets"])
