"""What a clock trigger says, as it is saved with a job: `cron`, `interval`, `once`, or `manual` for none.

The `parse_*` functions are the door for words from outside and refuse what is wrong; the dataclasses are
plain values. JSON, in the store and in the API (an anchor or a zone may be left out when reading):

    {"kind": "cron", "expression": "0 2 * * *", "zone": "Europe/Zurich"}
    {"kind": "interval", "every_seconds": 20, "anchor": "2026-03-05T00:00:00Z", "zone": "UTC"}
    {"kind": "once", "at": "2026-03-05T02:00:00Z", "zone": "UTC"}
    {"kind": "manual"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, assert_never

from rota.domain.errors import near
from rota.domain.instant import DAY, SECOND, Micros, format_rfc3339, format_span, parse_rfc3339
from rota.domain.trigger.dialect import read_cron, tidy
from rota.domain.trigger.faults import Faults
from rota.domain.trigger.zones import parse_zone, zone_named

__all__ = [
    "CronTrigger",
    "IntervalTrigger",
    "ManualTrigger",
    "OnceTrigger",
    "TriggerSpec",
    "from_dict",
    "parse_cron",
    "parse_interval",
    "parse_once",
    "parse_zone",
    "short_form",
    "to_dict",
]

_DAY_SECONDS = DAY // SECOND
_LONGEST_SECONDS = 100 * 366 * _DAY_SECONDS  # a century, as for `parse_duration`


@dataclass(frozen=True, slots=True)
class CronTrigger:
    """Due when the wall clock of `zone` matches `expression`."""

    kind: ClassVar[Literal["cron"]] = "cron"
    expression: str
    zone: str


@dataclass(frozen=True, slots=True)
class IntervalTrigger:
    """Due at `anchor` ± every whole multiple of `every`: the anchor is a phase, not a start.

    Real time, so no clock change moves it; `zone` is for showing, and for the default anchor.
    """

    kind: ClassVar[Literal["interval"]] = "interval"
    every: Micros
    anchor: Micros
    zone: str


@dataclass(frozen=True, slots=True)
class OnceTrigger:
    """Due at one instant. `zone` is for showing."""

    kind: ClassVar[Literal["once"]] = "once"
    at: Micros
    zone: str


@dataclass(frozen=True, slots=True)
class ManualTrigger:
    """Never due by the clock; a person triggers the job."""

    kind: ClassVar[Literal["manual"]] = "manual"


TriggerSpec = CronTrigger | IntervalTrigger | OnceTrigger | ManualTrigger


def parse_cron(expression: str, zone: str) -> CronTrigger:
    """Check both; keep the expression as written but for spaces. Raises InvalidInput naming every fault."""
    faults = Faults()
    faults.attempt("expression", lambda: read_cron(expression))
    name = faults.attempt("zone", lambda: parse_zone(zone))
    faults.raise_any()
    return CronTrigger(tidy(expression), name or zone)


def parse_interval(
    every: Micros, zone: str, *, created: Micros | None = None, anchor: Micros | None = None
) -> IntervalTrigger:
    """Check an interval of at least one second.

    Without an `anchor`, an interval that divides a day is anchored at midnight in `zone` of the day of
    `created`, so that `every 15m` means :00 :15 :30 :45; any other is anchored at `created` itself. Raises
    InvalidInput.
    """
    faults = Faults()
    if every < SECOND:
        faults.add("every", f"{format_span(every)} is too short", expected="at least 1s", hint="try: --every 20s")
    if anchor is None and created is None:
        faults.add("anchor", "is missing", expected="an instant", hint='such as "2026-03-05T00:00:00Z"')
    name = faults.attempt("zone", lambda: parse_zone(zone)) or zone
    faults.raise_any()
    if anchor is None and created is not None:
        anchor = _midnight(created, name) if DAY % every == 0 else created
    return IntervalTrigger(every, anchor or 0, name)


def parse_once(at: Micros, zone: str) -> OnceTrigger:
    """Check the zone. Whether `at` has passed is for the caller, who knows the time. Raises InvalidInput."""
    return OnceTrigger(at, parse_zone(zone))


def short_form(spec: TriggerSpec) -> str:
    """Write the trigger for the CRON column of a list: `0 2 * * *`, `every 20s`, `at 2026-…Z`, `manual`."""
    match spec:
        case CronTrigger():
            return spec.expression
        case IntervalTrigger():
            return f"every {format_span(spec.every)}"
        case OnceTrigger():
            return f"at {format_rfc3339(spec.at)}"
        case ManualTrigger():
            return "manual"
        case _:
            assert_never(spec)


def to_dict(spec: TriggerSpec) -> dict[str, object]:
    """Return the trigger as JSON values; `from_dict` reads it back unchanged."""
    match spec:
        case CronTrigger():
            return {"kind": spec.kind, "expression": spec.expression, "zone": spec.zone}
        case IntervalTrigger():
            seconds, fraction = divmod(spec.every, SECOND)
            every: int | float = spec.every / SECOND if fraction else seconds
            anchor = format_rfc3339(spec.anchor)
            return {"kind": spec.kind, "every_seconds": every, "anchor": anchor, "zone": spec.zone}
        case OnceTrigger():
            return {"kind": spec.kind, "at": format_rfc3339(spec.at), "zone": spec.zone}
        case ManualTrigger():
            return {"kind": spec.kind}
        case _:
            assert_never(spec)


def from_dict(
    data: Mapping[str, object], *, zone: str = "UTC", created: Micros | None = None, path: str = ""
) -> TriggerSpec:
    """Read a trigger from JSON; `zone` and `created` stand in for a zone and an anchor that are left out.

    Raises InvalidInput naming every fault at once, each with its key behind `path` (`trigger.`).
    """
    kind = data.get("kind")
    faults = Faults(path)
    if not isinstance(kind, str) or kind not in _KEYS:
        happened = "is missing" if kind is None else f"is {kind!r}, which is no kind of trigger"
        faults.add("kind", happened, expected=" ".join(_KEYS), hint=near(str(kind), _KEYS))
        faults.raise_any()
    keys, read = _KEYS[str(kind)]
    for key in data:
        if key not in keys:
            faults.add(key, "is not known here", expected=" ".join(keys), hint=near(key, keys))
    spec = read(_Reader({"zone": zone, **data}, created, faults))
    faults.raise_any()
    assert spec is not None  # or there was a fault, and it was raised
    return spec


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads typed values out of JSON, noting what is wrong with each."""

    data: Mapping[str, object]
    created: Micros | None
    faults: Faults

    def text(self, key: str) -> str | None:
        value = self.data.get(key)
        if isinstance(value, str):
            return value
        happened = "is missing" if key not in self.data else f"is {value!r}"
        self.faults.add(key, happened, expected="text", got="" if value is None else repr(value))
        return None

    def instant(self, key: str) -> Micros | None:
        text = self.text(key)
        return None if text is None else self.faults.attempt(key, lambda: parse_rfc3339(text))

    def seconds(self, key: str) -> Micros | None:
        value = self.data.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LONGEST_SECONDS:
            return round(value * SECOND)
        happened = "is missing" if key not in self.data else f"is {value!r}"
        self.faults.add(key, happened, expected="a number of seconds, at least 1", hint="such as 20")
        return None


