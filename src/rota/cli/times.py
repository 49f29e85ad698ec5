"""How instants and lengths of time are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.domain.instant import SECOND, Micros, format_age, format_duration, parse_rfc3339

if TYPE_CHECKING:
    from rota.usecases.shapes import Upcoming

NONE = "-"


def instant(text: str) -> str:
    """An RFC 3339 instant without its fraction: `2026-03-04T02:00:12Z`."""
    return text[:19] + "Z" if text.endswith("Z") else text


def utc(text: str | None) -> str:
    """`2026-03-04 02:00:12`, UTC; `-` for None."""
    return f"{text[:10]} {text[11:19]}" if text else NONE


def upcoming(moment: Upcoming) -> str:
    """`2026-03-05 02:00:00 UTC`, or `2026-03-05 02:00:00 EST (07:00:00 UTC)` with the UTC date where it differs.

    Behind it stands what moves or drops it: `2026-03-05 02:00:00 UTC  blackout ×3: calendar "freeze"`.
    """
    local, at = moment["local"], utc(moment["at"])
    if not local.startswith(at):  # else it is UTC, or a zone that agrees with it just now
        local = f"{local} ({at[11:] if local[:10] == at[:10] else at} UTC)"
    if "reason" in moment:
        count = moment.get("count")
        times = ", and all after it" if count is None else f" ×{count}" if count > 1 else ""
        return f"{local}  {moment['reason']}{times}: {moment.get('note', '')}"
    return f"{local}  {moment['note']}" if "note" in moment else local


def ago(text: str, now: Micros) -> str:
    """`3m ago`. A stamp of the server's clock that lies ahead of ours was just now."""
    return f"{format_age(max(0, now - parse_rfc3339(text)))} ago"


def duration(seconds: float | None) -> str:
    """`3m 12s`; `-` for None."""
    return NONE if seconds is None else format_duration(round(seconds * SECOND))


def since(start: str | None, end: str | None, now: Micros) -> str:
    """How long something has taken: up to `end`, or up to now where it has none; `-` if it never started."""
    if start is None:
        return NONE
    if end:
        return format_duration(max(0, parse_rfc3339(end) - parse_rfc3339(start)))
    return format_duration(max(0, now - parse_rfc3339(start)) // SECOND * SECOND)  # tenths would only flicker
