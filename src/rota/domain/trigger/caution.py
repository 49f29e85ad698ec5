"""What to be careful of in a trigger that says what it says: cron's two day fields, uneven steps, clock changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rota.domain.instant import DAY, SECOND, Micros, from_micros
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.english import clock
from rota.domain.trigger.fields import HOUR, MINUTE, CronFields, Field, FieldKind
from rota.domain.trigger.fields import SECOND as SECONDS
from rota.domain.trigger.kinds import CalendarTrigger, CronTrigger, Fold, Gap, TriggerSpec
from rota.domain.trigger.timetable import Timetable, timetable
from rota.domain.trigger.zones import Segment, zone_named

AHEAD: Micros = 731 * DAY  # two years, one of them perhaps a leap year
_MOST_CHANGES = 4  # told one by one: two years of a zone with two changes a year
_SIZES = {SECONDS: 60, MINUTE: 60, HOUR: 24}
_UNITS = {SECONDS: "second", MINUTE: "minute", HOUR: "hour"}


def warnings_of(spec: TriggerSpec, *, now: Micros) -> tuple[str, ...]:
    """Sentences for whoever saves the trigger; empty for most. Clock changes are those of the coming two years."""
    found: list[str] = []
    if isinstance(spec, CronTrigger):
        fields = read_cron(spec.expression, spec.seed)
        found += [*_either_day(spec.expression, fields), *_uneven(fields)]
    return (*found, *_clock_changes(spec, now))


def clock_change_note(spec: TriggerSpec, at: Micros) -> str | None:
    """What a clock change has to do with one instant of a trigger; None for nothing."""
    walls = _fixed_walls(spec)
    if walls is None:
        return None
    assert isinstance(spec, CronTrigger | CalendarTrigger)  # whatever has walls
    second, zone = at // SECOND, zone_named(spec.zone)
    segment = zone.segment_at(second)
    if second == segment.start:
        left_out = _first_within(walls, segment.ceiling + 1, segment.start + segment.offset)
        if left_out is not None:
            return f"{clock(left_out % 86_400)} is left out by a clock change"
    wall = second + segment.offset
    if wall <= segment.ceiling:
        return f"second {clock(wall % 86_400)} of two: the clock goes back"
    if wall >= zone.earliest_wall(segment.end) and segment.end - second <= DAY // SECOND:
        return f"first {clock(wall % 86_400)} of two: the clock goes back"
    return None


def _either_day(expression: str, fields: CronFields) -> Iterator[str]:
    """Vixie's rule surprises most people, in both of its halves."""
    if expression.startswith("@") or not _is_restricted(fields.day, 31) or not _is_restricted(fields.weekday, 7):
        return
    parts = expression.split() if fields.year is None else expression.split()[:-1]
    day, weekday = parts[-3], parts[-1]
    if fields.needs_both_days:
        yield f'day of month "{day}" and day of week "{weekday}" must both match, as one of them begins with *'
    else:
        yield (
            f'day of month "{day}" or day of week "{weekday}": either will do, as cron has it; for both at once, '
            "use a calendar trigger"
        )


def _is_restricted(field: Field, size: int) -> bool:
    return len(field.values) < size or bool(field.rules)


def _uneven(fields: CronFields) -> Iterator[str]:
    """`*/7`: after minute 56 comes minute 0, four minutes later."""
    for kind, field in ((SECONDS, fields.second), (MINUTE, fields.minute), (HOUR, fields.hour)):
        values, size = field.values, _SIZES[kind]
        if not field.has_star or len(values) < 2 or len(values) == size:
            continue
        step, around = values[1] - values[0], size - values[-1] + values[0]
        if step != around:
            yield _uneven_step(kind, step, values[-1], values[0], around)


def _uneven_step(kind: FieldKind, step: int, last: int, first: int, around: int) -> str:
    unit = _UNITS[kind]
    return (
        f"*/{step} in the {unit} field is uneven: after {unit} {last} comes {unit} {first}, {around} {unit}"
        f"{'s' if around > 1 else ''} later; for every {step} {unit}s use --every {step}{unit[0]}"
    )


def _clock_changes(spec: TriggerSpec, now: Micros) -> Iterator[str]:
    """Fixed times that the wall clock leaves out, or shows twice, with their dates."""
    walls = _fixed_walls(spec)
    if walls is None:
        return
    assert isinstance(spec, CronTrigger | CalendarTrigger)  # whatever has walls
    told = 0
    zone = zone_named(spec.zone)
    segment = zone.segment_at(now // SECOND)
    while segment.end <= (now + AHEAD) // SECOND and told < _MOST_CHANGES:
        before, segment = segment, zone.segment_at(segment.end)
        sentence = _left_out(spec, walls, segment) or _repeated(spec, walls, before, segment)
        if sentence:
            told += 1
            yield sentence


def _left_out(spec: CronTrigger | CalendarTrigger, walls: Timetable, segment: Segment) -> str:
    wall = _first_within(walls, segment.ceiling + 1, segment.start + segment.offset)
    if wall is None:
        return ""
    end = clock((segment.start + segment.offset) % 86_400)
    then = "it does not run that day" if spec.gap is Gap.SKIP else f"it runs at {end} instead"
    return f"{_moment(wall)} does not exist in {spec.zone}, where the clock goes forward: {then}"


def _repeated(spec: CronTrigger | CalendarTrigger, walls: Timetable, before: Segment, segment: Segment) -> str:
    wall = _first_within(walls, segment.start + segment.offset, before.end + before.offset)
    if wall is None:
        return ""
    passes = {Fold.FIRST: "the first time only", Fold.SECOND: "the second time only", Fold.BOTH: "both times"}
    return f"{_moment(wall)} comes twice in {spec.zone}, where the clock goes back: it runs {passes[spec.fold]}"


def _fixed_walls(spec: TriggerSpec) -> Timetable | None:
    """The readings of the wall clock that a trigger of fixed times names, as if it showed UTC; None for all others."""
    if isinstance(spec, CronTrigger) and read_cron(spec.expression, spec.seed).follows_real_time:
        return None
    if not isinstance(spec, CronTrigger | CalendarTrigger):
        return None
    return timetable(replace(spec, zone="UTC", gap=Gap.RUN_AFTER, fold=Fold.FIRST))


def _first_within(walls: Timetable, low: int, high: int) -> int | None:
    """The first reading in [low, high), in seconds."""
    if low >= high:
        return None
    found = walls.next(low * SECOND - 1)
    return found // SECOND if found is not None and found < high * SECOND else None


def _moment(wall: int) -> str:
    return f"{from_micros(wall * SECOND):%Y-%m-%d %H:%M}"
