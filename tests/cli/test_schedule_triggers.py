"""`schedule create` and `update`: every way to say when, several at once, and what is printed of it."""

from __future__ import annotations

import pytest

from tests.cli.canned import Canned, a_job, an_instance

CREATE = ("schedule", "create", "--name", "x", "--do", "noop")


@pytest.fixture
def daemon(daemon: Canned) -> Canned:
    daemon.on("GET", "/instance", (200, an_instance()))
    return daemon


def sent(daemon: Canned, *options: str) -> list[dict[str, object]]:
    """The triggers that `create` asks for with these options."""
    daemon.on("POST", "/jobs", (201, a_job()))
    done = daemon.rota(*CREATE, *options)
    assert done.returncode == 0, done.stderr
    triggers: list[dict[str, object]] = daemon.asked("POST", "/jobs").body["triggers"]
    return triggers


@pytest.mark.parametrize(
    ("options", "trigger"),
    [
        (("--when", "every weekday at 9am"), {"when": "every weekday at 9am", "timezone": "UTC"}),
        (("--rrule", "FREQ=DAILY"), {"rrule": "FREQ=DAILY", "timezone": "UTC"}),
        (("--continuous",), {"kind": "continuous"}),
        (("--on-start",), {"kind": "on_start"}),
        (("--manual",), {"kind": "manual"}),
    ],
)
def test_each_way_to_say_when_is_sent(daemon: Canned, options: tuple[str, ...], trigger: dict[str, object]) -> None:
    assert sent(daemon, *options) == [trigger]


def test_options_may_be_repeated_and_mixed(daemon: Canned) -> None:
    triggers = sent(daemon, "--cron", "0 2 * * *", "--cron", "0 14 * * *", "--on-start", "--every", "45m")
    assert [trigger["kind"] for trigger in triggers] == ["cron", "cron", "interval", "on_start"]


def test_manual_goes_with_nothing_else(daemon: Canned) -> None:
    done = daemon.rota(*CREATE, "--manual", "--cron", "0 2 * * *")
    assert done.returncode == 2
    assert "--manual: does not go with --cron" in done.stderr


def test_start_end_and_max_runs_are_sent(daemon: Canned) -> None:
    sent(daemon, "--cron", "0 2 * * *", "--start-at", "2026-12-01", "--end-at", "2027-01-01 02:00", "--max-runs", "5")
    body = daemon.asked("POST", "/jobs").body
    assert (body["start_at"], body["end_at"], body["max_runs"]) == ("2026-12-01", "2027-01-01 02:00", 5)


def test_an_empty_bound_takes_it_away(daemon: Canned) -> None:
    daemon.on("PATCH", "/jobs/x", (200, {"job": a_job(), "changes": []}))
    done = daemon.rota("schedule", "update", "x", "--end-at", "", "--max-runs", "")
    assert done.returncode == 0, done.stderr
    assert daemon.asked("PATCH", "/jobs/x").body == {"end_at": None, "max_runs": None}


def test_a_number_of_runs_that_is_none_is_named(daemon: Canned) -> None:
    done = daemon.rota(*CREATE, "--cron", "0 2 * * *", "--max-runs", "many")
    assert (done.returncode, "--max-runs" in done.stderr) == (2, True)


def test_words_are_printed_as_they_were_read_with_the_next_five_runs(daemon: Canned) -> None:
    runs = [
        {"at": f"2026-03-{day:02d}T09:00:00Z", "local": f"2026-03-{day:02d} 09:00:00 UTC", "timezone": "UTC"}
        for day in range(5, 10)
    ]
    daemon.on("POST", "/jobs", (201, a_job(next_runs=runs, readings=["Every day at 09:00, UTC time"])))
    printed = daemon.rota(*CREATE, "--when", "daily").stdout
    assert "Read as: Every day at 09:00, UTC time" in printed
    assert "Next 5 runs:" in printed


def test_one_new_trigger_does_not_silently_replace_several(daemon: Canned) -> None:
    several = [{"name": name, "kind": "on_start"} for name in ("main", "trigger-2")]
    daemon.on("GET", "/jobs/x", (200, a_job(triggers=several)))
    daemon.on("PATCH", "/jobs/x", (200, {"job": a_job(), "changes": []}))
    refused = daemon.rota("schedule", "update", "x", "--cron", "0 2 * * *")
    assert (refused.returncode, "would replace them all" in refused.stderr) == (5, True)
    assert daemon.rota("schedule", "update", "x", "--cron", "0 2 * * *", "--yes").returncode == 0
    assert daemon.rota("schedule", "update", "x", "--cron", "0 2 * * *", "--on-start").returncode == 0
