"""Small words of English: lists, counts, ordinals, and the names of days."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, WEEK, Micros

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}


def join(words: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def ordinal(number: int) -> str:
    return _ORDINALS.get(number, f"{number}th")


def every(count: int, unit: str) -> str:
    """`every day`, `every 3 days`."""
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def length(time: Micros) -> str:
    """`20 seconds`, `1 hour`, in one unit if it is a whole number of it; `90 minutes`."""
    for unit, size in (("week", WEEK), ("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", SECOND)):
        if time % size == 0 and time:
            return f"{time // size} {unit}" + ("s" if time != size else "")
    return f"{time / SECOND:g} seconds"


def every_length(time: Micros) -> str:
    """`every 20 seconds`, `every hour`."""
    return f"every {length(time).removeprefix('1 ')}"


def counted(noun: str, values: Sequence[int]) -> str:
    """`day 1`, `minutes 0, 7, 14, … 56`."""
    return f"{noun} {values[0]}" if len(values) == 1 else f"{noun}s {numbers(values)}"


def numbers(values: Sequence[int], last: str = "and") -> str:
    """List numbers; a long regular list is cut as `0, 7, 14, … 56`, which leaves nothing open."""
    distances = {after - before for before, after in pairwise(values)}
    if distances == {1} and len(values) > 2:
        return f"{values[0]} to {values[-1]}"
    if len(distances) == 1 and len(values) > 5:
        return f"{', '.join(map(str, values[:3]))}, … {values[-1]}"
    return join([str(value) for value in values], last)


def named_months(chosen: Sequence[int]) -> str:
    """`January and July`, `June to August`; 1 = January, ascending."""
    if len(chosen) > 2 and is_run(chosen):
        return f"{MONTHS[chosen[0] - 1]} to {MONTHS[chosen[-1] - 1]}"
    return join([MONTHS[month - 1] for month in chosen])


def named_weekdays(chosen: Sequence[int]) -> str:
    """`Monday to Friday`, `Saturday and Sunday`; 0 = Sunday, ascending."""
    if len(chosen) > 2 and is_run(chosen):
        return f"{WEEKDAYS[chosen[0]]} to {WEEKDAYS[chosen[-1]]}"
    monday_first = sorted(chosen, key=lambda weekday: (weekday - 1) % 7)
    return join([WEEKDAYS[weekday] for weekday in monday_first])


def is_run(values: Sequence[int]) -> bool:
    """Whether ascending values are neighbours."""
    return values[-1] - values[0] == len(values) - 1


def clock(second: int, *, seconds: bool = False) -> str:
    """`02:00`, or `02:00:30` where there are seconds or they are asked for."""
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return f"{text}:{second % 60:02d}" if seconds or second % 60 else text
