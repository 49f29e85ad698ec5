"""The English of a trigger."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rota.domain.instant import MINUTE, SECOND, parse_rfc3339
from rota.domain.trigger.explain import describe, describe_cron
from rota.domain.trigger.spec import (
    CalendarTrigger,
    Fold,
    Gap,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    OnStartTrigger,
    Overflow,
    TriggerSpec,
    Unit,
    parse_calendar,
    parse_continuous,
    parse_cron,
)


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
    assert describe_cron("5 1-23/3 * * *") == "Every 3 hours from 01:05 to 22:05"


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


@pytest.mark.parametrize(
    ("expression", "english"),
    [
        ("*/30 * * * * *", "Every 30 seconds"),
        ("* * * * * *", "Every second"),
        ("*/7 * * * * *", "At seconds 0, 7, 14, … 56 of every minute"),
        ("30 0 2 * * *", "Every day at 02:00:30"),
        ("15 */5 * * * *", "Every 5 minutes, at second 15"),
        ("*/10 * 8-17 * * 1-5", "Every 10 seconds from 08:00:00 to 17:59:50, every Monday to Friday"),
        ("0,30 0 9 * * *", "Every day at 09:00:00 and 09:00:30"),
        ("0 0 9 1 1 * 2027", "On day 1 of January of 2027 at 09:00"),
        ("0 0 9 * * * 2027,2028", "Every day in 2027 and 2028 at 09:00"),
        ("0 9 L * *", "On the last day of every month at 09:00"),
        ("0 9 L-1 * *", "On the last day but one of every month at 09:00"),
        ("0 9 L-3 * *", "On the day 3 days before the last of every month at 09:00"),
        ("0 9 LW * *", "On the last workday of every month at 09:00"),
        ("0 9 1W * *", "On the first workday of every month at 09:00"),
        ("0 9 15W 6 *", "On the workday nearest to day 15 of June at 09:00"),
        ("0 7 15,L * *", "On day 15 and the last day of every month at 07:00"),
        ("0 12 * * 1#1", "On the first Monday of every month at 12:00"),
        ("0 14 * * 3#1,3#3", "On the first Wednesday and the third Wednesday of every month at 14:00"),
        ("0 17 * * 5L", "On the last Friday of every month at 17:00"),
        ("0 9 L * 1", "At 09:00 on the last day of every month, and also every Monday"),
        ("0 9 */2 * 5L", "On the last Friday of every month, if that is day 1, 3, 5, … 31 of the month at 09:00"),
        ("0 8-20/2 * * *", "Every 2 hours from 08:00 to 20:00"),
        ("*/7 9-17 * * *", "At minutes 0, 7, 14, … 56 of hours 9 to 17"),
    ],
)
def test_the_whole_dialect_in_english(expression: str, english: str) -> None:
    assert describe_cron(expression) == english


def test_a_hash_is_told_as_what_it_hashes_to() -> None:
    assert describe_cron("5 H(3-3) * * *", seed="any") == "Every day at 03:05"


def a_rule(unit: Unit, *times: int, every: int = 1, **days: object) -> CalendarTrigger:
    return parse_calendar(unit, times or (9 * 3600,), "UTC", every=every, anchor="2026-03-05", **days)  # type: ignore[arg-type]  # the builder's own


@pytest.mark.parametrize(
    ("rule", "english"),
    [
        (a_rule(Unit.DAY, 9 * 3600, 17 * 3600 + 1800), "Every day at 09:00 and 17:30"),
        (a_rule(Unit.DAY, every=3), "Every 3 days at 09:00, counted from 2026-03-05"),
        (a_rule(Unit.WEEK, weekdays=[4], every=2), "Every 2 weeks on Friday at 09:00, counted from 2026-03-05"),
        (a_rule(Unit.WEEK, weekdays=[0, 1, 2, 3, 4]), "Every Monday to Friday at 09:00"),
        (a_rule(Unit.MONTH, month_days=[15, -1]), "On day 15 and the last day of every month at 09:00"),
        (
            a_rule(Unit.MONTH, month_days=[31], overflow=Overflow.LAST_DAY),
            "On day 31 of every month (the last day where there is none) at 09:00",
        ),
        (
            a_rule(Unit.MONTH, nth=[(2, 1)], every=2),
            "Every 2 months on the second Tuesday at 09:00, counted from 2026-03-05",
        ),
        (a_rule(Unit.YEAR, months=[5], month_days=[29], every=2),
         "Every 2 years on day 29 of May at 09:00, counted from 2026-03-05"),
        (a_rule(Unit.DAY, month_days=[13], weekdays=[4]), "Every Friday that is day 13 of the month at 09:00"),
        (
            a_rule(Unit.DAY, *range(8 * 3600, 18 * 3600 + 1, 900), weekdays=[5, 6]),
            "Every 15 minutes from 08:00 to 18:00, every Saturday and Sunday",
        ),
        (a_rule(Unit.DAY, 9000, gap=Gap.SKIP), "Every day at 02:30, not where a clock change leaves it out"),
        (a_rule(Unit.DAY, 9000, fold=Fold.BOTH), "Every day at 02:30, on both passes where a clock change repeats it"),
        (parse_continuous(), "Continuously"),
        (parse_continuous(30 * SECOND), "Continuously, with a pause of 30 seconds"),
        (OnStartTrigger(), "When the daemon starts"),
    ],
)  # fmt: skip
def test_every_other_kind_in_english(rule: TriggerSpec, english: str) -> None:
    assert describe(rule) == english


PREVIEWS = (Path(__file__).parents[3] / "docs" / "previews.md").read_text()


@pytest.mark.parametrize(
    ("expression", "english"), re.findall(r"^\| `([^`]+)` \| ([A-Z][^|]+) \|$", PREVIEWS, re.MULTILINE)
)
def test_the_readings_of_the_manual_are_those_of_the_program(expression: str, english: str) -> None:
    assert describe_cron(expression) == english
