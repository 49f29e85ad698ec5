"""Rules of a calendar: how they are written, and which windows they mean."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rota.domain.calendars import Effect, read_calendar
from rota.domain.errors import InvalidInput, Unavailable
from rota.domain.instant import HOUR, MINUTE, SECOND, Micros, format_rfc3339, parse_rfc3339
from rota.domain.windows import holidays
from rota.domain.windows.rules import read_rule
from rota.domain.windows.spans import FOREVER, upcoming

WEEKLY = "rrule DTSTART:20260305T090000 RRULE:FREQ=WEEKLY for 2h"
LESS_ONE = "rrule DTSTART:20260305T090000 RRULE:FREQ=WEEKLY EXDATE:20260312T080000Z for 2h"
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def at(text: str) -> Micros:
    """`03-04 12:00` of 2026, UTC."""
    return parse_rfc3339(f"2026-{text.replace(' ', 'T')}:00Z" if text[2] == "-" else text)


def windows(rule: str, *, zone: str = "UTC", after: str = "03-04 12:00", count: int = 2) -> list[str]:
    """The next windows as `03-05 08:00 .. 03-05 18:00`."""
    spans = upcoming((read_rule(rule, zone).windows,), at(after), count)
    return [f"{format_rfc3339(a)[5:16]} .. {format_rfc3339(b)[5:16]}".replace("T", " ") for a, b in spans]


@pytest.mark.parametrize(
    ("rule", "written"),
    [
        ("mon-fri 08:00-18:00", "mon-fri 08:00-18:00"),
        ("Monday - Friday 8:00-18:00", "mon-fri 08:00-18:00"),
        ("weekdays 08:00-18:00", "mon-fri 08:00-18:00"),
        ("weekends", "sat,sun"),
        ("sun,sat", "sat,sun"),
        ("sat-mon", "mon,sat,sun"),
        ("22:00-06:00", "daily 22:00-06:00"),
        ("daily 00:00-24:00", "daily 00:00-24:00"),
        ("tue,thu,wed 09:00:30-10:00", "tue-thu 09:00:30-10:00"),
        ("2026-12-24", "2026-12-24"),
        ("2026-12-24..2026-12-24", "2026-12-24"),
        ("2026-12-24..2026-12-26", "2026-12-24..2026-12-26"),
        ("2026-12-24 18:00..2026-12-27 06:00", "2026-12-24T17:00:00Z..2026-12-27T05:00:00Z"),
        ("2026-12-24T18:00:00Z..2026-12-27T06:00:00Z", "2026-12-24T18:00:00Z..2026-12-27T06:00:00Z"),
        ("12-24..01-01", "12-24..01-01"),
        ("02-29", "02-29"),
        ("cron 0 2 * * sun for 4h", "cron 0 2 * * sun for 4h"),
        ("business-days", "business-days"),
        ("Business-Days de-by", "business-days DE-BY"),
        ("holidays ch-ZH", "holidays CH-ZH"),
        (WEEKLY, WEEKLY),
        (LESS_ONE, LESS_ONE),
    ],
)  # fmt: skip
def test_a_rule_has_one_spelling_which_reads_the_same(rule: str, written: str) -> None:
    assert read_rule(rule, BERLIN).text == written
    assert read_rule(written, BERLIN).text == written


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("mon-fri 08:00-18:00", ["03-04 12:00 .. 03-04 18:00", "03-05 08:00 .. 03-05 18:00"]),
        ("sat,sun", ["03-07 00:00 .. 03-09 00:00", "03-14 00:00 .. 03-16 00:00"]),
        ("22:00-06:00", ["03-04 22:00 .. 03-05 06:00", "03-05 22:00 .. 03-06 06:00"]),
        ("2026-12-24..2026-12-26", ["12-24 00:00 .. 12-27 00:00"]),
        ("12-24..01-01", ["12-24 00:00 .. 01-02 00:00", "12-24 00:00 .. 01-02 00:00"]),
        ("cron 0 2 * * sun for 4h", ["03-08 02:00 .. 03-08 06:00", "03-15 02:00 .. 03-15 06:00"]),
        ("business-days", ["03-04 12:00 .. 03-07 00:00", "03-09 00:00 .. 03-14 00:00"]),
        ("holidays DE", ["04-03 00:00 .. 04-04 00:00", "04-06 00:00 .. 04-07 00:00"]),
        (WEEKLY, ["03-05 09:00 .. 03-05 11:00", "03-12 09:00 .. 03-12 11:00"]),
    ],
)  # fmt: skip
def test_a_rule_means_these_windows(rule: str, expected: list[str]) -> None:
    assert windows(rule) == expected


def test_a_business_day_is_no_holiday() -> None:
    assert windows("business-days DE", after="04-02 12:00") == [
        "04-02 12:00 .. 04-03 00:00",
        "04-07 00:00 .. 04-11 00:00",
    ]


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    assert windows("holidays DE", after="01-05 12:00", count=1) == ["04-03 00:00 .. 04-04 00:00"]
    assert windows("holidays DE-BY", after="01-05 12:00", count=1) == ["01-06 00:00 .. 01-07 00:00"]


def test_the_29th_of_february_is_the_1st_of_march_in_other_years() -> None:
    assert windows("02-29", after="01-01 00:00", count=1) == ["03-01 00:00 .. 03-02 00:00"]


def test_times_are_those_of_the_zone() -> None:
    assert windows("daily 02:00-03:00", zone=NEW_YORK, count=1) == ["03-05 07:00 .. 03-05 08:00"]


def test_a_window_in_the_hour_that_is_repeated_lasts_through_both() -> None:
    assert windows("daily 01:00-02:00", zone=NEW_YORK, after="11-01 00:00", count=1) == ["11-01 05:00 .. 11-01 07:00"]


def test_a_window_that_a_clock_change_leaves_out_is_none() -> None:
    found = windows("daily 02:15-02:45", zone=NEW_YORK, after="03-08 06:00", count=1)
    assert found == ["03-09 06:15 .. 03-09 06:45"]


def test_days_are_as_long_as_the_clock_makes_them() -> None:
    (span,) = upcoming((read_rule("2026-03-29", BERLIN).windows,), at("03-28 00:00"), 1)
    assert span.end - span.start == 23 * HOUR


def test_windows_that_touch_are_one() -> None:
    rules = ("mon-fri 08:00-12:00", "mon-fri 12:00-18:00", "wed 17:00-19:00")
    (span,) = upcoming(tuple(read_rule(rule, "UTC").windows for rule in rules), at("03-04 12:30"), 1)
    assert span.end == at("03-04 19:00")


def test_what_covers_all_time_has_no_end() -> None:
    (span,) = upcoming((read_rule("daily", "UTC").windows,), at("03-04 12:00"), 1)
    assert span.end == FOREVER


def test_a_start_belongs_to_a_window_and_its_end_does_not() -> None:
    rule = read_rule("daily 02:00-03:00", "UTC").windows
    assert rule.holding(at("03-05 02:00")) is not None
    assert rule.holding(at("03-05 03:00") - 1) is not None
    assert rule.holding(at("03-05 03:00")) is None
    assert rule.holding(at("03-05 02:00") - 1) is None


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("", "a window is empty"),
        ("x" * 2_001, "too long"),
        ("at night", '"at night" is not a window'),
        ("mon-fri 25:00-26:00", '"25:00" is not a time of day'),
        ("mon-fri 08:00-08:00", "is no time at all"),
        ("2026-12-26..2026-12-24", "ends before it begins"),
        ("2026-02-30", "is not a date"),
        ("13-40", "is not a date"),
        ("2026-12-24 18:00..2026-12-24 06:00", "ends before it begins"),
        ("cron 0 25 * * * for 2h", "25"),
        ("cron 0 2 * * * for ages", '"ages" is not a duration'),
        ("holidays", "names no country"),
        ("holidays XX", 'the holidays of "XX" are not known'),
        ("holidays DE-QQ", 'the holidays of "DE-QQ" are not known'),
        ("holidays Germany", '"Germany" is not a country'),
        ("rrule DTSTART:20260305T090000 RRULE:FREQ=SOMETIMES for 2h", "FREQ"),
        ("rrule DTSTART:20260305T090000 RRULE:FREQ=DAILY EXDATE:20260231 for 2h", "is not a date or time"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(rule: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_rule(rule, "UTC")
    assert fault in str(caught.value)


@pytest.mark.parametrize("zone", [NEW_YORK, "Australia/Lord_Howe", "Pacific/Apia", "America/Havana"])
@pytest.mark.parametrize(
    "rule", ["daily 23:30-00:30", "sun 00:00-03:00", "weekends", "12-24..01-01", "2011-12-29..2011-12-31"]
)
def test_holding_and_next_start_agree_at_every_hour_of_two_years(rule: str, zone: str) -> None:
    """Whoever walks along the starts sees exactly the instants that are held."""
    one = read_rule(rule, zone).windows
    instant, end = parse_rfc3339("2011-01-01T00:00:00Z"), parse_rfc3339("2013-01-01T00:00:00Z")
    start = one.next_start(instant)
    while instant < end:
        held = one.holding(instant)
        assert held is None or held.start <= instant < held.end
        if start is not None and start <= instant:
            span = one.holding(start)
            assert span is not None and span.start <= start
            start = one.next_start(start)
        following = one.next_start(instant)
        assert following is None or (following > instant and one.holding(following) is not None)
        instant += 61 * MINUTE + 7 * SECOND


def test_without_the_library_a_countrys_holidays_are_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)  # what `import` finds where it is not installed
    holidays._supported.cache_clear()
    with pytest.raises(Unavailable) as caught:
        read_rule("holidays AT", "UTC")
    assert caught.value.hint == 'install it beside Rota: pip install "rota[holidays]"'


def test_a_stored_calendar_whose_library_is_gone_holds_every_start_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    holidays._supported.cache_clear()
    gone = read_calendar("gone", Effect.BLACKOUT, ("holidays LU",), "UTC")
    assert gone.held_until(at("03-05 02:00")) == FOREVER
    assert gone.fault is not None and "which is not installed" in gone.fault


def test_a_calendar_without_countries_never_loads_the_library() -> None:
    code = (
        "import sys; from rota.domain.windows.rules import read_rule; read_rule('business-days', 'UTC');"
        "sys.exit('holidays' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_instance_that_is_left_out_has_no_window_and_the_others_stay() -> None:
    assert windows(LESS_ONE, zone=BERLIN, count=3) == [
        "03-05 08:00 .. 03-05 10:00",
        "03-19 08:00 .. 03-19 10:00",
        "03-26 08:00 .. 03-26 10:00",
    ]


def test_a_window_that_lasts_beyond_an_instance_left_out_still_holds() -> None:
    long = read_rule("rrule DTSTART:20260305T000000 RRULE:FREQ=DAILY EXDATE:20260306 for 36h", "UTC").windows
    held = long.holding(at("03-06 06:00"))
    assert held is not None
    assert (held.start, held.end) == (at("03-05 00:00"), at("03-06 12:00"))
    assert long.holding(at("03-06 18:00")) is None


def test_days_that_are_left_out_are_those_of_the_calendars_zone() -> None:
    days = "rrule DTSTART:20260305 RRULE:FREQ=DAILY EXDATE:20260306 for 1d"
    assert windows(days, zone=BERLIN, count=1) == ["03-04 23:00 .. 03-05 23:00"]
