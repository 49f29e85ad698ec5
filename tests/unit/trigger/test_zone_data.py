"""Which files time zones are read from: the newer of the system's and the package's; and what release they are."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from rota.domain.trigger.tzversion import ZoneData, newer, zone_data, zone_info

IN_USE = zone_data().folder or Path("/nowhere")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Path]:
    """A scratch folder as the system's: in it Zurich keeps the time of Tokyo."""
    (tmp_path / "Europe").mkdir()
    for name, source in (("London", "Europe/London"), ("Zurich", "Asia/Tokyo")):
        shutil.copyfile(IN_USE / source, tmp_path / "Europe" / name)
    before = zoneinfo.TZPATH
    use(tmp_path)
    yield tmp_path
    use(*before)


def use(*folders: Path | str) -> None:
    zoneinfo.reset_tzpath(to=[str(folder) for folder in folders])
    ZoneInfo.clear_cache()
    zone_data.cache_clear()
    zone_info.cache_clear()


def releases(folder: Path, text: str) -> None:
    (folder / "tzdata.zi").write_text(text)
    zone_data.cache_clear()


def zurich() -> str:
    return f"{NOON.astimezone(zone_info('Europe/Zurich')):%H %Z}"


def test_newer_files_of_the_system_are_used(system: Path) -> None:
    releases(system, "# version 2999a\n# This zic input file is in the public domain.\n")
    assert zone_data() == ZoneData(system, "2999a", "system")
    assert str(zone_data()) == "2999a (system)"
    assert zurich() == "21 JST"


def test_the_package_is_used_where_the_system_was_not_kept_up_to_date(system: Path) -> None:
    releases(system, "# version 2007a\n")
    assert zone_data().origin == "package tzdata"
    assert zurich() == "14 CEST"


def test_a_time_in_a_zone_of_the_package_can_be_copied_and_pickled(system: Path) -> None:
    releases(system, "# version 2007a\n")
    local = NOON.astimezone(zone_info("Europe/Zurich"))
    for twin in (copy.deepcopy(local), pickle.loads(pickle.dumps(local))):
        assert (twin, twin.tzinfo, str(twin.tzinfo)) == (local, local.tzinfo, "Europe/Zurich")


def test_files_that_do_not_say_are_known_by_their_day(system: Path) -> None:
    os.utime(system / "Europe" / "London", (4e9, 4e9))  # 2096-10-02
    assert zone_data() == ZoneData(system, "files of 2096-10-02", "system")
    os.utime(system / "Europe" / "London", (1, 1))
    zone_data.cache_clear()
    assert zone_data().origin == "package tzdata"


def test_where_the_system_has_no_zones_the_package_is_used(system: Path) -> None:
    shutil.rmtree(system / "Europe")
    zone_data.cache_clear()
    assert zone_data().origin == "package tzdata"
    assert zurich() == "14 CEST"


def test_a_zone_that_only_the_system_has_is_found_there(system: Path) -> None:
    shutil.copy(system / "Europe" / "Zurich", system / "Europe" / "Atlantis")
    releases(system, "# version 2007a\n")
    assert f"{NOON.astimezone(zone_info('Europe/Atlantis')):%Z}" == "JST"


def test_there_is_no_zone_where_none_has_it(system: Path) -> None:
    for name in ("Mars/Olympus", "Europe"):
        with pytest.raises((zoneinfo.ZoneInfoNotFoundError, IsADirectoryError)):
            zone_info(name)


@pytest.mark.parametrize(
    ("system_has", "package_has", "used"),
    [
        ("2025b", "2026a", "package"),
        ("2026b", "2026a", "system"),
        ("2026a", "2026a", "system"),
        ("2026z", "2026aa", "package"),
        ("files of 2025-12-31", "2026a", "package"),
        ("files of 2026-01-01", "2026c", "system"),
    ],
)
def test_the_newer_release_wins_and_of_equals_the_systems(system_has: str, package_has: str, used: str) -> None:
    system, package = ZoneData(Path("/s"), system_has, "system"), ZoneData(Path("/p"), package_has, "package")
    assert newer(system, package).origin == used


def test_without_any_files_there_is_no_release() -> None:
    nothing = ZoneData(None, "none", "system")
    assert str(newer(nothing, ZoneData(None, "none", "package"))) == "none"
    assert newer(ZoneData(Path("/s"), "2026a", "system"), nothing).release == "2026a"
