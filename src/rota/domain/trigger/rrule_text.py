"""Writes a calendar or an interval trigger as an RFC 5545 recurrence rule (`rrule` reads them)."""

from __future__ import annotations

from rota.domain.errors import InvalidInput
from rota.domain.instant import SECOND, Micros, from_micros
from rota.domain.trigger.kinds import CalendarTrigger, IntervalTrigger, Overflow, TriggerSpec, Unit
from rota.domain.trigger.rrule import SUB_DAILY, UNITS, WEEKDAYS, read_stamp, wall_of
from rota.domain.trigger.timetable import timetable

_FREQS = {unit: freq for freq, unit in UNITS.items()}


def write_rrule(trigger: TriggerSpec, *, start_at: Micros | None = None, end_at: Micros | None = None) -> str:
    """Write DTSTART and RRULE. Raises InvalidInput for what RFC 5545 has no exact words for."""
    if not isinstance(trigger, CalendarTrigger | IntervalTrigger):
        raise InvalidInput(
            f"a {trigger.kind} trigger has no recurrence rule", expected="a calendar or interval trigger"
        )
    parts = _interval_parts(trigger) if isinstance(trigger, IntervalTrigger) else _calendar_parts(trigger)
    times = timetable(trigger)
    assert times is not None  # both kinds have one
    from_ = start_at if start_at is not None else _phase_start(trigger)
    first = times.next(from_ - 1)
    if first is None or (end_at is not None and first > end_at):
        raise InvalidInput("the trigger is never due within its bounds", expected="at least one instant")
    if end_at is not None:
        parts.append(f"UNTIL={from_micros(end_at):%Y%m%dT%H%M%SZ}")
    wall = f"{wall_of(first, trigger.zone):%Y%m%dT%H%M%S}"
    head = f"DTSTART:{wall}Z" if trigger.zone == "UTC" else f"DTSTART;TZID={trigger.zone}:{wall}"
    return f"{head}\nRRULE:{';'.join(parts)}"


def _interval_parts(trigger: IntervalTrigger) -> list[str]:
    if trigger.every % SECOND or trigger.anchor % SECOND:
        raise InvalidInput("the interval has a fraction of a second", expected="whole seconds")
    for freq, length in SUB_DAILY.items():
        if trigger.every % length == 0:
            return [f"FREQ={freq}", *_every(trigger.every // length)]
    raise AssertionError("every whole second is SECONDLY")


def _calendar_parts(trigger: CalendarTrigger) -> list[str]:
    if trigger.nth and (trigger.month_days or trigger.weekdays):
        raise InvalidInput("RRULE cannot join numbered weekdays with other days", expected="one of them")
    if trigger.nth and trigger.unit in (Unit.DAY, Unit.WEEK):
        raise InvalidInput(f"RRULE knows no nth weekday with FREQ={_FREQS[trigger.unit]}", expected="month or year")
    if trigger.month_days and trigger.unit is Unit.WEEK:
        raise InvalidInput("RRULE knows no month days with FREQ=WEEKLY", expected="month or year")
    hours, minutes, seconds = (sorted({_clock(time)[place] for time in trigger.times}) for place in range(3))
    if len(hours) * len(minutes) * len(seconds) != len(trigger.times):
        raise InvalidInput(
            "RRULE cannot say these times of day without saying more",
            expected="every hour with every minute that is named",
            hint="give each time a trigger of its own",
        )
    parts = ["RSCALE=GREGORIAN"] if trigger.overflow is Overflow.LAST_DAY else []
    parts += [f"FREQ={_FREQS[trigger.unit]}", *_every(trigger.every)]
    days = [f"{n}{WEEKDAYS[weekday]}" for n, weekday in trigger.nth]
    days += [WEEKDAYS[weekday] for weekday in trigger.weekdays]
    for name, values in (
        ("BYMONTH", trigger.months),
        ("BYMONTHDAY", trigger.month_days),
        ("BYDAY", days),
        ("BYHOUR", hours),
        ("BYMINUTE", minutes),
        ("BYSECOND", seconds if seconds != [0] else []),
    ):
        if values:
            parts.append(f"{name}={','.join(map(str, values))}")
    return [*parts, "SKIP=BACKWARD"] if trigger.overflow is Overflow.LAST_DAY else parts


def _every(count: int) -> list[str]:
    return [] if count == 1 else [f"INTERVAL={count}"]


def _clock(time: int) -> tuple[int, int, int]:
    return time // 3600, time // 60 % 60, time % 60


def _phase_start(trigger: CalendarTrigger | IntervalTrigger) -> Micros:
    """Where DTSTART is looked for: it must lie in a period that is due."""
    if isinstance(trigger, IntervalTrigger):
        return trigger.anchor
    return read_stamp((trigger.anchor or "1970-01-01").replace("-", ""), trigger.zone)
