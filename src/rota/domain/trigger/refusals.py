"""What is said when a cron expression is refused: every fault at once, what was expected, and an expression to type.

A suggestion is always one that can be read; where nothing better is known it is a plain daily one.
"""

from __future__ import annotations

from collections.abc import Sequence

from rota.domain.errors import FieldError, InvalidInput
from rota.domain.trigger.days import days_of_year, ever_matches
from rota.domain.trigger.fields import DAY, LAYOUTS, MONTHS, YEAR, CronFields, Field, FieldFault
from rota.domain.trigger.items import read_parts
from rota.domain.trigger.wall import SHAPES, shape_of

LONGEST = 256
ORDER = "minute hour day-of-month month day-of-week"
_FALLBACK = "0 2 * * *"
_MOST_REPAIRS = 4  # rounds of mending before giving up


def too_long(text: str) -> InvalidInput:
    """An expression of more than `LONGEST` characters."""
    return _refuse(
        f"{text[:24]}...", f"has {len(text)} characters", expected=f"at most {LONGEST}", suggestion=_FALLBACK
    )


def wrong_count(text: str, parts: list[str]) -> InvalidInput:
    """Neither 5, 6 nor 7 fields."""
    if not parts:
        return _refuse(text, "is empty", expected=f"5 fields: {ORDER}", suggestion=_FALLBACK)
    says = f"has {len(parts)} field{'s' * (len(parts) != 1)}"
    if len(parts) > max(LAYOUTS):
        expected = f"5 fields: {ORDER}; 6 with seconds first; or 7 with a year last as well"
        return _refuse(text, says, expected=expected, suggestion=_repaired(parts[:5]))
    filled = [*parts, *["*"] * (5 - len(parts))]
    return _refuse(text, says, expected=f"5 fields: {ORDER}", suggestion=_repaired(filled))


def faulty(text: str, parts: list[str], faults: Sequence[FieldFault]) -> InvalidInput:
    """Fields that cannot be read."""
    suggestion = _reordered(parts)
    order = "" if suggestion is None else f"; {len(parts)} fields begin with seconds, and only the seventh is a year"
    errors = [
        FieldError(field=fault.kind.label, message=fault.says, expected=fault.expected, got=fault.item)
        for fault in faults
    ]
    if len(faults) == 1:
        says, expected = f"has {faults[0].says}", faults[0].expected + order
    else:
        says = "has " + ", ".join(f"{fault.says} (expected {fault.expected})" for fault in faults) + order
        expected = ""
    return _refuse(text, says, expected=expected, suggestion=suggestion or _repaired(parts), errors=errors)


def never(text: str, parts: list[str], fields: CronFields) -> InvalidInput:
    """Fields that can be read, and a date that does not exist."""
    months = " or ".join(MONTHS[month - 1].title() for month in fields.month.values)
    day_place = 2 + (len(parts) > min(LAYOUTS))  # behind the seconds, if there are any
    if fields.year is not None and any(days_of_year(fields, shape) for shape in SHAPES):
        happened, got, label = f"there is no such day in {parts[-1]}", parts[-1], YEAR.label
        mended = [*parts[:-1], _year_that_has(fields)]
    elif _ever_has_day(fields):
        happened = f"no day is both {parts[day_place]} by day of month and {parts[day_place + 2]} by day of week"
        got, label = parts[day_place], DAY.label
        mended = [*parts[:day_place], "?", *parts[day_place + 1 :]]
    else:
        days = " or ".join([str(day) for day in fields.day.values] + [str(rule) for rule in fields.day.rules])
        happened, got, label = f"{months} has no day {days}", parts[day_place], DAY.label
        last = "29" if fields.month.values == (2,) else "30"
        mended = [*parts[:day_place], last, *parts[day_place + 1 :]]
    error = FieldError(field=label, message=f"never fires: {happened}", expected="a date that exists", got=got)
    return _refuse(
        text, f"never fires: {happened}", expected="a date that exists", suggestion=_repaired(mended), errors=[error]
    )


def _ever_has_day(fields: CronFields) -> bool:
    """Whether the day-of-month field alone has a day in any of the months."""
    any_weekday = Field((1 << 7) - 1, has_star=True)
    alone = CronFields(fields.minute, fields.hour, fields.day, fields.month, any_weekday)
    return any(days_of_year(alone, shape) for shape in SHAPES)


def _year_that_has(fields: CronFields) -> str:
    """The first year from the ones asked for on that has the day; `*` if the field can name none."""
    asked = fields.year.values if fields.year is not None else ()
    first = asked[0] if asked else YEAR.low
    years = range(first, YEAR.high + 1)
    return next((str(year) for year in years if days_of_year(fields, shape_of(year))), "*")


def _reordered(parts: list[str]) -> str | None:
    """What was meant by fields in another program's order; None where that cannot be read either.

    A crontab line with a year behind it, or croniter's seconds last (its year comes after them).
    """
    if len(parts) == 6:
        orders = [["0", *parts], [parts[5], *parts[:5]]]
    elif len(parts) == 7:
        orders = [[parts[5], *parts[:5], parts[6]]]
    else:
        return None
    return next((" ".join(order) for order in orders if _is_readable(order)), None)


def _is_readable(parts: list[str]) -> bool:
    fields, faults = read_parts(parts)
    return not faults and ever_matches(fields) and len(" ".join(parts)) <= LONGEST


def _repaired(parts: list[str]) -> str:
    """Mend each faulty item until the expression can be read. Falls back to a plain daily one."""
    for _ in range(_MOST_REPAIRS):
        _, faults = read_parts(parts)
        if not faults:
            return " ".join(parts) if _is_readable(parts) else _FALLBACK
        repairs = {(fault.kind, fault.item): fault.repair for fault in faults}
        parts = [
            ",".join(repairs.get((kind, item), item) for item in part.split(","))
            for kind, part in zip(LAYOUTS[len(parts)], parts, strict=True)
        ]
    return _FALLBACK


def _refuse(
    text: str, says: str, *, expected: str, suggestion: str, errors: list[FieldError] | None = None
) -> InvalidInput:
    faults = errors or [FieldError(field="cron", message=says, expected=expected, got=text)]
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return InvalidInput(f'cron "{shown}" {says}', errors=faults, expected=expected, hint=try_preview(suggestion))


def try_preview(suggestion: str = _FALLBACK) -> str:
    """The hint that shows another expression at work."""
    return f'try: rota jobs preview --cron "{suggestion}"'
