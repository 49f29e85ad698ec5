"""Calendars, pauses, tags and spread on the command line: what is asked and what is printed."""

from __future__ import annotations

from pathlib import Path

from tests.cli.canned import Canned, Json, a_job


def a_calendar(**changes: Json) -> Json:
    return {
        "id": "cal_0011223344556677",
        "name": "freeze",
        "description": "",
        "effect": "blackout",
        "timezone": "UTC",
        "rules": ["12-24..01-01"],
        "applies_to": ["all:skip", "tag:env=prod:defer"],
        "jobs": ["nightly"],
        "fault": None,
        "created_by": "ada",
        "created_at": "2026-03-04T12:00:00Z",
        "updated_by": "ada",
        "updated_at": "2026-03-04T12:00:00Z",
        "next_windows": [{"start": "2026-12-24T00:00:00Z", "end": "2027-01-02T00:00:00Z"}],
        **changes,
    }


def a_pause(**changes: Json) -> Json:
    return {
        "id": "pause_0011223344556677",
        "scope": "all",
        "key": "",
        "since": "2026-03-04T12:00:00Z",
        "until": "2026-03-04T18:00:00Z",
        "reason": "moving",
        "by": "ada",
        "said": "everything is paused by ada until 2026-03-04T18:00:00Z: moving",
        "state": "active",
        **changes,
    }


def test_the_list_of_calendars_says_whom_each_concerns(daemon: Canned) -> None:
    many = a_calendar(name="many", rules=[f"2026-01-{day:02}" for day in range(1, 9)], applies_to=[], jobs=[])
    daemon.on("GET", "/calendars", (200, {"items": [a_calendar(), many], "next": None}))
    _, _, *rows = daemon.rota("calendars", "list").stdout.splitlines()
    assert [" ".join(row.split()) for row in rows] == [
        "freeze blackout 12-24..01-01 all, tag:env=prod (defer), job nightly",
        "many blackout 2026-01-01, 2026-01-02, 2026-01-03 and 5 more nobody",
    ]


def test_adding_a_calendar_sends_what_was_typed_and_shows_its_windows(daemon: Canned) -> None:
    daemon.on("POST", "/calendars", (201, a_calendar()))
    done = daemon.rota("calendars", "add", "freeze", "--window", "12-24..01-01", "--apply", "all")
    assert daemon.asked("POST", "/calendars").body == {
        "name": "freeze", "rules": ["12-24..01-01"], "applies_to": ["all"], "timezone": "UTC",
    }  # fmt: skip
    assert done.stdout.splitlines() == [
        'Calendar "freeze" added',
        "Nothing starts:",
        "  2026-12-24 00:00:00 to 2027-01-02 00:00:00 UTC",
    ]


def test_a_calendar_without_windows_is_refused_before_anybody_is_asked(daemon: Canned) -> None:
    done = daemon.rota("calendars", "add", "freeze")
    assert done.returncode == 2
    assert "--window" in done.stderr
    assert daemon.requests == []


def test_a_fault_is_told_by_the_option_that_was_typed(daemon: Canned) -> None:
    fault = {"field": "rules[0]", "message": '"never" is not a window', "expected": "", "got": "", "hint": ""}
    problem = {"code": "invalid_input", "message": "x", "hint": "", "expected": "", "errors": [fault]}
    daemon.on("POST", "/calendars", (422, problem))
    done = daemon.rota("calendars", "add", "freeze", "--window", "never")
    assert '--window: "never" is not a window' in done.stderr


def test_importing_a_file_says_what_was_left_out(daemon: Canned, tmp_path: Path) -> None:
    daemon.on("POST", "/calendars:import", (201, a_calendar(skipped=["Odd: it has no end"])))
    file = tmp_path / "company.ics"
    file.write_text("BEGIN:VCALENDAR")
    done = daemon.rota("calendars", "import", str(file), "--allow")
    body = daemon.asked("POST", "/calendars:import").body
    assert (body["name"], body["ics"], body["effect"]) == ("company", "BEGIN:VCALENDAR", "allow")
    assert "Left out: Odd: it has no end" in done.stderr


def test_removing_a_calendar_asks_first(daemon: Canned) -> None:
    daemon.on("GET", "/calendars/freeze", (200, a_calendar()))
    daemon.on("DELETE", "/calendars/freeze", (200, {"deleted": "freeze"}))
    assert daemon.rota("calendars", "remove", "freeze").returncode == 7
    assert daemon.rota("calendars", "remove", "freeze", "--yes").stdout == 'Calendar "freeze" removed\n'


