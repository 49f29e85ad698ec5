"""Calendars, windows and spread over the API: what is taken, what is refused, what previews show."""

from __future__ import annotations

from typing import Any

import pytest

from rota.domain.spreading import Spreading
from tests.support.builders import Rota

FREEZE = {"name": "freeze", "rules": ["2026-03-05..2026-03-06"], "applies_to": ["all"]}


async def a_calendar(rota: Rota, **fields: Any) -> Any:
    answer = await rota.api.post("/calendars", {**FREEZE, **fields})
    assert answer.status == 201, answer.json
    return answer.json


def faults(answer: Any) -> list[str]:
    assert answer.status in {404, 422}, answer.json
    return [fault["field"] for fault in answer.json["errors"]]


async def test_a_calendar_is_shown_in_its_one_spelling_with_its_next_windows(rota: Rota) -> None:
    made = await a_calendar(rota, rules=["Monday-Friday 8:00-18:00"], timezone="Europe/Berlin", effect="allow")
    assert made["rules"] == ["mon-fri 08:00-18:00"]
    assert made["applies_to"] == ["all:skip"]
    assert made["next_windows"][:2] == [
        {"start": "2026-03-04T12:00:00Z", "end": "2026-03-04T17:00:00Z"},
        {"start": "2026-03-05T07:00:00Z", "end": "2026-03-05T17:00:00Z"},
    ]
    assert (await rota.api.get("/calendars/freeze")).json == made
    listed = (await rota.api.get("/calendars")).json["items"]
    assert listed == [{key: value for key, value in made.items() if key != "next_windows"}]


async def test_everything_that_is_wrong_with_a_calendar_is_told_at_once(rota: Rota) -> None:
    answer = await rota.api.post(
        "/calendars", {"name": "?", "rules": ["never", "daily"], "applies_to": ["group", "all"], "effect": "no"}
    )
    assert faults(answer) == ["effect", "applies_to[0]", "name", "rules[0]"]


async def test_a_calendar_has_windows_and_a_zone_that_exists(rota: Rota) -> None:
    assert faults(await rota.api.post("/calendars", {"name": "empty"})) == ["rules"]
    assert faults(await rota.api.post("/calendars", {**FREEZE, "timezone": "Mars/Olympus"})) == ["timezone"]


async def test_a_name_is_taken_once_and_kept(rota: Rota) -> None:
    await a_calendar(rota)
    assert (await rota.api.post("/calendars", FREEZE)).status == 409
    assert faults(await rota.api.patch("/calendars/freeze", {"name": "other"})) == ["name"]


async def test_a_calendar_for_a_group_that_does_not_exist_is_refused(rota: Rota) -> None:
    answer = await rota.api.post("/calendars", {**FREEZE, "applies_to": ["group:db"]})
    assert answer.status == 404
    assert faults(answer) == ["applies_to"]


async def test_a_dry_run_shows_a_calendar_and_saves_nothing(rota: Rota) -> None:
    answer = await rota.api.post("/calendars", FREEZE, dry_run=True)
    assert (answer.status, answer.json["name"]) == (200, "freeze")
    assert (await rota.api.get("/calendars")).json["items"] == []


async def test_a_calendar_that_jobs_name_stays(rota: Rota) -> None:
    await a_calendar(rota, applies_to=[])
    await rota.a_job(calendars=["freeze:defer"])
    assert (await rota.api.get("/calendars/freeze")).json["jobs"] == ["daily-backup"]
    answer = await rota.api.delete("/calendars/freeze")
    assert answer.status == 409
    assert "daily-backup" in answer.json["message"]
    await rota.api.patch("/jobs/daily-backup", {"calendars": []})
    assert (await rota.api.delete("/calendars/freeze")).json == {"deleted": "freeze"}


async def test_a_job_names_only_calendars_that_exist(rota: Rota) -> None:
    await a_calendar(rota)
    body = {"name": "x", "do": "noop", "triggers": [{"kind": "manual"}], "calendars": ["freese"]}
    answer = await rota.api.post("/jobs", body)
    assert answer.status == 404
    assert answer.json["errors"][0]["hint"] == 'did you mean "freeze"?'


