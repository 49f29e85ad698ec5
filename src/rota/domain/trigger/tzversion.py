"""Where time zones are read from, and which release of the IANA time zone database that is: `2026b`.

Of the system's files and those of the `tzdata` package the newer ones are used: a machine that is not kept up to date
would start jobs at the times of old laws. `zoneinfo` alone always prefers the system's. A new release moves instants
that are still to come (docs/triggers.md).
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

_RELEASE = re.compile(r"(\d{4})([a-z]{1,2})")
_LAST_OF_ITS_YEAR = (3, "")  # longer than any letters that a release has


@dataclass(frozen=True, slots=True)
class ZoneData:
    """`folder` holds a file for each zone; None where there are none. `release` of files that do not say: their day."""

    folder: Path | None
    release: str
    origin: str  # system, or package tzdata

    def __str__(self) -> str:
        return f"{self.release} ({self.origin})" if self.folder else "none"


@lru_cache(maxsize=1)
def zone_data() -> ZoneData:
    """The files that this process reads its zones from."""
    return newer(_found(map(Path, zoneinfo.TZPATH), "system"), _found(_package(), "package tzdata"))


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """The zone of that name. Raises what `ZoneInfo` raises for one that there is not."""
    chosen = zone_data()
    if chosen.folder is not None and chosen.origin != "system":
        try:
            with (chosen.folder / name).open("rb") as file:
                return _PackagedZone.from_file(file, key=name)
        except (OSError, ValueError):  # a folder, or a name of the system's own
            pass
    return ZoneInfo(name)


class _PackagedZone(ZoneInfo):
    """One of the package's, where `ZoneInfo` would give the system's. Can be copied and pickled, as others can."""

    def __reduce__(self) -> tuple[Callable[[str], ZoneInfo], tuple[str]]:
        return zone_info, (self.key,)


def newer(system: ZoneData, package: ZoneData) -> ZoneData:
    """Of two sources the one with the newer release; where that is equal or cannot be told, the system's."""
    if package.folder is not None and (system.folder is None or _age(package) > _age(system)):
        return package
    return system


def _age(found: ZoneData) -> tuple[int, int, str]:
    """Grows with the release. Files that do not say may hold any release of the year that they were made in."""
    if match := _RELEASE.fullmatch(found.release):
        return int(match[1]), len(match[2]), match[2]
    return int(found.release[-10:-6]), *_LAST_OF_ITS_YEAR


def _package() -> list[Path]:
    spec = find_spec("tzdata")
    return [Path(folder) / "zoneinfo" for folder in (spec.submodule_search_locations or ())] if spec else []


def _found(folders: map[Path] | list[Path], origin: str) -> ZoneData:
    """The first of the folders that has zones."""
    for folder in folders:
        london = folder / "Europe" / "London"
        if london.exists():
            made = datetime.fromtimestamp(london.stat().st_mtime, UTC)
            return ZoneData(folder, _said(folder) or f"files of {made:%Y-%m-%d}", origin)
    return ZoneData(None, "none", origin)


def _said(folder: Path) -> str | None:
    """The release as the files say it; None where they do not."""
    try:
        with (folder / "tzdata.zi").open(encoding="ascii") as rules:
            mark, word, release = rules.readline().split()  # "# version 2026b"
    except (OSError, ValueError):
        return None
    return release if (mark, word) == ("#", "version") and _RELEASE.fullmatch(release) else None
