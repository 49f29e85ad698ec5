"""RFC 5545 recurrence rules, as far as they say exactly what a calendar or an interval trigger says.

    DTSTART;TZID=Europe/Zurich:20260305T090000
    RRULE:FREQ=MONTHLY;BYDAY=2TU;UNTIL=20271231T080000Z

Read: FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY, BYHOUR, BYMINUTE, BYSECOND, BYSETPOS with one
BYDAY, WKST where it changes nothing, and SKIP of RFC 7529. What does not map exactly is refused with the reason. A
rule without DTSTART begins now. Two edges are Rota's, not the RFC's: a time in a spring gap runs at the gap's
end, and HOURLY, MINUTELY and SECONDLY follow real time across clock changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

from rota.domain.errors import InvalidInput, near
from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, Micros, from_micros, to_micros
from rota.domain.trigger.faults import Faults
from rota.domain.trigger.kinds import Overflow, TriggerSpec, Unit
from rota.domain.trigger.spec import parse_calendar, parse_interval
from rota.domain.trigger.timetable import timetable
from rota.domain.trigger.zones import parse_zone, zone_named

MOST_COUNTED = 10_000  # COUNT is turned into an end by walking the timetable
SUB_DAILY = {"HOURLY": HOUR, "MINUTELY": MINUTE, "SECONDLY": SECOND}
UNITS = {"DAILY": Unit.DAY, "WEEKLY": Unit.WEEK, "MONTHLY": Unit.MONTH, "YEARLY": Unit.YEAR}
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_KNOWN = (
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"),
    *("BYSETPOS", "WKST", "RSCALE", "SKIP"),
)
_STAMP = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z)?)?")
_BYDAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """What a rule says: a trigger, and when it begins and ends. Both ends belong to it."""

    trigger: TriggerSpec
    start_at: Micros | None
    end_at: Micros | None


def read_rrule(text: str, *, now: Micros, zone: str) -> Recurrence:
    """Read a rule with or without its DTSTART line; `zone` stands in for a TZID. Raises InvalidInput."""
    zone, start, parts = _lines(text, zone)
    begin = now if start is None else start
    wall = wall_of(begin, zone)
    faults = Faults("rrule.")
    for name in parts:
        if name not in _KNOWN:
            faults.add(name, "has no exact counterpart here" if name.startswith("BY") else "is not known",
                       expected=" ".join(_KNOWN), hint=near(name, _KNOWN))  # fmt: skip
    if "COUNT" in parts and "UNTIL" in parts:
        faults.add("COUNT", "and UNTIL are given together", expected="one of them")
    freq, rule = parts.get("FREQ", ""), _Parts(parts, faults)
    every = rule.number("INTERVAL", 1, most=1000 if freq in UNITS else 10**9)
    trigger: TriggerSpec | None = None
    if freq in SUB_DAILY:
        for name in parts:
            if name.startswith("BY"):
                faults.add(name, f"cannot be told with FREQ={freq}", hint="a cron expression may say it")
        faults.raise_any()
        trigger = parse_interval(every * SUB_DAILY[freq], zone, anchor=begin)
    elif freq in UNITS:
        trigger = _calendar(UNITS[freq], every, rule, wall, zone)
    else:
        faults.add("FREQ", f"is {freq}" if freq else "is missing", expected=" ".join([*UNITS, *SUB_DAILY]))
    count = rule.number("COUNT", 0, most=MOST_COUNTED)
    end = faults.attempt("UNTIL", lambda: _until(parts["UNTIL"], zone)) if "UNTIL" in parts else None
    faults.raise_any()
    assert trigger is not None  # or there was a fault
    if start is not None:
        _require_in_step(trigger, start, text)
    return Recurrence(
        trigger, start, _end_after(trigger, count, begin if start is None else begin - 1) if count else end
    )


def _lines(text: str, zone: str) -> tuple[str, Micros | None, Mapping[str, str]]:
    """(zone, DTSTART, the parts of RRULE). Raises InvalidInput."""
    zone, start, rule = parse_zone(zone), None, None
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, value = line.partition(":") if ":" in line else ("RRULE", "", line)
        name, _, parameters = name.upper().partition(";")
        if name == "DTSTART":
            original = line.partition(":")[0].partition(";")[2]
            if original.upper().startswith("TZID="):
                zone = parse_zone(original[5:])
            elif parameters and parameters != "VALUE=DATE":
                raise _refuse(text, f"has DTSTART;{original}", "TZID=… or nothing")
            stamp = value.strip().upper()
            zone = "UTC" if stamp.endswith("Z") else zone
            start = read_stamp(stamp, zone)
        elif name == "RRULE" and rule is None:
            rule = value
        elif name == "RRULE":
            raise _refuse(text, "has two RRULE lines", "one; give each a trigger of its own")
        else:
            raise _refuse(text, f"has {name[:24]}", "DTSTART and RRULE; dates left out belong into a calendar")
    if not rule:
        raise _refuse(text, "has no rule", 'such as "FREQ=WEEKLY;BYDAY=MO"')
    pairs = [part.partition("=") for part in rule.strip().strip(";").split(";")]
    if any(not equals or not value for _, equals, value in pairs) or len({key for key, _, _ in pairs}) != len(pairs):
        raise _refuse(text, "is not a list of NAME=VALUE, each name once", 'such as "FREQ=WEEKLY;BYDAY=MO"')
    return zone, start, {key.strip().upper(): value.strip().upper() for key, _, value in pairs}


class _Parts:
    """The values of the rule's parts, noting what is wrong with each."""

    def __init__(self, parts: Mapping[str, str], faults: Faults) -> None:
        self.parts, self.faults = parts, faults

    def number(self, name: str, default: int, *, most: int) -> int:
        found = self.numbers(name, 1, most) or [default]
        return found[0]

    def numbers(self, name: str, least: int, most: int) -> list[int]:
        """Whole numbers with commas; below `least` only where that is negative, and never 0 then."""
        found = []
        for word in self.parts[name].split(",") if name in self.parts else ():
            value = int(word) if re.fullmatch(r"[+-]?[0-9]{1,9}", word) else None
            if value is None or not least <= value <= most or (least < 0 and value == 0):
                self.faults.add(name, f"is {word[:24]}", expected=f"{least} to {most}")
            else:
                found.append(value)
        return found

    def days(self) -> list[tuple[int, int]]:
        """BYDAY as (n, weekday), n = 0 for every one."""
        found = []
        for word in self.parts["BYDAY"].split(",") if "BYDAY" in self.parts else ():
            match = _BYDAY.fullmatch(word)
            if match is None:
                self.faults.add("BYDAY", f"is {word[:24]}", expected="MO to SU, or such as 2TU and -1FR")
            else:
                found.append((int(match[1] or 0), WEEKDAYS.index(match[2])))
        return found


