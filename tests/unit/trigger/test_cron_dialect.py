"""What may be written, what is refused, and what a refusal says."""

from __future__ import annotations

import re

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.instant import from_micros, parse_rfc3339
from rota.domain.trigger.cron import cron_timetable
from rota.domain.trigger.dialect import SHORTHANDS, NotCron, needs_seed, read_cron
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


DAYS = "1-31, L, L-1 to L-30, LW or 1W to 31W"
WEEKDAYS = "0-7 or SUN-SAT, alone, with L (5L: the last Friday) or with #1 to #5"
ORDER = "minute hour day-of-month month day-of-week"
NO_DAY = "no day is both */20 by day of month and 5L by day of week"
EIGHT = f"expected 5 fields: {ORDER}; 6 with seconds first; or 7 with a year last as well"
SECONDS_FIRST = "fields begin with seconds, and only the seventh is a year"
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
    ("0 0 ٣W * *", 'cron "0 0 ٣W * *" has day of month "٣W"; expected 1-31 in plain ASCII', "0 0 1 * *"),
    (
        "0 0 L-31 * *",
        'cron "0 0 L-31 * *" has day of month "L-31"; expected 1-31, L, L-1 to L-30, LW or 1W to 31W',
        "0 0 L-30 * *",
    ),
    (
        "0 0 32W * *",
        'cron "0 0 32W * *" has day of month "32W"; expected 1-31, L, L-1 to L-30, LW or 1W to 31W',
        "0 0 31W * *",
    ),
    (
        "0 0 5#3 * *",
        f'cron "0 0 5#3 * *" has day of month "5#3", which belongs to the day of week; expected {DAYS}',
        "0 0 1 * *",
    ),
    (
        "0 0 * * 5#6",
        f'cron "0 0 * * 5#6" has day of week "5#6"; expected {WEEKDAYS}',
        "0 0 * * 5L",
    ),
    (
        "0 0 * * 15W",
        f'cron "0 0 * * 15W" has day of week "15W", which belongs to the day of month; expected {WEEKDAYS}',
        "0 0 * * 1",
    ),
    (
        "0 0 * * L",
        f'cron "0 0 * * L" has day of week "L"; expected {WEEKDAYS}',
        "0 0 * * 5L",
    ),
    (
        "H 2 * * *",
        'cron "H 2 * * *" has minute "H", a number of the job\'s own, and there is no job; expected 0-59',
        "0 2 * * *",
    ),
    (
        "H(30-10) 2 * * *",
        'cron "H(30-10) 2 * * *" has minute range 30-10, which runs backwards; expected 30-59,0-10',
        "0 2 * * *",
    ),
    (
        "0 0 L-30 2 *",
        'cron "0 0 L-30 2 *" never fires: Feb has no day L-30; expected a date that exists',
        "0 0 29 2 *",
    ),
    (
        "0 0 */20 * 5L",
        f'cron "0 0 */20 * 5L" never fires: {NO_DAY}; expected a date that exists',
        "0 0 ? * 5L",
    ),
    (
        "0 0 0 29 2 * 2027",
        'cron "0 0 0 29 2 * 2027" never fires: there is no such day in 2027; expected a date that exists',
        "0 0 0 29 2 * 2028",
    ),
    (
        "0 0 2 * * * 1969",
        'cron "0 0 2 * * * 1969" has year 1969; expected 1970-2099',
        "0 0 2 * * * 1970",
    ),
    (
        "0 2 * * * 2026",
        f'cron "0 2 * * * 2026" has day of week 2026; expected 0-7 or SUN-SAT; 6 {SECONDS_FIRST}',
        "0 0 2 * * * 2026",
    ),
    (
        "0 2 * * * 30",
        f'cron "0 2 * * * 30" has day of week 30; expected 0-7 or SUN-SAT; 6 {SECONDS_FIRST}',
        "30 0 2 * * *",
    ),
    (
        "0 2 1 1 * 30 2026",
        f'cron "0 2 1 1 * 30 2026" has day of week 30; expected 0-7 or SUN-SAT; 7 {SECONDS_FIRST}',
        "30 0 2 1 1 * 2026",
    ),
    (
        "0 0 0 * * * * *",
        f'cron "0 0 0 * * * * *" has 8 fields; {EIGHT}',
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


def test_an_expression_of_more_than_256_characters_is_refused() -> None:
    assert "has 257 characters; expected at most 256" in str(refusal("0," * 124 + "0 * * * *"[:9]))


def test_a_mistyped_shorthand_gets_the_near_one() -> None:
    assert 'did you mean "@daily"?' in str(refusal("@dialy"))


@pytest.mark.parametrize(
    ("expression", "kind", "rest"),
    [("@every 45m", "interval", "45m"), ("@EVERY  1h30m", "interval", "1h30m"), ("@reboot", "on_start", "")],
)
def test_every_and_reboot_can_be_told_apart_as_other_kinds(expression: str, kind: str, rest: str) -> None:
    fault = refusal(expression)
    assert isinstance(fault, NotCron)
    assert (fault.kind, fault.rest) == (kind, rest)
    assert "try: --" in fault.hint


# Days that each month decides on


def days(expression: str, year: str = "2026") -> list[str]:
    """Return the days of `year`, as MM-DD, on which the expression is due."""
    times = cron_timetable(expression, "UTC")
    found, at = [], times.next(parse_rfc3339(f"{year}-01-01T00:00:00Z") - 1)
    while at is not None and from_micros(at).year == int(year):
        found.append(f"{from_micros(at):%m-%d}")
        at = times.next(at)
    return found


def test_l_is_the_last_day_of_each_month() -> None:
    assert days("0 0 L * *")[:4] == ["01-31", "02-28", "03-31", "04-30"]
    assert days("0 0 L 2 *", "2028") == ["02-29"]


def test_l_minus_three_is_three_days_before_the_last() -> None:
    assert days("0 0 L-3 1-4 *") == ["01-28", "02-25", "03-28", "04-27"]
    assert days("0 0 L-30 * *") == ["01-01", "03-01", "05-01", "07-01", "08-01", "10-01", "12-01"]


def test_w_is_the_nearest_workday_within_the_month() -> None:
    assert days("0 0 15W 2,3,8 *") == ["02-16", "03-16", "08-14"]  # Sunday, Sunday, Saturday
    assert days("0 0 1W 8,11 *") == ["08-03", "11-02"]  # Saturday the 1st does not become Friday of July
    assert days("0 0 31W 1,2,5 *") == ["01-30", "05-29"]  # February has no 31st to be near to


def test_lw_is_the_last_workday_of_each_month() -> None:
    assert days("0 0 LW 1-5 *") == ["01-30", "02-27", "03-31", "04-30", "05-29"]


def test_a_weekday_with_l_is_its_last_of_each_month() -> None:
    assert days("0 0 * 1-3 5L") == ["01-30", "02-27", "03-27"]
    assert days("0 0 * 1-3 7L") == days("0 0 * 1-3 SUNL") == days("0 0 ? 1-3 L0") == ["01-25", "02-22", "03-29"]


def test_a_weekday_with_a_number_is_its_nth_of_each_month() -> None:
    assert days("0 0 * 1-3 MON#2") == ["01-12", "02-09", "03-09"]
    assert days("0 0 * * 5#5") == ["01-30", "05-29", "07-31", "10-30"]


def test_rules_and_numbers_stand_in_one_list() -> None:
    assert days("0 0 1,15W,L 2 *") == ["02-01", "02-16", "02-28"]
    assert days("0 0 * 2 1#1,5L,3") == ["02-02", "02-04", "02-11", "02-18", "02-25", "02-27"]


def test_without_a_star_a_rule_of_either_day_field_will_do() -> None:
    assert days("0 0 LW 1,2 1#1") == ["01-05", "01-30", "02-02", "02-27"]


# Seconds and years


def test_of_six_fields_the_first_is_seconds() -> None:
    assert read_cron("30 0 2 * * *").second.values == (30,)
    assert read_cron("0 0 2 * * *") == read_cron("0 2 * * *")
    times = cron_timetable("*/20 5 2 * * *", "UTC")
    start = parse_rfc3339("2026-01-01T02:05:00Z")
    found = [start]
    for _ in range(3):
        found.append(times.next(found[-1]) or 0)
    assert [f"{from_micros(at):%d %H:%M:%S}" for at in found] == [
        *("01 02:05:00", "01 02:05:20", "01 02:05:40", "02 02:05:00")
    ]


def test_every_second_of_a_day_is_counted_and_walked_without_a_list_of_them() -> None:
    times = cron_timetable("* * * * * *", "UTC")
    start = parse_rfc3339("2026-01-01T00:00:00Z")
    assert times.count(start, start + 86_400_000_000) == 86_400
    assert (times.next(start), times.prev(start)) == (start + 1_000_000, start - 1_000_000)


def test_of_seven_fields_the_last_is_a_year() -> None:
    times = cron_timetable("0 0 2 1 1 * 2026,2030-2032/2", "UTC")
    found, at = [], times.next(0)
    while at is not None:
        found.append(f"{from_micros(at):%Y-%m-%d}")
        at = times.next(at)
    assert found == ["2026-01-01", "2030-01-01", "2032-01-01"]
    assert times.prev(parse_rfc3339("2026-01-01T00:00:00Z")) is None


def test_a_star_for_the_year_is_any_year() -> None:
    assert read_cron("0 0 2 * * * *") == read_cron("0 2 * * *")


# H and ~

HASHED = [(36,), (2,), (27,), (5,), (5,)]


def test_a_hash_differs_from_job_to_job_and_field_to_field() -> None:
    minutes = {read_cron("H * * * *", f"job {n}").minute.values for n in range(200)}
    assert len(minutes) > 50
    same = sum(read_cron("H H * * *", f"job {n}").minute == read_cron("H H * * *", f"job {n}").hour for n in range(200))
    assert same < 20


def test_a_hash_never_changes() -> None:
    """The numbers are in people's calendars: another hash function would move every job that has one."""
    fields = read_cron("H H H H H", "sched_0123456789abcdef")
    assert [field.values for field in (fields.minute, fields.hour, fields.day, fields.month, fields.weekday)] == HASHED


@pytest.mark.parametrize("expression", ["H(10-19) 0 * * *", "10~19 0 * * *", "h(10-19) 0 * * *"])
def test_a_hash_stays_within_its_range(expression: str) -> None:
    assert {read_cron(expression, str(n)).minute.values[0] for n in range(300)} == set(range(10, 20))


def test_a_hash_with_a_step_begins_anywhere_within_the_first_step() -> None:
    found = {read_cron("H/20 0 * * *", str(n)).minute.values for n in range(300)}
    assert found == {(n, n + 20, n + 40) for n in range(20)}
    assert read_cron("0~59/20 0 * * *", "1") == read_cron("H/20 0 * * *", "1")


def test_a_hash_names_only_days_that_every_month_has_and_sunday_once() -> None:
    chosen = [read_cron("0 0 H * H", str(n)) for n in range(400)]
    assert {fields.day.values[0] for fields in chosen} == set(range(1, 29))
    assert {fields.weekday.values[0] for fields in chosen} == set(range(7))


@pytest.mark.parametrize(
    ("expression", "needs"),
    [("H 2 * * *", True), ("0 0~5 * * *", True), ("0 2 * MAR THU", False), ("@daily", False), ("0 H/2 * * *", True)],
)
def test_an_expression_says_whether_it_needs_a_seed(expression: str, needs: bool) -> None:
    assert needs_seed(expression) is needs


def test_the_thirtieth_of_february_or_a_monday_is_legal() -> None:
    fields: CronFields = read_cron("0 0 30 2 1")  # no star: either day field will do
    assert not fields.needs_both_days


def test_a_thousand_nines_are_refused_without_delay() -> None:
    assert re.search(r"minute 9{21}\.\.\.", str(refusal("9" * 240 + " * * * *")))
