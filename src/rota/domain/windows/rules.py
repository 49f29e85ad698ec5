"""The rules of a calendar as people write them: one line of text each, read into windows.

    mon-fri 08:00-18:00        every week; ends on the next day where it ends at or before its start: 22:00-06:00
    sat,sun                    whole days of every week
    daily 12:00-13:00          also weekdays, weekends
    2026-12-24                 a day; 2026-12-24..2026-12-26 are three
    2026-12-24 18:00..2026-12-27 06:00            from a moment to a moment; with Z or an offset too
    12-24..01-01               the same days every year
    cron 0 2 * * sun for 4h    from each instant of a cron expression on
    holidays DE-BY             the public holidays of a country or of a part of it
    business-days DE           Monday to Friday less those holidays; without a country, all of them
    rrule DTSTART:20260305T090000 RRULE:FREQ=WEEKLY for 2h       what an imported event becomes;
                               EXDATE:20260312T080000Z,… before "for" names instances that it has not

Times are those of the calendar's zone, unless a line says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from rota.domain.errors import InvalidInput
from rota.domain.instant import SECOND, Micros, format_rfc3339, format_span, parse_duration
from rota.domain.trigger.calendar_words import format_time, format_weekday, read_date, read_time, read_weekday
from rota.domain.trigger.rrule import read_rrule, read_stamp
from rota.domain.trigger.spec import parse_cron
from rota.domain.trigger.timetable import timetable, timetable_within
from rota.domain.trigger.when import read_moment
from rota.domain.trigger.zones import Zone, zone_named
from rota.domain.windows.holidays import Place, is_business_day, is_holiday, parse_place
from rota.domain.windows.spans import (
    DAY_SECONDS,
    DayWindows,
    RecurringWindows,
    SetWindows,
    Span,
    WeeklyWindows,
    Windows,
    YearlyWindows,
)

LONGEST = 2_000  # characters: a series that leaves out a hundred instances
FORMS = '"mon-fri 08:00-18:00", "2026-12-24..2026-12-26", "12-24..01-01", "cron 0 2 * * sun for 4h", "holidays DE"'
_SETS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
_DATE, _MONTH_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}", r"[0-9]{2}-[0-9]{2}"
_DAYS = re.compile(rf"({_DATE})(?:\.\.({_DATE}))?")
_YEARLY = re.compile(rf"({_MONTH_DAY})(?:\.\.({_MONTH_DAY}))?")
_MOMENTS = re.compile(rf"({_DATE}[T ][0-9].*?)\.\.({_DATE}[T ][0-9].*)", re.IGNORECASE)
_CLOCK = re.compile(r"([0-9]{1,2}:[0-9:]+)-([0-9]{1,2}:[0-9:]+)")
_RECURRING = re.compile(r"cron (.+) for (\S+)", re.IGNORECASE)
_RRULE = re.compile(r"rrule (DTSTART\S+) (RRULE:\S+)(?: EXDATE:(\S+))? for (\S+)", re.IGNORECASE)
_PLACED = re.compile(r"(holidays|business-days)(?: (\S+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read. `text` is its one spelling: reading it gives the same windows again."""

    text: str
    windows: Windows


@lru_cache(maxsize=4096)
def read_rule(text: str, zone: str) -> Rule:
    """Read one rule; its times are those of `zone`. Raises InvalidInput for what is no rule, and for an empty one."""
    words = " ".join(text.split())
    if not words or len(words) > LONGEST:
        raise InvalidInput("a window is empty" if not words else "a window is too long", expected=FORMS)
    table = zone_named(zone)
    for pattern, read in _FORMS:
        if match := pattern.fullmatch(words):
            return read(match, table)
    return _weekly(words, table)


def _days(match: re.Match[str], zone: Zone) -> Rule:
    first = read_date(match[1])
    last = read_date(match[2]) if match[2] else first
    if last < first:
        raise InvalidInput(f'"{match[0]}" ends before it begins', hint=f'such as "{last}..{first}"')
    start, end = _midnight(zone, first.toordinal()), _midnight(zone, last.toordinal() + 1)
    text = str(first) if first == last else f"{first}..{last}"
    return Rule(text, SetWindows((Span(start, end),)))


def _moments(match: re.Match[str], zone: Zone) -> Rule:
    start, end = read_moment(match[1], zone.name), read_moment(match[2], zone.name)
    if end <= start:
        raise InvalidInput(f'"{match[0]}" ends before it begins', expected="the earlier moment first")
    return Rule(f"{format_rfc3339(start)}..{format_rfc3339(end)}", SetWindows((Span(start, end),)))


