"""Seed 2's schedule types (parity S2-020 to S2-028)."""

from __future__ import annotations

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.instant import from_micros, parse_rfc3339
from rota.domain.trigger.schedule_types import SCHEDULE_TYPES, from_schedule_type
from rota.domain.trigger.timetable import timetable

NOW = parse_rfc3339("2026-01-20T12:00:00Z")
START = parse_rfc3339("2026-01-31T08:15:00Z")  # 09:15 in Zurich, a Saturday


def first(name: str, count: int) -> list[str]:
    rule = from_schedule_type(name, start=START, now=NOW, zone="Europe/Zurich")
    times, at, found = timetable(rule), START - 1, []
    assert times is not None
    for _ in range(count):
        following = times.next(at)
        if following is None:
            break
        at = following
        found.append(f"{from_micros(at):%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("name", "instants"),
    [
        ("once", ["01-31 08:15"]),
        ("every_5_minutes", ["01-31 08:15", "01-31 08:20", "01-31 08:25"]),
        ("every_10_minutes", ["01-31 08:15", "01-31 08:25", "01-31 08:35"]),
        ("every_15_minutes", ["01-31 08:15", "01-31 08:30", "01-31 08:45"]),
        ("every_30_minutes", ["01-31 08:15", "01-31 08:45", "01-31 09:15"]),
        ("every_hour", ["01-31 08:15", "01-31 09:15", "01-31 10:15"]),
        ("hourly", ["01-31 08:15", "01-31 09:15", "01-31 10:15"]),
        ("daily", ["01-31 08:15", "02-01 08:15", "02-02 08:15"]),
        ("weekly", ["01-31 08:15", "02-07 08:15", "02-14 08:15"]),
        ("monthly", ["01-31 08:15", "02-28 08:15", "03-31 07:15"]),  # back on the 31st, and at 09:15 in summer too
        ("yearly", ["01-31 08:15", "01-31 08:15", "01-31 08:15"]),
    ],
)
def test_a_type_begins_at_its_start_and_keeps_its_wall_clock_time(name: str, instants: list[str]) -> None:
    assert first(name, 3) == instants


def test_immediately_is_once_and_now() -> None:
    rule = from_schedule_type("immediately", start=None, now=NOW, zone="UTC")
    times = timetable(rule)
    assert times is not None and times.next(NOW) == parse_rfc3339("2026-01-20T12:00:01Z")


def test_all_eleven_types_and_one_alias_are_known() -> None:
    assert len(SCHEDULE_TYPES) == 12
    for name in SCHEDULE_TYPES:
        from_schedule_type(name, start=None, now=NOW, zone="UTC")


def test_another_type_is_refused_with_a_near_name() -> None:
    with pytest.raises(InvalidInput, match='did you mean "monthly"'):
        from_schedule_type("montly", start=None, now=NOW, zone="UTC")
