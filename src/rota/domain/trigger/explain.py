"""What a trigger means, in English, written from what the evaluator uses, so the two cannot differ.

Three rules keep it honest. A step is called "every n minutes" only if it is even across the hour (`*/7` is not).
"And" and "or" between the day fields follow Vixie's rule. What is left out of a long list is regular. The words are
those of `time_words`, `day_words` and `english`; what to be careful of is said by `caution`.
"""

from __future__ import annotations

from typing import assert_never

from rota.domain.instant import SECOND, Micros, from_micros
from rota.domain.trigger.day_words import calendar_days, cron_days
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.english import every, every_length, join, length, sentence
from rota.domain.trigger.kinds import (
    CalendarTrigger,
    ContinuousTrigger,
    CronTrigger,
    Fold,
    Gap,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    OnStartTrigger,
    TriggerSpec,
)
from rota.domain.trigger.time_words import listed_times, rhythm, spread_times
from rota.domain.trigger.zones import zone_named


def describe(spec: TriggerSpec) -> str:
    """Return one English phrase: `Every day at 02:00`, `Every 20 seconds`, `Once at …`, `Manual`."""
    match spec:
        case CronTrigger():
            return describe_cron(spec.expression, spec.seed) + _clock_changes(spec.gap, spec.fold)
        case IntervalTrigger():
            return sentence(every_length(spec.every))
        case OnceTrigger():
            return f"Once at {_moment(spec.at, spec.zone)}"
        case CalendarTrigger():
            return _calendar(spec) + _clock_changes(spec.gap, spec.fold)
        case ContinuousTrigger():
            return "Continuously" if spec.gap == SECOND else f"Continuously, with a pause of {length(spec.gap)}"
        case OnStartTrigger():
            return "When the daemon starts"
        case ManualTrigger():
            return "Manual"
        case _:
            assert_never(spec)


def describe_cron(expression: str, seed: str = "") -> str:
    """Return what a cron expression means; `seed` is what `H` and `~` are hashed from. Raises InvalidInput."""
    fields = read_cron(expression, seed)
    times = listed_times(fields)
    return _whole(join(times) if times else rhythm(fields), cron_days(fields), is_rhythm=not times)


def _whole(times: str, days: str, *, is_rhythm: bool) -> str:
    if is_rhythm:
        return sentence(", ".join(filter(None, [times, days])))
    if ", and also" in days:  # the time comes first, or it would seem to belong to the second half only
        return f"At {times} {days}"
    return sentence(f"{days or 'every day'} at {times}")


def _calendar(spec: CalendarTrigger) -> str:
    times, is_rhythm = spread_times(spec.times)
    days = calendar_days(spec)
    if spec.every == 1:
        return _whole(times, days, is_rhythm=is_rhythm)
    period = every(spec.every, spec.unit)
    if days.startswith("every "):  # every 2 weeks on Friday
        days = f"on {days.removeprefix('every ')}"
    told = _whole(times, f"{period} {days.replace(' of every month', '')}".strip(), is_rhythm=is_rhythm)
    return f"{told}, counted from {spec.anchor}"


def _clock_changes(gap: Gap, fold: Fold) -> str:
    """What differs from Debian's rules for fixed times."""
    said = ["not where a clock change leaves it out"] if gap is Gap.SKIP else []
    if fold is not Fold.FIRST:
        passes = "both passes" if fold is Fold.BOTH else "the second pass"
        said.append(f"on {passes} where a clock change repeats it")
    return f", {join(said)}" if said else ""


def _moment(at: Micros, zone: str) -> str:
    wall = at + zone_named(zone).segment_at(at // SECOND).offset * SECOND
    return f"{from_micros(wall):%Y-%m-%d %H:%M:%S} {zone}"