def _read_cron(reader: _Reader) -> TriggerSpec | None:
    expression, zone = reader.text("expression"), reader.text("zone")
    if expression is None or zone is None:
        return None
    return reader.faults.attempt("", lambda: parse_cron(expression, zone))


def _read_interval(reader: _Reader) -> TriggerSpec | None:
    every, zone = reader.seconds("every_seconds"), reader.text("zone")
    anchor = reader.instant("anchor") if "anchor" in reader.data else None
    if every is None or zone is None or ("anchor" in reader.data and anchor is None):
        return None
    return reader.faults.attempt("", lambda: parse_interval(every, zone, created=reader.created, anchor=anchor))


def _read_once(reader: _Reader) -> TriggerSpec | None:
    at, zone = reader.instant("at"), reader.text("zone")
    if at is None or zone is None:
        return None
    return reader.faults.attempt("zone", lambda: parse_once(at, zone))


def _read_manual(_: _Reader) -> TriggerSpec | None:
    return ManualTrigger()


_KEYS: dict[str, tuple[tuple[str, ...], Callable[[_Reader], TriggerSpec | None]]] = {
    "cron": (("kind", "expression", "zone"), _read_cron),
    "interval": (("kind", "every_seconds", "anchor", "zone"), _read_interval),
    "once": (("kind", "at", "zone"), _read_once),
    "manual": (("kind",), _read_manual),
}


def _midnight(instant: Micros, zone: str) -> Micros:
    table = zone_named(zone)
    wall = table.wall_at(instant // SECOND)
    return table.first_reaching(wall - wall % _DAY_SECONDS) * SECOND
