"""The fields of a cron expression: from text such as `1-5,MON/2` to a bit mask, or to faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What one field may hold. `low` and `high` are as written; 7 is a second spelling of Sunday."""

    label: str
    low: int
    high: int
    example: str  # stands in for what cannot be read, in suggestions
    names: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        names = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{names}"

    def number_named(self, name: str) -> int | None:
        """Return the number of a three-letter name in any case, or None."""
        upper = name.upper()
        return self.names.index(upper) + self.low if upper in self.names else None


MINUTE = FieldKind("minute", 0, 59, "0")
HOUR = FieldKind("hour", 0, 23, "2")
DAY = FieldKind("day of month", 1, 31, "1")
MONTH = FieldKind("month", 1, 12, "1", MONTHS)
WEEKDAY = FieldKind("day of week", 0, 7, "1", WEEKDAYS)
KINDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that was read. Bit n of `mask` is value n (for weekdays 0 = Sunday … 6)."""

    mask: int
    has_star: bool  # its text begins with `*` (or `?`), which is what Vixie cron's rules ask about

    @property
    def values(self) -> tuple[int, ...]:
        """The chosen values, ascending."""
        return tuple(number for number, bit in enumerate(bin(self.mask)[:1:-1]) if bit == "1")


@dataclass(frozen=True, slots=True)
class CronFields:
    """A cron expression that was read. The Time issue adds seconds and years as two more fields."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field

    @property
    def follows_real_time(self) -> bool:
        """Debian's *wildcard* job: minute or hour begins with `*`. Clock changes do not move it.

        All others are *fixed* times of day: they run once a day whatever the clock does.
        """
        return self.minute.has_star or self.hour.has_star

    @property
    def needs_both_days(self) -> bool:
        """Vixie's rule: if a day field begins with `*`, a day must match both; otherwise either will do."""
        return self.day.has_star or self.weekday.has_star


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One thing wrong. `says` reads on from 'cron "…" has'; `repair` is text to put in place of `item`."""

    kind: FieldKind
    item: str
    says: str
    expected: str
    repair: str


class _Unreadable(Exception):
    """Carries a fault from an item to its field, and never leaves this module."""

    def __init__(self, fault: FieldFault) -> None:
        self.fault = fault


def read_field(kind: FieldKind, text: str) -> tuple[Field, tuple[FieldFault, ...]]:
    """Read one field. Where there are faults, the mask lacks the faulty items."""
    mask, faults = 0, []
    for item in text.split(","):
        try:
            for number in _read_item(kind, item):
                mask |= 1 << number
        except _Unreadable as unreadable:
            faults.append(unreadable.fault)
    if kind is WEEKDAY:
        mask = (mask | mask >> 7) & 0b1111111
    return Field(mask, text.startswith(("*", "?"))), tuple(faults)


def _read_item(kind: FieldKind, item: str) -> Iterator[int]:
    """Read `*`, `5`, `1-5`, `5/15` (from 5 to the end of the field) and their steps. Raises _Unreadable."""
    base, slash, step_text = item.partition("/")
    first, dash, last = base.partition("-")
    if base in ("*", "?"):
        low, high = kind.low, kind.high
    elif dash:
        low, high = _read_number(kind, item, first), _read_number(kind, item, last)
        if low > high:
            raise _backwards(kind, item, low, high)
    else:
        low = _read_number(kind, item, first)
        high = kind.high if slash else low
    return iter(range(low, high + 1, _read_step(kind, item, base, step_text) if slash else 1))


def _read_number(kind: FieldKind, item: str, word: str) -> int:
    named = kind.number_named(word)
    if named is not None:
        return named
    if not (word.isascii() and word.isdigit()):
        raise _not_a_number(kind, item, word)
    number = int(word)
    if not kind.low <= number <= kind.high:
        # 24:00 is 0:00 and minute 60 is minute 0; a day or month too high was meant to be the last.
        near = number % (kind.high + (kind is not WEEKDAY)) if kind.low == 0 else min(max(number, kind.low), kind.high)
        repair = "-".join(str(near) if part == word else part for part in item.partition("/")[0].split("-"))
        raise _unreadable(kind, item, f"{kind.label} {_brief(word)}", kind.expected, repair)
    return number


def _read_step(kind: FieldKind, item: str, base: str, text: str) -> int:
    widest = kind.high - kind.low
    is_number = text.isascii() and text.isdigit()
    if is_number and 1 <= int(text) <= widest:
        return int(text)
    # A step wider than the field would quietly match one value only: `*/90` is not every 90 minutes.
    is_wide_star = is_number and int(text) > widest and base in ("*", "?")
    expected = f"a step of 1-{widest}"
    if is_wide_star and kind in (MINUTE, HOUR):
        expected += f", or --every {_brief(text)}{kind.label[0]} for an interval"
    says = f"{kind.label} step {_brief(text)} in {_brief(item)}" if text else f"no step after / in {kind.label} {item}"
    raise _unreadable(kind, item, says, expected, str(kind.low) if is_wide_star else base)


def _backwards(kind: FieldKind, item: str, low: int, high: int) -> _Unreadable:
    first, last = item.partition("/")[0].split("-")
    top = kind.high if kind is not WEEKDAY else 6
    end = kind.names[top - kind.low] if kind.names and not first.isdigit() else str(top)
    start = kind.names[0] if kind.names and not last.isdigit() else str(kind.low)
    head = first if low == top else f"{first}-{end}"
    tail = last if high == kind.low else f"{start}-{last}"
    says = f"{kind.label} range {first}-{last}, which runs backwards"
    return _unreadable(kind, item, says, f"{head},{tail}", f"{head},{tail}")


def _not_a_number(kind: FieldKind, item: str, word: str) -> _Unreadable:
    if not word:
        says = f'an incomplete {kind.label} "{_brief(item)}"' if item else f"an empty {kind.label} in its list"
        return _unreadable(kind, item, says, kind.expected, kind.example)
    if not item.isascii():
        says = f'{kind.label} "{_brief(item)}"'
        return _unreadable(kind, item, says, f"{kind.expected} in plain ASCII", kind.example)
    if kind in (DAY, WEEKDAY) and _is_quartz(kind, item.upper()):
        says = f'{kind.label} "{_brief(item)}"; L, W and # are not supported yet'
        return _unreadable(kind, item, says, kind.expected, kind.example)
    meant = kind.number_named(word[:3]) is not None  # MONDAY, JANUARY
    repair = word[:3].upper() if meant else kind.example
    return _unreadable(kind, item, f'{kind.label} "{_brief(word)}"', kind.expected, repair)


def _is_quartz(kind: FieldKind, item: str) -> bool:
    """Whether `item` is one of `L LW L-3 15W 5L MONL MON#2`, which Quartz and others know."""
    if "#" in item or item[:-1] in kind.names:
        return True
    return set(item) <= set("0123456789LW-") and bool(set(item) & set("LW"))


def _unreadable(kind: FieldKind, item: str, says: str, expected: str, repair: str) -> _Unreadable:
    return _Unreadable(FieldFault(kind, item, says, expected, repair))


def _brief(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:21]}..."