async def test_a_preview_marks_what_a_blackout_drops_and_shows_as_many_starts_as_ever(rota: Rota) -> None:
    await a_calendar(rota)
    job = await rota.a_job()
    assert [(one["at"][8:10], one.get("reason")) for one in job["next_runs"]] == [
        ("05", "blackout"), ("07", None), ("08", None), ("09", None), ("10", None), ("11", None),
    ]  # fmt: skip
    dropped = job["next_runs"][0]
    assert (dropped["count"], dropped["until"]) == (2, "2026-03-06T02:00:00Z")
    assert dropped["note"] == 'calendar "freeze"'


async def test_a_preview_shows_when_what_is_put_off_really_starts(rota: Rota) -> None:
    await a_calendar(rota, applies_to=[])
    job = await rota.a_job(calendars=["freeze:defer"])
    first, merged, second = job["next_runs"][:3]
    assert (first["nominal_at"], first["at"]) == ("2026-03-05T02:00:00Z", "2026-03-07T00:00:00Z")
    assert first["note"] == 'put off by calendar "freeze", due 2026-03-05T02:00:00Z'
    assert (merged["reason"], merged["count"]) == ("blackout", 1)
    assert second["at"] == "2026-03-07T02:00:00Z"


async def test_a_preview_of_a_bare_expression_knows_what_concerns_everything(rota: Rota) -> None:
    await a_calendar(rota)
    await a_calendar(rota, name="others", applies_to=["tag:x"], rules=["daily"])
    found = (await rota.api.get("/preview", cron="0 2 * * *", count=1)).json["next_runs"]
    assert [(one["at"][8:10], one.get("reason")) for one in found] == [("05", "blackout"), ("07", None)]


async def test_spread_is_shown_before_the_job_is_saved_and_kept_after(rota: Rota) -> None:
    body = {"triggers": [{"kind": "cron", "expression": "0 2 * * *"}], "do": "noop", "spread_seconds": 600}
    shown = (await rota.api.post("/jobs", {"name": "nightly", **body}, dry_run=True)).json["next_runs"]
    saved = (await rota.api.post("/jobs", {"name": "nightly", **body})).json["next_runs"]
    assert shown == saved
    offset = Spreading("nightly", 600_000_000).fixed
    assert offset > 0, "the hash of this name"
    assert saved[0]["nominal_at"] == "2026-03-05T02:00:00Z"
    assert saved[0]["at"] == f"2026-03-05T02:{offset // 60_000_000:02}:{offset // 1_000_000 % 60:02}Z"
    assert saved[0]["note"].startswith("spread: ")


async def test_a_spread_start_that_is_still_to_come_is_shown_after_its_instant_has_passed(rota: Rota) -> None:
    await rota.a_job("nightly", spread_seconds=600)
    rota.at("2026-03-05T02:00:01Z")
    assert (await rota.api.get("/jobs/nightly")).json["next_runs"][0]["nominal_at"] == "2026-03-05T02:00:00Z"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"spread_seconds": 86_400}, "spread_seconds"),
        ({"jitter_seconds": 50_000, "spread_seconds": 40_000}, "jitter_seconds"),
        ({"spread_seconds": -1}, "spread_seconds"),
        ({"windows": [{"window": "sometimes"}]}, "windows[0]"),
        ({"windows": [{"window": "daily", "timezone": "Mars/Olympus"}]}, "windows[0]"),
        ({"calendars": [""]}, "calendars[0]"),
        ({"tags": {"?": "x"}}, "tags.?"),
    ],
)
async def test_a_fault_is_told_by_its_field(rota: Rota, fields: dict[str, Any], field: str) -> None:
    body = {"name": "x", "do": "noop", "triggers": [{"kind": "cron", "expression": "0 2 * * *"}], **fields}
    assert faults(await rota.api.post("/jobs", body)) == [field]


async def test_a_window_of_a_job_is_in_the_zone_of_its_trigger(rota: Rota) -> None:
    trigger = {"kind": "cron", "expression": "0 * * * *", "timezone": "America/New_York"}
    job = await rota.a_job(triggers=[trigger], windows=[{"window": "daily 02:00-03:00:defer"}])
    assert job["windows"] == [{"window": "daily 02:00-03:00", "timezone": "America/New_York", "on_hit": "defer"}]
    starts = [(one["at"], "nominal_at" in one) for one in job["next_runs"] if "reason" not in one]
    assert starts[:2] == [("2026-03-05T07:00:00Z", True), ("2026-03-05T07:00:00Z", False)]


