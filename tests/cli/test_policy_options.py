"""How policies are typed, what is sent of them, and what `schedule show` says of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.canned import Canned, Json, a_job

OPTIONS = (
    "--overlap-policy", "queue", "--overlap-limit", "2", "--queue-timeout", "2h", "--start-within", "10m",
    "--missed-run-policy", "run_all", "--catch-up-max", "5", "--catch-up-window", "6h", "--catch-up-rate", "30/m",
    "--step-timeout", "90s", "--total-timeout", "15m", "--retries", "3", "--retry-delay", "2s",
    "--retry-backoff", "exponential", "--retry-max-delay", "1m", "--retry-jitter", "10%",
    "--retry-on", "exit:75,timed_out", "--retry-on", "unreachable", "--idempotent", "--on-lost", "retry",
)  # fmt: skip
FIELDS: dict[str, Any] = {
    "overlap_policy": "queue", "overlap_limit": 2, "queue_timeout_seconds": 7200.0, "start_within_seconds": 600.0,
    "missed_run_policy": "run_all", "catch_up_max": 5, "catch_up_window_seconds": 21600.0, "catch_up_rate": "30/m",
    "step_timeout_seconds": 90.0, "total_timeout_seconds": 900.0, "retries": 3, "retry_delay_seconds": 2.0,
    "retry_backoff": "exponential", "retry_max_delay_seconds": 60.0, "retry_jitter": 0.1,
    "retry_on": ["exit:75", "timed_out", "unreachable"], "idempotent": True, "on_lost": "retry",
}  # fmt: skip
STEP = {"name": "shell", "action": "shell", "params": {"command": "df -h"}, "retry_delay_seconds": 5.0}


def sent(daemon: Canned, *options: str) -> dict[str, Any]:
    """The body of an update with these options; the answer stops it there."""
    daemon.on("PATCH", "/jobs/daily-backup", (422, {"code": "invalid_input", "message": "stop here", "errors": []}))
    daemon.rota("schedule", "update", "daily-backup", *options)
    body: dict[str, Any] = daemon.asked("PATCH", "/jobs/daily-backup").body
    return body


def shown(daemon: Canned, **said: Json) -> str:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job(**said)))
    return daemon.rota("schedule", "show", "daily-backup").stdout


def test_every_option_is_sent_in_the_apis_field(daemon: Canned) -> None:
    assert sent(daemon, *OPTIONS) == FIELDS


def test_an_empty_text_takes_an_option_away(daemon: Canned) -> None:
    options = ("--overlap-limit", "", "--queue-timeout", "", "--retry-on", "", "--retry-jitter", "", "--on-lost", "")
    assert sent(daemon, *options) == {
        "overlap_limit": None, "queue_timeout_seconds": None, "retry_on": [], "retry_jitter": None, "on_lost": None,
    }  # fmt: skip


def test_no_delay_is_a_delay(daemon: Canned) -> None:
    assert sent(daemon, "--retry-delay", "0s") == {"retry_delay_seconds": 0.0}


def test_timeout_is_that_of_the_run_and_of_its_steps(daemon: Canned) -> None:
    assert sent(daemon, "--timeout", "1h") == {"run_timeout_seconds": 3600.0, "step_timeout_seconds": 3600.0}


def test_timeout_does_not_go_with_either_of_the_two(daemon: Canned) -> None:
    ended = daemon.rota("schedule", "update", "daily-backup", "--timeout", "1h", "--run-timeout", "2h")
    assert (ended.returncode, "--timeout: does not go with --run-timeout" in ended.stderr) == (2, True)


def test_a_fault_is_told_by_its_option_also_where_it_is_in_the_step(daemon: Canned) -> None:
    faults = [
        {"field": field, "message": "is wrong", "expected": "", "got": "", "hint": ""}
        for field in ("overlap_limit", "catch_up_window_seconds", "steps[0].retry_on")
    ]
    daemon.on("PATCH", "/jobs/daily-backup", (422, {"code": "invalid_input", "message": "", "errors": faults}))
    said = daemon.rota("schedule", "update", "daily-backup", "--retries", "3").stderr
    assert all(f"{option}: is wrong" in said for option in ("--overlap-limit", "--catch-up-window", "--retry-on"))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"overlap_policy": "queue", "overlap_limit": 2}, "Overlap:     queue (at most 2 wait)"),
        ({"overlap_policy": "allow", "overlap_limit": 5}, "Overlap:     allow (at most 5 at once)"),
        ({"missed_run_policy": "run_all", "catch_up_max": 5, "catch_up_window_seconds": 21600.0,
          "catch_up_rate": "30/m"},
         "Missed Run:  run_all (at most 5, not older than 6h, 30/m)"),
        ({"start_within_seconds": 600.0}, "Start Within: 10m"),
        ({"queue_timeout_seconds": 7200.0}, "Queue Timeout: 2h"),
        ({"step_timeout_seconds": 90.0}, "Step Timeout: 1m30s"),
        ({"steps": [{**STEP, "retries": 3}]}, "Retries:     3, 5s apart"),
        ({"steps": [{**STEP, "retries": 3, "retry_backoff": "exponential"}]},
         "Retries:     3, 5s apart, then twice as long each time up to 5m, ±20%"),
        ({"steps": [{**STEP, "retries": 1, "retry_on": ["exit:75", "timed_out"]}]}, "Retry On:    exit:75, timed_out"),
        ({"steps": [{**STEP, "idempotent": True}]}, "On Lost:     retry (idempotent)"),
        ({"steps": [{**STEP, "on_lost": "continue"}]}, "On Lost:     continue"),
        ({"steps": [{**STEP, "total_timeout_seconds": 900.0}]}, "Total Timeout: 15m"),
    ],
)  # fmt: skip
def test_show_says_what_a_schedule_says_and_only_that(daemon: Canned, said: dict[str, Any], line: str) -> None:
    assert line in shown(daemon, **said)
    assert line not in shown(daemon)
