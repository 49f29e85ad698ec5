"""How the parts of a calendar rule are written: `09:00`, `mon`, `2 tue`, `2026-03-05`.

Names are taken in any case and in full or as their first three letters, and are written short.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from rota.domain.errors import InvalidInput, near
from rota.domain.instant import SECOND, format_span

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
_FEW_TIMES = 5
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")


def read_time(text: str) -> int:
    """Return the second of the day of `9:00`, `09:00` or `23:59:30`. Raises InvalidInput."""
    match = _TIME.fullmatch(text.strip())
    if match is None or not text.isascii():
        raise InvalidInput(
            f'"{text[:40]}" is not a time of day', expected="00:00 to 23:59, or with seconds", hint='such as "09:00"'
        )
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)


def format_time(second: int) -> str:
    """Write `09:00`, or `09:00:30` where there are seconds."""
    minutes, seconds = divmod(second, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}" + (f":{seconds:02d}" if seconds else "")


def format_times(seconds: Sequence[int]) -> str:
    """Write `09:00,17:30`, and `08:00-18:00/15m` for five or more at equal distances. Ascending."""
    distances = {after - before for before, after in pairwise(seconds)}
    if len(seconds) < _FEW_TIMES or len(distances) > 1:
        return ",".join(map(format_time, seconds))
    return f"{format_time(seconds[0])}-{format_time(seconds[-1])}/{format_span(distances.pop() * SECOND)}"


def read_weekday(text: str) -> int:
    """Return 0 for Monday … 6 for Sunday. Raises InvalidInput."""
    return _place(text, WEEKDAYS, "a weekday")


def format_weekday(number: int) -> str:
    return WEEKDAYS[number][:3]


def read_month(text: str) -> int:
    """Return 1 for January … 12. Raises InvalidInput."""
    return _place(text, MONTHS, "a month") + 1


def format_month(number: int) -> str:
    return MONTHS[number - 1][:3]


def format_month_day(day: int) -> str:
    """Write `15`, `last` for -1, or `-2`."""
    return "last" if day == -1 else str(day)


def read_nth(text: str) -> tuple[int, int]:
    """Return (n, weekday) of `2 tue`, `-1 fri`, `last friday` or `first mon`. Raises InvalidInput."""
    count, _, weekday = text.strip().lower().partition(" ")
    number = ORDINALS.get(count)
    if number is None and re.fullmatch(r"-?[1-5]", count):
        number = int(count)
    if number is None:
        raise InvalidInput(
            f'"{text[:40]}" is no nth weekday', expected="1 to 5 or -1 to -5, and a weekday", hint='such as "2 tue"'
        )
    return number, read_weekday(weekday)


def format_nth(nth: tuple[int, int]) -> str:
    """Write `2 tue`, `last fri` for -1, or `-2 fri`."""
    return f"{format_month_day(nth[0])} {format_weekday(nth[1])}"


def read_date(text: str) -> date:
    """Return the day of `2026-03-05`. Raises InvalidInput."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text.strip()):
            raise ValueError(text)
        return date.fromisoformat(text.strip())
    except ValueError as fault:
        raise InvalidInput(f'"{text[:40]}" is not a date', hint='such as "2026-03-05"') from fault


def _place(text: str, names: Sequence[str], what: str) -> int:
    word = text.strip().lower()
    for place, name in enumerate(names):
        if word in (name, name[:3]):
            return place
    shown = f"{names[0][:3]} to {names[-1][:3]}"
    raise InvalidInput(f'"{text[:40]}" is not {what}', expected=shown, hint=near(word, names))
