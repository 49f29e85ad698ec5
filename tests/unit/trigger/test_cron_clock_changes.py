"""What cron does when clocks change: the recorded runs of Debian's cron, and the places where clocks do odd things."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from rota.domain.instant import DAY, HOUR, MINUTE, from_micros, to_micros
from rota.domain.trigger.cron import cron_timetable
from rota.domain.trigger.kinds import Fold, Gap
from rota.domain.trigger.zones import zone_named


def shown(
    expression: str, zone: str, first: str, last: str, gap: Gap = Gap.RUN_AFTER, fold: Fold = Fold.FIRST
) -> list[str]:
    """Return the occurrences from `first` to `last` (wall, inclusive): `HH:MM±HHMM`, with dates if of several days."""
    info = ZoneInfo(zone)
    low = to_micros(datetime.fromisoformat(first).replace(tzinfo=info)) - 1
    high = to_micros(datetime.fromisoformat(last).replace(tzinfo=info, fold=1))
    times = cron_timetable(expression, zone, gap=gap, fold=fold)
    found = []
    at = times.next(low)
    while at is not None and at <= high:
        found.append(from_micros(at).astimezone(info))
        at = times.next(at)
    assert times.count(low, high) == len(found)
    one_day = first[:10] == last[:10]
    return [f"{at:%H:%M%z}" if one_day else f"{at:%m-%d %H:%M%z}" for at in found]


# Recorded from Debian cron 3.0pl1-162 under libfaketime, TZ=America/New_York. One difference is meant: Debian starts
# `0 2,3 * * *` and `0 1-3 * * *` twice at 03:00; two starts at one instant are one occurrence here.
SPRING = [
    ("30 2 * * *", ["03:00-0400"]),
    ("0 2,3 * * *", ["03:00-0400"]),
    ("15 0-5/1 * * *", ["00:15-0500", "01:15-0500", "03:00-0400", "03:15-0400", "04:15-0400", "05:15-0400"]),
    ("0 1-3 * * *", ["01:00-0500", "03:00-0400"]),
    ("*/30 2 * * *", []),
]
AUTUMN = [
    ("30 2 * * *", ["02:30-0500"]),
    ("0 2,3 * * *", ["02:00-0500", "03:00-0500"]),
    ("15 0-5/1 * * *", ["00:15-0400", "01:15-0400", "02:15-0500", "03:15-0500", "04:15-0500", "05:15-0500"]),
    ("0 1-3 * * *", ["01:00-0400", "02:00-0500", "03:00-0500"]),
    ("*/30 2 * * *", ["02:00-0500", "02:30-0500"]),
    ("30 1 * * *", ["01:30-0400"]),
    ("*/30 1 * * *", ["01:00-0400", "01:30-0400", "01:00-0500", "01:30-0500"]),
]


@pytest.mark.parametrize(("expression", "expected"), SPRING)
def test_new_york_in_spring_is_as_debian_cron_does_it(expression: str, expected: list[str]) -> None:
    assert shown(expression, "America/New_York", "2026-03-08T00:00", "2026-03-08T12:00") == expected


@pytest.mark.parametrize(("expression", "expected"), AUTUMN)
def test_new_york_in_autumn_is_as_debian_cron_does_it(expression: str, expected: list[str]) -> None:
    assert shown(expression, "America/New_York", "2026-11-01T00:00", "2026-11-01T12:00") == expected


@pytest.mark.parametrize("expression", ["30 * * * *", "*/30 * * * *"])
def test_wildcards_are_even_in_real_time_through_both_changes(expression: str) -> None:
    times = cron_timetable(expression, "America/New_York")
    for day in ("2026-03-08", "2026-11-01"):
        at = times.next(to_micros(datetime.fromisoformat(f"{day}T00:00-05:00")))
        for _ in range(12):
            assert at is not None
            after = times.next(at)
            assert after is not None
            assert after - at == (HOUR if expression.startswith("30") else HOUR // 2)
            at = after


def test_a_star_in_a_day_field_means_that_both_must_match() -> None:
    days = shown("0 0 */10 * 1", "America/New_York", "2026-01-01T00:00", "2026-06-30T00:00")
    assert days == ["05-11 00:00-0400", "06-01 00:00-0400"]  # 11 May and 1 June are the Mondays among 1, 11, 21, 31
    assert shown("0 0 13 * */2", "UTC", "2026-01-01T00:00", "2026-03-31T00:00") == ["01-13 00:00+0000"]


def test_without_a_star_either_day_field_will_do() -> None:
    assert len(shown("0 0 1-31 * 1", "America/New_York", "2026-01-01T00:00", "2026-01-31T00:00")) == 31
    assert shown("0 0 13 * 5", "UTC", "2026-01-01T00:00", "2026-01-17T00:00") == [
        "01-02 00:00+0000",
        "01-09 00:00+0000",
        "01-13 00:00+0000",
        "01-16 00:00+0000",
    ]


def test_two_o_clock_in_new_york_runs_once_on_every_civil_day_of_the_year() -> None:
    times = cron_timetable("0 2 * * *", "America/New_York")
    at = to_micros(datetime(2026, 1, 1, tzinfo=ZoneInfo("America/New_York")))
    days = []
    for _ in range(365):
        following = times.next(at)
        assert following is not None
        days.append(from_micros(following).astimezone(ZoneInfo("America/New_York")).date())
        at = following
    assert all(after - before == timedelta(days=1) for before, after in pairwise(days))
    assert (str(days[0]), str(days[-1])) == ("2026-01-01", "2026-12-31")


# Other rules for fixed times

SPRING_DAY, AUTUMN_DAY = ("2026-03-08T00:00", "2026-03-08T12:00"), ("2026-11-01T00:00", "2026-11-01T12:00")


@pytest.mark.parametrize("fold", Fold)
def test_skip_drops_what_falls_into_a_gap_and_nothing_else(fold: Fold) -> None:
    assert shown("30 2 * * *", "America/New_York", *SPRING_DAY, Gap.SKIP, fold) == []
    assert shown("0 2,3 * * *", "America/New_York", *SPRING_DAY, Gap.SKIP, fold) == ["03:00-0400"]


@pytest.mark.parametrize("fold", Fold)
def test_run_after_runs_at_the_end_of_a_gap_whatever_holds_for_folds(fold: Fold) -> None:
    assert shown("15,30 2 * * *", "America/New_York", *SPRING_DAY, Gap.RUN_AFTER, fold) == ["03:00-0400"]
    assert shown("0 2,3 * * *", "America/New_York", *SPRING_DAY, Gap.RUN_AFTER, fold) == ["03:00-0400"]


@pytest.mark.parametrize("gap", Gap)
@pytest.mark.parametrize(
    ("fold", "expected"),
    [
        (Fold.FIRST, ["01:30-0400"]),
        (Fold.SECOND, ["01:30-0500"]),
        (Fold.BOTH, ["01:30-0400", "01:30-0500"]),
    ],
)
def test_a_repeated_time_runs_on_the_chosen_pass(gap: Gap, fold: Fold, expected: list[str]) -> None:
    assert shown("30 1 * * *", "America/New_York", *AUTUMN_DAY, gap, fold) == expected


def test_a_rule_for_fixed_times_leaves_wildcards_alone() -> None:
    usual = shown("*/30 1 * * *", "America/New_York", *AUTUMN_DAY)
    assert shown("*/30 1 * * *", "America/New_York", *AUTUMN_DAY, Gap.SKIP, Fold.SECOND) == usual


def test_the_last_year_of_an_expression_ends_with_the_second_copy_of_its_last_hour() -> None:
    for expression, fold in (("0 */30 1 1 11 ? 2026", Fold.FIRST), ("0 0,30 1 1 11 ? 2026", Fold.BOTH)):
        found = shown(expression, "America/New_York", "2026-11-01T00:00", "2027-01-01T00:00", fold=fold)
        assert found == ["11-01 01:00-0400", "11-01 01:30-0400", "11-01 01:00-0500", "11-01 01:30-0500"]


def test_what_falls_into_a_gap_every_year_is_answered_with_none_and_soon() -> None:
    """The second Sunday in March, 02:00 to 02:59: for New York no such hour has come since 2007, and none will."""
    since = to_micros(datetime(2007, 3, 11, tzinfo=ZoneInfo("America/New_York")))
    fixed = cron_timetable("30 2 8-14 3 */7", "America/New_York", gap=Gap.SKIP)
    wildcard = cron_timetable("*/30 2 8-14 3 */7", "America/New_York")
    for times in (fixed, wildcard):
        assert times.next(since) is None
        assert times.count(since, since + 1000 * 366 * DAY) == 0
        last = times.prev(since)
        assert last is not None and from_micros(last).year == 2006


# Places


def test_lord_howe_shifts_by_half_an_hour() -> None:
    # 2026-04-05 02:00+11 → 01:30+10:30; 2026-10-04 02:00+10:30 → 02:30+11
    assert shown("45 1 * * *", "Australia/Lord_Howe", "2026-04-05T00:00", "2026-04-05T12:00") == ["01:45+1100"]
    assert shown("15 2 * * *", "Australia/Lord_Howe", "2026-10-04T00:00", "2026-10-04T12:00") == ["02:30+1100"]
    assert shown("*/15 1,2 * * *", "Australia/Lord_Howe", "2026-10-04T00:00", "2026-10-04T12:00") == [
        *("01:00+1030", "01:15+1030", "01:30+1030", "01:45+1030"),
        *("02:30+1100", "02:45+1100"),
    ]
    # cronsim does not reset the minute after the shift, and misses the first 30 runs.
    assert shown("* 16 * * *", "Australia/Lord_Howe", "2026-10-04T00:00", "2026-10-04T23:59")[0] == "16:00+1100"


def test_apia_skipped_the_thirtieth_of_december_2011() -> None:
    # What was due on the missing day runs at its end, which is also the next day's midnight: one occurrence.
    assert shown("0 0 * * *", "Pacific/Apia", "2011-12-29T00:00", "2012-01-01T00:00") == [
        "12-29 00:00-1000",
        "12-31 00:00+1400",
        "01-01 00:00+1400",
    ]
    assert shown("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00", "2012-01-31T00:00") == ["12-31 00:00+1400"]
    assert shown("* * 30 12 *", "Pacific/Apia", "2011-12-01T00:00", "2012-01-31T00:00") == []


@pytest.mark.parametrize(
    ("zone", "day"), [("Asia/Beirut", "2026-03-29"), ("America/Havana", "2026-03-08")], ids=["Beirut", "Havana"]
)
def test_a_day_whose_midnight_is_missing_is_not_dropped(zone: str, day: str) -> None:
    (only,) = shown("0 0 * * *", zone, f"{day}T00:00", f"{day}T12:00")
    assert only.startswith("01:00")
    # Wildcard jobs follow the wall: there is no hour 0 that day, and hour 1 is not asked for (cronsim fires).
    assert shown("* 0 * * *", zone, f"{day}T00:00", f"{day}T12:00") == []
    assert shown("* */2 * * *", zone, f"{day}T00:00", f"{day}T12:00")[0].startswith("02:00")


def test_casablanca_goes_back_for_ramadan_and_forward_again() -> None:
    # 2026: 02-15 03:00+01 → 02:00+00, and 03-22 02:00+00 → 03:00+01
    assert shown("30 2 * * *", "Africa/Casablanca", "2026-02-15T00:00", "2026-02-15T12:00") == ["02:30+0100"]
    assert shown("30 2 * * *", "Africa/Casablanca", "2026-03-22T00:00", "2026-03-22T12:00") == ["03:00+0100"]
    assert len(shown("30 2 * * *", "Africa/Casablanca", "2026-02-01T00:00", "2026-03-31T12:00")) == 28 + 31


def test_troll_jumps_by_two_hours() -> None:
    assert shown("15 1,2 * * *", "Antarctica/Troll", "2026-03-29T00:00", "2026-03-29T12:00") == ["03:00+0200"]
    assert shown("15 1,2 * * *", "Antarctica/Troll", "2026-10-25T00:00", "2026-10-25T12:00") == [
        "01:15+0200",
        "02:15+0200",
    ]
    assert len(shown("*/30 1,2 * * *", "Antarctica/Troll", "2026-10-25T00:00", "2026-10-25T12:00")) == 8


def test_started_inside_the_second_copy_of_an_hour_nothing_of_the_past_is_returned() -> None:
    # cronsim answers 01:33-0400 here, half an hour ago: a daemon that starts in that hour would fire at once.
    start = to_micros(datetime.fromisoformat("2026-11-01T01:03:00-05:00"))
    fixed = cron_timetable("33 2,2,1 * * *", "America/New_York").next(start)
    assert fixed == to_micros(datetime.fromisoformat("2026-11-01T02:33:00-05:00"))
    wildcard = cron_timetable("33 * * * *", "America/New_York").next(start)
    assert wildcard == to_micros(datetime.fromisoformat("2026-11-01T01:33:00-05:00"))


def test_started_inside_the_first_copy_of_an_hour_the_first_pass_counts() -> None:
    start = to_micros(datetime.fromisoformat("2026-11-01T01:03:00-04:00"))
    assert cron_timetable("33 1 * * *", "America/New_York").next(start) == start + 30 * MINUTE


def test_a_fraction_of_a_second_before_an_occurrence_is_before_it() -> None:
    noon = to_micros(datetime.fromisoformat("2026-05-05T12:00:00+00:00"))
    times = cron_timetable("0 12 * * *", "UTC")
    assert (times.next(noon - 1), times.next(noon)) == (noon, noon + DAY)
    assert (times.prev(noon + 1), times.prev(noon)) == (noon, noon - DAY)


# The ends of the calendar


def test_the_twenty_ninth_of_february_is_found_across_2100() -> None:
    times = cron_timetable("0 0 29 2 *", "UTC")
    leap = to_micros(datetime.fromisoformat("2096-02-29T00:00+00:00"))
    assert times.next(leap) == to_micros(datetime.fromisoformat("2104-02-29T00:00+00:00"))


def test_a_leap_day_on_a_chosen_weekday_is_found_forty_years_on() -> None:
    times = cron_timetable("0 0 29 2 */7", "UTC")  # a Sunday, as the star asks for both
    leap = to_micros(datetime.fromisoformat("2088-02-29T00:00+00:00"))
    assert times.next(leap) == to_micros(datetime.fromisoformat("2128-02-29T00:00+00:00"))


@pytest.mark.parametrize("expression", ["0 0 * * *", "*/30 * * * *", "0 0 29 2 *"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_calendar_ends_in_9999_without_an_error(expression: str, zone: str) -> None:
    times = cron_timetable(expression, zone)
    end = to_micros(datetime.fromisoformat("9999-12-31T23:59:59+00:00"))
    last = times.prev(end)
    assert last is not None
    assert from_micros(last).year > 9990
    assert times.next(last) is None
    assert times.next(end * 1_000) is None
    assert times.prev(-end) is None
    assert times.count(last - DAY, end * 1_000) >= 1


def test_counting_a_year_of_minutes_or_a_century_of_days_takes_no_enumeration() -> None:
    year = [to_micros(datetime(y, 1, 1, tzinfo=ZoneInfo("America/New_York"))) for y in (2026, 2027)]
    assert cron_timetable("* * * * *", "America/New_York").count(year[0] - 1, year[1] - 1) == 365 * 1440
    century = [to_micros(datetime(y, 1, 1, tzinfo=ZoneInfo("America/New_York"))) for y in (2000, 2100)]
    assert cron_timetable("0 2 * * *", "America/New_York").count(century[0], century[1]) == 36_525


def test_a_wall_clock_that_repeats_an_hour_stands_still_for_fixed_times() -> None:
    zone = zone_named("America/New_York")
    second_pass = int(datetime.fromisoformat("2026-11-01T01:30:00-05:00").timestamp())
    two = int(datetime.fromisoformat("2026-11-01T02:00:00+00:00").timestamp())
    assert zone.wall_at(second_pass) == two - 1800
    assert zone.latest_wall(second_pass) == two - 1
