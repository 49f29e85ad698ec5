"""A month of starts as a calendar in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.usecases.shapes import DayAhead

_CELL = 10
_RULE = "─" * (7 * (_CELL + 1) - 1)  # 76 columns
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MARKS = "abcdefghijklmnopqrstuvwxyz"


def month_lines(days: Sequence[DayAhead], zone: str, *, today: str) -> Iterator[str]:
    """The calendar: each day with its first start and how many more; what is noted stands below, by its mark.

    ` 29      a` over `03:00 +2`. Days on which nothing starts are empty; `dropped` ones say so.
    """
    first = date.fromisoformat(days[0]["date"])
    marks = _marks(days)
    yield f"{first:%B %Y}, {zone}{' time' if '/' in zone else ''}".center(len(_RULE)).rstrip()
    yield " ".join(f" {name:<{_CELL - 1}}" for name in _WEEKDAYS).rstrip()
    cells: list[DayAhead | None] = [*[None] * first.weekday(), *days]
    cells += [None] * (-len(cells) % 7)
    for start in range(0, len(cells), 7):
        week = cells[start : start + 7]
        yield _RULE
        yield "│".join(_head(day, marks, today=today) for day in week).rstrip()
        yield "│".join(_starts(day) for day in week).rstrip()
    yield _RULE
    yield from (f" {mark}  {note}" for note, mark in marks.items())
    total, dropped = sum(day["starts"] for day in days), sum(day["dropped"] for day in days)
    yield f"{total} start{'s' if total != 1 else ''}" + (f", {dropped} dropped" if dropped else "")


def _marks(days: Sequence[DayAhead]) -> dict[str, str]:
    """A letter for each different note, in the order of the days."""
    notes = dict.fromkeys(note for day in days for note in day.get("notes", []))
    return {note: _MARKS[number] if number < len(_MARKS) else "*" for number, note in enumerate(notes)}


def _head(day: DayAhead | None, marks: dict[str, str], *, today: str) -> str:
    """`29        a`; today is in brackets."""
    if day is None:
        return " " * _CELL
    number = str(int(day["date"][8:]))
    shown = f"[{number}]" if day["date"] == today else f" {number} "
    noted = "".join(marks[note] for note in day.get("notes", []))[: _CELL - len(shown) - 1]
    return f"{shown}{noted:>{_CELL - len(shown) - 1}} "


def _starts(day: DayAhead | None) -> str:
    """`02:00`, `02:00 +3`, `×1440`, and `dropped` where nothing is left."""
    if day is None or not (day["starts"] or day["dropped"]):
        return " " * _CELL
    if not day["starts"]:
        text = "dropped"
    else:
        more = day["starts"] - 1
        text = day.get("first", "") + (f" +{more}" if more else "")
        text = text if len(text) < _CELL else f"×{day['starts']}"
    return f" {text:<{_CELL - 1}}"
