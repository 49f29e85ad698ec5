"""What a cron expression says once it is read: a bit mask for each field, and rules for the days of a month."""

from __future__ import annotations

from dataclasses import dataclass

from rota.domain.trigger.rules import DayRule

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


SECOND = FieldKind("second", 0, 59, "0")
MINUTE = FieldKind("minute", 0, 59, "0")
HOUR = FieldKind("hour", 0, 23, "2")
DAY = FieldKind("day of month", 1, 31, "1")
MONTH = FieldKind("month", 1, 12, "1", MONTHS)
WEEKDAY = FieldKind("day of week", 0, 7, "1", WEEKDAYS)
YEAR = FieldKind("year", 1970, 2099, "*")  # Quartz's range
KINDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
LAYOUTS = {5: KINDS, 6: (SECOND, *KINDS), 7: (SECOND, *KINDS, YEAR)}
"""The fields of an expression, by how many it has."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that was read. Bit n of `mask` is value n (for weekdays 0 = Sunday … 6)."""

    mask: int
    has_star: bool  # its text begins with `*` (or `?`), which is what Vixie cron's rules ask about
    rules: tuple[DayRule, ...] = ()  # of the two day fields; chosen besides those of the mask

    @property
    def values(self) -> tuple[int, ...]:
        """The chosen values, ascending."""
        return tuple(number for number, bit in enumerate(bin(self.mask)[:1:-1]) if bit == "1")


ON_THE_MINUTE = Field(1, has_star=False)


@dataclass(frozen=True, slots=True)
class CronFields:
    """A cron expression that was read. Equal expressions, however written, are equal here."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    second: Field = ON_THE_MINUTE
    year: Field | None = None  # None: any, also those that the field could not name

    @property
    def follows_real_time(self) -> bool:
        """Debian's *wildcard* job: minute or hour begins with `*`. Clock changes do not move it.

        All others are *fixed* times of day: they run once a day whatever the clock does. Seconds, which Debian
        has not, decide nothing.
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


class Unreadable(Exception):
    """Carries a fault from an item to its field, and leaves no module but those that read fields."""

    def __init__(self, fault: FieldFault) -> None:
        self.fault = fault


def unreadable(kind: FieldKind, item: str, says: str, expected: str, repair: str) -> Unreadable:
    """Return the exception for one fault of `item`."""
    return Unreadable(FieldFault(kind, item, says, expected, repair))


def brief(text: str) -> str:
    """Shorten what is quoted in an error."""
    return text if len(text) <= 24 else f"{text[:21]}..."
