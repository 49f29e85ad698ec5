"""Calendar triggers: every so many days, weeks, months or years, on chosen days, at times of day."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, HOUR, SECOND, Micros, from_micros, parse_rfc3339, to_micros
from rota.domain.trigger.spec import (
    CalendarTrigger,
    Fold,
    Gap,
    Overflow,
    Unit,
    from_dict,
    parse_calendar,
    parse_cron,
    short_form,
    to_dict,
)
from rota.domain.trigger.timetable import Timetable, timetable

START = parse_rfc3339("2026-01-01T00:00:00Z")
NEW_YORK, ZURICH = "America/New_York", "Europe/Zurich"


def times_of(spec: CalendarTrigger) -> Timetable:
    times = timetable(spec)
    assert times is not None
    return times


def due(count: int, after: Micros = START - 1, **fields: Any) -> list[str]:
    """The next wall-clock times of a rule given as JSON."""
    spec = from_dict({"kind": "calendar", "times": ["09:00"], **fields})
    assert isinstance(spec, CalendarTrigger)
    times, at, found = times_of(spec), after, []
    for _ in range(count):
        following = times.next(at)
        assert following is not None
        at = following
        found.append(f"{from_micros(at).astimezone(ZoneInfo(spec.zone)):%Y-%m-%d %H:%M}")
    return found


def test_the_31st_comes_in_the_months_that_have_one_and_never_drifts() -> None:
    assert due(8, unit="month", month_days=[31], zone=NEW_YORK) == [
        f"2026-{month:02d}-31 09:00" for month in (1, 3, 5, 7, 8, 10, 12)
    ] + ["2027-01-31 09:00"]


def test_the_31st_may_mean_the_last_day_of_a_shorter_month() -> None:
    found = due(24, unit="month", month_days=[31], overflow="last_day")
    assert [moment[:10] for moment in found] == [
        date(year, month, monthrange(year, month)[1]).isoformat() for year in (2026, 2027) for month in range(1, 13)
    ]


def test_minus_one_is_the_last_day_also_in_a_leap_year() -> None:
    found = due(3, parse_rfc3339("2028-01-15T00:00:00Z"), unit="month", month_days=[-1, 15])
    assert found == ["2028-01-15 09:00", "2028-01-31 09:00", "2028-02-15 09:00"]
    assert due(1, parse_rfc3339("2028-02-16T00:00:00Z"), unit="month", month_days=[-1]) == ["2028-02-29 09:00"]


def test_the_29th_of_february_comes_every_four_years_or_is_clamped() -> None:
    leap: dict[str, Any] = {"unit": "year", "months": [2], "month_days": [29]}
    assert due(2, **leap) == ["2028-02-29 09:00", "2032-02-29 09:00"]
    assert due(3, overflow="last_day", **leap) == ["2026-02-28 09:00", "2027-02-28 09:00", "2028-02-29 09:00"]


def test_the_second_tuesday_and_the_last_friday() -> None:
    found = due(4, unit="month", nth=["2 tue", "last fri"])
    assert found == ["2026-01-13 09:00", "2026-01-30 09:00", "2026-02-10 09:00", "2026-02-27 09:00"]


def test_a_fifth_monday_comes_only_where_there_is_one() -> None:
    assert due(3, unit="month", nth=["5 mon"]) == ["2026-03-30 09:00", "2026-06-29 09:00", "2026-08-31 09:00"]


def test_friday_the_13th_is_a_month_day_that_is_a_friday() -> None:
    found = due(3, unit="month", month_days=[13], weekdays=["fri"])
    assert found == ["2026-02-13 09:00", "2026-03-13 09:00", "2026-11-13 09:00"]


def test_every_other_week_counts_weeks_from_monday() -> None:
    found = due(5, unit="week", every=2, weekdays=["mon", "sun"], anchor="2026-01-07")
    assert found == [f"2026-{day} 09:00" for day in ("01-05", "01-11", "01-19", "01-25", "02-02")]


def test_a_phase_reaches_back_before_its_anchor() -> None:
    assert due(2, unit="week", every=2, weekdays=["mon"], anchor="2030-01-07") == due(
        2, unit="week", every=2, weekdays=["mon"], anchor="2026-01-12"
    )


def test_every_other_week_goes_on_over_the_turn_of_years() -> None:
    found = [date.fromisoformat(moment[:10]) for moment in due(60, unit="week", every=2, anchor="2026-01-07")]
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(weeks=2)}


def test_every_tenth_day_goes_on_over_the_turn_of_years() -> None:
    found = [date.fromisoformat(moment[:10]) for moment in due(60, unit="day", every=10, anchor="2026-01-07")]
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(days=10)}


def test_every_third_month_and_every_fifth_year() -> None:
    assert due(3, unit="month", every=3, month_days=[1], anchor="2026-02-10") == [
        "2026-02-01 09:00", "2026-05-01 09:00", "2026-08-01 09:00",
    ]  # fmt: skip
    assert due(2, unit="year", every=5, anchor="2024-07-04") == ["2029-07-04 09:00", "2034-07-04 09:00"]


def test_several_times_of_a_day_come_in_order() -> None:
    found = due(3, unit="day", times=["17:30", "09:00", "09:00"])
    assert found == ["2026-01-01 09:00", "2026-01-01 17:30", "2026-01-02 09:00"]


def test_weekly_at_nine_stays_at_nine_across_both_clock_changes() -> None:
    found = due(53, unit="week", weekdays=["sun"], zone=ZURICH)
    assert {moment[11:] for moment in found} == {"09:00"}
    assert len({moment[:10] for moment in found}) == 53


def test_a_time_in_a_gap_runs_at_its_end_or_is_skipped_as_chosen() -> None:
    spring = parse_rfc3339("2026-03-07T12:00:00Z")
    daily: dict[str, Any] = {"unit": "day", "times": ["02:30"], "zone": NEW_YORK}
    assert due(2, spring, **daily) == ["2026-03-08 03:00", "2026-03-09 02:30"]
    assert due(1, spring, gap="skip", **daily) == ["2026-03-09 02:30"]


@pytest.mark.parametrize(("fold", "runs"), [("first", 1), ("second", 1), ("both", 2)])
def test_a_repeated_time_runs_on_the_passes_that_were_chosen(fold: str, runs: int) -> None:
    autumn = parse_rfc3339("2026-11-01T04:00:00Z")
    rule = {"kind": "calendar", "unit": "day", "times": ["01:30"], "zone": NEW_YORK, "fold": fold}
    spec = from_dict(rule)
    assert isinstance(spec, CalendarTrigger)
    assert times_of(spec).count(autumn, autumn + 12 * HOUR) == runs


def test_what_is_left_out_is_taken_from_the_anchor() -> None:
    created = parse_rfc3339("2026-03-05T10:00:00Z")  # a Thursday

    def read(unit: str) -> CalendarTrigger:
        spec = from_dict({"kind": "calendar", "unit": unit, "times": ["09:00"]}, created=created)
        assert isinstance(spec, CalendarTrigger)
        return spec

    assert read("week").weekdays == (3,)
    assert read("month").month_days == (5,)
    assert (read("year").months, read("year").month_days) == ((3,), (5,))
    assert read("day").weekdays == ()


def test_equal_rules_made_on_different_days_share_a_timetable() -> None:
    made = [
        parse_calendar(Unit.WEEK, [9 * 3600], "UTC", weekdays=[0], created=START + days * DAY) for days in (0, 5, 100)
    ]
    assert timetable(made[0]) is timetable(made[1]) is timetable(made[2])


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"unit": "month", "times": ["09:00"], "month_days": [31], "months": ["feb"]}, "months"),
        ({"unit": "month", "times": ["09:00"], "month_days": [32]}, "month_days"),
        ({"unit": "month", "times": ["09:00"], "month_days": [0]}, "month_days"),
        ({"unit": "month", "times": []}, "times"),
        ({"unit": "month", "times": ["9"]}, "times"),
        ({"unit": "month", "times": ["24:00"]}, "times"),
        ({"unit": "fortnight", "times": ["09:00"]}, "unit"),
        ({"times": ["09:00"]}, "unit"),
        ({"unit": "day", "times": ["09:00"], "every": 0}, "every"),
        ({"unit": "day", "times": ["09:00"], "every": 1001}, "every"),
        ({"unit": "day", "times": ["09:00"], "every": True}, "every"),
        ({"unit": "day", "times": ["09:00"], "anchor": "2026-02-30"}, "anchor"),
        ({"unit": "day", "times": "09:00"}, "times"),
        ({"unit": "week", "times": ["09:00"], "weekdays": ["mo"]}, "weekdays"),
        ({"unit": "month", "times": ["09:00"], "nth": ["6 mon"]}, "nth"),
        ({"unit": "month", "times": ["09:00"], "overflow": "clamp"}, "overflow"),
        ({"unit": "day", "times": ["09:00"], "gap": "later"}, "gap"),
        ({"unit": "day", "times": ["09:00"], "zone": "Zurich"}, "zone"),
        ({"unit": "year", "times": ["09:00"], "every": 4, "anchor": "2027-02-28", "month_days": [29]}, "months"),
    ],
)
def test_a_faulty_rule_is_refused_by_field(data: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_dict({"kind": "calendar", **data})
    assert [error.field for error in caught.value.errors] == [field]


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        from_dict(
            {"kind": "calendar", "unit": "month", "times": ["9"], "month_days": ["x"], "nth": ["9 mon"], "foo": 1}
        )
    assert {error.field for error in caught.value.errors} == {"foo", "times", "month_days", "nth"}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"unit": "day", "times": ["09:00"]}, "every day 09:00"),
        ({"unit": "week", "every": 2, "times": ["09:00"], "weekdays": ["fri", "mon"], "anchor": "2026-01-05"},
         "every 2 weeks mon,fri 09:00"),
        ({"unit": "month", "times": ["07:00", "19:00"], "month_days": [15, -1]}, "every month last,15 07:00,19:00"),
        ({"unit": "year", "months": [1, 7], "nth": ["2 tue", "last fri"], "times": ["12:00:30"]},
         "every year jan,jul last fri,2 tue 12:00:30"),
    ],
)  # fmt: skip
def test_the_short_form_says_all_of_it(data: dict[str, object], text: str) -> None:
    assert short_form(from_dict({"kind": "calendar", **data})) == text


@st.composite
def rules(draw: st.DrawFn) -> CalendarTrigger:
    """Rules that are due at all."""
    try:
        return parse_calendar(
            draw(st.sampled_from(Unit)),
            draw(st.sets(st.integers(0, 86_399), min_size=1, max_size=3)),
            draw(st.sampled_from(["UTC", NEW_YORK, "Australia/Lord_Howe", "Asia/Beirut"])),
            every=draw(st.integers(1, 9)),
            anchor=draw(st.dates(date(1990, 1, 1), date(2060, 1, 1))).isoformat(),
            weekdays=draw(st.sets(st.integers(0, 6), max_size=3)),
            nth=draw(st.sets(st.tuples(st.sampled_from([1, 2, 5, -1, -5]), st.integers(0, 6)), max_size=2)),
            month_days=draw(st.sets(st.sampled_from([1, 15, 29, 30, 31, -1, -2, -31]), max_size=2)),
            months=draw(st.sets(st.integers(1, 12), max_size=3)),
            overflow=draw(st.sampled_from(Overflow)),
        )
    except InvalidInput:
        reject()


@settings(max_examples=80, deadline=None)
@given(rules(), st.integers(0, 40 * 365))
def test_days_are_those_that_a_search_day_by_day_finds(spec: CalendarTrigger, offset: int) -> None:
    first = date(2005, 1, 1) + timedelta(days=offset)
    span = 500
    expected = [first + timedelta(days=i) for i in range(span) if _is_due(spec, first + timedelta(days=i))]
    zone = ZoneInfo(spec.zone)
    begin = to_micros(datetime.combine(first, datetime.min.time(), zone)) - 1
    until = to_micros(datetime.combine(first + timedelta(days=span), datetime.min.time(), zone)) - 1
    times, at, found = times_of(spec), begin, list[date]()
    while (following := times.next(at)) is not None and following <= until:
        at = following
        day = from_micros(at).astimezone(zone).date()
        if not found or found[-1] != day:
            found.append(day)
    assert found == expected


@settings(max_examples=80, deadline=None)
@given(rules(), st.integers(parse_rfc3339("1990-01-01T00:00:00Z"), parse_rfc3339("2060-01-01T00:00:00Z")))
def test_next_and_prev_are_inverse_and_json_is_read_back(spec: CalendarTrigger, after: Micros) -> None:
    times = times_of(spec)
    following = times.next(after)
    assume(following is not None)
    assert following is not None and following > after
    assert times.next(following - 1) == following
    before = times.prev(following)
    assert before is None or (before < following and times.next(before) == following)
    assert times.count(after, following) == 1 == times.count(following - SECOND, following)
    assert from_dict(to_dict(spec)) == spec


def _is_due(spec: CalendarTrigger, day: date) -> bool:
    """The rule as its definition says it, one day at a time."""
    anchor = date.fromisoformat(spec.anchor or "2000-01-01")
    length = monthrange(day.year, day.month)[1]
    periods = {
        Unit.DAY: (day - anchor).days,
        Unit.WEEK: ((day - timedelta(days=day.weekday())) - (anchor - timedelta(days=anchor.weekday()))).days // 7,
        Unit.MONTH: (day.year - anchor.year) * 12 + day.month - anchor.month,
        Unit.YEAR: day.year - anchor.year,
    }
    if periods[spec.unit] % spec.every or (spec.months and day.month not in spec.months):
        return False
    if spec.weekdays and day.weekday() not in spec.weekdays:
        return False
    if not spec.month_days and not spec.nth:
        return True
    place, from_end = (day.day - 1) // 7 + 1, -((length - day.day) // 7 + 1)
    if (place, day.weekday()) in spec.nth or (from_end, day.weekday()) in spec.nth:
        return True
    if day.day in spec.month_days or day.day - length - 1 in spec.month_days:
        return True
    return spec.overflow is Overflow.LAST_DAY and day.day == length and any(n > length for n in spec.month_days)


@settings(max_examples=100, deadline=None)
@given(
    zone=st.sampled_from([NEW_YORK, ZURICH, "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Apia", "America/Havana"]),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    gap=st.sampled_from(Gap),
    fold=st.sampled_from(Fold),
    after=st.integers(parse_rfc3339("1990-01-01T00:00:00Z"), parse_rfc3339("2060-01-01T00:00:00Z")),
)
def test_daily_is_the_cron_expression_of_the_same_time(
    zone: str, hour: int, minute: int, gap: Gap, fold: Fold, after: Micros
) -> None:
    daily = timetable(parse_calendar(Unit.DAY, [hour * 3600 + minute * 60], zone, gap=gap, fold=fold))
    cron = timetable(parse_cron(f"{minute} {hour} * * *", zone, gap=gap, fold=fold))
    assert daily is not None and cron is not None
    assert daily.count(after, after + 400 * DAY) == cron.count(after, after + 400 * DAY)
    at = after
    for _ in range(380):
        following = daily.next(at)
        assert following is not None and following == cron.next(at)
        at = following