def _calendar(unit: Unit, every: int, rule: _Parts, wall: datetime, zone: str) -> TriggerSpec | None:
    """Build the trigger, or note why it cannot be."""
    faults, parts = rule.faults, rule.parts
    times = [
        hour * 3600 + minute * 60 + second
        for hour, minute, second in product(
            rule.numbers("BYHOUR", 0, 23) or [wall.hour],
            rule.numbers("BYMINUTE", 0, 59) or [wall.minute],
            rule.numbers("BYSECOND", 0, 59) or [wall.second],
        )
    ]
    months, month_days = sorted({*rule.numbers("BYMONTH", 1, 12)}), rule.numbers("BYMONTHDAY", -31, 31)
    days = _with_position(unit, rule, rule.days())
    nth, weekdays = [day for day in days if day[0]], [weekday for n, weekday in days if not n]
    if nth and weekdays:
        faults.add("BYDAY", "mixes numbered days with whole weekdays", expected="one or the other")
    if nth and month_days:
        faults.add("BYDAY", "is numbered beside BYMONTHDAY", expected="one or the other")
    if nth and (unit in (Unit.DAY, Unit.WEEK) or (unit is Unit.YEAR and not months)):
        expected = "FREQ=MONTHLY, or FREQ=YEARLY with BYMONTH"
        faults.add("BYDAY", "counts weekdays of something other than a month", expected=expected)
    if month_days and unit is Unit.WEEK:
        faults.add("BYMONTHDAY", "cannot stand with FREQ=WEEKLY", expected="FREQ=MONTHLY")
    week_starts = parts.get("WKST", "MO")
    if week_starts != "MO" and unit is Unit.WEEK and every > 1:
        faults.add("WKST", f"is {week_starts}", expected="MO: a week of Rota begins on Monday")
    skip = parts.get("SKIP", "OMIT")
    if skip not in ("OMIT", "BACKWARD") or parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        faults.add("SKIP", f"is {skip}", expected="OMIT or BACKWARD, with RSCALE=GREGORIAN")
    if unit is Unit.YEAR and not months and (month_days or weekdays):
        months = [*range(1, 13)]  # the RFC's table: they then mean every month of the year
    if unit is Unit.YEAR and every == 1 and len(months) == 12:
        unit, months = Unit.MONTH, []
    if unit is Unit.YEAR and not months:
        months = [wall.month]
    if unit is Unit.WEEK and not weekdays:
        weekdays = [wall.weekday()]
    if unit in (Unit.MONTH, Unit.YEAR) and not (month_days or nth or weekdays):
        month_days = [wall.day]
    faults.raise_any()
    return faults.attempt(
        "",
        lambda: parse_calendar(
            unit, times, zone, every=every, anchor=wall.date().isoformat(), weekdays=weekdays, nth=nth,
            month_days=month_days, months=months,
            overflow=Overflow.LAST_DAY if skip == "BACKWARD" else Overflow.SKIP,
        ),
    )  # fmt: skip


