"""Triggers of every kind over the API: `triggers[]`, `start_at`, `end_at`, `max_runs`, and words in `when`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import Rota


async def faults(rota: Rota, **fields: Any) -> dict[str, str]:
    """What is wrong with a job of these fields, by field."""
    answer = await rota.api.post("/jobs", {"name": "faulty", "do": "shell: true", **fields})
    assert answer.status == 422, answer.json
    return {fault["field"]: fault["message"] for fault in answer.json["errors"]}


EVERY_KIND: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"kind": "cron", "expression": "0 2 * * *", "fold": "both"},
     {"kind": "cron", "expression": "0 2 * * *", "fold": "both", "timezone": "UTC"}),
    ({"every": "45m"},
     {"kind": "interval", "every_seconds": 2700, "anchor": "2026-03-04T00:00:00Z", "timezone": "UTC"}),
    ({"every": "7h"},
     {"kind": "interval", "every_seconds": 25200, "anchor": "2026-03-04T12:00:00Z", "timezone": "UTC"}),
    ({"every": "1d", "timezone": "Asia/Tokyo"},
     {"kind": "interval", "every_seconds": 86400, "anchor": "2026-03-03T15:00:00Z", "timezone": "Asia/Tokyo"}),
    ({"at": "2026-12-01T10:00", "timezone": "Asia/Tokyo"},
     {"kind": "once", "at": "2026-12-01T01:00:00Z", "timezone": "Asia/Tokyo"}),
    ({"at": "+90s"}, {"kind": "once", "at": "2026-03-04T12:01:30Z", "timezone": "UTC"}),
    ({"unit": "month", "times": ["7:00"], "month_days": [15, -1], "months": ["jan", 7]},
     {"kind": "calendar", "every": 1, "unit": "month", "times": ["07:00"], "month_days": [-1, 15], "months": [1, 7],
      "timezone": "UTC"}),
    ({"unit": "week", "every": 2, "times": ["17:30"], "weekdays": ["Friday"]},
     {"kind": "calendar", "every": 2, "unit": "week", "times": ["17:30"], "weekdays": ["fri"], "anchor": "2026-03-04",
      "timezone": "UTC"}),
    ({"kind": "continuous", "gap_seconds": 30}, {"kind": "continuous", "gap_seconds": 30, "backoff_seconds": 300}),
    ({"kind": "on_start"}, {"kind": "on_start"}),
    ({"kind": "triggered"}, {"kind": "manual"}),
    ({"type": "interval", "value": "2h"},
     {"kind": "interval", "every_seconds": 7200, "anchor": "2026-03-04T00:00:00Z", "timezone": "UTC"}),
    ({"type": "cron", "value": "0 9 * * 1-5"}, {"kind": "cron", "expression": "0 9 * * 1-5", "timezone": "UTC"}),
    ({"type": "continuous", "value": None}, {"kind": "continuous", "gap_seconds": 1, "backoff_seconds": 300}),
    ({"type": "trigger", "value": "on_demand"}, {"kind": "manual"}),
    ({"type": "every_15_minutes", "start": "2026-03-04T12:07"},
     {"kind": "interval", "every_seconds": 900, "anchor": "2026-03-04T12:07:00Z", "timezone": "UTC"}),
    ({"type": "once", "start": "2026-12-01T10:00", "timezone": "Asia/Tokyo"},
     {"kind": "once", "at": "2026-12-01T01:00:00Z", "timezone": "Asia/Tokyo"}),
    ({"type": "immediately"}, {"kind": "once", "at": "2026-03-04T12:00:01Z", "timezone": "UTC"}),
    ({"type": "monthly", "start": "2026-01-31T09:15"},
     {"kind": "calendar", "every": 1, "unit": "month", "times": ["09:15"], "month_days": [31], "overflow": "last_day",
      "timezone": "UTC"}),
    ({"when": "every 45m"},
     {"kind": "interval", "every_seconds": 2700, "anchor": "2026-03-04T00:00:00Z", "timezone": "UTC"}),
    ({"when": "@reboot"}, {"kind": "on_start"}),
    ({"expression": "@every 5m"},
     {"kind": "interval", "every_seconds": 300, "anchor": "2026-03-04T00:00:00Z", "timezone": "UTC"}),
    ({"expression": "@reboot"}, {"kind": "on_start"}),
    ({"rrule": "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9;BYMINUTE=0;BYSECOND=0"},
     {"kind": "calendar", "every": 1, "unit": "month", "times": ["09:00"], "nth": ["2 tue"], "timezone": "UTC"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "shown"), EVERY_KIND, ids=lambda value: "-".join(map(str, value))[:40])
async def test_every_kind_is_taken_and_shown(rota: Rota, given: dict[str, Any], shown: dict[str, Any]) -> None:
    job = await rota.a_job(triggers=[given])
    assert job["triggers"] == [{"name": "main", **shown}]


@pytest.mark.parametrize("given", [given for given, _ in EVERY_KIND], ids=lambda value: "-".join(map(str, value))[:40])
async def test_what_is_shown_may_be_sent_back_and_changes_nothing(rota: Rota, given: dict[str, Any]) -> None:
    job = await rota.a_job(triggers=[given])
    answer = await rota.api.patch("/jobs/daily-backup", {"triggers": job["triggers"]})
    assert (answer.status, answer.json["changes"]) == (200, [])


async def test_several_triggers_are_due_in_one_order(rota: Rota) -> None:
    job = await rota.a_job(
        triggers=[
            {"expression": "0 2 * * *"},
            {"name": "evening", "unit": "day", "times": ["18:00"]},
            {"kind": "on_start"},
        ]
    )
    assert [trigger["name"] for trigger in job["triggers"]] == ["main", "evening", "trigger-3"]
    assert [run["at"][5:16] for run in job["next_runs"][:3]] == ["03-04T18:00", "03-05T02:00", "03-05T18:00"]


async def test_a_hashed_minute_belongs_to_the_job_and_stays_when_it_is_renamed(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"expression": "H 2 * * *"}])
    assert job["triggers"][0]["seed"] == "daily-backup"
    renamed = await rota.api.patch("/jobs/daily-backup", {"name": "other", "triggers": [{"expression": "H 2 * * *"}]})
    assert renamed.json["job"]["next_runs"] == job["next_runs"]
    another = await rota.a_job("elsewhere", triggers=[{"expression": "H 2 * * *"}])
    assert another["next_runs"][0]["at"] != job["next_runs"][0]["at"]


async def test_an_edit_that_keeps_the_rhythm_keeps_its_phase(rota: Rota) -> None:
    biweekly = {"unit": "week", "every": 2, "times": ["09:00"], "weekdays": ["mon"]}
    await rota.a_job(triggers=[biweekly])
    rota.at("2026-03-11T12:00:00Z")
    changed = await rota.api.patch("/jobs/daily-backup", {"triggers": [{**biweekly, "times": ["10:00"]}]})
    assert changed.json["job"]["triggers"][0]["anchor"] == "2026-03-04"


async def test_words_are_shown_as_they_were_read(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"when": "every 45m"}])
    assert job["readings"] == ["Every 45 minutes"]
    assert "readings" not in (await rota.api.get("/jobs/daily-backup")).json


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        ({"when": "soonish"}, "triggers[0].when"),
        ({"when": "every 5x"}, "triggers[0].when"),
        ({"when": "every 5m", "expression": "0 2 * * *"}, "triggers[0].when"),
        ({"rrule": "FREQ=YEARLY;BYWEEKNO=2"}, "triggers[0].rrule"),
        ({"unit": "month", "times": ["25:00"]}, "triggers[0].times"),
        ({"unit": "month", "times": ["09:00"], "timezone": "Nowhere"}, "triggers[0].timezone"),
        ({"kind": "continuous", "gap_seconds": -1}, "triggers[0].gap_seconds"),
        ({"kind": "continuous", "expression": "0 2 * * *"}, "triggers[0].expression"),
        ({"kind": "on_start", "at": "2026-12-01"}, "triggers[0].at"),
        ({"every": 5}, "triggers[0].every"),
        ({"type": "interval"}, "triggers[0].type"),
        ({"type": "sometimes", "value": "1h"}, "triggers[0].type"),
        ({"type": "dayly"}, "triggers[0].type"),
        ({"type": "daily", "start": "soon"}, "triggers[0].start"),
        ({"type": "daily", "timezone": "Nowhere"}, "triggers[0].timezone"),
        ({"type": "daily", "expression": "0 2 * * *"}, "triggers[0].type"),
        ({"type": "interval", "value": "1h", "start": "2026-12-01T10:00"}, "triggers[0].start"),
        ({"expression": "0 2 * * *", "start": "2026-12-01T10:00"}, "triggers[0].start"),
        ({"type": "once", "start": "2026-03-04T11:00"}, "triggers[0].at"),
        ({"every": "0s"}, "triggers[0].every"),
        ({"at": "25:00"}, "triggers[0].at"),
        ({"at": "2026-03-04 11:00"}, "triggers[0].at"),
    ],
)
async def test_a_faulty_trigger_is_told_by_field(rota: Rota, trigger: dict[str, Any], field: str) -> None:
    assert list(await faults(rota, triggers=[trigger])) == [field]


async def test_a_fault_of_a_rule_names_its_part(rota: Rota) -> None:
    found = await faults(rota, triggers=[{"rrule": "FREQ=YEARLY;BYWEEKNO=2"}])
    assert found["triggers[0].rrule"].startswith("BYWEEKNO has no exact counterpart")


async def test_a_type_with_a_start_to_come_does_not_begin_before_it(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"type": "daily", "start": "2026-03-10T09:15"}])
    assert job["start_at"] == "2026-03-10T09:15:00Z"
    assert [run["at"][:16] for run in job["next_runs"][:2]] == ["2026-03-10T09:15", "2026-03-11T09:15"]


async def test_a_start_of_its_own_beside_other_triggers_is_refused(rota: Rota) -> None:
    found = await faults(rota, triggers=[{"type": "daily", "start": "2026-03-10T09:15"}, {"kind": "on_start"}])
    assert list(found) == ["triggers[0].start"]


async def test_what_a_recurrence_rule_can_say_is_shown_as_one(rota: Rota) -> None:
    job = await rota.a_job(
        triggers=[{"unit": "month", "times": ["9:00"], "nth": ["2 tue"]}, {"name": "night", "expression": "0 2 * * *"}]
    )
    main, night = job["triggers_in_words"]
    assert main["rrule"] == "DTSTART:19700113T090000Z\nRRULE:FREQ=MONTHLY;BYDAY=2TU;BYHOUR=9;BYMINUTE=0"
    assert "rrule" not in night


async def test_english_may_mean_several_triggers(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"when": "every monday at 9 and every friday at 10"}])
    assert [(trigger["name"], trigger["expression"]) for trigger in job["triggers"]] == [
        ("main", "0 9 * * 1"),
        ("main-2", "0 10 * * 5"),
    ]
    assert job["readings"] == ["Every Monday at 09:00; Every Friday at 10:00"]


async def test_words_that_may_mean_two_things_are_refused_with_both(rota: Rota) -> None:
    answer = await rota.api.post("/jobs", {"name": "x", "do": "noop", "triggers": [{"when": "at 9"}]})
    (fault,) = answer.json["errors"]
    assert fault["field"] == "triggers[0].when"
    assert "every day at 09:00" in fault["expected"]


# start_at, end_at, max_runs


async def test_a_job_shows_no_run_before_its_start_or_after_its_end(rota: Rota) -> None:
    job = await rota.a_job(start_at="2026-04-01", end_at="2026-04-02T02:00", timezone="Europe/Zurich")
    assert (job["start_at"], job["end_at"]) == ("2026-03-31T22:00:00Z", "2026-04-02T00:00:00Z")
    assert [run["at"] for run in job["next_runs"]] == ["2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"]
    assert await rota.sql("SELECT nominal FROM due") == [(rota.at("2026-04-01T00:00:00Z"),)]


async def test_an_interval_counts_from_the_start_of_its_job(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"every": "7h"}], start_at="2026-04-01T01:00")
    assert [run["at"][5:16] for run in job["next_runs"][:2]] == ["04-01T01:00", "04-01T08:00"]


async def test_a_job_shows_no_more_runs_than_it_may_have(rota: Rota) -> None:
    job = await rota.a_job(max_runs=2)
    assert (len(job["next_runs"]), job["runs_left"]) == (2, 2)
    await rota.sql("UPDATE run_quota SET made = 2")
    job = (await rota.api.get("/jobs/daily-backup")).json
    assert (job["next_runs"], job["no_next"]) == ([], "all 2 runs that max_runs allows are made")


async def test_an_ended_job_says_so(rota: Rota) -> None:
    await rota.a_job(end_at="2026-03-05T02:00:00Z")
    rota.at("2026-03-06T00:00:00Z")
    assert (await rota.api.get("/jobs/daily-backup")).json["no_next"] == "it ended at 2026-03-05T02:00:00Z"


@pytest.mark.parametrize(
    ("trigger", "says"),
    [({"kind": "continuous"}, "last run has ended"), ({"kind": "on_start"}, "when a daemon starts")],
)
async def test_a_job_that_waits_for_an_event_says_which(rota: Rota, trigger: dict[str, Any], says: str) -> None:
    job = await rota.a_job(triggers=[trigger])
    assert job["next_runs"] == [] and says in job["no_next"]


async def test_bounds_are_taken_away_with_null(rota: Rota) -> None:
    await rota.a_job(start_at="2026-04-01", end_at="2026-05-01", max_runs=3)
    answer = await rota.api.patch("/jobs/daily-backup", {"start_at": None, "end_at": None, "max_runs": None})
    assert {change["field"] for change in answer.json["changes"]} == {"start_at", "end_at", "max_runs"}
    assert answer.json["job"]["next_runs"][0]["at"] == "2026-03-05T02:00:00Z"
    assert await rota.sql("SELECT count(*) FROM run_quota") == [(0,)]


async def test_a_moved_end_moves_what_is_due(rota: Rota) -> None:
    await rota.a_job(end_at="2026-03-05T01:00:00Z")
    assert await rota.sql("SELECT nominal FROM due") == [(None,)]
    await rota.api.patch("/jobs/daily-backup", {"end_at": "2026-03-06"})
    assert await rota.sql("SELECT nominal FROM due") == [(rota.at("2026-03-05T02:00:00Z"),)]


async def test_faulty_bounds_are_told_by_field(rota: Rota) -> None:
    found = await faults(rota, triggers=[{"expression": "0 2 * * *"}], start_at="soon", end_at="2026-03-01", max_runs=0)
    assert set(found) == {"start_at", "end_at", "max_runs"}
    assert "passed" in found["end_at"]
    found = await faults(rota, triggers=[{"expression": "0 2 * * *"}], start_at="2026-05-01", end_at="2026-04-01")
    assert list(found) == ["end_at"]


async def test_a_rule_brings_its_own_start_and_end(rota: Rota) -> None:
    text = "DTSTART;TZID=Europe/Zurich:20260310T090000\nRRULE:FREQ=WEEKLY;COUNT=3"
    job = await rota.a_job(triggers=[{"rrule": text}])
    assert (job["start_at"], job["end_at"]) == ("2026-03-10T08:00:00Z", "2026-03-24T08:00:00Z")
    assert [run["at"][5:16] for run in job["next_runs"]] == ["03-10T08:00", "03-17T08:00", "03-24T08:00"]


async def test_a_rule_with_an_end_must_stand_alone(rota: Rota) -> None:
    found = await faults(rota, triggers=[{"rrule": "FREQ=DAILY;COUNT=3"}, {"expression": "0 2 * * *"}])
    assert list(found) == ["triggers[0].rrule"]


# preview


@pytest.mark.parametrize(
    "query", [{"when": "every 1d"}, {"every": "1d"}, {"rrule": "FREQ=DAILY;BYHOUR=0;BYMINUTE=0;BYSECOND=0"}]
)
async def test_a_preview_takes_words_and_rules(rota: Rota, query: dict[str, str]) -> None:
    answer = await rota.api.get("/preview", count=2, **query)
    assert [run["at"] for run in answer.json["next_runs"]] == ["2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"]


async def test_a_preview_of_a_rule_ends_with_it(rota: Rota) -> None:
    answer = await rota.api.get("/preview", rrule="FREQ=DAILY;COUNT=2", count=9)
    assert len(answer.json["next_runs"]) == 2


async def test_why_says_what_an_enabled_job_without_a_next_run_waits_for(rota: Rota) -> None:
    await rota.a_job(triggers=[{"kind": "on_start"}])
    assert "has no run ahead: it runs when a daemon starts" in (await rota.api.get("/why/daily-backup")).json["answer"]


async def test_a_cron_expression_whose_years_have_all_passed_is_not_saved(rota: Rota) -> None:
    found = await faults(rota, triggers=[{"expression": "0 0 2 29 2 * 2020,2024"}])
    assert found == {"triggers[0].expression": "never fires again: its last time was 2024-02-29 02:00:00 UTC"}
    assert await faults(rota, triggers=[{"expression": "0 0 2 * 1 * 2026"}])  # it is March
    await rota.a_job(triggers=[{"expression": "0 0 2 * 4 * 2026"}])


async def test_an_edit_leaves_a_trigger_alone_that_has_had_its_time(rota: Rota) -> None:
    once, years = {"at": "2026-03-05T02:00:00Z"}, {"expression": "0 0 2 5 3 * 2026"}
    job = await rota.a_job(triggers=[once, years])
    rota.at("2026-03-06T00:00:00Z")
    answer = await rota.api.patch("/jobs/daily-backup", {"triggers": [*job["triggers"], {"every": "1h"}]})
    assert answer.status == 200, answer.json
    answer = await rota.api.patch("/jobs/daily-backup", {"triggers": [{**job["triggers"][1], "name": "again"}]})
    assert (answer.status, "never fires again" in answer.json["message"]) == (422, True)


async def test_each_trigger_is_told_in_words(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"expression": "0 2 * * *"}, {"every": "45m", "name": "often"}])
    assert job["triggers_in_words"] == [
        {"name": "main", "short": "0 2 * * *", "text": "Every day at 02:00"},
        {
            "name": "often",
            "short": "every 45m",
            "text": "Every 45 minutes",
            "rrule": "DTSTART:20260304T000000Z\nRRULE:FREQ=MINUTELY;INTERVAL=45",
        },
    ]


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("runs 24/7 and answers mail", "continuous"),
        ("summarise the news every 2 hours", "interval"),
        ("check my inbox every morning", "cron"),
        ("monitor competitor prices", "interval"),
        ("when a ticket comes in, sort it", "manual"),
    ],
)
async def test_a_sentence_about_the_task_says_when(rota: Rota, sentence: str, kind: str) -> None:
    job = await rota.a_job(triggers=[{"describe": sentence}])
    assert job["triggers"][0]["kind"] == kind
    assert job["readings"]


async def test_what_a_sentence_denies_is_not_taken_for_a_schedule(rota: Rota) -> None:
    assert list(await faults(rota, triggers=[{"describe": "do not run continuously"}])) == ["triggers[0].describe"]