async def test_tags_are_merged_and_lists_are_filtered_by_them(rota: Rota) -> None:
    await rota.a_job("a", tags={"env": "prod", "edge": ""})
    await rota.a_job("b", tags={"env": "test"})
    await rota.a_job("c")

    async def named(tag: str) -> list[str]:
        return [job["name"] for job in (await rota.api.get("/jobs", tag=tag, fields="list")).json["items"]]

    assert (await named("env"), await named("env=prod"), await named("env=prod,edge")) == (["a", "b"], ["a"], ["a"])
    assert await named("edge,env=test") == []
    changed = (await rota.api.patch("/jobs/a", {"tags": {"edge": None, "site": "hq"}})).json
    assert changed["job"]["tags"] == {"env": "prod", "site": "hq"}
    assert (await rota.api.get("/jobs", tag="?")).status == 422


async def test_what_is_shown_of_a_job_may_be_sent_back(rota: Rota) -> None:
    await a_calendar(rota, applies_to=[])
    windows = [{"window": "mon-fri 08:00-18:00", "timezone": "UTC", "on_hit": "skip"}]
    job = await rota.a_job(calendars=["freeze:skip"], windows=windows, tags={"k": ""}, spread_seconds=60.0)
    names = ("calendars", "windows", "tags", "spread_seconds", "jitter_seconds")
    answer = await rota.api.patch("/jobs/daily-backup", {name: job[name] for name in names})
    assert answer.json["changes"] == []


async def test_why_tells_what_keeps_a_job_from_starting(rota: Rota) -> None:
    await a_calendar(rota)
    await rota.a_job()
    said = (await rota.api.get("/why/daily-backup")).json["answer"]
    assert said.endswith('and will not start then: calendar "freeze"')
    await rota.api.patch("/calendars/freeze", {"applies_to": ["all:defer"]})
    said = (await rota.api.get("/why/daily-backup")).json["answer"]
    assert said.endswith('and will be put off until 2026-03-07 00:00:00 UTC by calendar "freeze"')


async def test_a_run_that_was_put_off_says_so_and_why_tells_by_whom(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    due, started = rota.at("2026-03-05T02:00:00Z"), rota.at("2026-03-05T06:00:00Z")
    await rota.sql(
        "UPDATE run SET kind = 'cron', nominal = ?, due_at = ?, deferred_by = 'calendar \"freeze\"'", due, started
    )
    found = (await rota.api.get(f"/runs/{run['id']}")).json
    assert (found["nominal_at"], found["due_at"]) == ("2026-03-05T02:00:00Z", "2026-03-05T06:00:00Z")
    assert found["deferred_by"] == 'calendar "freeze"'
    line = (await rota.api.get(f"/why/{run['id']}")).json["lines"][0]
    assert line.startswith(
        'Due by cron at 2026-03-05 02:00:00 UTC, put off until 2026-03-05 06:00:00 UTC by calendar "freeze", as '
    )


async def test_why_tells_that_a_start_is_put_off_just_now(rota: Rota) -> None:
    await a_calendar(rota, applies_to=["all:defer"])
    await rota.a_job()
    end = rota.at("2026-03-07T00:00:00Z")
    rota.at("2026-03-05T12:00:00Z")
    await rota.sql("UPDATE due SET fire_at = ?, deferred_by = 'calendar \"freeze\"'", end)
    for query in ({}, {"at": "2026-03-05T02:00:00Z"}):
        why = (await rota.api.get("/why/daily-backup", **query)).json
        assert why["answer"].endswith('and is put off until 2026-03-07 00:00:00 UTC by calendar "freeze"')
        assert why["next_look_at"] == "2026-03-07T00:00:00Z"
    first = (await rota.api.get("/jobs/daily-backup")).json["next_runs"][0]
    assert (first["nominal_at"], first["at"]) == ("2026-03-05T02:00:00Z", "2026-03-07T00:00:00Z")


async def test_a_job_tells_the_calendars_that_hold_it_without_being_named_by_it(rota: Rota) -> None:
    await a_calendar(rota, applies_to=[])
    await a_calendar(rota, name="prod", applies_to=["tag:env=prod:defer"])
    await a_calendar(rota, name="others", applies_to=["tag:env=test"])
    job = await rota.a_job(tags={"env": "prod"}, calendars=["freeze"])
    assert (job["calendars"], job["attached_calendars"]) == (["freeze:skip"], ["prod:defer"])
