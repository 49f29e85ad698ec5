"""What may be written, what is refused, and what a refusal says."""

from __future__ import annotations

import re

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.trigger.dialect import ORDER, SHORTHANDS, read_cron
from rota.domain.trigger.fields import CronFields


def values(expression: str) -> tuple[tuple[int, ...], ...]:
    fields = read_cron(expression)
    chosen = (fields.minute, fields.hour, fields.day, fields.month, fields.weekday)
    return tuple(field.values for field in chosen)


def refusal(expression: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_cron(expression)
    return caught.value


EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY = tuple(range(1, 32)), tuple(range(1, 13)), tuple(range(7))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("5", (5,)),
        ("5,1,5", (1, 5)),
        ("10-13", (10, 11, 12, 13)),
        ("10-20/5", (10, 15, 20)),
        ("5/15", (5, 20, 35, 50)),
        ("*/20", (0, 20, 40)),
        ("*", tuple(range(60))),
        ("?", tuple(range(60))),
        ("00-02,09", (0, 1, 2, 9)),
    ],
)
def test_a_minute_field_holds(field: str, expected: tuple[int, ...]) -> None:
    assert values(f"{field} 0 1 1 *")[0] == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [("0", (0,)), ("7", (0,)), ("sun", (0,)), ("5-7", (0, 5, 6)), ("Mon-fri", (1, 2, 3, 4, 5)), ("*/7", (0,))],
)
def test_sunday_is_both_0_and_7(field: str, expected: tuple[int, ...]) -> None:
    assert values(f"0 0 * * {field}")[4] == expected


def test_months_have_names_in_any_case() -> None:
    assert values("0 0 1 jan,DEC,Mar-May *")[3] == (1, 3, 4, 5, 12)


@pytest.mark.parametrize(("shorthand", "expression"), SHORTHANDS.items())
def test_a_shorthand_means_its_expression(shorthand: str, expression: str) -> None:
    assert read_cron(shorthand.upper()) == read_cron(expression)


def test_any_white_space_separates_fields() -> None:
    assert read_cron("  0\t2  * * *\n") == read_cron("0 2 * * *")


@pytest.mark.parametrize(
    ("expression", "follows"),
    [
        ("30 2 * * *", False),
        ("15 0-23 * * *", False),
        ("*/30 2 * * *", True),
        ("30 * * * *", True),
        ("30 ? * * *", True),
        ("@hourly", True),
    ],
)
def test_a_star_first_in_minute_or_hour_makes_it_follow_real_time(expression: str, follows: bool) -> None:
    assert read_cron(expression).follows_real_time is follows


