"""Times of day: `9`, `9am`, `9:30`, `half past nine`, `noon`, `5 in the afternoon`; and ranges of them."""

from __future__ import annotations

from functools import partial

from rota.domain.trigger.calendar_words import format_time
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.said import Clock, Half, Window
from rota.domain.trigger.phrase.tokens import Cursor, Kind, Span
from rota.domain.trigger.phrase.vocabulary import NUMBERS, PARTS, PARTS_OF_DAY

_HALF_DAY, _DAY = 12 * 3600, 24 * 3600
LAST_MINUTE = _DAY - 60
_PAST_TO = {"past": 1, "after": 1, "to": -1, "before": -1}


def accept_time(cursor: Cursor, *, bare: bool, in_range: bool = False) -> Clock | None:
    """Move past a time of day. `bare`: without "at" before it, so that a number alone is none.

    `in_range`: "9 to 17" is a range, not nine minutes to five.

    Raises Unclear for an hour or a minute that does not exist.
    """
    place = cursor.place
    for accept in (
        _accept_word,
        partial(_accept_relative, counted=not in_range and not bare),
        partial(_accept_digits, bare=bare),
    ):
        clock = accept(cursor)
        if clock is not None:
            return clock
        cursor.place = place
    return None


def accept_list(cursor: Cursor, *, bare: bool) -> list[Clock]:
    """Move past `9, 13:30 and 17`. "Or" is refused."""
    begin = cursor.place
    first = accept_time(cursor, bare=bare)
    if first is None:
        return []
    found = [first]
    while True:
        place = cursor.place
        joined = _accept_comma(cursor)
        at = cursor.accept("at")
        following = accept_time(cursor, bare=bare and not at) if joined else None
        if following is None or _begins_another(cursor):
            cursor.place = place
            break
        found.append(following)
    _require_one_style(cursor, found, begin)
    return found


def _require_one_style(cursor: Cursor, clocks: list[Clock], begin: int) -> None:
    """`8pm and 5`: is it 5 in the morning or in the afternoon? Raises Unclear."""
    plain = [clock for clock in clocks if clock.half is Half.UNSAID and clock.second <= _HALF_DAY]
    if plain and any(clock.half is Half.SAID and not clock.word for clock in clocks):
        span = plain[0].span
        options = (plain[0].second, (plain[0].second + _HALF_DAY) % _DAY)
        candidates = [cursor.edited({span: format_time(option)}) for option in options]
        words = cursor.typed(cursor.span_from(begin))
        raise Unclear(words, f'leaves open which half of the day "{cursor.typed(span)}" is in', candidates=candidates)


def accept_window(cursor: Cursor, joints: tuple[str, ...]) -> Window | None:
    """Move past `8 to 18`, where "to" is one of `joints`. Both ends are included, but not after "until".

    Raises Unclear where am or pm decides.
    """
    place = cursor.place
    first = accept_time(cursor, bare=False, in_range=True)
    joint = cursor.accept_one(joints) if first else ""
    last = accept_time(cursor, bare=False, in_range=True) if joint else None
    if first is None or last is None:
        cursor.place = place
        return None
    start, end = _both_halves(cursor, first, last, "and" if joint == "and" else "to")
    if joint in ("until", "till"):
        end = (end - 1) % _DAY
    if start == end:
        raise Unclear(cursor.typed(cursor.span_from(place)), "is no length of time")
    return Window(start, end)


def within(second: int, part: str) -> int | None:
    """The second of the day that an hour such as 8 means in the evening; None where it cannot be one."""
    _, start, end = PARTS_OF_DAY[part]
    for candidate in (second % _HALF_DAY, second % _HALF_DAY + _HALF_DAY):
        if any(start * 3600 <= shown < end * 3600 for shown in (candidate, candidate + _DAY)):
            return candidate
    return None


def _both_halves(cursor: Cursor, first: Clock, last: Clock, joint: str) -> tuple[int, int]:
    """The two ends, where the half of the day is known of both. Raises Unclear with the possible ones."""
    starts, ends = [first.second], [last.second]
    if Half.BY_24_HOURS not in (first.half, last.half):
        if last.half is Half.UNSAID and (first.half is Half.SAID or last.second <= first.second):
            ends = [(last.second + _HALF_DAY) % _DAY, last.second]
        elif first.half is Half.UNSAID and last.half is Half.SAID:
            is_either = first.second < last.second - _HALF_DAY or first.second >= last.second
            starts += [first.second + _HALF_DAY] if is_either and first.second < _HALF_DAY else []
    pairs = [(start, end) for start in starts for end in ends if start != end]
    if len(pairs) == 1:
        return pairs[0]
    span = first.span[0], last.span[1]
    raise Unclear(
        cursor.typed(span),
        "leaves open which half of the day is meant",
        candidates=[cursor.edited({span: f"{format_time(start)} {joint} {format_time(end)}"}) for start, end in pairs],
    )


def _accept_comma(cursor: Cursor) -> bool:
    comma = bool(cursor.accept_one((",", "/")))
    return bool(cursor.accept_one(("and", "&"))) or comma


def _begins_another(cursor: Cursor) -> bool:
    """Whether the number just read was a day or a count: `at 9 and 15 minutes past`, `at 9, 3 times`."""
    return cursor.peek().text in ("times", "minutes", "min", "st", "nd", "rd", "th")


