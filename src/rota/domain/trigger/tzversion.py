"""Which release of the IANA time zone database is in use: `2026b`.

`zoneinfo` prefers the system's files to the `tzdata` package, and so does this. It matters because a new release
moves instants that are still to come (docs/triggers.md).
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@lru_cache(maxsize=1)
def tzdata_version() -> str:
    """Return the release; of files that do not say, the day of their making; "none" where there are no zones."""
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "Europe" / "London").exists():
            return _of_folder(folder)
    try:
        return f"package {version('tzdata')}"
    except PackageNotFoundError:
        return "none"


def _of_folder(folder: Path) -> str:
    try:
        with (folder / "tzdata.zi").open(encoding="ascii") as rules:
            mark, word, release = rules.readline().split()  # "# version 2026b"
        if (mark, word) == ("#", "version"):
            return release
    except (OSError, ValueError):
        pass
    made = datetime.fromtimestamp((folder / "Europe" / "London").stat().st_mtime, UTC)
    return f"files of {made:%Y-%m-%d}"
