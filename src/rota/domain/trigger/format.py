"""Writes what was read of a cron expression back as text, in one normal form: `read_cron(format_cron(x)) == x`."""

from __future__ import annotations

from rota.domain.trigger.fields import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    ON_THE_MINUTE,
    SECOND,
    WEEKDAY,
    YEAR,
    CronFields,
    Field,
    FieldKind,
)


def format_cron(fields: CronFields) -> str:
    """Return the expression in numbers: five fields, or six or seven if it has seconds or a year."""
    parts = [
        _format(kind, field)
        for kind, field in (
            (MINUTE, fields.minute),
            (HOUR, fields.hour),
            (DAY, fields.day),
            (MONTH, fields.month),
            (WEEKDAY, fields.weekday),
        )
    ]
    if fields.second != ON_THE_MINUTE or fields.year is not None:
        parts.insert(0, _format(SECOND, fields.second))
    if fields.year is not None:
        parts.append(_format(YEAR, fields.year))
    return " ".join(parts)


def _format(kind: FieldKind, field: Field) -> str:
    items, left = [], field.mask
    if field.has_star:
        step = next(step for step in range(1, kind.high + 1) if not _starred(kind, step) & ~field.mask)
        items.append("*" if step == 1 else f"*/{step}")
        left &= ~_starred(kind, step)
    while left:
        item, covered = _widest(left, field.mask, kind.high)
        items.append(item)
        left &= ~covered
    return ",".join([*items, *map(str, field.rules)])


def _starred(kind: FieldKind, step: int) -> int:
    """The mask of `*/step`."""
    mask = _mask(kind.low, kind.high, step)
    return (mask | mask >> 7) & 0b1111111 if kind is WEEKDAY else mask


def _widest(left: int, allowed: int, high: int) -> tuple[str, int]:
    """Return the item, and its mask, that begins at the lowest value of `left` and covers most of it.

    It may name again what is covered already, but nothing outside `allowed`. A step must be worth its characters:
    three values at least.
    """
    low = (left & -left).bit_length() - 1
    best, most, text = 1 << low, 1, str(low)
    for step in range(1, high - low + 1):
        last = low
        while allowed >> last + step & 1:
            last += step
        mask = _mask(low, last, step)
        covered = (mask & left).bit_count()
        if covered > most and (step == 1 or covered > 2):
            best, most = mask, covered
            text = f"{low}-{last}" if step == 1 else f"{low}-{last}/{step}"
    return text, best


def _mask(low: int, high: int, step: int) -> int:
    return sum(1 << number for number in range(low, high + 1, step))
