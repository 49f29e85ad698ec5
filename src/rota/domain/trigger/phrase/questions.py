"""What is asked where words leave two readings: each function makes one question, with its candidates."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from rota.domain.trigger.calendar_words import MONTHS, WEEKDAYS, format_time
from rota.domain.trigger.phrase.dates import months_with
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.moments import Now, day_of
from rota.domain.trigger.phrase.said import Period, Said
from rota.domain.trigger.phrase.tokens import Cursor, Span

_LAST_SECOND = 24 * 3600 - 1


def how_often(said: Said, cursor: Cursor) -> Unclear:
    span = said.spans["window"]
    candidates = [
        cursor.edited({span: f"{often} {cursor.typed(span)}"}) for often in ("every hour", "every 15 minutes")
    ]
    return Unclear(cursor.typed(span), "says from when to when, but not how often", candidates=candidates)


def once_and_again(said: Said, cursor: Cursor) -> Unclear:
    span = said.spans.get("day") or said.spans["after"]
    return Unclear(
        cursor.typed(span), "is one moment, and the rest is a routine", candidates=[cursor.edited({span: ""})],
        hint="a job can have both: give --when twice",
    )  # fmt: skip


def which_once(said: Said, cursor: Cursor, coming: date | None) -> Unclear:
    """`once on Monday`: the day is clear enough to be offered, but not to be taken."""
    if not said.has_days:
        return Unclear("once", "does not say on which day", candidates=[f"{cursor.text} tomorrow"])
    span = next(said.spans[name] for name in ("month days", "weekdays", "months") if name in said.spans)
    return Unclear(cursor.typed(span), "does not say which one", candidates=_on(cursor, span, coming))


def once_or_daily(said: Said, cursor: Cursor, now: Now | None) -> Unclear:
    assert said.times is not None  # asked of one time
    span, clock = said.spans["times"], format_time(said.times[0])
    candidates = [cursor.edited({span: f"every day at {clock}"})]
    if now is not None:
        day = now.today if now.instant_of(now.today, said.times[0]) > now.at else now.today + timedelta(days=1)
        candidates.append(cursor.edited({span: f"on {day} at {clock}"}))
    words = cursor.typed(span).removeprefix("at ")
    return Unclear(words, "may be once or every day", candidates=candidates)


def once_or_weekly(said: Said, cursor: Cursor, coming: date | None) -> Unclear:
    assert said.weekdays is not None  # asked of one weekday
    span = said.spans["weekdays"]
    name = WEEKDAYS[min(said.weekdays)].title()
    candidates = [cursor.edited({span: f"every {name}"}), *_on(cursor, span, coming)]
    return Unclear(name, "may be once or every week", candidates=candidates)


def once_or_monthly(said: Said, cursor: Cursor, coming: date | None) -> Unclear:
    span = said.spans.get("nth") or said.spans["days"]
    words = cursor.typed(span)
    often = f"every year {cursor.text}" if said.months else cursor.edited({span: f"{words} of every month"})
    candidates = [often, *_on(cursor, said.spans["month days"], coming)]
    return Unclear(words, "may be once or every " + ("year" if said.months else "month"), candidates=candidates)


def once_or_yearly(said: Said, cursor: Cursor, coming: date | None) -> Unclear:
    span, whole = said.spans["date"], said.spans["month days"]
    candidates = [cursor.edited({whole: f"every year on {cursor.typed(span)}"}), *_on(cursor, whole, coming)]
    return Unclear(cursor.typed(span), "may be once or every year", candidates=candidates)


def _on(cursor: Cursor, span: Span, day: date | None) -> list[str]:
    """The phrase with a date in place of what may be one; none where nobody knows what day it is."""
    return [] if day is None else [cursor.edited({span: f"on {day}"})]


def which_days(said: Said, cursor: Cursor) -> Unclear:
    candidates = [f"{often} {cursor.text}" for often in ("every day", "on the 1st")]
    return Unclear(cursor.typed(said.spans["months"]), "does not say on which days", candidates=candidates)


def no_time_at_all(said: Said, cursor: Cursor) -> Unclear:
    if said.part is not None:
        span = said.spans["part"]
        part = said.part
        candidates = [cursor.edited({span: f"every {part}"}), cursor.edited({span: f"tomorrow {part}"})]
        return Unclear(cursor.typed(span), "may be once or every day", candidates=candidates)
    if said.minutes is not None:
        return minutes_of_which_hour(said, cursor)
    return Unclear(cursor.text, "does not say when", expected='such as "every weekday at 9am"')


def minutes_of_which_hour(said: Said, cursor: Cursor) -> Unclear:
    span = said.spans["minutes"]
    candidates = [cursor.edited({span: f"every hour {cursor.typed(span)}"})]
    return Unclear(cursor.typed(span), "does not say of which hour", candidates=candidates)


def rhythm_or_times(said: Said, cursor: Cursor) -> Unclear:
    candidates = [cursor.edited({said.spans["times"]: ""}), cursor.edited({said.spans["length"]: "daily"})]
    words = cursor.typed(said.spans["length"])
    return Unclear(words, f'does not go together with "{cursor.typed(said.spans["times"])}"', candidates=candidates)


def part_of_day_as_window(said: Said, cursor: Cursor) -> Unclear:
    hours = {"morning": "06:00 to 12:00", "afternoon": "12:00 to 18:00", "evening": "18:00 to 23:00",
             "night": "22:00 to 06:00"}  # fmt: skip
    span = said.spans["part"]
    candidates = [cursor.edited({span: f"from {hours[said.part or 'morning']}"})]
    return Unclear(cursor.typed(span), "does not say from when to when", candidates=candidates)


def past_midnight(said: Said, cursor: Cursor) -> Unclear:
    """`from 22 to 6 on weekdays`: the night after Friday may belong to it, or the one after Sunday."""
    assert said.window is not None  # asked of windows
    span, window = said.spans["window"], said.window
    end = format_time(window.end - window.end % 60)
    candidates = [
        cursor.edited({span: f"from {format_time(window.start)} to 23:59"}),
        cursor.edited({span: f"from 00:00 to {end}"}),
    ]
    words = cursor.typed(span).removeprefix("from ").removeprefix("between ")
    return Unclear(words, "goes past midnight, and only some days are meant", candidates=candidates)


def uneven_rhythm(said: Said, cursor: Cursor) -> Unclear:
    """A rhythm that does not divide a day has no times of day: it must begin somewhere, or never stop."""
    span = said.spans["length"]
    whole = {said.spans[name]: "" for name in ("weekdays", "month days", "months") if name in said.spans}
    words = cursor.typed(span)
    candidates = [cursor.edited(whole), cursor.edited({span: f"{words} from 00:00 to 23:59"})]
    shown = words.removeprefix("every ").removeprefix("each ")
    return Unclear(shown, "does not divide a day, so it has no fixed times", candidates=candidates)


def which_midnight(said: Said, cursor: Cursor, now: Now | None) -> Unclear:
    """At the beginning of that day, or at its end?"""
    assert said.midnight is not None  # asked where the word was said
    clock = {said.midnight: "00:00"}
    candidates = [cursor.edited(clock)]
    if said.day is not None and now is not None:
        day = day_of(said, cursor, now)
        candidates = [
            cursor.edited({**clock, said.spans["day"]: f"on {one}"}) for one in (day, day + timedelta(days=1))
        ]
    elif said.weekdays is not None and "weekdays" in said.spans:
        following = {(weekday + 1) % 7 for weekday in said.weekdays}
        candidates.append(cursor.edited({**clock, said.spans["weekdays"]: f"every {_named(following)}"}))
    words = cursor.typed(said.midnight)
    return Unclear(words, "may be the beginning or the end of the day", candidates=candidates)


def which_night(said: Said, cursor: Cursor, second: int) -> Unclear:
    """Two o'clock on Friday night is a Saturday for some."""
    assert said.weekdays is not None  # asked of nights of some days
    following = {(weekday + 1) % 7 for weekday in said.weekdays}
    spans = [said.spans[name] for name in ("part", "times") if name in said.spans]
    candidates = [
        cursor.edited(
            {**dict.fromkeys(spans, ""), said.spans["weekdays"]: f"every {_named(days)} at {format_time(second)}"}
        )
        for days in (said.weekdays, following)
    ]
    return Unclear(cursor.typed(said.spans["part"]), "begins on one day and ends on the next", candidates=candidates)


