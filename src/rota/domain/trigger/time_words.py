"""Which times of the day, in English, from the masks of a cron expression.

A step is called "every n minutes" only if it is even all round the hour: `*/7` is told as minutes 0, 7, 14, … 56.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rota.domain.instant import SECOND
from rota.domain.trigger.english import clock, counted, every, every_length, join, ordinal
from rota.domain.trigger.fields import ON_THE_MINUTE, CronFields

MOST_TIMES = 6  # of day that are still listed one by one


def listed_times(fields: CronFields) -> list[str]:
    """The times one by one; empty if they are too many, or regular enough to be told as a rhythm."""
    hours, minutes, seconds = fields.hour.values, fields.minute.values, fields.second.values
    regular = len(minutes) == 1 and len(hours) > 2 and hours[0] == 0 and even_step(hours, 24) > 0
    if len(hours) * len(minutes) * len(seconds) > MOST_TIMES or regular:
        return []
    return [clock(h * 3600 + m * 60 + s, seconds=seconds != (0,)) for h in hours for m in minutes for s in seconds]


def rhythm(fields: CronFields) -> str:
    """What is not listed: `every 15 minutes from 09:00 to 17:45`, `at minutes 0, 7, 14, … 56 of every hour`."""
    hours, minutes = fields.hour.values, fields.minute.values
    if fields.second == ON_THE_MINUTE:
        return _of_minutes(hours, minutes)
    seconds = fields.second.values
    if len(seconds) == 1:
        return f"{_of_minutes(hours, minutes)}, at second {seconds[0]}"
    return _of_seconds(hours, minutes, seconds)


def even_step(values: Sequence[int], size: int) -> int:
    """The distance between neighbours if it is the same all round a clock of `size`, else 0."""
    if len(values) < 2 or size % len(values):
        return 0
    step = size // len(values)
    return step if {after - before for before, after in pairwise(values)} == {step} else 0


def _of_minutes(hours: tuple[int, ...], minutes: tuple[int, ...]) -> str:
    hour_step, minute_step = even_step(hours, 24), even_step(minutes, 60)
    distance = _distance(hours)
    if hour_step == 1:
        return _within_every_hour(minutes)
    if len(minutes) == 1 and hour_step and hours[0] == 0:
        return f"every {hour_step} hours, at minute {minutes[0]}"
    if distance and len(minutes) == 1 and len(hours) > 2:
        return f"{every(distance, 'hour')} {_from_to(hours, minutes)}"
    if distance == 1 and minute_step:
        return f"{every(minute_step, 'minute')} {_from_to(hours, minutes)}"
    within = f"every {ordinal(hour_step)} hour from 00:00" if hour_step and hours[0] == 0 else counted("hour", hours)
    if len(hours) == 1 and minute_step:
        return f"{every(minute_step, 'minute')} {_from_to(hours, minutes)}"
    if minute_step and minutes[0] == 0:
        return f"{every(minute_step, 'minute')} of {within}"
    return f"at {counted('minute', minutes)} of {within}"


def _within_every_hour(minutes: tuple[int, ...]) -> str:
    step = even_step(minutes, 60)
    if step:
        return every(step, "minute") + (f" starting at minute {minutes[0]}" if minutes[0] else "")
    if len(minutes) == 1:
        return f"every hour, at minute {minutes[0]}"
    return f"at {counted('minute', minutes)} of every hour"


def _of_seconds(hours: tuple[int, ...], minutes: tuple[int, ...], seconds: tuple[int, ...]) -> str:
    """`every 30 seconds`, `at seconds 0, 7, 14, … 56 of every minute`; in which minutes, if not in all."""
    step = even_step(seconds, 60)
    told = every(step, "second") if step else f"at {counted('second', seconds)} of every minute"
    if step and seconds[0]:
        told += f" starting at second {seconds[0]}"
    if len(minutes) == 60:
        if len(hours) == 24:
            return told
        if _distance(hours) == 1 or len(hours) == 1:
            first, last = hours[0] * 3600 + seconds[0], hours[-1] * 3600 + 59 * 60 + seconds[-1]
            return f"{told} from {clock(first, seconds=True)} to {clock(last, seconds=True)}"
        return f"{told}, in {counted('hour', hours)}"
    within = "every hour" if len(hours) == 24 else counted("hour", hours)
    return f"{told}, in {counted('minute', minutes)} of {within}"


def _distance(values: tuple[int, ...]) -> int:
    """The distance between neighbours if it is always the same, else 0."""
    distances = {after - before for before, after in pairwise(values)}
    return distances.pop() if len(distances) == 1 else 0


def _from_to(hours: tuple[int, ...], minutes: tuple[int, ...]) -> str:
    return f"from {clock(hours[0] * 3600 + minutes[0] * 60)} to {clock(hours[-1] * 3600 + minutes[-1] * 60)}"


def spread_times(seconds: tuple[int, ...]) -> tuple[str, bool]:
    """(words, whether they are a rhythm) of times of day that belong to no expression: those of a calendar rule."""
    shown = [clock(second) for second in seconds]
    distance = _distance(seconds)
    if len(seconds) > MOST_TIMES and distance:
        return f"{every_length(distance * SECOND)} from {shown[0]} to {shown[-1]}", True
    return join(shown), False