def _with_position(unit: Unit, rule: _Parts, days: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """`BYDAY=TU;BYSETPOS=2` is another spelling of `BYDAY=2TU`; any other use has no counterpart."""
    positions = rule.numbers("BYSETPOS", -5, 5)
    if not positions:
        return days
    alone = len(days) == 1 and days[0][0] == 0 and unit is Unit.MONTH
    if not alone or {"BYMONTHDAY", "BYHOUR", "BYMINUTE", "BYSECOND"} & rule.parts.keys():
        rule.faults.add(
            "BYSETPOS",
            "has no exact counterpart here",
            expected="one weekday of BYDAY with FREQ=MONTHLY",
            hint='cron says "the last workday": --cron "0 9 LW * *"',
        )
        return days
    return [(position, days[0][1]) for position in positions]


def _require_in_step(trigger: TriggerSpec, start: Micros, text: str) -> None:
    times = timetable(trigger)
    assert times is not None  # calendar and interval have one
    if times.next(start - 1) != start:
        raise _refuse(text, "has a DTSTART that the rule does not match", "a DTSTART that is its first instant")


def _end_after(trigger: TriggerSpec, count: int, after: Micros) -> Micros:
    """The instant of the `count`-th occurrence later than `after`."""
    times, at = timetable(trigger), after
    assert times is not None
    for _ in range(count):
        following = times.next(at)
        if following is None:
            break
        at = following
    return at


def _until(text: str, zone: str) -> Micros:
    """A date lasts until its last second."""
    at = read_stamp(text, zone)
    return at if "T" in text else at + DAY - SECOND


def read_stamp(text: str, zone: str) -> Micros:
    match = _STAMP.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        wall = datetime.strptime(match[1] + (match[2] or "000000"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as fault:
        raise InvalidInput(
            f'"{text[:40]}" is not a date or time of RFC 5545', hint='such as "20260305T090000Z"'
        ) from fault
    if match[3]:
        return to_micros(wall)
    return zone_named(zone).first_reaching(to_micros(wall) // SECOND) * SECOND


def wall_of(at: Micros, zone: str) -> datetime:
    return from_micros(zone_named(zone).wall_at(at // SECOND) * SECOND)


def _refuse(text: str, happened: str, expected: str) -> InvalidInput:
    shown = " ".join(text.split())
    return InvalidInput(f'RRULE "{shown[:60]}" {happened}', expected=expected)
