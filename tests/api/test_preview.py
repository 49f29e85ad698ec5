"""Previews: the next and the last instants, a month, warnings and readings; of a schedule and of a text."""

from __future__ import annotations

import time

from tests.support.builders import Rota

NIGHTLY = {"name": "nightly", "do": "noop", "triggers": [{"expression": "0 2 * * *"}]}


async def test_a_saved_job_is_previewed_as_it_stands(rota: Rota) -> None:
    await rota.api.post("/jobs", NIGHTLY)
    seen = (await rota.api.get("/jobs/nightly/preview", count=2, previous=2)).json
    assert (seen["trigger_short"], seen["trigger_text"], seen["timezone"]) == ("0 2 * * *", "Every day at 02:00", "UTC")
    assert [one["at"] for one in seen["previous_runs"]] == ["2026-03-03T02:00:00Z", "2026-03-04T02:00:00Z"]
    assert [one["at"] for one in seen["next_runs"]] == ["2026-03-05T02:00:00Z", "2026-03-06T02:00:00Z"]


async def test_a_disabled_job_has_no_next_run_and_says_so(rota: Rota) -> None:
    await rota.api.post("/jobs", {**NIGHTLY, "enabled": False})
    seen = (await rota.api.get("/jobs/nightly/preview")).json
    assert seen["next_runs"] == []
    assert seen["no_next"] == "it is disabled (rota schedule enable nightly)"


async def test_a_job_that_nobody_made_is_not_found(rota: Rota) -> None:
    await rota.api.post("/jobs", NIGHTLY)
    answer = await rota.api.get("/jobs/nightli/preview")
    assert (answer.status, "nightly" in str(answer.json)) == (404, True)


async def test_every_moment_is_told_in_the_viewers_zone_too(rota: Rota) -> None:
    seen = (await rota.api.get("/preview", cron="0 2 * * *", viewer="Asia/Tokyo", count=1)).json
    assert seen["next_runs"][0]["viewer"] == "2026-03-05 11:00:00 JST"


async def test_a_clock_change_is_marked_where_it_moves_a_start(rota: Rota) -> None:
    seen = (await rota.api.get("/preview", cron="30 2 * * *", timezone="America/New_York", count=5)).json
    marked = [one for one in seen["next_runs"] if "note" in one]
    assert [(one["local"], one["note"]) for one in marked] == [
        ("2026-03-08 03:00:00 EDT", "02:30 is left out by a clock change")
    ]


async def test_words_are_told_as_they_were_read(rota: Rota) -> None:
    seen = (await rota.api.get("/preview", when="every weekday", count=1)).json
    assert seen["readings"] == ["Every Monday to Friday at 09:00; 09:00 is assumed"]


async def test_unclear_words_are_refused_with_their_readings(rota: Rota) -> None:
    answer = await rota.api.get("/preview", when="every second Tuesday")
    assert answer.status == 422
    (fault,) = answer.json["errors"]
    assert fault["field"] == "when"
    assert fault["expected"] == 'one of "every other Tuesday", "second Tuesday of the month"'


async def test_a_month_counts_the_starts_of_each_day(rota: Rota) -> None:
    days = (await rota.api.get("/preview", cron="0 2,14 * * 1-5", month="2026-02")).json["days"]
    assert len(days) == 28
    assert days[0] == {"date": "2026-02-01", "starts": 0, "dropped": 0}
    assert days[1] == {"date": "2026-02-02", "starts": 2, "dropped": 0, "first": "02:00"}


async def test_a_month_shows_what_a_calendar_drops(rota: Rota) -> None:
    freeze = {"name": "freeze", "rules": ["2026-03-10..2026-03-11"], "applies_to": ["all"]}
    made = await rota.api.post("/calendars", freeze)
    assert made.status == 201, made.json
    for rule in ({"cron": "0 2 * * *"}, {"every": "1s"}):
        days = (await rota.api.get("/preview", **rule, month="current")).json["days"]
        assert [day["date"][8:] for day in days if day["dropped"]] == ["10", "11"]
        assert days[9]["starts"] == 0
        assert "freeze" in days[9]["notes"][0]


async def test_a_month_of_seconds_takes_no_longer_than_one_of_days(rota: Rota) -> None:
    started = time.process_time()
    days = (await rota.api.get("/preview", every="1s", month="2026-03")).json["days"]
    assert {day["starts"] for day in days} == {86_400}
    assert time.process_time() - started < 2


async def test_a_month_is_that_of_the_zone(rota: Rota) -> None:
    seen = (await rota.api.get("/preview", cron="30 2 * * *", timezone="Europe/Zurich", month="2026-03")).json
    assert seen["days"][28] == {
        "date": "2026-03-29",
        "starts": 1,
        "dropped": 0,
        "first": "03:00",
        "notes": ["02:30 is left out by a clock change"],
    }
    assert sum(day["starts"] for day in seen["days"]) == 31


async def test_what_is_no_month_and_no_zone_names_the_parameter(rota: Rota) -> None:
    for query in ({"month": "2026-13"}, {"viewer": "Mars/Olympus"}):
        answer = await rota.api.get("/preview", cron="0 2 * * *", **query)
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, next(iter(query)))


async def test_a_save_warns_of_new_triggers_only(rota: Rota) -> None:
    made = (await rota.api.post("/jobs", {**NIGHTLY, "triggers": [{"expression": "0 0 13 * 5"}]})).json
    assert "either will do" in made["warnings"][0]
    changed = (await rota.api.patch("/jobs/nightly", {"description": "x"})).json
    assert "warnings" not in changed["job"]
