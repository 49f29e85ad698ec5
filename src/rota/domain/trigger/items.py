"""Reads the fields of a cron expression: text such as `1-5,MON/2`, `LW` or `H(0-29)/10` becomes a `Field`, or faults.

A field is a list of items. Most are sets of numbers; day fields also know rules (`rules`), and `H` and `~` stand
for a number of the job's own: a hash of its seed, so that a thousand jobs "at minute H" spread over the hour, and
each keeps its minute for ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from rota.domain.trigger.fields import (
    DAY,
    HOUR,
    KINDS,
    LAYOUTS,
    MINUTE,
    ON_THE_MINUTE,
    SECOND,
    WEEKDAY,
    YEAR,
    CronFields,
    Field,
    FieldFault,
    FieldKind,
    Unreadable,
    brief,
    unreadable,
)
from rota.domain.trigger.rules import DayRule, LastDay, LastWeekday, LastWorkday, NearestWorkday, NthWeekday

_STARS = ("*", "?")
# `H` `H(0-29)` `H/15` `H(0-29)/10` are Jenkins's spelling, `~` `0~29` `~/15` that of OpenBSD and cronie.
_HASHED = re.compile(
    r"(?:[Hh](?:\((?P<from>[^-~()]+)-(?P<to>[^-~()]+)\))?|(?P<low>[^~/]*)~(?P<high>[^~/]*))(?:(?P<slash>/)(?P<step>.*))?"
)
_SPECIAL = re.compile(r"[HhLlWw#~]")  # what is more than numbers, or a name that has one of these letters
_DAY_RULE, _WEEKDAY_RULE = re.compile(r"[LlWw#]"), re.compile(r"[Ll#]|[Ww]$")  # WED is no rule
# What `H` ranges over where it is not said: days that every month has, and Sunday once.
_HASH_HIGH = {DAY: 28, WEEKDAY: 6}


def _mask(low: int, high: int, step: int) -> int:
    if step == 1:
        return (1 << high + 1) - (1 << low)
    return sum(1 << number for number in range(low, high + 1, step))


# The field `*` of each kind, by label. Sunday's second number is no bit of its own.
_STARRED = {
    kind.label: Field(_mask(kind.low, 6 if kind is WEEKDAY else kind.high, 1), has_star=True) for kind in LAYOUTS[7]
}


def read_parts(parts: Sequence[str], seed: str = "") -> tuple[CronFields, list[FieldFault]]:
    """Read 5, 6 or 7 fields. Where there are faults, the masks lack the faulty items."""
    read = [read_field(kind, part, seed) for kind, part in zip(LAYOUTS[len(parts)], parts, strict=True)]
    fields = [field for field, _ in read]
    second = fields.pop(0) if len(parts) > len(KINDS) else ON_THE_MINUTE
    year = fields.pop() if len(fields) > len(KINDS) and fields[-1] != _STARRED[YEAR.label] else None
    minute, hour, day, month, weekday, *_ = fields
    faults = [fault for _, found in read for fault in found]
    return CronFields(minute, hour, day, month, weekday, second, year), faults


def read_field(kind: FieldKind, text: str, seed: str = "") -> tuple[Field, tuple[FieldFault, ...]]:
    """Read one field. Where there are faults, the mask lacks the faulty items."""
    if text in _STARS:
        return _STARRED[kind.label], ()
    mask = 0
    rules: list[DayRule] = []
    faults: list[FieldFault] = []
    for item in text.split(","):
        try:
            chosen = _read_item(kind, item, seed)
        except Unreadable as fault:
            faults.append(fault.fault)
        else:
            if isinstance(chosen, int):
                mask |= chosen
            else:
                rules.append(chosen)
    if kind is WEEKDAY:
        mask = (mask | mask >> 7) & 0b1111111
    in_order = tuple(sorted(set(rules), key=str)) if rules else ()
    return Field(mask, text.startswith(_STARS), in_order), tuple(faults)


def is_hashed(kind: FieldKind, item: str) -> bool:
    """Whether `item` is written with `H` or `~`, and so has a meaning only together with a seed."""
    return kind is not YEAR and ("~" in item or item[:2] in ("H", "h", "H(", "h(", "H/", "h/"))


def _read_item(kind: FieldKind, item: str, seed: str) -> int | DayRule:
    """Read one item of the list as a mask or a rule. Raises Unreadable."""
    if item.isdigit():
        return 1 << _read_number(kind, item, item)
    if item.isascii() and _SPECIAL.search(item):
        if kind is DAY and _DAY_RULE.search(item):
            return _read_day_rule(item)
        if kind is WEEKDAY and _WEEKDAY_RULE.search(item):
            return _read_weekday_rule(item)
        if is_hashed(kind, item):
            return _read_hashed(kind, item, seed)
    return _read_numbers(kind, item)


def _read_numbers(kind: FieldKind, item: str) -> int:
    """Read `*`, `5`, `1-5`, `5/15` (from 5 to the end of the field) and their steps. Raises Unreadable."""
    base, slash, step_text = item.partition("/")
    first, dash, last = base.partition("-")
    if base in _STARS:
        low, high = kind.low, kind.high
    elif dash:
        low, high = _read_range(kind, item, first, last)
    else:
        low = _read_number(kind, item, first)
        high = kind.high if slash else low
    return _mask(low, high, _read_step(kind, item, base, step_text) if slash else 1)


def _read_range(kind: FieldKind, item: str, first: str, last: str) -> tuple[int, int]:
    low, high = _read_number(kind, item, first), _read_number(kind, item, last)
    if low > high:
        raise _backwards(kind, item, first, last, low, high)
    return low, high


def _read_number(kind: FieldKind, item: str, word: str) -> int:
    named = kind.number_named(word)
    if named is not None:
        return named
    if not (word.isascii() and word.isdigit()):
        raise _not_a_number(kind, item, word)
    number = int(word)
    if not kind.low <= number <= kind.high:
        # 24:00 is 0:00 and minute 60 is minute 0; a day, month or year too high was meant to be the last.
        near = number % (kind.high + (kind is not WEEKDAY)) if kind.low == 0 else min(max(number, kind.low), kind.high)
        repair = "-".join(str(near) if part == word else part for part in item.partition("/")[0].split("-"))
        raise unreadable(kind, item, f"{kind.label} {brief(word)}", kind.expected, repair)
    return number


def _read_step(kind: FieldKind, item: str, base: str, text: str) -> int:
    widest = kind.high - kind.low
    is_number = text.isascii() and text.isdigit()
    if is_number and 1 <= int(text) <= widest:
        return int(text)
    # A step wider than the field would quietly match one value only: `*/90` is not every 90 minutes.
    is_wide_star = is_number and int(text) > widest and base in _STARS
    expected = f"a step of 1-{widest}"
    if is_wide_star and kind in (SECOND, MINUTE, HOUR):
        expected += f", or --every {brief(text)}{kind.label[0]} for an interval"
    says = f"{kind.label} step {brief(text)} in {brief(item)}" if text else f"no step after / in {kind.label} {item}"
    raise unreadable(kind, item, says, expected, str(kind.low) if is_wide_star else base)


# H and ~


def _read_hashed(kind: FieldKind, item: str, seed: str) -> int:
    """Read `H` or `~` as the number that `seed` gives in this field. Raises Unreadable."""
    match = _HASHED.fullmatch(item)
    if match is None:
        expected = "H, H(0-29), H/15 or 0~29"
        raise unreadable(kind, item, f'{kind.label} "{brief(item)}"', expected, kind.example)
    first = match["from"] or match["low"] or str(kind.low)
    last = match["to"] or match["high"] or str(_HASH_HIGH.get(kind, kind.high))
    try:
        low, high = _read_range(kind, item, first, last)
        step = _read_step(kind, item, item.partition("/")[0], match["step"]) if match["slash"] else 0
    except Unreadable as fault:
        raise Unreadable(replace(fault.fault, repair=kind.example)) from fault
    if not seed:
        says = f'{kind.label} "{brief(item)}", a number of the job\'s own, and there is no job'
        raise unreadable(kind, item, says, kind.expected, kind.example)
    draw = int.from_bytes(sha256(f"{seed}\0{kind.label}".encode()).digest()[:8], "big")
    if step:
        return _mask(low + draw % min(step, high - low + 1), high, step)
    return 1 << low + draw % (high - low + 1)


# Rules of the day fields


def _read_day_rule(item: str) -> DayRule:
    """Read `L L-3 LW 15W`. Raises Unreadable."""
    upper = item.upper()
    if upper == "L":
        return LastDay()
    if upper == "LW":
        return LastWorkday()
    back, day = _number(upper.removeprefix("L-")), _number(upper.removesuffix("W"))
    if upper.startswith("L-") and 1 <= back <= 30:
        return LastDay(back)
    if upper.endswith("W") and 1 <= day <= 31:
        return NearestWorkday(day)
    says = f'day of month "{brief(item)}"'
    last_of = upper.removesuffix("L")
    if "#" in item or (last_of != upper and (last_of.isdigit() or WEEKDAY.number_named(last_of) is not None)):
        says += ", which belongs to the day of week"
    repair = "L-30" if back > 30 else "L" if back == 0 else "31W" if day > 31 else DAY.example
    raise unreadable(DAY, item, says, "1-31, L, L-1 to L-30, LW or 1W to 31W", repair)


def _read_weekday_rule(item: str) -> DayRule:
    """Read `5L 5#3`, with names as well, and croniter's `L5`. Raises Unreadable."""
    upper = item.upper()
    word, hash_sign, nth = upper.partition("#")
    if not hash_sign:
        word = upper.removesuffix("L") if upper.endswith("L") else upper.removeprefix("L")
    named = WEEKDAY.number_named(word)
    number = _number(word) if named is None else named
    if 0 <= number <= 7 and hash_sign and 1 <= _number(nth) <= 5:
        return NthWeekday(number % 7, int(nth))
    if 0 <= number <= 7 and not hash_sign and "L" in upper:
        return LastWeekday(number % 7)
    says = f'day of week "{brief(item)}"'
    if upper.endswith("W"):
        says += ", which belongs to the day of month"
    repair = f"{word}L" if 0 <= number <= 7 and _number(nth) > 5 else "5L" if upper == "L" else WEEKDAY.example
    raise unreadable(
        WEEKDAY, item, says, "0-7 or SUN-SAT, alone, with L (5L: the last Friday) or with #1 to #5", repair
    )


