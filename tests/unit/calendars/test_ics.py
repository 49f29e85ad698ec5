"""Reading iCalendar files: what becomes of their events, and what no file may do."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import parse_rfc3339
from rota.domain.windows.ics import Imported, read_ics

SINCE = parse_rfc3339("2026-03-04T12:00:00Z")


def a_file(*events: str) -> str:
    """A calendar of these events, each the lines between BEGIN:VEVENT and END:VEVENT."""
    whole = "".join(f"BEGIN:VEVENT\r\nUID:x\r\n{event.strip()}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{whole}END:VCALENDAR\r\n"


def imported(*events: str, zone: str = "Europe/Berlin") -> Imported:
    return read_ics(a_file(*events), zone=zone, since=SINCE)


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        ("DTSTART;VALUE=DATE:20261224", "2026-12-24"),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", "2026-12-24..2026-12-26"),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:P3D", "2026-12-24..2026-12-26"),
        ("DTSTART:20261224T180000Z\nDTEND:20261225T060000Z", "2026-12-24T18:00:00Z..2026-12-25T06:00:00Z"),
        ("DTSTART:20261224T180000\nDURATION:PT1H30M", "2026-12-24T17:00:00Z..2026-12-24T18:30:00Z"),
        ("DTSTART;TZID=America/New_York:20261224T180000\nDTEND;TZID=America/New_York:20261224T200000",
         "2026-12-24T23:00:00Z..2026-12-25T01:00:00Z"),
        ('DTSTART;TZID="America/New_York";X-A="a:b":20261224T180000\nDURATION:PT1H',
         "2026-12-24T23:00:00Z..2026-12-25T00:00:00Z"),
        ("DTSTART;VALUE=DATE:20201224\nDTEND;VALUE=DATE:20201227\nRRULE:FREQ=YEARLY", "12-24..12-26"),
        ("DTSTART;VALUE=DATE:20201231\nDTEND;VALUE=DATE:20210102\nRRULE:FREQ=YEARLY", "12-31..01-01"),
        ("DTSTART;TZID=Europe/Zurich:20260302T220000\nDURATION:PT4H\nRRULE:FREQ=WEEKLY;BYDAY=MO",
         "rrule DTSTART;TZID=Europe/Zurich:20260302T220000 RRULE:FREQ=WEEKLY;BYDAY=MO for 4h"),
        ("DTSTART:20260302T220000Z\nDURATION:PT4H\nRRULE:FREQ=DAILY;UNTIL=20260401T000000Z",
         "rrule DTSTART:20260302T220000Z RRULE:FREQ=DAILY;UNTIL=20260401T000000Z for 4h"),
        ("DTSTART;VALUE=DATE:20260307\nRRULE:FREQ=WEEKLY;BYDAY=SA",
         "rrule DTSTART:20260307 RRULE:FREQ=WEEKLY;BYDAY=SA for 1d"),
        # An instance that was changed, sent without its series.
        ("DTSTART:20261224T180000Z\nDURATION:PT1H\nRECURRENCE-ID:20261225T180000Z",
         "2026-12-24T18:00:00Z..2026-12-24T19:00:00Z"),
    ],
)  # fmt: skip
def test_an_event_becomes_a_rule(event: str, rule: str) -> None:
    assert imported(event) == Imported((rule,), ())


NIGHTS = "SUMMARY:Nights\nDTSTART;TZID=Europe/Zurich:20260302T220000\nDURATION:PT4H\nRRULE:FREQ=WEEKLY;BYDAY=MO"
NIGHTS_RULE = "rrule DTSTART;TZID=Europe/Zurich:20260302T220000 RRULE:FREQ=WEEKLY;BYDAY=MO"


@pytest.mark.parametrize(
    ("lines", "stamps"),
    [
        ("EXDATE;TZID=Europe/Zurich:20260316T220000", "20260316T210000Z"),
        ("EXDATE:20260330T200000Z,20260316T210000Z\nEXDATE;TZID=Europe/Zurich:20260406T220000",
         "20260316T210000Z,20260330T200000Z,20260406T200000Z"),
        ("EXDATE:20250303T210000Z,20260316T210000Z,20260316T210000Z", "20260316T210000Z"),  # over; and named twice
    ],
)  # fmt: skip
def test_the_instances_that_a_series_leaves_out_are_kept_with_it(lines: str, stamps: str) -> None:
    assert imported(f"{NIGHTS}\n{lines}") == Imported((f"{NIGHTS_RULE} EXDATE:{stamps} for 4h",), ())


def test_a_series_of_days_leaves_out_days() -> None:
    yearly = "DTSTART;VALUE=DATE:20201224\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20271224,20201224"
    assert imported(yearly).rules == ("rrule DTSTART:20201224 RRULE:FREQ=YEARLY EXDATE:20271224 for 1d",)


def test_a_changed_instance_has_its_own_window_in_place_of_the_one_of_its_series() -> None:
    moved = "RECURRENCE-ID;TZID=Europe/Zurich:20260316T220000\nDTSTART:20260318T100000Z\nDURATION:PT1H"
    rule = f"{NIGHTS_RULE} EXDATE:20260316T210000Z for 4h"
    window = "2026-03-18T10:00:00Z..2026-03-18T11:00:00Z"
    assert imported(NIGHTS, moved) == Imported((rule, window), ())
    assert imported(moved, NIGHTS) == Imported((window, rule), ())


def test_a_cancelled_instance_has_no_window() -> None:
    cancelled = "RECURRENCE-ID:20260316T210000Z\nDTSTART:20260316T210000Z\nDURATION:PT4H\nSTATUS:CANCELLED"
    assert imported(NIGHTS, cancelled) == Imported((f"{NIGHTS_RULE} EXDATE:20260316T210000Z for 4h",), ())


def test_a_series_that_changes_from_one_instance_on_is_left_out_and_named() -> None:
    later = "RECURRENCE-ID;RANGE=THISANDFUTURE:20260316T210000Z\nDTSTART:20260318T100000Z\nDURATION:PT1H"
    found = imported("DTSTART;VALUE=DATE:20261224", NIGHTS, later)
    assert found.rules == ("2026-12-24",)
    assert [one.partition(":")[0] for one in found.skipped] == ["Nights", "an event without a title"]


def test_folded_lines_are_one() -> None:
    assert imported("DTSTART:2026122\r\n 4T180000Z\r\nDURATION:P\r\n\tT1H").rules == (
        "2026-12-24T18:00:00Z..2026-12-24T19:00:00Z",
    )


def test_events_that_are_over_are_left_out_silently() -> None:
    found = imported("DTSTART;VALUE=DATE:20251224", "DTSTART;VALUE=DATE:20261224")
    assert found == Imported(("2026-12-24",), ())


def test_an_event_that_lasts_just_now_is_taken() -> None:
    assert imported("DTSTART;VALUE=DATE:20260304").rules == ("2026-03-04",)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ("DTSTART:20261224T180000Z", "it has no end"),
        ("DTEND:20261224T180000Z", "it has no DTSTART"),
        ("DTSTART:20261224T180000Z\nDTEND:20261224T170000Z", "it ends before it begins"),
        ("DTSTART:20261324T180000Z\nDURATION:PT1H", "is not a date or time"),
        ("DTSTART:20261224T180000Z\nDURATION:-PT1H", "is not a duration"),
        ("DTSTART;TZID=Nowhere/Land:20261224T180000\nDURATION:PT1H", "is not a time zone"),
        ("DTSTART:20261224T180000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20261225", "leaves out times"),
        ("DTSTART:20261224T180000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE:tomorrow", "is not a date or time"),
        (
            "DTSTART:20261224T180000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\n"
            + "\n".join(f"EXDATE:2026{month:02}{day:02}T180000Z" for month in range(6, 12) for day in range(1, 29)),
            "leaves out 168 instances; expected at most 100",
        ),
        (
            "DTSTART:20261224T180000Z\nDURATION:PT1H\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261225T180000Z",
            "more than one instance",
        ),
        ("DTSTART:20261224T180000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nRDATE:20261225T180000Z", "dates beside its rule"),
        ("DTSTART:20261224T180000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYWEEKNO=3", "BYWEEKNO"),
        ("DTSTART:20261224T180000Z\nDURATION:PT1H\nSTATUS:CANCELLED", "it was cancelled"),
        ("DTSTART:20261224T180000Z\nDTSTART:20261225T180000Z\nDURATION:PT1H", "given twice"),
        ("DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20300101", "it lasts 1461 days"),
    ],
)
def test_an_event_that_cannot_be_taken_exactly_is_left_out_and_named(event: str, why: str) -> None:
    found = imported("DTSTART;VALUE=DATE:20261224", f"SUMMARY:Odd\\, this\n{event}")
    assert found.rules == ("2026-12-24",)
    (skipped,) = found.skipped
    assert skipped.startswith("Odd, this: ")
    assert why in skipped


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no iCalendar file"),
        ("hello", "no iCalendar file"),
        ("BEGIN:VCALENDAR", "ends in the middle"),
        ("BEGIN:VCALENDAR\nEND:VEVENT", "has not begun"),
        (a_file(), "there is none in it"),
        (a_file("DTSTART;VALUE=DATE:20200101"), "all 1 are over"),
        (a_file(*["DTSTART;VALUE=DATE:20261224"] * 5001), "more than 5000 events"),
        ("x" * (5 * 1024 * 1024), "too long"),
    ],
)
def test_what_is_no_calendar_file_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_ics(text, zone="UTC", since=SINCE)
    assert why in str(caught.value)


def test_alarms_and_other_components_within_an_event_mean_nothing() -> None:
    alarm = "BEGIN:VALARM\nDTSTART:19700101T000000Z\nDURATION:PT5M\nEND:VALARM"
    assert imported(f"DTSTART;VALUE=DATE:20261224\n{alarm}").rules == ("2026-12-24",)


WORDS = st.sampled_from(
    [
        *("BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VALARM", "END:VALARM", " folded"),
        *("DTSTART:20261224", "DTSTART:20261224T180000Z", "DTSTART;TZID=Europe/Berlin:99999999T999999", "DTEND:0"),
        *("RRULE:FREQ=SECONDLY;COUNT=9999", "RRULE:FREQ=YEARLY;BYMONTHDAY=31", "DURATION:P99999W", 'DTSTART;X=":'),
    ]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=40)), max_size=25))
@settings(max_examples=300, deadline=10_000)
def test_no_text_does_more_than_be_refused(lines: list[str]) -> None:
    text = "\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"])
    with suppress(InvalidInput):
        read_ics(text, zone="UTC", since=SINCE)


def test_a_large_file_is_read_quickly() -> None:
    events = [
        f"DTSTART:2026{month:02}{day:02}T100000Z\nDURATION:PT1H" for month in range(4, 12) for day in range(1, 29)
    ]
    began = time.process_time()
    found = imported(*events * 20)
    assert time.process_time() - began < 2
    assert len(found.rules) == 8 * 28
