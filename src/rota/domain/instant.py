"""Instants and lengths of time as integers, and the words they are written in.

An instant is a `Micros`: integer microseconds since 1970-01-01T00:00:00Z. Integers compare, add and store
without surprises; a `datetime` appears only where a library or a person wants one. A length of time is a
`Micros` too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from rota.domain.errors import InvalidInput

Micros = int

SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
HOUR: Micros = 60 * MINUTE
DAY: Micros = 24 * HOUR
WEEK: Micros = 7 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_RFC3339 = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?(?P<offset>[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UNITS = {"w": WEEK, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
# Largest unit first, each at most once: `1h30m` is a length, `30m1h` and `5m5m` are slips of the hand.
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,12}}){unit})?" for unit in _UNITS))
_LONGEST = 100 * 366 * DAY  # a century: anything longer is a typing error, and must not overflow a date


def to_micros(moment: datetime) -> Micros:
    """Return the instant of an aware `moment`. ValueError for a naive one: a bug of ours."""
    if moment.tzinfo is None:
        raise ValueError(f"a datetime without a zone is no instant: {moment!r}")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(instant: Micros) -> datetime:
    """Return `instant` as an aware datetime in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def format_rfc3339(instant: Micros) -> str:
    """Write `2026-02-20T10:30:00Z`; a fraction appears only if it is not zero, without trailing zeros."""
    text = from_micros(instant).strftime("%Y-%m-%dT%H:%M:%S").zfill(len("0000-00-00T00:00:00"))
    fraction = instant % SECOND
    return f"{text}.{fraction:06d}".rstrip("0") + "Z" if fraction else f"{text}Z"


def parse_rfc3339(text: str) -> Micros:
    """Read an instant with `Z` or an offset, cut off at the microsecond. Raises InvalidInput."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise _not_an_instant(text)
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")
    offset = match["offset"].upper().replace("Z", "+00:00")
    try:
        instant = to_micros(datetime.fromisoformat(f"{match['date']}T{match['time']}.{fraction}{offset}"))
        from_micros(instant)  # east of Greenwich the year 1 begins in the year 0, which no date can hold
    except (ValueError, OverflowError) as fault:
        raise _not_an_instant(text) from fault
    return instant


def parse_duration(text: str) -> Micros:
    """Read `30s 45m 36h 1d 1w 1h30m`: whole numbers with a unit, largest unit first. Raises InvalidInput."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match[0]:
        raise InvalidInput(
            f'"{_shorten(text)}" is not a duration',
            expected="whole numbers with a unit w, d, h, m or s, the largest unit first",
            hint='such as "30s", "45m", "36h" or "1h30m"',
        )
    length = sum(int(number) * _UNITS[unit] for unit, number in match.groupdict(default="0").items())
    if length <= 0:
        raise InvalidInput(f'"{text}" is no time at all', expected="more than zero", hint='such as "30s"')
    if length > _LONGEST:
        raise InvalidInput(f'"{text}" is too long', expected="at most 100 years", hint='such as "365d"')
    return length


def format_duration(length: Micros) -> str:
    """Write how long something took: `3m 08s`, `45s`, `1h 02m 03s`, `2d 03h 00m 00s`, `0.4s`, `12ms`.

    Rounded down, so that it never claims a second that has not passed. Every unit below the first has two
    digits, so that columns line up.
    """
    if length < 0:
        return f"-{format_duration(-length)}"
    if length < SECOND:
        return _format_below_a_second(length)
    days, rest = divmod(length // SECOND, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days}d {hours:02d}h {minutes:02d}m {seconds:02d}s"
    if hours:
        return f"{hours}h {minutes:02d}m {seconds:02d}s"
    return f"{minutes}m {seconds:02d}s" if minutes else f"{seconds}s"


def format_span(length: Micros) -> str:
    """Write a length exactly, in the words `parse_duration` reads: `90m` is `1h30m`; a fraction becomes `1.5s`."""
    words, rest = [], length
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):  # people say 14d rather than 2w
        count, rest = divmod(rest, size)
        words += [f"{count}{unit}"] if count else []
    seconds, fraction = divmod(rest, SECOND)
    if fraction:
        words.append(f"{seconds}.{fraction:06d}".rstrip("0") + "s")
    elif seconds or not words:
        words.append(f"{seconds}s")
    return "".join(words)


def format_age(length: Micros) -> str:
    """Write how long ago something was, in its largest unit: `45s`, `3m`, `2h`, `14d`. Never negative."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if length >= size:
            return f"{length // size}{unit}"
    return f"{max(length, 0) // SECOND}s"


def _format_below_a_second(length: Micros) -> str:
    tenths, milliseconds = length * 10 // SECOND, length * 1_000 // SECOND
    if tenths:
        return f"0.{tenths}s"
    return f"{milliseconds}ms" if milliseconds else "0s"


def _not_an_instant(text: str) -> InvalidInput:
    return InvalidInput(
        f'"{_shorten(text)}" is not an instant',
        expected="a date and time with a zone offset (RFC 3339)",
        hint='such as "2026-03-05T02:00:00Z" or "2026-03-05T02:00:00-05:00"',
    )


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