def test_pausing_everything_says_until_when_and_how_to_resume(daemon: Canned) -> None:
    daemon.on("POST", "/pauses", (201, a_pause()))
    done = daemon.rota("pause", "--all", "--until", "2026-03-04 18:00", "--reason", "moving")
    assert daemon.asked("POST", "/pauses").body["reason"] == "moving"
    sent = daemon.asked("POST", "/pauses").body
    assert (sent["until"], sent["timezone"]) == ("2026-03-04 18:00", "UTC")
    assert done.stdout == "Everything is paused until 2026-03-04 18:00:00 UTC\n"
    assert done.stderr == "Resume: rota resume --all\n"


def test_a_pause_needs_exactly_one_scope(daemon: Canned) -> None:
    assert daemon.rota("pause").returncode == 2
    assert daemon.rota("pause", "nightly", "--all").returncode == 2
    assert daemon.requests == []


def test_resuming_tells_what_is_still_paused(daemon: Canned) -> None:
    daemon.on("POST", "/pauses:resume", (200, {"items": [a_pause(state="over")]}))
    daemon.on(
        "GET", "/pauses", (200, {"items": [a_pause(scope="job", key="nightly", said="paused by bob")], "next": None})
    )
    done = daemon.rota("resume", "--all")
    assert done.stdout == "Resumed: everything\n"
    assert done.stderr == "Still paused: nightly (paused by bob)\n"


def test_the_pauses_can_be_listed(daemon: Canned) -> None:
    daemon.on("GET", "/pauses", (200, {"items": [a_pause(scope="tag", key="env=prod")], "next": None}))
    row = daemon.rota("pause", "--list").stdout.splitlines()[-1]
    assert " ".join(row.split()) == "tag env=prod ada 2026-03-04 12:00:00 2026-03-04 18:00:00 moving"


def test_the_list_of_schedules_shows_what_is_paused_and_by_whom(daemon: Canned) -> None:
    head = {"running": True, "pid": 1, "started_at": "2026-03-04T00:00:00Z", "scheduling": True}
    daemon.on("GET", "/jobs", (200, {"items": [a_job(paused=a_pause())], "next": None, "daemon": head}))
    done = daemon.rota("schedule", "list", "--tag", "env=prod", "--tag", "edge").stdout
    assert daemon.asked("GET", "/jobs").query["tag"] == "env=prod,edge"
    assert "Everything is paused by ada until 2026-03-04T18:00:00Z: moving" in done
    assert " paused " in done.splitlines()[-1]


def test_a_schedule_sends_tags_calendars_windows_and_spread(daemon: Canned) -> None:
    daemon.on("PATCH", "/jobs/nightly", (200, {"job": a_job(), "changes": []}))
    daemon.rota(
        "schedule", "update", "nightly", "--tag", "env=prod", "--tag", "edge", "--unset-tag", "old",
        "--calendar", "freeze:defer", "--window", "mon-fri 08:00-18:00", "--spread", "10m", "--jitter", "0",
    )  # fmt: skip
    assert daemon.asked("PATCH", "/jobs/nightly").body == {
        "tags": {"env": "prod", "edge": "", "old": None},
        "calendars": ["freeze:defer"],
        "windows": [{"window": "mon-fri 08:00-18:00"}],
        "spread_seconds": 600.0,
        "jitter_seconds": 0.0,
    }


def test_an_empty_text_takes_calendars_and_windows_away(daemon: Canned) -> None:
    daemon.on("PATCH", "/jobs/nightly", (200, {"job": a_job(), "changes": []}))
    daemon.rota("schedule", "update", "nightly", "--calendar", "", "--window", "")
    assert daemon.asked("PATCH", "/jobs/nightly").body == {"calendars": [], "windows": []}


def test_what_moves_or_drops_a_start_stands_behind_it(daemon: Canned) -> None:
    def moment(day: int, **marks: Json) -> Json:
        at = f"2026-03-{day:02}T02:00:00Z"
        return {"at": at, "local": f"2026-03-{day:02} 02:00:00 UTC", "timezone": "UTC", **marks}

    moments = [
        moment(5, reason="blackout", note='calendar "freeze"', count=2, until="2026-03-06T02:00:00Z"),
        moment(7, nominal_at="2026-03-07T01:59:00Z", note="spread: 1m later"),
        moment(8, reason="paused", note="paused by ada"),
    ]
    daemon.on("GET", "/jobs/daily-backup", (200, a_job(next_runs=moments)))
    shown = daemon.rota("schedule", "show", "daily-backup").stdout
    assert shown.partition("Next run:\n")[2].splitlines() == [
        '  2026-03-05 02:00:00 UTC  blackout ×2: calendar "freeze"',
        "  2026-03-07 02:00:00 UTC  spread: 1m later",
        "  2026-03-08 02:00:00 UTC  paused, and all after it: paused by ada",
    ]
