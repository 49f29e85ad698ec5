"""Runs, playbooks, why, paths, daemon: what is asked and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.canned import Canned, Json, a_plan, a_run, a_target, an_instance, rota

RUN = "run_00112233aabbccdd"


def a_playbook(**changes: Json) -> Json:
    return {
        "id": "play_" + "2" * 16,
        "name": "backup",
        "description": "Back up",
        "digest": "5f" * 32,
        "steps": a_plan("prepare")["steps"],
        "source": "file:backup.yaml",
        "updated_at": "2026-03-04T02:00:00Z",
        "text": "name: backup\n",
        "vars": {"keep": "7"},
        **changes,
    }


def test_runs_list_shows_what_ran_and_takes_the_printed_words(daemon: Canned) -> None:
    waiting = a_run(state="waiting", waiting_for="slot", started_at=None, duration_seconds=None)
    daemon.on("GET", "/runs", (200, {"items": [a_run(), waiting], "next": None}))
    done = daemon.rota("runs", "list", "--job", "daily-backup", "--state", "partial_failure")
    assert daemon.asked("GET", "/runs").query == {"job": "daily-backup", "state": "partial", "limit": "20"}
    titles, _, *rows = done.stdout.splitlines()
    assert titles.split() == ["ID", "SCHEDULE", "TRIGGER", "STATUS", "STARTED", "DURATION", "HOSTS"]
    assert [" ".join(row.split()) for row in rows] == [
        "run_00112233 daily-backup cron success 2026-03-04 02:00:01 3m 12s 4/4",
        "run_00112233 daily-backup cron waiting (slot) - - 4/4",
    ]


@pytest.mark.parametrize(
    ("state", "reason", "status"),
    [
        ("failed", "keeper_lost", "failure (keeper_lost)"),
        ("failed", "policy_denied", "failure (policy_denied)"),
        ("failed", "step_failed", "failure"),
        ("timed_out", "run_timeout", "timed_out"),
        ("cancelled", "user_cancelled", "cancelled"),
        ("cancelled", "shutdown", "cancelled (shutdown)"),
    ],
)
def test_a_status_has_its_reason_where_the_word_says_too_little(
    daemon: Canned, state: str, reason: str, status: str
) -> None:
    run = a_run(state=state, reason=reason)
    daemon.on("GET", "/runs", (200, {"items": [run], "next": None}))
    daemon.on("GET", "/history", (200, {"items": [{"kind": "run", **run}], "next": None}))
    for words in (("runs", "list"), ("schedule", "history")):
        assert f"  {status}  " in daemon.rota(*words).stdout


def test_a_command_of_several_lines_stands_indented_below_its_step(daemon: Canned) -> None:
    plan = a_plan("one")
    plan["steps"].append({"name": "two", "action": "script", "params": {"script": "set -e\nif x; then\n  y\nfi\n"}})
    daemon.on("GET", f"/runs/{RUN}", (200, a_run(plan=plan)))
    shown = daemon.rota("runs", "show", RUN).stdout
    assert (
        "  1. one  shell: do one\n  2. two  script:\n       set -e\n       if x; then\n         y\n       fi\n" in shown
    )


def test_runs_show_has_a_row_for_each_try_and_for_hosts_that_never_tried(daemon: Canned) -> None:
    attempt = {
        "id": "att_" + "0" * 16, "step": "prepare", "number": 2, "state": "failed", "reason": "step_failed",
        "message": "exit code 1", "evidence": None,
        "started_at": "2026-03-04T02:00:01Z", "finished_at": "2026-03-04T02:00:05Z",
    }  # fmt: skip
    targets = [a_target("web-1", "failed", attempts=[attempt]), a_target("web-2", "cancelled")]
    run = a_run(state="failed", message="a step failed", plan=a_plan("prepare"), targets=targets)
    daemon.on("GET", f"/runs/{RUN}", (200, run))
    shown = [" ".join(line.split()) for line in daemon.rota("runs", "show", RUN).stdout.splitlines()]
    assert "Status: failure" in shown
    assert "Message: a step failed" in shown
    assert "web-1 prepare 2 failure (step_failed) 4s exit code 1" in shown
    assert "web-2 - - cancelled -" in shown


def test_runs_cancel_says_that_it_is_asked_and_not_yet_so(daemon: Canned) -> None:
    daemon.on("POST", f"/runs/{RUN}/cancel", (200, a_run(state="running")))
    assert daemon.rota("runs", "cancel", RUN).stdout.startswith("run_00112233 is being cancelled;")
    daemon.on("POST", f"/runs/{RUN}/cancel", (200, a_run(state="cancelled", reason="user_cancelled")))
    assert daemon.rota("runs", "cancel", RUN).stdout == "run_00112233 cancelled\n"


def test_why_prints_the_answer_first(daemon: Canned) -> None:
    answer = {
        "subject": "job daily-backup",
        "state": "waiting",
        "answer": "It is due at 02:00.",
        "lines": ["one", "two"],
        "next_look_at": "2026-03-05T02:00:00Z",
    }
    daemon.on("GET", "/why/daily-backup", (200, answer))
    done = daemon.rota("why", "daily-backup", "--at", "2026-03-04 02:00", TZ="Asia/Tokyo")
    assert done.stdout == "It is due at 02:00.\n  one\n  two\nNext look at 2026-03-05 02:00:00 UTC\n"
    assert daemon.asked("GET", "/why/daily-backup").query == {"at": "2026-03-03T17:00:00Z"}


def test_why_at_no_time_is_a_usage_error(home: Path) -> None:
    done = rota("why", "x", "--at", "yesterday", home=home)
    assert (done.returncode, "yesterday" in done.stderr) == (2, True)


def test_paths_needs_no_instance(home: Path) -> None:
    printed = json.loads(rota("paths", "-o", "json", home=home / "none").stdout)
    assert printed["socket"] == str(home / "none" / "rota.sock")
    assert {"home", "config", "store", "output", "playbooks", "logs", "engine_lock", "owners", "keeper"} <= set(printed)
    assert "store:       " in rota("paths", home=home).stdout


def test_paths_and_daemon_status_name_the_database_without_its_password(daemon: Canned, home: Path) -> None:
    url = "postgresql://rota:hush@db.example.com/rota"
    assert "database:    sqlite\n" in rota("paths", home=home).stdout
    named = rota("paths", "-o", "json", home=home, ROTA_DATABASE_URL=url)
    assert json.loads(named.stdout)["database"] == "postgresql://rota@db.example.com/rota"
    daemon.on("GET", "/instance", (200, an_instance(database="postgresql://rota@db.example.com/rota")))
    assert "Database:   postgresql://rota@db.example.com/rota\n" in daemon.rota("daemon", "status").stdout


def test_playbooks_are_listed_with_what_was_not_taken(daemon: Canned) -> None:
    item = a_playbook(steps=3, faults=["steps[0]: two actions"])
    del item["text"], item["vars"]
    page = {"items": [item], "next": None, "faults": [{"source": "file:bad.yaml", "errors": ["not YAML"]}]}
    daemon.on("GET", "/playbooks", (200, page))
    done = daemon.rota("playbook", "list")
    assert done.stdout.splitlines()[2].split()[:3] == ["backup", "3", "file:backup.yaml"]
    assert done.stderr.splitlines() == [
        "Warning: file:backup.yaml was not taken, its older text stays: steps[0]: two actions",
        "Warning: file:bad.yaml was not taken: not YAML",
    ]


def test_a_playbook_is_shown_with_variables_steps_and_on_wish_its_text(daemon: Canned) -> None:
    daemon.on("GET", "/playbooks/backup", (200, a_playbook()))
    shown = daemon.rota("playbook", "show", "backup").stdout
    assert "  keep = 7\n" in shown
    assert "  1. prepare  shell: do prepare\n" in shown
    assert "name: backup" not in shown
    assert daemon.rota("playbook", "show", "backup", "-o", "wide").stdout.endswith("\nname: backup\n")


def test_validate_names_every_fault_and_reads_stdin(daemon: Canned) -> None:
    faults = [
        {"field": "steps[0]", "message": "two actions", "expected": "one", "got": ""},
        {"field": "vars", "message": "is a list", "expected": "", "got": ""},
    ]
    daemon.on("POST", "/playbooks:validate", (200, {"valid": False, "errors": faults}))
    done = daemon.rota("playbook", "validate", "-", stdin="name: x\n")
    assert daemon.asked("POST", "/playbooks:validate").body == {"text": "name: x\n"}
    assert done.returncode == 2
    assert "steps[0]: two actions (expected one)" in done.stderr
    assert "vars: is a list" in done.stderr
    assert daemon.rota("playbook", "validate", "-", "-o", "json", stdin="x").returncode == 2


@pytest.mark.parametrize(
    ("content", "word"), [(None, "cannot read"), (b"\xff\xfe", "not text"), (b"x" * 2**21, "larger")]
)
def test_a_file_that_cannot_be_a_playbook_is_refused_before_it_is_sent(
    daemon: Canned, home: Path, content: bytes | None, word: str
) -> None:
    file = home / "p.yaml"
    if content is not None:
        file.write_bytes(content)
    done = daemon.rota("playbook", "import", str(file))
    assert (done.returncode, word in done.stderr, daemon.requests) == (2, True, [])


def test_import_stores_a_file_under_the_name_it_is_given(daemon: Canned, home: Path) -> None:
    (home / "p.yaml").write_text("name: backup\n")
    daemon.on("POST", "/playbooks", (201, a_playbook(name="nightly")))
    done = daemon.rota("playbook", "import", str(home / "p.yaml"), "--name", "nightly")
    assert daemon.asked("POST", "/playbooks").body == {"text": "name: backup\n", "name": "nightly"}
    assert done.stdout == 'Playbook "nightly" imported (5f5f5f5f5f5f)\n'


def test_a_playbook_is_asked_about_before_it_is_removed(daemon: Canned) -> None:
    daemon.on("GET", "/playbooks/backup", (200, a_playbook()))
    daemon.on("DELETE", "/playbooks/backup", (200, {"deleted": "backup"}))
    assert daemon.rota("playbook", "remove", "backup").returncode == 7
    assert not [request for request in daemon.requests if request.method == "DELETE"]
    assert daemon.rota("playbook", "remove", "backup", "--yes").returncode == 0
    assert daemon.asked("DELETE", "/playbooks/backup")


def test_daemon_status_says_what_comes_next(daemon: Canned) -> None:
    daemon.on("GET", "/instance", (200, an_instance()))
    done = daemon.rota("daemon", "status")
    assert "Daemon:     running (PID 48201)\n" in done.stdout
    assert "Schedules:  3 active of 4\n" in done.stdout
    assert "Next run:   daily-backup at 2026-03-05 02:00:00 UTC\n" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("platform", "word"), [("systemd", "[Service]"), ("launchd", "<plist")])
def test_install_redirected_prints_the_unit_and_nothing_else(home: Path, platform: str, word: str) -> None:
    done = rota("daemon", "install", "--platform", platform, home=home)
    assert word in done.stdout
    assert (done.stderr, done.returncode) == ("", 0)


def test_version_is_that_of_the_package(home: Path) -> None:
    from importlib.metadata import version

    assert rota("version", home=home).stdout == f"rota {version('rota')}\n"
