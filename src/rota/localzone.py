"""The IANA name of this machine's time zone: the one thing about zones that looks outside the process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rota.domain.errors import InvalidInput
from rota.domain.trigger.zones import parse_zone

_FALLBACK = "UTC"
_OTHER_NAMES_OF_UTC = frozenset({"Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu"})


def local_zone_name(environ: Mapping[str, str] = os.environ, etc: Path = Path("/etc")) -> str:
    """Return the first usable of `TZ`, `/etc/timezone` and the link `/etc/localtime`; else `UTC`.

    A `TZ` that is set but is no IANA name (`EST5EDT4,M3…`, a path of its own) counts as UTC rather than as
    unset: the user's other programs do not show the machine's zone then, either.
    """
    if "TZ" in environ:
        return _usable(environ["TZ"].removeprefix(":")) or _FALLBACK
    return _usable(_first_line(etc / "timezone")) or _usable(_link_target(etc / "localtime")) or _FALLBACK


def _usable(name: str) -> str:
    """Return the zone's name, also out of `/usr/share/zoneinfo/Europe/Zurich`; else an empty text."""
    tail = name.rpartition("zoneinfo/")[2].removeprefix("posix/")
    try:
        zone = parse_zone(tail) if tail else ""
    except InvalidInput:
        return ""
    return "UTC" if zone in _OTHER_NAMES_OF_UTC else zone


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""


def _link_target(path: Path) -> str:
    """Follow one link only: `Europe/Busingen` may itself be a link to Zurich."""
    try:
        return os.readlink(path)  # noqa: PTH115 - `Path.readlink` answers with a path, and we want its text
    except OSError:
        return ""
