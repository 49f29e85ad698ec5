"""The English of a trigger."""

from __future__ import annotations

import pytest

from rota.domain.instant import MINUTE, SECOND, parse_rfc3339
from rota.domain.trigger.explain import describe, describe_cron
from rota.domain.trigger.spec import IntervalTrigger, ManualTrigger, OnceTrigger, parse_cron


@pytest.mark.parametrize(
    ("expression", "english"),
    [
        ("0 2 * * *", "Every day at 02:00"),
        ("@daily", "Every day at 00:00"),
        ("0 2,14 * * *", "Every day at 02:00 and 14:00"),
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("3-59/5 * * * *", "Every 5 minutes starting at minute 3"),
        ("@hourly", "Every hour, at minute 0"),
        ("0 */6 * * *", "Every 6 hours, at minute 0"),
        ("15 */12 * * *", "Every day at 00:15 and 12:15"),
        ("0 9-17 * * 1-5", "Every hour from 09:00 to 17:00, every Monday to Friday"),
        ("*/15 9-17 * * *", "Every 15 minutes from 09:00 to 17:45"),
        ("* 2 * * *", "Every minute from 02:00 to 02:59"),
        ("*/10 */2 * * *", "Every 10 minutes of every second hour from 00:00"),
        ("0 0 * * 0", "Every Sunday at 00:00"),
        ("0 12 * * 6,7", "Every Saturday and Sunday at 12:00"),
        ("0 3 1 * *", "On day 1 of every month at 03:00"),
        ("15,45 8 1,15 6,12 *", "On days 1 and 15 of June and December at 08:15 and 08:45"),
        ("@yearly", "On day 1 of January at 00:00"),
        ("0 0 * 1-6 *", "Every day in January to June at 00:00"),
        ("0 2 * * 1 ", "Every Monday at 02:00"),
    ],
)
def test_cron_in_english(expression: str, english: str) -> None:
    assert describe_cron(expression) == english


def test_an_uneven_step_is_not_called_every() -> None:
    assert describe_cron("*/7 * * * *") == "At minutes 0, 7, 14, … 56 of every hour"
    assert describe_cron("0 */5 * * *") == "Every day at 00:00, 05:00, 10:00, 15:00 and 20:00"
    assert describe_cron("5 1-23/3 * * *") == "At minute 5 of hours 1, 4, 7, … 22"


def test_either_day_field_is_told_apart_from_both() -> None:
    assert describe_cron("0 0 13 * 5") == "At 00:00 on day 13 of every month, and also every Friday"
    assert describe_cron("0 0 */10 * 1") == "Every Monday that is day 1, 11, 21 or 31 of the month at 00:00"
    assert describe_cron("*/10 * 13 * 5") == "Every 10 minutes, on day 13 of every month, and also every Friday"


def test_a_day_field_that_names_every_day_is_every_day() -> None:
    assert describe_cron("0 0 1-31 * 1") == "Every day at 00:00"  # either will do, and one always does
    assert describe_cron("0 0 * * 0-6") == "Every day at 00:00"


@pytest.mark.parametrize(
    ("seconds", "english"),
    [
        (1, "Every second"),
        (20, "Every 20 seconds"),
        (60, "Every minute"),
        (5_400, "Every 90 minutes"),
        (3_600, "Every hour"),
        (129_600, "Every 36 hours"),
        (86_400, "Every day"),
        (604_800, "Every week"),
        (1.5, "Every 1.5 seconds"),
    ],
)
def test_an_interval_in_english(seconds: float, english: str) -> None:
    assert describe(IntervalTrigger(round(seconds * SECOND), 0, "UTC")) == english


def test_once_is_shown_in_its_zone() -> None:
    at = parse_rfc3339("2026-07-05T02:00:00Z")
    assert describe(OnceTrigger(at, "America/New_York")) == "Once at 2026-07-04 22:00:00 America/New_York"
    assert describe(OnceTrigger(at + 30 * MINUTE, "UTC")) == "Once at 2026-07-05 02:30:00 UTC"


def test_the_others_in_english() -> None:
    assert describe(ManualTrigger()) == "Manual"
    assert describe(parse_cron("0 2 * * *", "Europe/Zurich")) == "Every day at 02:00"