REFUSALS = [
    ("0 25 * * *", 'cron "0 25 * * *" has hour 25; expected 0-23', "0 1 * * *"),
    ("60 * * * *", 'cron "60 * * * *" has minute 60; expected 0-59', "0 * * * *"),
    ("0 0 0 * *", 'cron "0 0 0 * *" has day of month 0; expected 1-31', "0 0 1 * *"),
    ("0 0 * 13 *", 'cron "0 0 * 13 *" has month 13; expected 1-12 or JAN-DEC', "0 0 * 12 *"),
    ("0 0 * * 8", 'cron "0 0 * * 8" has day of week 8; expected 0-7 or SUN-SAT', "0 0 * * 1"),
    (
        "0 22-2 * * *",
        'cron "0 22-2 * * *" has hour range 22-2, which runs backwards; expected 22-23,0-2',
        "0 22-23,0-2 * * *",
    ),
    (
        "0 0 * * SAT-MON",
        'cron "0 0 * * SAT-MON" has day of week range SAT-MON, which runs backwards; expected SAT,SUN-MON',
        "0 0 * * SAT,SUN-MON",
    ),
    (
        "*/90 * * * *",
        'cron "*/90 * * * *" has minute step 90 in */90; expected a step of 1-59, or --every 90m for an interval',
        "0 * * * *",
    ),
    ("*/0 * * * *", 'cron "*/0 * * * *" has minute step 0 in */0; expected a step of 1-59', "* * * * *"),
    ("5/ * * * *", 'cron "5/ * * * *" has no step after / in minute 5/; expected a step of 1-59', "5 * * * *"),
    ("1,,2 * * * *", 'cron "1,,2 * * * *" has an empty minute in its list; expected 0-59', "1,0,2 * * * *"),
    ("-5 * * * *", 'cron "-5 * * * *" has an incomplete minute "-5"; expected 0-59', "0 * * * *"),
    ("0 2 * FOO *", 'cron "0 2 * FOO *" has month "FOO"; expected 1-12 or JAN-DEC', "0 2 * 1 *"),
    (
        "0 2 * * Monday",
        'cron "0 2 * * Monday" has day of week "Monday"; expected 0-7 or SUN-SAT',
        "0 2 * * MON",
    ),
    ("٣ * * * *", 'cron "٣ * * * *" has minute "٣"; expected 0-59 in plain ASCII', "0 * * * *"),
    (
        "0 0 L * *",
        'cron "0 0 L * *" has day of month "L"; L, W and # are not supported yet; expected 1-31',
        "0 0 1 * *",
    ),
    (
        "0 0 30 2 *",
        'cron "0 0 30 2 *" never fires: Feb has no day 30; expected a date that exists',
        "0 0 29 2 *",
    ),
    (
        "0 0 31 4,6 *",
        'cron "0 0 31 4,6 *" never fires: Apr or Jun has no day 31; expected a date that exists',
        "0 0 30 4,6 *",
    ),
    (
        "0 0 2 * * *",
        'cron "0 0 2 * * *" has 6 fields; seconds and years come later; expected 5 fields: ' + ORDER,
        "0 2 * * *",
    ),
    (
        "0 2 *",
        'cron "0 2 *" has 3 fields; expected 5 fields: minute hour day-of-month month day-of-week',
        "0 2 * * *",
    ),
    ("", 'cron "" is empty; expected 5 fields: minute hour day-of-month month day-of-week', "0 2 * * *"),
]


@pytest.mark.parametrize(("expression", "says", "instead"), REFUSALS)
def test_a_refusal_says_what_was_expected_and_what_to_type(expression: str, says: str, instead: str) -> None:
    assert str(refusal(expression)) == f'{says}; try: rota jobs preview --cron "{instead}"'
    read_cron(instead)


def test_every_faulty_field_is_named_at_once() -> None:
    fault = refusal("99 25 32 13 8")
    assert [error.field for error in fault.errors] == ["minute", "hour", "day of month", "month", "day of week"]
    assert [error.got for error in fault.errors] == ["99", "25", "32", "13", "8"]
    for part in ("minute 99 (expected 0-59)", "hour 25 (expected 0-23)", "month 13"):
        assert part in str(fault)


@pytest.mark.parametrize("field", ["L", "LW", "15W", "L-3"])
def test_quartz_days_of_the_month_are_named_as_not_yet_supported(field: str) -> None:
    assert "L, W and # are not supported yet" in str(refusal(f"0 0 {field} * *"))


@pytest.mark.parametrize("field", ["5L", "MON#2", "5#3", "MONL", "L"])
def test_quartz_weekdays_are_named_as_not_yet_supported(field: str) -> None:
    assert "L, W and # are not supported yet" in str(refusal(f"0 0 * * {field}"))


def test_an_expression_of_more_than_256_characters_is_refused() -> None:
    assert "has 257 characters; expected at most 256" in str(refusal("0," * 124 + "0 * * * *"[:9]))


def test_a_mistyped_shorthand_gets_the_near_one() -> None:
    assert 'did you mean "@daily"?' in str(refusal("@dialy"))


def test_every_is_an_interval_and_reboot_is_no_time() -> None:
    assert str(refusal("@every 45m")).endswith("try: --every 45m")
    assert "not supported yet" in str(refusal("@reboot"))


def test_the_thirtieth_of_february_or_a_monday_is_legal() -> None:
    fields: CronFields = read_cron("0 0 30 2 1")  # no star: either day field will do
    assert not fields.needs_both_days


def test_a_thousand_nines_are_refused_without_delay() -> None:
    assert re.search(r"minute 9{21}\.\.\.", str(refusal("9" * 240 + " * * * *")))
