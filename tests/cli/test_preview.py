"""`rota schedule preview`: what it asks the API for, and what it prints of the answer."""

from __future__ import annotations

import pytest

from rota.cli.month import month_lines
from rota.cli.table import columns_of
from rota.usecases.shapes import DayAhead
from tests.cli.canned import Canned, in_utc

PROBLEM = {"code": "not_found", "message": 'there is no schedule "x"', "hint": "", "request_id": "1", "errors": []}


def a_preview(**given: object) -> dict[str, object]:
    return {
        "trigger_text": "Every day at 02:00",
        "trigger_short": "0 2 * * *",
        "timezone": "UTC",
        "next_runs": in_utc(5, 6),
        **given,
    }


def test_a_saved_schedule_is_previewed_by_its_name(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily-backup/preview", (200, a_preview()))
    done = daemon.rota("schedule", "preview", "daily-backup", "--count", "2")
    assert done.stdout == (
        "0 2 * * * (Every day at 02:00)\nNext 2 runs:\n  2026-03-05 02:00:00 UTC\n  2026-03-06 02:00:00 UTC\n"
    )


def test_an_expression_is_read_in_the_users_zone(daemon: Canned) -> None:
    daemon.on("GET", "/preview", (200, a_preview()))
    daemon.rota("schedule", "preview", "--cron", "0 2 * * *", "--count", "2", TZ="Asia/Tokyo")
    assert daemon.asked("GET", "/preview").query == {
        "cron": "0 2 * * *",
        "timezone": "Asia/Tokyo",
        "viewer": "Asia/Tokyo",
        "count": "2",
        "previous": "0",
    }


def test_what_is_no_name_is_read_as_words(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily%20at%209/preview", (404, PROBLEM))
    daemon.on("GET", "/preview", (200, a_preview(readings=["Every day at 09:00"])))
    done = daemon.rota("schedule", "preview", "daily at 9")
    assert daemon.asked("GET", "/preview").query["when"] == "daily at 9"
    assert done.stdout.startswith("0 2 * * * (Every day at 09:00)\n")


def test_what_is_neither_is_told_both_ways(daemon: Canned) -> None:
    unclear = {"field": "when", "message": '"nope" is not understood here', "expected": "", "got": "", "hint": ""}
    daemon.on("GET", "/jobs/nope/preview", (404, PROBLEM))
    daemon.on("GET", "/preview", (422, {**PROBLEM, "code": "invalid_input", "errors": [unclear]}))
    done = daemon.rota("schedule", "preview", "nope")
    assert done.returncode == 2
    assert 'SCHEDULE: there is no schedule "x"' in done.stderr
    assert '--when: "nope" is not understood here' in done.stderr


def test_the_time_here_stands_behind_that_of_the_schedule(daemon: Canned) -> None:
    moment = {
        "at": "2026-03-08T07:00:00Z", "local": "2026-03-08 03:00:00 EDT", "timezone": "America/New_York",
        "viewer": "2026-03-08 08:00:00 CET", "note": "02:30 is left out by a clock change",
    }  # fmt: skip
    daemon.on("GET", "/preview", (200, a_preview(next_runs=[moment])))
    done = daemon.rota("schedule", "preview", "--cron", "30 2 * * *", TZ="Europe/Zurich")
    assert done.stdout.splitlines()[1:] == [
        "Next run:",
        "  2026-03-08 03:00:00 EDT (07:00:00 UTC) = 08:00:00 CET here  02:30 is left out by a clock change",
    ]


def test_previous_runs_come_first(daemon: Canned) -> None:
    daemon.on("GET", "/preview", (200, a_preview(previous_runs=in_utc(3, 4))))
    done = daemon.rota("schedule", "preview", "--cron", "0 2 * * *", "--count", "2", "--prev")
    assert daemon.asked("GET", "/preview").query["previous"] == "2"
    assert [line for line in done.stdout.splitlines() if "runs" in line] == ["Previous 2 runs:", "Next 2 runs:"]


def test_why_there_is_no_next_run_is_told(daemon: Canned) -> None:
    daemon.on("GET", "/preview", (200, a_preview(next_runs=[], no_next="it runs when a daemon starts")))
    done = daemon.rota("schedule", "preview", "--when", "@reboot")
    assert done.stdout.splitlines()[1] == "Next runs: none, as it runs when a daemon starts"


def test_warnings_go_to_stderr(daemon: Canned) -> None:
    daemon.on("GET", "/preview", (200, a_preview(warnings=["uneven"])))
    assert daemon.rota("schedule", "preview", "--cron", "*/7 * * * *").stderr == "Warning: uneven\n"


def test_nothing_to_preview_is_refused_with_an_example(daemon: Canned) -> None:
    done = daemon.rota("schedule", "preview")
    assert done.returncode == 2
    assert 'rota schedule preview "every weekday at 9am"' in done.stderr


@pytest.mark.parametrize(("typed", "month"), [(("--month",), "current"), (("--month", "2026-02"), "2026-02")])
def test_a_month_may_be_named(daemon: Canned, typed: tuple[str, ...], month: str) -> None:
    daemon.on("GET", "/preview", (200, a_preview(days=february())))
    done = daemon.rota("schedule", "preview", "--cron", "0 2 * * *", *typed)
    assert daemon.asked("GET", "/preview").query["month"] == month
    assert "February 2026" in done.stdout


def february(**of_the_third: object) -> list[DayAhead]:
    days: list[DayAhead] = [
        {"date": f"2026-02-{day:02d}", "starts": 1, "dropped": 0, "first": "02:00"} for day in range(1, 29)
    ]
    days[2] |= of_the_third  # type: ignore[typeddict-item]  # a few fields of it
    return days


def test_a_month_has_a_row_for_each_week_that_begins_on_monday() -> None:
    lines = [*month_lines(february(), "UTC", today="2026-02-03")]
    assert lines[0].strip() == "February 2026, UTC"
    assert lines[3:5] == [
        "          │          │          │          │          │          │ 1",
        "          │          │          │          │          │          │ 02:00",
    ]
    assert lines[6].startswith(" 2        │[3]       │ 4")
    assert lines[-1] == "28 starts"


@pytest.mark.parametrize(
    ("third", "shown"),
    [
        ({"starts": 3}, " 02:00 +2 "),
        ({"starts": 1440}, " ×1440    "),
        ({"starts": 0, "dropped": 1}, " dropped  "),
        ({"starts": 0}, "          "),
    ],
)
def test_a_day_of_the_month_in_ten_columns(third: dict[str, object], shown: str) -> None:
    lines = [*month_lines(february(**third), "UTC", today="")]
    assert lines[7].split("│")[1] == shown


def test_notes_stand_below_the_month_by_their_letters() -> None:
    lines = [*month_lines(february(notes=["spread: 4m later"], dropped=2), "UTC", today="")]
    assert lines[6].split("│")[1] == " 3      a "
    assert lines[-2:] == [" a  spread: 4m later", "28 starts, 2 dropped"]


def test_a_month_fits_in_80_columns() -> None:
    lines = [*month_lines(february(starts=999, notes=["x"]), "America/Argentina/Buenos_Aires", today="2026-02-03")]
    assert max(map(columns_of, lines)) <= 80