def _yearly(match: re.Match[str], zone: Zone) -> Rule:
    first = _month_day(match[1])
    last = _month_day(match[2]) if match[2] else first
    text = match[1] if first == last else f"{match[1]}..{match[2]}"
    return Rule(text, YearlyWindows(first, last, zone))


def _cron(match: re.Match[str], zone: Zone) -> Rule:
    spec, length = parse_cron(match[1], zone.name), parse_duration(match[2])
    times = timetable(spec)
    assert times is not None, "a cron expression has a timetable"
    return Rule(f"cron {spec.expression} for {format_span(length)}", RecurringWindows(times, length))


def _rrule(match: re.Match[str], zone: Zone) -> Rule:
    length = parse_duration(match[4])
    found = read_rrule(f"{match[1]}\n{match[2]}", now=0, zone=zone.name)
    times = timetable_within(found.trigger, found.start_at, found.end_at)
    assert times is not None, "a recurrence rule has a timetable"
    stamps = match[3].upper().split(",") if match[3] else []
    without = frozenset(read_stamp(stamp, zone.name) for stamp in stamps)
    left_out = f" EXDATE:{','.join(stamps)}" if stamps else ""
    text = f"rrule {match[1]} {match[2]}{left_out} for {format_span(length)}"
    return Rule(text, RecurringWindows(times, length, without))


def _placed(match: re.Match[str], zone: Zone) -> Rule:
    kind = match[1].lower()
    if match[2] is None and kind == "holidays":
        raise InvalidInput(
            '"holidays" names no country', expected="holidays and a country", hint='such as "holidays DE"'
        )
    place = parse_place(match[2]) if match[2] else None
    text = f"{kind} {place}" if place else kind
    return Rule(text, DayWindows(_chosen(kind, place), zone))


def _chosen(kind: str, place: Place | None) -> Callable[[date], bool]:
    if kind == "holidays" and place is not None:
        return lambda day: is_holiday(place, day)
    return lambda day: is_business_day(place, day)


def _weekly(words: str, zone: Zone) -> Rule:
    """`mon-fri 08:00-18:00`, either part alone too."""
    said, _, clock = words.rpartition(" ")
    match = _CLOCK.fullmatch(clock)
    days = _weekdays((said or "daily") if match else words)
    if days is None:
        raise InvalidInput(f'"{words[:60]}" is not a window', expected=f"such as {FORMS}", hint="see docs/calendars.md")
    if match is None:
        return Rule(_weekday_text(days), WeeklyWindows(days, 0, DAY_SECONDS, zone))
    start, end = read_time(match[1]), DAY_SECONDS if match[2] == "24:00" else read_time(match[2])
    shown = f"{format_time(start)}-{'24:00' if end == DAY_SECONDS else format_time(end)}"
    if start == end:
        raise InvalidInput(f'"{shown}" is no time at all', expected="an end that differs from the start")
    length = (end - start) % DAY_SECONDS or DAY_SECONDS
    return Rule(f"{_weekday_text(days)} {shown}", WeeklyWindows(days, start, start + length, zone))


def _weekdays(text: str) -> frozenset[int] | None:
    """`mon-fri,sun`, `weekends`; None for anything else."""
    chosen: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        if part in _SETS:
            chosen |= {*_SETS[part]}
            continue
        first, dash, last = part.partition("-")
        try:
            start = read_weekday(first)
            end = read_weekday(last) if dash else start
        except InvalidInput:
            return None
        chosen |= {day % 7 for day in range(start, end + 1 + 7 * (end < start))}
    return frozenset(chosen)


def _weekday_text(days: frozenset[int]) -> str:
    """Neighbours are joined from three on: `mon-fri,sun`."""
    if len(days) == 7:
        return "daily"
    words: list[str] = []
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    for run in runs:
        if len(run) > 2:
            words.append(f"{format_weekday(run[0])}-{format_weekday(run[-1])}")
        else:
            words += map(format_weekday, run)
    return ",".join(words)


def _month_day(text: str) -> tuple[int, int]:
    day = read_date(f"2024-{text}")  # a year with a 29th of February
    return day.month, day.day


def _midnight(zone: Zone, ordinal: int) -> Micros:
    return zone.first_reaching((ordinal - date(1970, 1, 1).toordinal()) * DAY_SECONDS) * SECOND


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Zone], Rule]], ...] = (
    (_DAYS, _days),
    (_MOMENTS, _moments),
    (_YEARLY, _yearly),
    (_RRULE, _rrule),
    (_RECURRING, _cron),
    (_PLACED, _placed),
)
