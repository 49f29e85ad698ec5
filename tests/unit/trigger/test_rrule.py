"""Recurrence rules of RFC 5545. The expected dates are those that the RFC prints in §3.8.5.3, where it has the rule."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings

from rota.domain.errors import InvalidInput
from rota.domain.instant import from_micros, parse_rfc3339
from rota.domain.trigger.rrule import Recurrence, read_rrule
from rota.domain.trigger.rrule_text import write_rrule
from rota.domain.trigger.spec import CalendarTrigger, CronTrigger, Unit, short_form
from rota.domain.trigger.timetable import timetable_within
from tests.unit.trigger.test_calendar_trigger import rules

NOW = parse_rfc3339("2026-11-21T13:02:00Z")
NEW_YORK = "America/New_York"
START = "DTSTART;TZID=America/New_York:19970902T090000\n"  # a Tuesday; the RFC's own


def read(text: str) -> Recurrence:
    return read_rrule(text, now=NOW, zone=NEW_YORK)


def dates(found: Recurrence, count: int) -> list[str]:
    times, at, result = timetable_within(found.trigger, found.start_at, found.end_at), -(1 << 60), list[str]()
    assert times is not None
    while len(result) < count and (following := times.next(at)) is not None:
        at = following
        result.append(f"{from_micros(at):%Y-%m-%d}")
    return result


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=DAILY;COUNT=3", "1997-09-02 1997-09-03 1997-09-04"),
        ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02 1997-09-12 1997-09-22 1997-10-02 1997-10-12"),
        ("FREQ=WEEKLY;COUNT=8",
         "1997-09-02 1997-09-09 1997-09-16 1997-09-23 1997-09-30 1997-10-07 1997-10-14 1997-10-21"),
        ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;BYDAY=TU,TH",
         "1997-09-02 1997-09-04 1997-09-16 1997-09-18 1997-09-30 1997-10-02 1997-10-14 1997-10-16"),
        ("FREQ=MONTHLY;COUNT=4;BYMONTHDAY=2,15", "1997-09-02 1997-09-15 1997-10-02 1997-10-15"),
        ("FREQ=WEEKLY;UNTIL=19970930T000000Z;WKST=SU;BYDAY=TU,TH",
         "1997-09-02 1997-09-04 1997-09-09 1997-09-11 1997-09-16 1997-09-18 1997-09-23 1997-09-25"),
        ("FREQ=MONTHLY;BYDAY=TU;COUNT=6",
         "1997-09-02 1997-09-09 1997-09-16 1997-09-23 1997-09-30 1997-10-07"),
        ("FREQ=YEARLY;COUNT=3;BYMONTH=9", "1997-09-02 1998-09-02 1999-09-02"),
    ],
)  # fmt: skip
def test_the_examples_of_the_rfc(rule: str, expected: str) -> None:
    assert dates(read(START + "RRULE:" + rule), 12) == expected.split()


@pytest.mark.parametrize(
    ("start", "rule", "expected"),
    [
        ("19970905", "FREQ=MONTHLY;COUNT=4;BYDAY=1FR", "1997-09-05 1997-10-03 1997-11-07 1997-12-05"),
        ("19970907", "FREQ=MONTHLY;INTERVAL=2;COUNT=6;BYDAY=1SU,-1SU",
         "1997-09-07 1997-09-28 1997-11-02 1997-11-30 1998-01-04 1998-01-25"),
        ("19970922", "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
         "1997-09-22 1997-10-20 1997-11-17 1997-12-22 1998-01-19 1998-02-16"),
        ("19970928", "FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=6",
         "1997-09-28 1997-10-29 1997-11-28 1997-12-29 1998-01-29 1998-02-26"),
        ("19970930", "FREQ=MONTHLY;COUNT=5;BYMONTHDAY=1,-1",
         "1997-09-30 1997-10-01 1997-10-31 1997-11-01 1997-11-30"),
        ("19970610", "FREQ=YEARLY;COUNT=4;BYMONTH=6,7", "1997-06-10 1997-07-10 1998-06-10 1998-07-10"),
        ("19970310", "FREQ=YEARLY;INTERVAL=2;COUNT=4;BYMONTH=1,2,3",
         "1997-03-10 1999-01-10 1999-02-10 1999-03-10"),
        ("19970313", "FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=4", "1997-03-13 1997-03-20 1997-03-27 1998-03-05"),
        ("19980213", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=4", "1998-02-13 1998-03-13 1998-11-13 1999-08-13"),
        ("19970913", "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13;COUNT=4",
         "1997-09-13 1997-10-11 1997-11-08 1997-12-13"),
        ("20070115", "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
         "2007-01-15 2007-01-30 2007-02-15 2007-03-15 2007-03-30"),
    ],
)  # fmt: skip
def test_more_examples_of_the_rfc_with_starts_of_their_own(start: str, rule: str, expected: str) -> None:
    text = f"DTSTART;TZID=America/New_York:{start}T090000\nRRULE:{rule}"
    assert dates(read(text), 12) == expected.split()


def test_a_rule_without_a_start_begins_now() -> None:
    found = read("FREQ=DAILY")
    assert (short_form(found.trigger), found.start_at, found.end_at) == ("every day 08:02", None, None)


def test_by_hour_and_by_minute_are_all_their_pairs() -> None:
    assert short_form(read("FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0,30").trigger) == "every day 09:00,09:30,17:00,17:30"


def test_hours_and_minutes_are_intervals() -> None:
    assert short_form(read("FREQ=MINUTELY;INTERVAL=45").trigger) == "every 45m"
    assert short_form(read("FREQ=HOURLY;INTERVAL=3").trigger) == "every 3h"


def test_until_a_date_lasts_to_its_end() -> None:
    found = read(START + "RRULE:FREQ=DAILY;UNTIL=19970904")
    assert dates(found, 9) == ["1997-09-02", "1997-09-03", "1997-09-04"]


def test_by_set_pos_with_one_weekday_is_a_numbered_weekday() -> None:
    assert read("FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1").trigger == read("FREQ=MONTHLY;BYDAY=-1FR").trigger


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("FREQ=YEARLY;BYDAY=20MO", "BYDAY counts weekdays of something other than a month"),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "BYSETPOS has no exact counterpart.*0 9 LW"),
        ("FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO has no exact counterpart"),
        ("FREQ=YEARLY;BYYEARDAY=100", "BYYEARDAY has no exact counterpart"),
        ("FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,SU", "WKST is SU"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY cannot stand with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYDAY=1MO,TU", "BYDAY mixes"),
        ("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=1", "BYDAY is numbered beside BYMONTHDAY"),
        ("FREQ=HOURLY;BYDAY=MO", "BYDAY cannot be told with FREQ=HOURLY"),
        ("FREQ=DAILY;COUNT=5;UNTIL=20270101", "COUNT and UNTIL are given together"),
        ("FREQ=DAILY;COUNT=20000", "COUNT is 20000"),
        ("FREQ=DAILY;FREQ=WEEKLY", "each name once"),
        ("FREQ=FORTNIGHTLY", "FREQ is FORTNIGHTLY"),
        ("INTERVAL=2", "FREQ is missing"),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "a day that never comes"),
        ("FREQ=DAILY\nEXDATE:20260101T090000Z", "has EXDATE"),
        ("DTSTART:20260310T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO", "DTSTART that the rule does not match"),
        ("DTSTART:20260230T090000Z\nRRULE:FREQ=DAILY", "not a date or time"),
        ("RRULE:", "has no rule"),
    ],
)
def test_what_does_not_map_exactly_is_refused_with_the_reason(rule: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read(rule)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        read("FREQ=DAILY;INTERVAL=0;BYHOUR=25;FOO=1")
    assert [error.field for error in caught.value.errors] == ["rrule.FOO", "rrule.INTERVAL", "rrule.BYHOUR"]


@settings(max_examples=60, deadline=None)
@given(rules())
def test_what_is_written_is_read_back_as_the_same_instants(trigger: CalendarTrigger) -> None:
    try:
        text = write_rrule(trigger, start_at=NOW)
    except InvalidInput:
        assume(False)
    found = read(text)
    assert found.start_at is not None and found.start_at >= NOW
    expected = dates(Recurrence(trigger, found.start_at, None), 20)
    assert dates(found, 20) == expected


def test_an_interval_is_written_and_read_back() -> None:
    trigger = read("FREQ=MINUTELY;INTERVAL=45").trigger
    assert read(write_rrule(trigger)).trigger == trigger


@pytest.mark.parametrize(
    "trigger",
    [
        CronTrigger("0 2 * * *", "UTC"),
        CalendarTrigger(1, Unit.DAY, (9 * 3600, 17 * 3600 + 1800), "", "UTC"),
        CalendarTrigger(1, Unit.MONTH, (9 * 3600,), "", "UTC", nth=((1, 0),), month_days=(15,)),
    ],
)
def test_what_the_rfc_has_no_words_for_is_not_written(trigger: CronTrigger | CalendarTrigger) -> None:
    with pytest.raises(InvalidInput):
        write_rrule(trigger)
