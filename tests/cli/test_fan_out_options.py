"""How fan-out rules, limits and reruns of the failed are typed, and what is printed of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.canned import Canned, Json, a_plan, a_run

RUN = "run_00112233aabbccdd"
RULES = {
    "on_offline": "skip", "lock_hosts": True, "throttle": "10/m", "batch": "1, 10%, 100%", "batch_pause_seconds": 60.0,
    "max_fail": None, "sizes": [1, 2, 22], "open_batch": 2, "next_start_at": None, "bad": 0, "most_bad": 0,
}  # fmt: skip
OPTIONS = (
    "--targets-at-once", "50", "--on-offline", "wait", "--lock", "--throttle", "10/m", "--batch", "1, 10%, 100%",
    "--batch-pause", "5m", "--max-fail", "10%", "--priority", "-3",
)  # fmt: skip
FIELDS = {
    "targets_at_once": 50, "on_offline": "wait", "lock_hosts": True, "throttle": "10/m", "batch": "1, 10%, 100%",
    "batch_pause_seconds": 300.0, "max_fail": "10%", "priority": -3,
}  # fmt: skip


def body_of(daemon: Canned, method: str, path: str) -> dict[str, Any]:
    body: dict[str, Any] = daemon.asked(method, path).body
    return body


def test_run_sends_its_rules(daemon: Canned) -> None:
    daemon.on("POST", "/runs", (200, {"plan": {**a_plan("main"), "hosts": ["web-1"]}}))
    assert daemon.rota("run", "--do", "noop", *OPTIONS, "--dry-run").returncode == 0
    body = body_of(daemon, "POST", "/runs")
    assert {field: body[field] for field in FIELDS} == FIELDS


def test_rules_are_the_schedules_where_one_is_named(daemon: Canned) -> None:
    ended = daemon.rota("run", "daily-backup", "--batch", "5", "--no-lock")
    assert ended.returncode == 2
    assert "--batch" in ended.stderr
    assert "--lock" in ended.stderr
    assert "rota schedule update daily-backup --batch" in ended.stderr


def test_an_empty_text_takes_a_rule_away(daemon: Canned) -> None:
    daemon.on("PATCH", "/jobs/daily-backup", (422, {"code": "invalid_input", "message": "stop here", "errors": []}))
    daemon.rota("schedule", "update", "daily-backup", "--throttle", "", "--no-lock")
    assert body_of(daemon, "PATCH", "/jobs/daily-backup") == {"throttle": None, "lock_hosts": False}


def test_a_fault_of_a_rule_is_told_by_its_option(daemon: Canned) -> None:
    fault = {"field": "batch", "message": '"x" is no number of hosts', "expected": "a number", "got": "x", "hint": ""}
    daemon.on("POST", "/runs", (422, {"code": "invalid_input", "message": "", "errors": [fault]}))
    ended = daemon.rota("run", "--do", "noop", "--batch", "x")
    assert (ended.returncode, "--batch" in ended.stderr) == (2, True)


def test_runs_show_tells_the_rules_and_how_far_they_are(daemon: Canned) -> None:
    daemon.on("GET", f"/runs/{RUN}", (200, a_run(state="running", fan_out=RULES)))
    assert (
        "batches 1, 10%, 100% (2 of 3 open), 60s apart; stops when more than 0 fail (0 did); 10/m; hosts locked; "
        "offline hosts: skip"
    ) in " ".join(daemon.rota("runs", "show", RUN).stdout.split())


def test_rerun_of_the_failed_asks_for_just_that_and_tells_who_is_left_out(daemon: Canned) -> None:
    planned = {"plan": {**a_plan("main"), "hosts": ["web-2"]}, "warnings": ["left out, as disabled: web-3"]}
    daemon.on("POST", f"/runs/{RUN}/rerun", (200, planned))
    ended = daemon.rota("runs", "rerun", RUN, "--failed", "--dry-run")
    assert "Would run on: web-2" in ended.stdout
    assert "Warning: left out, as disabled: web-3" in ended.stderr
    assert daemon.asked("POST", f"/runs/{RUN}/rerun").query == {"failed": "true", "dry_run": "true"}


def test_limits_are_listed(daemon: Canned) -> None:
    items = [{"key": "runs", "cap": 5, "used": 1}, {"key": "site:lon", "cap": 20, "used": 20}]
    daemon.on("GET", "/limits", (200, {"items": items, "next": None}))
    shown = [" ".join(line.split()) for line in daemon.rota("limits", "list").stdout.splitlines()]
    assert [shown[0], *shown[-2:]] == ["KEY LIMIT USED", "runs 5 1", "site:lon 20 20"]


@pytest.mark.parametrize(("dry", "said"), [((), "is limited to 3"), (("--dry-run",), "would be limited to 3")])
def test_a_limit_is_set(daemon: Canned, dry: tuple[str, ...], said: str) -> None:
    daemon.on("PUT", "/limits/targets", (200, {"key": "targets", "cap": 3, "used": 1, "warnings": ["mind the gap"]}))
    ended = daemon.rota("limits", "set", "targets", "3", *dry)
    assert f"targets {said} at one time (1 now)" in ended.stdout
    assert "Warning: mind the gap" in ended.stderr
    assert body_of(daemon, "PUT", "/limits/targets") == {"cap": 3}


def test_a_limit_is_taken_away(daemon: Canned) -> None:
    daemon.on("DELETE", "/limits/site%3Alon", (200, {"deleted": "site:lon"}))
    assert daemon.rota("limits", "remove", "site:lon").stdout == "site:lon is not limited any more\n"


def test_why_asks_about_a_host_of_a_run(daemon: Canned) -> None:
    answer: Json = {"subject": "s", "state": "queued", "answer": "web-1 waits", "lines": [], "next_look_at": None}
    daemon.on("GET", f"/why/{RUN}", (200, answer))
    assert daemon.rota("why", RUN, "web-1").stdout == "web-1 waits\n"
    assert daemon.asked("GET", f"/why/{RUN}").query == {"host": "web-1"}
