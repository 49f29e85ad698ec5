"""The schedule types of seed 2 (`immediately` … `yearly` and a start) as triggers of today.

Days, weeks, months and years follow the wall clock of the zone: 09:00 stays 09:00. Where a month is too short its
last day is taken, and the next month goes back to the day that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rota.domain.errors import InvalidInput, near
from rota.domain.instant import HOUR, MINUTE, SECOND, Micros, from_micros
from rota.domain.trigger.kinds import Overflow, TriggerSpec, Unit
from rota.domain.trigger.spec import parse_calendar, parse_interval, parse_once
from rota.domain.trigger.zones import zone_named

_LENGTHS: Mapping[str, Micros] = MappingProxyType(
    {
        **{f"every_{count}_minutes": count * MINUTE for count in (5, 10, 15, 30)},
        "every_hour": HOUR,
        "hourly": HOUR,
    }
)
_UNITS: Mapping[str, Unit] = MappingProxyType(
    {"daily": Unit.DAY, "weekly": Unit.WEEK, "monthly": Unit.MONTH, "yearly": Unit.YEAR}
)
SCHEDULE_TYPES = ("immediately", "once", *_LENGTHS, *_UNITS)


def from_schedule_type(name: str, *, start: Micros | None, now: Micros, zone: str) -> TriggerSpec:
    """Return the trigger of one of SCHEDULE_TYPES that begins at `start`, or now. Raises InvalidInput."""
    begin = now if start is None else start
    word = name.strip().lower()
    if word == "immediately":
        return parse_once(now - now % SECOND + SECOND, zone)
    if word == "once":
        return parse_once(begin, zone)
    if word in _LENGTHS:
        return parse_interval(_LENGTHS[word], zone, anchor=begin)
    if word not in _UNITS:
        raise InvalidInput(
            f'"{name[:40]}" is not a schedule type',
            expected=" ".join(SCHEDULE_TYPES),
            hint=near(word, SCHEDULE_TYPES),
        )
    wall = from_micros(zone_named(zone).wall_at(begin // SECOND) * SECOND)
    unit = _UNITS[word]
    return parse_calendar(
        unit,
        [wall.hour * 3600 + wall.minute * 60 + wall.second],
        zone,
        weekdays=[wall.weekday()] if unit is Unit.WEEK else (),
        month_days=[wall.day] if unit in (Unit.MONTH, Unit.YEAR) else (),
        months=[wall.month] if unit is Unit.YEAR else (),
        overflow=Overflow.LAST_DAY if unit in (Unit.MONTH, Unit.YEAR) else Overflow.SKIP,
    )