def _number(text: str) -> int:
    """Return the number that plain digits write, -1 for anything else."""
    return int(text) if text.isascii() and text.isdigit() else -1


# Faults


def _backwards(kind: FieldKind, item: str, first: str, last: str, low: int, high: int) -> Unreadable:
    top = kind.high if kind is not WEEKDAY else 6
    end = kind.names[top - kind.low] if kind.names and not first.isdigit() else str(top)
    start = kind.names[0] if kind.names and not last.isdigit() else str(kind.low)
    head = first if low == top else f"{first}-{end}"
    tail = last if high == kind.low else f"{start}-{last}"
    says = f"{kind.label} range {first}-{last}, which runs backwards"
    return unreadable(kind, item, says, f"{head},{tail}", f"{head},{tail}")


def _not_a_number(kind: FieldKind, item: str, word: str) -> Unreadable:
    if not word:
        says = f'an incomplete {kind.label} "{brief(item)}"' if item else f"an empty {kind.label} in its list"
        return unreadable(kind, item, says, kind.expected, kind.example)
    if not item.isascii():
        says = f'{kind.label} "{brief(item)}"'
        return unreadable(kind, item, says, f"{kind.expected} in plain ASCII", kind.example)
    meant = kind.number_named(word[:3]) is not None  # MONDAY, JANUARY
    repair = word[:3].upper() if meant else kind.example
    return unreadable(kind, item, f'{kind.label} "{brief(word)}"', kind.expected, repair)
