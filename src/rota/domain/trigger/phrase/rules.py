"""From times and days to the plainest trigger that means exactly them: cron where it can, else a calendar rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from rota.domain.instant import SECOND
from rota.domain.trigger.checks import parse_calendar, parse_cron
from rota.domain.trigger.kinds import TriggerSpec, Unit
from rota.domain.trigger.phrase.said import DayItem

_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRule:
    """On which days. Empty = any. `weekdays`: 0 = Monday. Days of the month and nth weekdays are alternatives."""

    weekdays: frozenset[int] = frozenset()
    nth: tuple[tuple[int, int], ...] = ()
    days: tuple[DayItem, ...] = ()
    months: frozenset[int] = frozenset()


def rules(times: Collection[int], days: DayRule, zone: str, *, rhythmic: bool = False) -> list[TriggerSpec]:
    """The triggers for these seconds of the day on these days; one, unless only cron can tell the days.

    `rhythmic`: the times came from "every 15 minutes", so that `*/15` says what was said.
    """
    minutes = {second // _MINUTE % 60 for second in times}
    hours = {second // _HOUR for second in times}
    on_the_minute = all(second % _MINUTE == 0 for second in times)
    in_cron = on_the_minute and len(minutes) * len(hours) == len(set(times)) and not _needs_both(days)
    if in_cron:
        fields = f"{_field(minutes, 60, rhythmic)} {_field(hours, 24, rhythmic)} {cron_days(days)}"
        return [parse_cron(fields, zone)]
    if any(item.number is None for item in days.days):
        return [parse_cron(f"{_clock_fields(time)} {cron_days(days)}", zone) for time in sorted(times)]
    return [calendar(Unit.DAY, times, days, zone)]


def calendar(
    unit: Unit, times: Iterable[int], days: DayRule, zone: str, *, every: int = 1, anchor: str = ""
) -> TriggerSpec:
    """A calendar rule. Every day must have a number."""
    return parse_calendar(
        unit,
        times,
        zone,
        every=every,
        anchor=anchor or "1970-01-01",
        weekdays=days.weekdays,
        nth=days.nth,
        month_days=[item.number for item in days.days if item.number is not None],
        months=days.months,
    )


def cron_days(days: DayRule) -> str:
    """The three day fields of a cron expression."""
    month_day = ",".join(_items(days.days)) or "*"
    month = _field(days.months, 0, False) or "*"
    weekday = _field({(day + 1) % 7 for day in days.weekdays}, 0, False)
    nth = [f"{(day + 1) % 7}{'L' if n == -1 else f'#{n}'}" for n, day in days.nth]
    return f"{month_day} {month} {','.join(nth) or weekday or '*'}"


def every_second_of(length: int, days: DayRule, zone: str) -> TriggerSpec:
    """`*/30 * * * * 0`: a rhythm of seconds, which divide a minute, on some days."""
    seconds = "*" if length == SECOND else f"*/{length // SECOND}"
    return parse_cron(f"{seconds} * * {cron_days(days)}", zone)


def _clock_fields(time: int) -> str:
    """One time of day: minute and hour, with the second before them if it is not 0."""
    fields = f"{time // _MINUTE % 60} {time // _HOUR}"
    return f"{time % _MINUTE} {fields}" if time % _MINUTE else fields


def _needs_both(days: DayRule) -> bool:
    """Whether two day fields must both match, which cron takes as either."""
    return bool(days.weekdays and (days.days or days.nth)) or bool(days.days and days.nth)


def _items(days: Iterable[DayItem]) -> list[str]:
    numbers = {item.number for item in days if item.number is not None and item.number > 0}
    return [*filter(None, [_field(numbers, 0, False)]), *(item.cron for item in days if not item.cron.isdigit())]


def _field(values: Collection[int], size: int, rhythmic: bool) -> str:
    """Numbers as cron writes them: `1-5`, `0,6`; with `rhythmic` also `*`, `*/15` and `8-20/2`."""
    ordered = sorted(values)
    steps = {after - before for before, after in pairwise(ordered)}
    step = steps.pop() if len(steps) == 1 else 0
    if rhythmic and len(ordered) > 1 and step:
        if ordered[0] == 0 and size % step == 0 and len(ordered) == size // step:
            return "*" if step == 1 else f"*/{step}"
        if step > 1 and len(ordered) > 2:
            return f"{ordered[0]}-{ordered[-1]}/{step}"
    return ",".join(_runs(ordered))


def _runs(ordered: list[int]) -> Iterable[str]:
    """`1-5` for three neighbours or more."""
    place = 0
    while place < len(ordered):
        end = place
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        if end - place >= 2:
            yield f"{ordered[place]}-{ordered[end]}"
        else:
            yield from map(str, ordered[place : end + 1])
        place = end + 1
