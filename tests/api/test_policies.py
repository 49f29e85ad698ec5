"""Policies over the API: what is taken, what is told back, what is refused, all faults at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import Rota

SAID: dict[str, Any] = {
    "overlap_policy": "queue", "overlap_limit": 2, "missed_run_policy": "run_all", "catch_up_max": 5,
    "catch_up_window_seconds": 7200.0, "catch_up_rate": "30/m", "start_within_seconds": 600.0,
    "queue_timeout_seconds": 900.0, "step_timeout_seconds": 60.0,
}  # fmt: skip
TRIES: dict[str, Any] = {
    "retries": 3, "retry_delay_seconds": 2.0, "retry_backoff": "exponential", "retry_max_delay_seconds": 60.0,
    "retry_jitter": 0.1, "retry_on": ["exit:75", "timed_out"], "idempotent": True, "on_lost": "retry",
    "total_timeout_seconds": 900.0,
}  # fmt: skip
TWO_STEPS = [{"name": name, "action": "shell", "params": {"command": "true"}} for name in ("a", "b")]


def fields_of(answer: Any) -> list[str]:
    return [fault["field"] for fault in answer.json["errors"]]


async def test_what_a_job_says_is_told_back(rota: Rota) -> None:
    await rota.a_job(**SAID)
    job = (await rota.api.get("/jobs/daily-backup")).json
    assert {field: job[field] for field in SAID} == SAID


async def test_a_job_that_says_nothing_has_nothing_set(rota: Rota) -> None:
    job = await rota.a_job()
    assert (job["overlap_policy"], job["missed_run_policy"]) == ("skip", "skip")
    assert [job[field] for field in SAID if field not in {"overlap_policy", "missed_run_policy"}] == [None] * 7


async def test_a_field_can_be_changed_and_taken_away(rota: Rota) -> None:
    await rota.a_job(**SAID)
    changed = await rota.api.patch("/jobs/daily-backup", {"overlap_limit": 5, "start_within_seconds": None})
    assert changed.json["changes"] == [
        {"field": "overlap_limit", "old": 2, "new": 5},
        {"field": "start_within_seconds", "old": 600.0, "new": None},
    ]


async def test_all_that_is_wrong_is_told_at_once(rota: Rota) -> None:
    answer = await rota.api.post(
        "/jobs",
        {"name": "x", "do": "noop", "overlap_limit": 0, "catch_up_rate": "often", "start_within_seconds": -1,
         "missed_run_policy": "run_all", "overlap_policy": "queue", "queue_max_age": 5, "retries": 101},
    )  # fmt: skip
    assert answer.status == 422
    assert {*fields_of(answer)} >= {
        "overlap_limit", "catch_up_rate", "start_within_seconds", "queue_max_age", "retries",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"overlap_limit": 2}, "overlap_limit"),
        ({"overlap_policy": "cancel_running", "overlap_limit": 2}, "overlap_limit"),
        ({"missed_run_policy": "run_once", "catch_up_max": 2}, "catch_up_max"),
    ],
)
async def test_a_limit_of_nothing_is_refused(rota: Rota, fields: dict[str, Any], at: str) -> None:
    answer = await rota.api.post("/jobs", {"name": "x", "do": "noop", **fields})
    assert fields_of(answer) == [at]


async def test_changing_the_policy_away_from_under_its_limit_is_refused(rota: Rota) -> None:
    await rota.a_job(**SAID)
    answer = await rota.api.patch("/jobs/daily-backup", {"overlap_policy": "skip"})
    assert fields_of(answer) == ["overlap_limit"]


# a job's tries are those of its only step


async def test_a_jobs_tries_are_those_of_its_only_step(rota: Rota) -> None:
    job = await rota.a_job(**TRIES)
    [step] = job["steps"]
    assert {field: step[field] for field in TRIES} == TRIES


async def test_a_steps_own_words_are_taken_too(rota: Rota) -> None:
    job = await rota.a_job(steps=[{**TWO_STEPS[0], **TRIES}, TWO_STEPS[1]])
    assert {field: job["steps"][0][field] for field in TRIES} == TRIES


async def test_of_several_steps_each_has_to_say_it(rota: Rota) -> None:
    answer = await rota.api.post("/jobs", {"name": "x", "steps": TWO_STEPS, "retries": 3, "on_lost": "stop"})
    assert fields_of(answer) == ["retries", "on_lost"]
    assert "there are 2" in answer.json["errors"][0]["message"]


async def test_of_a_playbook_its_steps_have_to_say_it(rota: Rota) -> None:
    await rota.a_playbook()
    answer = await rota.api.post("/jobs", {"name": "x", "playbook": "backup", "target": "all", "retries": 3})
    assert fields_of(answer) == ["retries"]
    assert answer.json["errors"][0]["expected"] == "it on the playbook's own steps"


async def test_the_tries_of_a_job_can_be_changed_by_themselves(rota: Rota) -> None:
    await rota.a_job(**TRIES)
    changed = await rota.api.patch("/jobs/daily-backup", {"retries": 1, "retry_on": None})
    assert changed.json["changes"] == [
        {"field": "retries", "old": 3, "new": 1},
        {"field": "retry_on", "old": ["exit:75", "timed_out"], "new": []},
    ]


async def test_without_retries_nothing_is_left_of_how(rota: Rota) -> None:
    await rota.a_job(**TRIES)
    changed = await rota.api.patch("/jobs/daily-backup", {"retries": 0})
    assert changed.status == 200
    assert "retry_backoff" not in changed.json["job"]["steps"][0]


async def test_words_about_tries_that_nothing_would_honour_are_refused(rota: Rota) -> None:
    answer = await rota.api.post("/jobs", {"name": "x", "do": "noop", "retry_jitter": 0.2, "on_lost": "retry"})
    assert fields_of(answer) == ["steps[0].retry_jitter", "steps[0].on_lost"]
