"""A comparison with cronsim (Debian-like, BSD), the best other implementation, where cronsim is right.

Its faults are left out by name, and each name has an example here that shows the fault: were it mended, the example
would fail, and the exclusion could go.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError

from rota.domain.errors import InvalidInput
from rota.domain.instant import from_micros, to_micros
from rota.domain.trigger.cron import cron_timetable
from tests.oracle.brute import Meaning, draw

ZONES = ["UTC", "America/New_York", "Europe/Berlin", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe"]
MIDNIGHT_GAPS = ("America/Havana", "Asia/Beirut", "America/Sao_Paulo")
CHANGES = [(2026, 3, 8), (2026, 3, 29), (2026, 4, 5), (2026, 10, 4), (2026, 10, 25), (2026, 11, 1)]

SECOND_COPY = "starts inside the second copy of an hour: answers with an instant in the past"
HALF_HOUR = "half-hour shift: the minute is not reset"
MIDNIGHT = "midnight gap: wildcard jobs fire at 01:00 though hour 1 was not asked for"
ONE_VALUE = "a range of one value with a step (5-5/2) is read as 5/2"
CALENDAR_END = "near the year 9999: OverflowError"
NOT_READ = "nW, L-n, L5 and FRIL are not read"


def known_fault(meaning: Meaning, start: datetime, ours: datetime) -> str:
    """Return the class of fault that touches this comparison, empty if none."""
    if start.astimezone(UTC).astimezone(start.tzinfo).fold:
        return SECOND_COPY
    day_before = (ours.astimezone(UTC) - timedelta(days=1)).astimezone(ours.tzinfo)
    if len({start.utcoffset(), day_before.utcoffset(), ours.utcoffset()}) > 1:  # the answer lies behind a clock change
        if str(start.tzinfo) == "Australia/Lord_Howe":
            return HALF_HOUR
        if str(start.tzinfo) in MIDNIGHT_GAPS and meaning.is_wildcard:
            return MIDNIGHT
    if re.search(r"\b(\d+)-\1/", meaning.text):
        return ONE_VALUE
    return NOT_READ if re.search(r"[0-9][Ww]|L-|L[0-9]|[A-Z]{3}L", meaning.text) else ""


def compare(zone: str, random: Random, count: int) -> Counter[str]:
    """Compare the next occurrence of random expressions around clock changes; return how many, by class of fault."""
    info, seen = ZoneInfo(zone), Counter[str]()
    for _ in range(count):
        change = datetime(*random.choice(CHANGES), tzinfo=UTC)
        start = (change + timedelta(seconds=random.randint(-86_400, 86_400))).astimezone(info)
        meaning = draw(random, change.date())
        try:
            ours = cron_timetable(meaning.text, zone).next(to_micros(start))
        except InvalidInput:  # never fires
            continue
        assert ours is not None
        if fault := known_fault(meaning, start, from_micros(ours).astimezone(info)):
            seen[fault] += 1
            continue
        theirs = next(CronSim(meaning.text.replace("?", "*"), start))
        assert ours == to_micros(theirs), f"{meaning.text} after {start}: cronsim says {theirs}"
        seen["compared"] += 1
    return seen


@pytest.mark.parametrize("zone", ZONES)
def test_cronsim_agrees_where_it_is_right(zone: str) -> None:
    seen = compare(zone, Random(zone), 400)
    print(zone, dict(seen))
    assert seen["compared"] > 150


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_cronsim_agrees_where_it_is_right_at_length(zone: str) -> None:
    print(zone, dict(compare(zone, Random(f"long {zone}"), 20_000)))


# The faults, each by an example


def cronsim_next(expression: str, start: str, zone: str) -> str:
    moment = datetime.fromisoformat(start).astimezone(ZoneInfo(zone))
    return f"{next(CronSim(expression, moment)):%Y-%m-%dT%H:%M%z}"


def test_cronsim_answers_with_the_past_inside_the_second_copy_of_an_hour() -> None:
    answer = cronsim_next("33 2,2,1 * * *", "2026-11-01T01:03-05:00", "America/New_York")
    assert answer == "2026-11-01T01:33-0400"  # half an hour before it was asked


def test_cronsim_does_not_reset_the_minute_after_a_half_hour_shift() -> None:
    answer = cronsim_next("* 16 * * *", "2026-10-04T01:00+10:30", "Australia/Lord_Howe")
    assert answer == "2026-10-04T16:30+1100"


def test_cronsim_fires_wildcards_at_one_when_midnight_is_missing() -> None:
    answer = cronsim_next("* */2 * * 7", "2026-03-07T12:00-05:00", "America/Havana")
    assert answer == "2026-03-08T00:00-0500"  # an imaginary time, which is 01:00


def test_cronsim_reads_a_range_of_one_value_as_an_open_one() -> None:
    assert cronsim_next("5-5/2 * * * *", "2026-01-01T00:05+00:00", "UTC") == "2026-01-01T00:07+0000"


def test_cronsim_overflows_at_the_end_of_the_calendar() -> None:
    with pytest.raises(OverflowError):
        cronsim_next("0 0 1 1 *", "9999-12-31T00:00+00:00", "UTC")


@pytest.mark.parametrize("expression", ["0 0 15W * *", "0 0 L-3 * *", "0 0 * * L5", "0 0 * * FRIL"])
def test_cronsim_does_not_read(expression: str) -> None:
    with pytest.raises(CronSimError):
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
