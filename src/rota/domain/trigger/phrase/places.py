"""Time zones as people name them: `Europe/Berlin`, `Tokyo time`, `in New York`, `UTC`."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

from rota.domain.errors import InvalidInput, near
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.tokens import Cursor, Kind
from rota.domain.trigger.zones import parse_zone

_MOST_TOKENS = 8  # of `America/Argentina/Buenos_Aires`
_NAMES = {
    "us eastern": "America/New_York",
    "us central": "America/Chicago",
    "us mountain": "America/Denver",
    "us pacific": "America/Los_Angeles",
    "uk": "Europe/London",
    "british": "Europe/London",
}
_UNIVERSAL = ("utc", "gmt")
# What goes by one name in several places; or stands for a zone with clock changes and for one without.
_UNCERTAIN = {
    **dict.fromkeys(("eastern", "et"), ("America/New_York", "Australia/Sydney")),
    **dict.fromkeys(("central", "ct"), ("America/Chicago", "Australia/Adelaide")),
    **dict.fromkeys(("mountain", "mt"), ("America/Denver", "America/Phoenix")),
    **dict.fromkeys(("pacific", "pt"), ("America/Los_Angeles", "America/Tijuana")),
    **dict.fromkeys(("est", "edt"), ("America/New_York", "Etc/GMT+5")),
    **dict.fromkeys(("cst", "cdt"), ("America/Chicago", "Etc/GMT+6", "Asia/Shanghai")),
    **dict.fromkeys(("mst", "mdt"), ("America/Denver", "Etc/GMT+7")),
    **dict.fromkeys(("pst", "pdt"), ("America/Los_Angeles", "Etc/GMT+8")),
    "ist": ("Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"),
    "bst": ("Europe/London", "Asia/Dhaka"),
    "cet": ("Europe/Berlin", "Etc/GMT-1"),
    "cest": ("Europe/Berlin", "Etc/GMT-2"),
}
_OWN = ("local time", "my time", "our time")


@lru_cache(maxsize=1)
def _zones() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """(zones by name, zones by city), both in lower case with spaces. A city is the last part of a name."""
    names = {name.lower().replace("_", " "): name for name in available_timezones() if "/" in name}
    cities: dict[str, tuple[str, ...]] = {}
    for spelled, name in sorted(names.items()):
        if name.startswith(("Etc/", "US/", "Canada/", "Brazil/", "Mexico/", "Chile/", "posix/", "right/")):
            continue
        city = spelled.rpartition("/")[2]
        known = cities.get(city, ())
        depth = max((other.count("/") for other in known), default=0)
        if name.count("/") >= depth:  # America/Buenos_Aires is an old spelling of America/Argentina/Buenos_Aires
            cities[city] = (*known, name) if name.count("/") == depth else (name,)
    return names, cities


def accept_zone(cursor: Cursor) -> str | None:
    """Move past a zone; empty for "local time". Raises Unclear for a name of several zones, or of none."""
    begin = cursor.place
    if cursor.accept_one(_OWN):
        return ""
    has_in = cursor.accept("in")
    cursor.accept("the")
    start = cursor.place
    for behind in range(min(len(cursor.tokens), start + _MOST_TOKENS), start, -1):
        cursor.place = behind
        name = " ".join(cursor.typed(cursor.span_from(start)).lower().replace("_", " ").split())
        is_named_time = cursor.accept_one(("time", "timezone", "zone"))
        found = _find(name, is_place=has_in or bool(is_named_time))
        if len(found) == 1:
            return found[0]
        if found:
            span = cursor.span_from(start)
            candidates = [cursor.edited({cursor.span_from(begin): zone}) for zone in found]
            raise Unclear(cursor.typed(span), "is the time of more than one zone", candidates=candidates)
    cursor.place = begin
    return None


def refuse_unknown_zone(cursor: Cursor) -> None:
    """Raise Unclear where `Gotham time` or `in Gotham` follows, which `accept_zone` did not know."""
    place = cursor.place
    has_in = cursor.accept("in")
    start, words = cursor.place, 0
    if cursor.peek().text in ("a", "an", "the", "one"):  # in a month
        cursor.place = place
        return
    while cursor.peek().kind is Kind.WORD and cursor.peek().text not in ("time", "at", "on") and words < 3:
        cursor.take()
        words += 1
    if words and (cursor.sees("time") or (has_in and cursor.is_done)):
        name = cursor.typed(cursor.span_from(start))
        hint = near(name.lower(), _zones()[1])
        raise Unclear(name, "is no time zone", expected='an IANA name such as "Europe/Zurich", or its city', hint=hint)
    cursor.place = place


def _find(name: str, *, is_place: bool) -> tuple[str, ...]:
    """The zones of a name; cities only where the words say that a place is meant."""
    names, cities = _zones()
    if name in _UNIVERSAL:
        return ("UTC",)
    if name in names:
        return (_checked(names[name]),)
    if name in _NAMES:
        return (_NAMES[name],)
    if name in _UNCERTAIN and (is_place or len(name) == 3):
        return _UNCERTAIN[name]
    return cities.get(name, ()) if is_place else ()


def _checked(name: str) -> str:
    try:
        return parse_zone(name)
    except InvalidInput as fault:
        raise Unclear(name, "is no time zone", hint=fault.hint) from fault
