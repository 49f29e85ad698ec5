"""What a trigger means, in English, written from the masks that the evaluator uses, so the two cannot differ.

Three rules keep it honest. A step is called "every n minutes" only if it is even across the hour (`*/7` is
not). "And" and "or" between the day fields follow Vixie's rule. What is left out of a long list is regular.
"""

from __future__ import annotations

from itertools import pairwise
from typing import assert_never

from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, WEEK, Micros, from_micros
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.fields import CronFields
from rota.domain.trigger.spec import CronTrigger, IntervalTrigger, ManualTrigger, OnceTrigger, TriggerSpec
from rota.domain.trigger.zones import zone_named

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MOST_TIMES = 6  # times of day that are still listed one by one


def describe(spec: TriggerSpec) -> str:
    """Return one English phrase: `Every day at 02:00`, `Every 20 seconds`, `Once at …`, `Manual`."""
    match spec:
        case CronTrigger():
            return describe_cron(spec.expression)
        case IntervalTrigger():
            return _sentence(_length(spec.every))
        case OnceTrigger():
            return f"Once at {_moment(spec.at, spec.zone)}"
        case ManualTrigger():
            return "Manual"
        case _:
            assert_never(spec)


def describe_cron(expression: str) -> str:
    """Return what a cron expression means. Raises InvalidInput."""
    fields = read_cron(expression)
    days = _days(fields)
    times = _times_of_day(fields)
    if not times:
        return _sentence(", ".join(filter(None, [_rhythm(fields), days])))
    if ", and also" in days:  # the time comes first, or it would seem to belong to the second half only
        return f"At {_join(times)} {days}"
    return _sentence(f"{days or 'every day'} at {_join(times)}")


# Time of day


def _times_of_day(fields: CronFields) -> list[str]:
    """Return the times one by one; empty if they are too many, or regular enough to be told as a rhythm."""
    hours, minutes = fields.hour.values, fields.minute.values
    regular = len(minutes) == 1 and len(hours) > 2 and hours[0] == 0 and _even_step(hours, 24)
    if len(hours) * len(minutes) > _MOST_TIMES or regular:
        return []
    return [f"{hour:02d}:{minute:02d}" for hour in hours for minute in minutes]


def _rhythm(fields: CronFields) -> str:
    hours, minutes = fields.hour.values, fields.minute.values
    hour_step, minute_step = _even_step(hours, 24), _even_step(minutes, 60)
    if hour_step == 1:
        return _minute_rhythm(minutes)
    if len(minutes) == 1 and hour_step and hours[0] == 0:
        return f"every {hour_step} hours, at minute {minutes[0]}"
    if _is_run(hours) and (minute_step or len(minutes) == 1):
        step = _every(minute_step, "minute") if minute_step else "every hour"
        return f"{step} from {hours[0]:02d}:{minutes[0]:02d} to {hours[-1]:02d}:{minutes[-1]:02d}"
    within = _counted("hour", hours)
    if hour_step and hours[0] == 0:
        within = f"every {_ordinal(hour_step)} hour from 00:00"
    if minute_step and minutes[0] == 0:
        return f"{_every(minute_step, 'minute')} of {within}"
    return f"at {_counted('minute', minutes)} of {within}"


def _minute_rhythm(minutes: tuple[int, ...]) -> str:
    """Say when within every hour."""
    step = _even_step(minutes, 60)
    if step:
        start = f" starting at minute {minutes[0]}" if minutes[0] else ""
        return _every(step, "minute") + start
    if len(minutes) == 1:
        return f"every hour, at minute {minutes[0]}"
    return f"at {_counted('minute', minutes)} of every hour"


# Days


def _days(fields: CronFields) -> str:
    """Return the day part, empty if it is every day."""
    all_days, all_weekdays = len(fields.day.values) == 31, len(fields.weekday.values) == 7
    months = "" if len(fields.month.values) == 12 else _months(fields)
    within = f" in {months}" if months else ""
    if (all_days and all_weekdays) or (not fields.needs_both_days and (all_days or all_weekdays)):
        return f"every day{within}" if months else ""
    by_weekday = f"every {_weekdays(fields)}{within}"
    by_day = f"on {_counted('day', fields.day.values)} of {months or 'every month'}"
    if all_days:
        return by_weekday
    if all_weekdays:
        return by_day
    if fields.needs_both_days:
        return f"{by_weekday} that is day {_numbers(fields.day.values, 'or')} of the month"
    return f"{by_day}, and also {by_weekday}"


def _months(fields: CronFields) -> str:
    chosen = fields.month.values
    if len(chosen) > 2 and _is_run(chosen):
        return f"{_MONTHS[chosen[0] - 1]} to {_MONTHS[chosen[-1] - 1]}"
    return _join([_MONTHS[month - 1] for month in chosen])


def _weekdays(fields: CronFields) -> str:
    chosen = fields.weekday.values
    if len(chosen) > 2 and _is_run(chosen):
        return f"{_WEEKDAYS[chosen[0]]} to {_WEEKDAYS[chosen[-1]]}"
    monday_first = sorted(chosen, key=lambda weekday: (weekday - 1) % 7)
    return _join([_WEEKDAYS[weekday] for weekday in monday_first])


# Numbers and words


def _even_step(values: tuple[int, ...], size: int) -> int:
    """Return the distance between neighbours if it is the same all round a clock of `size`, else 0."""
    if len(values) < 2 or size % len(values):
        return 0
    step = size // len(values)
    return step if set(_distances(values)) == {step} else 0


def _distances(values: tuple[int, ...]) -> list[int]:
    return [after - before for before, after in pairwise(values)]


def _is_run(values: tuple[int, ...]) -> bool:
    return values[-1] - values[0] == len(values) - 1


def _counted(noun: str, values: tuple[int, ...]) -> str:
    return f"{noun} {values[0]}" if len(values) == 1 else f"{noun}s {_numbers(values, 'and')}"


def _numbers(values: tuple[int, ...], last: str) -> str:
    """List numbers; a long regular list is cut as `0, 7, 14, … 56`, which leaves nothing open."""
    distances = set(_distances(values))
    if distances == {1} and len(values) > 2:
        return f"{values[0]} to {values[-1]}"
    if len(distances) == 1 and len(values) > 5:
        return f"{', '.join(map(str, values[:3]))}, … {values[-1]}"
    return _join([str(value) for value in values], last)


def _join(words: list[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _every(count: int, unit: str) -> str:
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _length(every: Micros) -> str:
    """Write an interval in one unit if it is a whole number of it: `every 20 seconds`, `every hour`."""
    for unit, size in (("week", WEEK), ("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", SECOND)):
        if every % size == 0:
            return _every(every // size, unit)
    return f"every {every / SECOND:g} seconds"


def _moment(at: Micros, zone: str) -> str:
    wall = at + zone_named(zone).segment_at(at // SECOND).offset * SECOND
    return f"{from_micros(wall):%Y-%m-%d %H:%M:%S} {zone}"
