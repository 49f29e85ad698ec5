"""Rota's cron dialect: expressions, shorthands, and what is refused, each with a reason and a way out.

Vixie cron as in Debian: five fields, names, lists, ranges, steps, `5/15`, `?` for `*`, 0 and 7 for Sunday.
"""

from __future__ import annotations

from functools import lru_cache

from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.trigger.days import ever_matches
from rota.domain.trigger.fields import KINDS, MONTHS, CronFields, FieldFault, read_field

LONGEST = 256
ORDER = "minute hour day-of-month month day-of-week"
SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FALLBACK = "0 2 * * *"


def tidy(expression: str) -> str:
    """Return the expression as it is stored: one space between fields, shorthands in lower case."""
    text = " ".join(expression.split())
    return text.lower() if text.startswith("@") else text


@lru_cache(maxsize=4096)
def read_cron(expression: str) -> CronFields:
    """Read a five-field expression or a shorthand. Raises InvalidInput naming every faulty field at once."""
    if len(expression) > LONGEST:
        raise _refuse(
            f"{expression[:24]}...",
            f"has {len(expression)} characters",
            expected=f"at most {LONGEST}",
            suggestion=_FALLBACK,
        )
    text = tidy(expression)
    if text.startswith("@"):
        return _read_shorthand(text)
    parts = text.split()
    if len(parts) != len(KINDS):
        raise _wrong_count(text, parts)
    fields, faults = _read_parts(parts)
    if faults:
        raise _faulty(text, parts, faults)
    if not ever_matches(fields):
        raise _never(text, parts, fields)
    return fields


def _read_parts(parts: list[str]) -> tuple[CronFields, list[FieldFault]]:
    read = [read_field(kind, part) for kind, part in zip(KINDS, parts, strict=True)]
    minute, hour, day, month, weekday = (field for field, _ in read)
    return CronFields(minute, hour, day, month, weekday), [fault for _, faults in read for fault in faults]


def _read_shorthand(text: str) -> CronFields:
    word, _, rest = text.partition(" ")
    if text in SHORTHANDS:
        return read_cron(SHORTHANDS[text])
    if word == "@every":
        length = rest or "5m"
        raise InvalidInput(
            f'"{text}" is an interval, not cron',
            expected=f"five fields: {ORDER}",
            hint=f"try: --every {length}",
        )
    if word == "@reboot":
        raise InvalidInput(
            '"@reboot" names no time of day, and starting with the daemon is not supported yet',
            expected=f"five fields: {ORDER}",
            hint=_try(_FALLBACK),
        )
    raise InvalidInput(
        f'"{text[:24]}" is not a cron shorthand',
        errors=[FieldError(field="cron", message="unknown shorthand", expected=" ".join(SHORTHANDS), got=text)],
        expected="one of " + " ".join(SHORTHANDS),
        hint=near(word, SHORTHANDS) or _try("@daily"),
    )


def _wrong_count(text: str, parts: list[str]) -> InvalidInput:
    if not parts:
        return _refuse(text, "is empty", expected=f"5 fields: {ORDER}", suggestion=_FALLBACK)
    count = f"has {len(parts)} field{'s' * (len(parts) != 1)}"
    if len(parts) in (6, 7):
        # Quartz and cronsim write seconds first; the seventh field is a year.
        return _refuse(
            text,
            f"{count}; seconds and years come later",
            expected=f"5 fields: {ORDER}",
            suggestion=_repaired(parts[1:6]),
        )
    filled = [*parts, *["*"] * (5 - len(parts))][:5]
    return _refuse(text, count, expected=f"5 fields: {ORDER}", suggestion=_repaired(filled))


def _faulty(text: str, parts: list[str], faults: list[FieldFault]) -> InvalidInput:
    suggestion = _repaired(parts)
    if len(faults) == 1:
        says, expected = f"has {faults[0].says}", faults[0].expected
    else:
        says, expected = (
            "has " + ", ".join(f"{fault.says} (expected {fault.expected})" for fault in faults),
            "",
        )
    errors = [
        FieldError(field=fault.kind.label, message=fault.says, expected=fault.expected, got=fault.item)
        for fault in faults
    ]
    return _refuse(text, says, expected=expected, suggestion=suggestion, errors=errors)


def _never(text: str, parts: list[str], fields: CronFields) -> InvalidInput:
    months = " or ".join(MONTHS[month - 1].title() for month in fields.month.values)
    days = " or ".join(str(day) for day in fields.day.values)
    minute, hour, _, month, weekday = parts
    last = 29 if fields.month.values == (2,) else 30
    return _refuse(
        text,
        f"never fires: {months} has no day {days}",
        expected="a date that exists",
        suggestion=f"{minute} {hour} {last} {month} {weekday}",
        errors=[
            FieldError(
                field="day of month",
                message=f"never fires: {months} has no day {days}",
                expected="a date that exists",
                got=parts[2],
            )
        ],
    )


def _repaired(parts: list[str]) -> str:
    """Mend each faulty item until the expression can be read. Falls back to a plain daily one."""
    for _ in range(4):
        fields, faults = _read_parts(parts)
        if not faults:
            text = " ".join(parts)
            return text if len(text) <= LONGEST and ever_matches(fields) else _FALLBACK
        repairs = {(fault.kind, fault.item): fault.repair for fault in faults}
        parts = [
            ",".join(repairs.get((kind, item), item) for item in part.split(","))
            for kind, part in zip(KINDS, parts, strict=True)
        ]
    return _FALLBACK


def _refuse(
    text: str, says: str, *, expected: str, suggestion: str, errors: list[FieldError] | None = None
) -> InvalidInput:
    faults = errors or [FieldError(field="cron", message=says, expected=expected, got=text)]
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return InvalidInput(f'cron "{shown}" {says}', errors=faults, expected=expected, hint=_try(suggestion))


def _try(suggestion: str) -> str:
    return f'try: rota jobs preview --cron "{suggestion}"'