def _accept_word(cursor: Cursor) -> Clock | None:
    place = cursor.place
    if cursor.accept_one(("noon", "midday")):
        return Clock(_HALF_DAY, cursor.span_from(place), Half.SAID, "noon")
    if cursor.accept("midnight"):
        return Clock(0, cursor.span_from(place), Half.SAID, "midnight")
    return None


def _accept_relative(cursor: Cursor, *, counted: bool) -> Clock | None:
    """`half past nine`, `a quarter to 9`; with `counted` also `ten past 9`, `20 minutes to five`."""
    place = cursor.place
    cursor.accept("a")
    may_be_range = False
    if cursor.accept("half"):
        if not cursor.sees("past"):
            return _half(cursor, place)
        shift = 30
    elif cursor.accept("quarter"):
        shift = 15
    else:
        minutes = _number(cursor) if counted else None
        if minutes is None or not 1 <= minutes <= 59:
            return None
        cursor.take()
        shift, may_be_range = minutes, not cursor.accept_one(("minutes", "minute", "min"))
    way = cursor.accept_one(_PAST_TO)
    hour = accept_time(cursor, bare=False) if way else None
    if hour is None:
        return None
    span, second = cursor.span_from(place), (hour.second + _PAST_TO[way] * shift * 60) % _DAY
    if may_be_range and way == "to" and cursor.tokens[place].kind is Kind.NUMBER:
        candidates = [cursor.edited({span: format_time(second)})]
        raise Unclear(cursor.typed(span), "may be a time of day, or from when to when", candidates=candidates)
    return Clock(second, span, hour.half)


def _half(cursor: Cursor, place: int) -> Clock | None:
    """`half nine` is 9:30 for the British, 8:30 for Germans."""
    hour = accept_time(cursor, bare=False) if _number(cursor) is not None else None
    if hour is None:
        return None
    span = cursor.span_from(place)
    options = [format_time((hour.second + shift * 60) % _DAY) for shift in (30, -30)]
    candidates = [cursor.edited({span: option}) for option in options]
    raise Unclear(cursor.typed(span), "is half past in some places and half to in others", candidates=candidates)


def _accept_digits(cursor: Cursor, *, bare: bool) -> Clock | None:
    place, token = cursor.place, cursor.peek()
    hour, minute, second = 0, 0, 0
    if token.kind is Kind.CLOCK:
        hour, minute, second = (*map(int, token.text.split(":")), 0)[:3]
    elif token.kind is Kind.NUMBER and "." in token.text:
        whole, _, fraction = token.text.partition(".")
        if len(fraction) != 2 or (bare and not cursor.peek(1).text.startswith(("am", "pm"))):
            return None
        hour, minute = int(whole), int(fraction)
    else:
        number = _number(cursor)
        if number is None:
            return None
        hour = number
    cursor.take()
    half = cursor.accept_one(("am", "pm"))
    said = bool(half or cursor.accept_one(("oclock", "o clock", "h", "hrs", "hours")))
    if token.kind is not Kind.CLOCK and bare and not said:
        return None
    span = cursor.span_from(place)
    if hour > 23 or minute > 59 or second > 59 or (half and not 1 <= hour <= 12):
        raise _impossible(cursor, span, hour, minute)
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    seconds = hour * 3600 + minute * 60 + second
    told = Half.SAID if half else Half.UNSAID
    if not half and (hour > 12 or token.text.startswith("0")):
        told = Half.BY_24_HOURS
    return _with_part(cursor, Clock(seconds, span, told))


def _impossible(cursor: Cursor, span: Span, hour: int, minute: int) -> Unclear:
    candidates = [cursor.edited({span: "00:00"})] if (hour, minute) == (24, 0) else []
    return Unclear(cursor.typed(span), "is no time of day", candidates=candidates, expected="00:00 to 23:59")


def _with_part(cursor: Cursor, clock: Clock) -> Clock:
    """`5 in the afternoon`, `11 at night`."""
    place = cursor.place
    part = PARTS.get(cursor.peek().text, "") if cursor.accept("in", "the") else ""
    cursor.place = place
    if not part and cursor.sees("at", "night"):
        part = "night"
    if not part:
        return clock
    cursor.place += 2 if part == "night" and cursor.sees("at", "night") else 3
    span = clock.span[0], cursor.span_from(place)[1]
    return in_part(cursor, Clock(clock.second, span, clock.half), part)


def in_part(cursor: Cursor, clock: Clock, part: str) -> Clock:
    """The same clock, read as an hour of that part of the day. Raises Unclear."""
    seconds = clock.second
    if clock.half is Half.UNSAID:
        found = within(seconds, part)
    else:
        _, start, end = PARTS_OF_DAY[part]
        inside = any(start * 3600 <= candidate < end * 3600 for candidate in (seconds, seconds + _DAY))
        found = seconds if inside else None
    if found is None:
        raise Unclear(cursor.typed(clock.span), f"is not in the {part}", expected="a time of that part of the day")
    return Clock(found, clock.span, Half.SAID)


def _number(cursor: Cursor) -> int | None:
    """The whole number that comes next, in digits or as a word; the cursor stays."""
    token = cursor.peek()
    if token.kind is Kind.NUMBER and token.text.isdigit() and token.text.isascii() and len(token.text) <= 4:
        return int(token.text)
    return NUMBERS.get(token.text)
