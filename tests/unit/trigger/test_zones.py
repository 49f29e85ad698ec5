"""Zone names, zone tables, and the zone of this machine."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from subprocess import run
from zoneinfo import ZoneInfo, available_timezones

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.trigger.zones import parse_zone, zone_named
from rota.localzone import local_zone_name


@pytest.mark.parametrize("name", ["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"])
def test_iana_names_are_accepted(name: str) -> None:
    assert parse_zone(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "Mars/Base", "America", "../../etc/passwd", "/etc/localtime", "America/../UTC", "UTC\0"),
        *("posix/UTC", "right/UTC", "posixrules", "localtime", "Factory", "zone.tab", "tzdata.zi", "leapseconds"),
        *("x" * 5_000, "Europe//Zurich", "Европа", "UTC+2"),
    ],
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time zone; expected an IANA name"):
        parse_zone(name)


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("Europe/Zurch", "Europe/Zurich"),
        ("europe/zurich", "Europe/Zurich"),
        ("zurich", "Europe/Zurich"),
        ("New York", "America/New_York"),
        ("utc", "UTC"),
    ],
)
def test_a_mistyped_zone_gets_the_near_one(mistyped: str, meant: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_zone(mistyped)
    assert caught.value.hint == f'did you mean "{meant}"?'


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "UTC"])
def test_the_table_says_what_zoneinfo_says(zone: str) -> None:
    random, info, table = Random(zone), ZoneInfo(zone), zone_named(zone)
    for _ in range(500):
        second = random.randint(-5_000_000_000, 10_000_000_000)
        segment = table.segment_at(second)
        assert segment.start <= second < segment.end
        assert segment.offset == offset_at(second, info)


def offset_at(second: int, info: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(second, info).utcoffset()
    assert offset is not None
    return offset.total_seconds()


def test_no_zone_changes_before_1800_and_every_zone_repeats_after_400_years() -> None:
    """What `zones` takes for granted, of every zone of this tzdata."""
    random = Random(1800)
    first, old = (int(datetime(year, 1, 2, tzinfo=UTC).timestamp()) for year in (1, 1800))
    rules = int(datetime(2195, 1, 1, tzinfo=UTC).timestamp())
    cycle = 146_097 * 86_400
    for name in available_timezones() - {"Factory", "localtime", "posixrules"}:
        info = ZoneInfo(name)
        assert {offset_at(random.randint(first, old), info) for _ in range(5)} == {offset_at(old, info)}, name
        for _ in range(20):
            second = random.randint(rules, rules + cycle)
            assert offset_at(second, info) == offset_at(second + cycle, info), name


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_the_table_holds_up_to_the_end_of_the_calendar(zone: str) -> None:
    random, info, table = Random(zone), ZoneInfo(zone), zone_named(zone)
    for year in (1, 1799, 1800, 2199, 2200, 2599, 2600, 2601, 9998):
        start = int(datetime(year, 1, 2, tzinfo=UTC).timestamp())
        for _ in range(40):
            second = start + random.randint(0, 366 * 86_400)
            segment = table.segment_at(second)
            assert segment.start <= second < segment.end
            assert segment.offset == offset_at(second, info)
            assert table.latest_wall(second) >= second + segment.offset >= table.earliest_wall(second)


def test_tz_comes_first(tmp_path: Path) -> None:
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert local_zone_name({"TZ": "Europe/Zurich"}, tmp_path) == "Europe/Zurich"
    assert local_zone_name({"TZ": ":Europe/Zurich"}, tmp_path) == "Europe/Zurich"
    assert local_zone_name({"TZ": "/usr/share/zoneinfo/Europe/Zurich"}, tmp_path) == "Europe/Zurich"


@pytest.mark.parametrize("tz", ["", "CET-1CEST,M3.5.0,M10.5.0/3", "/nowhere", "../../etc/passwd"])
def test_a_tz_without_an_iana_name_is_utc(tz: str, tmp_path: Path) -> None:
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert local_zone_name({"TZ": tz}, tmp_path) == "UTC"


def test_without_tz_the_machine_says(tmp_path: Path) -> None:
    assert local_zone_name({}, tmp_path) == "UTC"
    (tmp_path / "localtime").symlink_to("../usr/share/zoneinfo/America/Havana")
    assert local_zone_name({}, tmp_path) == "America/Havana"
    (tmp_path / "timezone").write_text("Asia/Tokyo\n")
    assert local_zone_name({}, tmp_path) == "Asia/Tokyo"
    (tmp_path / "timezone").write_bytes(b"\xff\xfe nonsense\n")
    assert local_zone_name({}, tmp_path) == "America/Havana"


def test_the_time_engine_imports_nothing_heavy() -> None:
    code = (
        "import sys, rota.domain.trigger.timetable, rota.domain.trigger.explain, rota.localzone;"
        "print(sorted({'pydantic', 'sqlalchemy', 'asyncio', 'click'} & set(sys.modules)))"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
