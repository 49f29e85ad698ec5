"""Pause and resume over the API."""

from __future__ import annotations

import pytest

from rota.domain.instant import HOUR, parse_rfc3339
from tests.support.builders import Rota


async def test_a_pause_says_who_until_when_and_why(rota: Rota) -> None:
    body = {"all": True, "until": "2026-03-04 18:00", "timezone": "Europe/Berlin", "reason": "storage migration"}
    made = await rota.api.post("/pauses", body)
    assert made.status == 201
    assert {key: made.json[key] for key in ("scope", "until", "by", "state")} == {
        "scope": "all", "until": "2026-03-04T17:00:00Z", "by": rota.me, "state": "active",
    }  # fmt: skip
    said = f"everything is paused by {rota.me} until 2026-03-04T17:00:00Z: storage migration"
    assert made.json["said"] == said
    assert (await rota.api.get("/pauses")).json["items"] == [made.json]


async def test_jobs_say_that_they_are_paused_and_stay_enabled(rota: Rota) -> None:
    await rota.a_job("prod", tags={"env": "prod"})
    await rota.a_job("free")
    await rota.api.post("/pauses", {"tag": "env=prod"})
    for fields in ("list", "all"):
        items = (await rota.api.get("/jobs", fields=fields)).json["items"]
        assert [(job["name"], job["enabled"], job["paused"] is not None) for job in items] == [
            ("free", True, False), ("prod", True, True),
        ]  # fmt: skip
    job = (await rota.api.get("/jobs/prod")).json
    assert job["paused"]["said"] == f"tag env=prod is paused by {rota.me} until it is resumed"
    assert [one.get("reason") for one in job["next_runs"]] == ["paused"]


async def test_why_says_who_paused_a_job(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.post("/pauses", {"job": "daily-backup", "reason": "moving"})
    why = (await rota.api.get("/why/daily-backup")).json
    assert why["state"] == "paused"
    assert why["answer"] == (
        f'Schedule "daily-backup" does not start by itself: paused by {rota.me} until it is resumed: moving'
    )
    assert why["lines"][-1].endswith("rota resume daily-backup")


async def test_resuming_ends_exactly_that_pause(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.post("/pauses", {"all": True})
    await rota.api.post("/pauses", {"job": "daily-backup"})
    resumed = (await rota.api.post("/pauses:resume", {"all": True})).json["items"]
    assert [(one["scope"], one["state"]) for one in resumed] == [("all", "over")]
    assert (await rota.api.get("/jobs/daily-backup")).json["paused"]["scope"] == "job"
    ended = (await rota.api.get("/pauses", ended=True)).json["items"]
    assert [(one["scope"], one["state"]) for one in ended] == [("job", "active"), ("all", "over")]


async def test_what_is_paused_is_not_paused_twice_and_what_is_not_cannot_be_resumed(rota: Rota) -> None:
    await rota.api.post("/pauses", {"all": True})
    again = await rota.api.post("/pauses", {"all": True})
    assert (again.status, again.json["hint"]) == (409, "first: rota resume --all")
    other = await rota.api.post("/pauses:resume", {"tag": "env"})
    assert other.status == 409
    assert other.json["message"].startswith("there is no pause of tag env; what is paused: everything (")


async def test_a_pause_is_over_when_its_time_is(rota: Rota) -> None:
    await rota.api.post("/pauses", {"all": True, "until": "2026-03-04T13:00:00Z"})
    rota.at("2026-03-04T13:00:00Z")
    assert (await rota.api.get("/pauses")).json["items"] == []
    assert (await rota.api.post("/pauses", {"all": True})).status == 201


async def test_everything_that_is_wrong_with_a_pause_is_told_at_once(rota: Rota) -> None:
    answer = await rota.api.post("/pauses", {"all": True, "tag": "x", "until": "2020-01-01", "reason": "y" * 600})
    assert answer.status == 422
    assert [fault["field"] for fault in answer.json["errors"]] == ["all", "until", "reason"]
    assert (await rota.api.post("/pauses", {})).status == 422
    assert (await rota.api.post("/pauses", {"job": "nobody"})).status == 404


async def test_a_paused_job_can_still_be_triggered_by_a_person(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.post("/pauses", {"all": True})
    await rota.a_run()


@pytest.mark.parametrize("until", ["2h", "+2h", "in 2h", "at 14:00"])
async def test_a_pause_may_last_for_a_length_of_time(rota: Rota, until: str) -> None:
    made = await rota.api.post("/pauses", {"all": True, "until": until})
    assert parse_rfc3339(made.json["until"]) == rota.clock.now() + 2 * HOUR
