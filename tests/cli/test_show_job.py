"""`schedule show` tells all that a schedule says, each thing only where it is said, and fits a terminal."""

from __future__ import annotations

import pytest

from rota.cli.show_job import job_lines
from tests.cli.canned import Canned, Json, a_job
from tests.cli.test_calendars import a_pause

SEVERAL = {
    "triggers": [
        {"name": "main", "kind": "cron", "expression": "0 2 * * *", "timezone": "Asia/Tokyo"},
        {"name": "trigger-2", "kind": "interval", "every_seconds": 2700, "timezone": "UTC"},
        {"name": "trigger-3", "kind": "on_start"},
    ],
    "triggers_in_words": [
        {"name": "main", "short": "0 2 * * *", "text": "Every day at 02:00"},
        {"name": "trigger-2", "short": "every 45m", "text": "Every 45 minutes"},
        {"name": "trigger-3", "short": "on-start", "text": "When the daemon starts"},
    ],
}
FREEZE = {"window": "mon-fri 08:00-18:00", "timezone": "UTC", "on_hit": "skip"}


def shown(daemon: Canned, *options: str, **said: Json) -> str:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job(**said)))
    return daemon.rota("schedule", "show", "daily-backup", *options).stdout


def test_of_several_triggers_each_has_its_reading_and_its_zone(daemon: Canned) -> None:
    printed = shown(daemon, **SEVERAL)
    assert (
        "Triggers:    main       0 2 * * * (Every day at 02:00), Asia/Tokyo\n"
        "             trigger-2  every 45m (Every 45 minutes), UTC\n"
        "             trigger-3  on-start (When the daemon starts)\n"
    ) in printed
    assert "Timezone:" not in printed


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"start_at": "2026-12-01T00:00:00Z"}, "Starts:      not before 2026-12-01 00:00:00 UTC"),
        ({"end_at": "2027-01-01T00:00:00Z"}, "Ends:        not after 2027-01-01 00:00:00 UTC"),
        ({"max_runs": 5, "runs_left": 2}, "Max Runs:    5 (2 left)"),
        ({"tags": {"env": "prod", "nightly": ""}}, "Tags:        env=prod, nightly"),
        ({"calendars": ["freeze:skip", "moves:defer"]}, "Calendars:   freeze:skip, moves:defer"),
        ({"attached_calendars": ["year-end:skip"]}, "not named here, and hold it too: year-end:skip"),
        ({"windows": [FREEZE]}, "Windows:     mon-fri 08:00-18:00:skip (UTC)"),
        ({"spread_seconds": 1800.0}, "Spread:      up to 30m"),
        ({"jitter_seconds": 10.0}, "Jitter:      up to 10s"),
        ({"paused": a_pause()}, "Paused:      everything is paused by ada until 2026-03-04T18:00:00Z: moving"),
        ({"targets_at_once": 50}, "At Once:     50 targets"),
        ({"priority": -3}, "Priority:    -3"),
        ({"batch": "1, 10%", "batch_pause_seconds": 300.0}, "Batches:     1, 10%, 5m apart"),
        ({"batch": "1, 10%"}, "Max Fail:    0; with more bad hosts the rest is not started"),
        ({"max_fail": "10%"}, "Max Fail:    10%; with more bad hosts the rest is not started"),
        ({"throttle": "30/m"}, "Throttle:    at most 30/m"),
        ({"lock_hosts": True}, "Lock:        shares no host with another run that locks"),
        ({"on_offline": "wait"}, "On Offline:  wait"),
    ],
)
def test_what_a_schedule_says_has_a_line_and_else_none(said: dict[str, Json], line: str) -> None:
    with_it, without = (list(job_lines(job, wide=False, width=None)) for job in (a_job(**said), a_job()))
    assert [text for text in with_it if line in text]
    label = line.partition(":")[0]
    assert not [text for text in without if text.startswith(f"{label}:")]


def test_wide_shows_the_defaults_too(daemon: Canned) -> None:
    printed = shown(daemon, "-o", "wide")
    for line in ("Timezone:    UTC", "Run Timeout: 1h", "Grace:       1m", "At Once:     10 targets", "Version:     2"):
        assert f"{line}\n" in printed


def test_long_values_are_broken_between_words_to_fit_the_terminal() -> None:
    reason = "moving the storage to the new rack, which takes all of the weekend and perhaps Monday as well"
    dropped = {"at": "2026-03-05T02:00:00Z", "local": "2026-03-05 02:00:00 UTC", "timezone": "UTC"}
    dropped |= {"reason": "paused", "note": reason}
    job = a_job(paused=a_pause(said=f"paused by ada: {reason}"), next_runs=[dropped], **SEVERAL)
    lines = "\n".join(job_lines(job, wide=False, width=80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()).count(reason) == 2


def test_a_value_that_cannot_be_broken_stays_whole() -> None:
    command = "x" * 200
    job = a_job(playbook=None, steps=[{"name": "shell", "action": "shell", "params": {"command": command}}])
    assert any(command in line for line in job_lines(job, wide=False, width=80))