_SO_OFTEN = {
    (2, "week"): ("every Monday and Thursday", "every Tuesday and Friday"),
    (2, "month"): ("on the 1st and 15th of each month", "every 2 weeks"),
    (3, "day"): ("every 8 hours", "at 9, 13 and 17 every day"),
}


def when_so_often(said: Said, cursor: Cursor, period: Period, *, is_said: bool) -> Unclear:
    """`three times a day`, without the times or with two of them."""
    assert said.per is not None  # asked where a number was said
    span = said.spans["per"]
    words = cursor.typed(span)
    if is_said:
        candidates = [cursor.edited({span: f"every {period.unit}"})]
        return Unclear(words, "is not as often as the rest says", candidates=candidates)
    candidates = [cursor.edited({span: often}) for often in _SO_OFTEN.get((said.per, period.unit), ())]
    return Unclear(words, "leaves open when", candidates=candidates, expected="the days or the times themselves")


def which_of_month(said: Said, cursor: Cursor) -> Unclear:
    assert said.weekdays is not None and said.period is not None  # asked of "monthly on Monday"
    span = said.spans["weekdays"]
    name = WEEKDAYS[min(said.weekdays)].title()
    candidates = [cursor.edited({span: f"on the {which} {name}"}) for which in ("first", "last")]
    return Unclear(cursor.typed(span), "does not say which of the month", candidates=candidates)


def which_of_quarter(said: Said, cursor: Cursor) -> Unclear:
    span = next(said.spans[name] for name in ("days", "nth", "months") if name in said.spans)
    candidates = [cursor.edited({span: f"{which} day"}) for which in ("first", "last")]
    return Unclear(cursor.typed(span), "does not say in which month of the quarter", candidates=candidates)


def require_in_every_month(said: Said, cursor: Cursor) -> None:
    """The 31st of every month is a contradiction: is the last day meant, or only the months that have one?"""
    late = [item.number for item in said.days or () if item.number is not None and item.number > 28]
    if not late:
        return
    span = said.spans["days"]
    words = cursor.typed(span)
    candidates = [cursor.edited({span: "last day"})]
    months = _listed([MONTHS[month - 1].title() for month in months_with(max(late))])
    ordinal_end = (span[1], span[1])
    candidates.append(cursor.edited({said.spans["period"]: "", ordinal_end: f"of {months}"}))
    raise Unclear(words, "is not in every month", candidates=candidates)


def weekday_and_day(said: Said, cursor: Cursor) -> Unclear:
    words = cursor.typed(said.spans.get("days") or said.spans.get("weekdays") or (0, len(cursor.text)))
    return Unclear(words, "and the weekdays: both at once, or either?", hint="give --when twice, or a cron expression")


def _named(weekdays: Collection[int]) -> str:
    """`Tuesday to Saturday`, `Monday and Thursday`."""
    ordered = sorted(weekdays)
    names = [WEEKDAYS[weekday].title() for weekday in ordered]
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{names[0]} to {names[-1]}"
    return _listed(names)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
