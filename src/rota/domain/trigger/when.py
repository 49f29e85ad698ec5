"""Short forms for when something is due, as `--when` takes them: seed 5's grammar, with its defects mended.

    +90s   in 5m   after 1h30m   36h   +0s   now   at now        once, so long from now
    at 17:30   at 2026-12-01   at 2026-12-01T10:00   2026-12-01 10:00:00   at 2026-12-01T10:00:00Z      once
    every 45m   every 1d   @every 5m                             an interval
    cron:0 2 * * *   0 2 * * *   @daily                          cron
    manual   triggered                                           never by itself
    when-ready   on-condition                                    once, at once: the job's wait gates it
    continuous   continuous 30s                                  again and again, with that pause
    on-start   @reboot                                           when a daemon starts

Words are taken in any case. English sentences are another module's: what is no form of this page is left to it.
"""

from __future__ import annotations

import re

from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, SECOND, Micros, parse_duration, parse_rfc3339
from rota.domain.trigger.calendar_words import read_time
from rota.domain.trigger.kinds import ManualTrigger, OnceTrigger, OnStartTrigger, TriggerSpec
from rota.domain.trigger.spec import parse_continuous, parse_cron, parse_interval, parse_once, parse_zone
from rota.domain.trigger.zones import zone_named

_DAY_SECONDS = DAY // SECOND

_LENGTH = r"(?:[0-9]+[a-z]+)+"
_SOON = re.compile(rf"(?:\+|in |after )?\s*({_LENGTH})")
_EVERY = re.compile(rf"@?every ({_LENGTH})")
_CONTINUOUS = re.compile(rf"continuous(?:ly)?(?: ({_LENGTH}))?")
_CLOCK = re.compile(r"at ([0-9]+:[0-9:]+)")
_DATE = re.compile(r"(?:at )?([0-9]{4}-[0-9]+-[0-9]+(?:[t ][0-9]+:.*)?)")
_LOCAL = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?)?")
_CRON_NAMES = "SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_CRON_FIELD = re.compile(rf"(?:[0-9*?/,#~()LWH-]|{_CRON_NAMES})+", re.IGNORECASE)
_NOW = frozenset({"now", "at now", "+0", "immediately", "when-ready", "on-condition", "oncondition"})
_ON_START = frozenset({"@reboot", "on-start", "on start", "on_start"})
_MANUAL = frozenset({"manual", "triggered"})


def find_when(text: str, *, now: Micros, zone: str) -> TriggerSpec | None:
    """Return the trigger that a short form means, None for what is no short form at all.

    Wall-clock times are those of `zone`. Raises InvalidInput for a faulty form.
    """
    exact = " ".join(text.split())
    words = exact.lower()
    if words in _MANUAL:
        return ManualTrigger()
    if words in _ON_START:
        return OnStartTrigger()
    if match := _CONTINUOUS.fullmatch(words):
        return parse_continuous(_length(match[1])) if match[1] else parse_continuous()
    if match := _EVERY.fullmatch(words):
        return parse_interval(parse_duration(match[1]), zone, created=now)
    if words.startswith(("cron:", "@")) or _is_cron(exact):
        return parse_cron(exact.partition(":")[2] if words.startswith("cron:") else exact, zone)
    return _find_once(words, now=now, zone=zone)


def _find_once(words: str, *, now: Micros, zone: str) -> TriggerSpec | None:
    if words in _NOW:
        return _from_now(0, now=now, zone=zone)
    if match := _SOON.fullmatch(words):
        return _from_now(_length(match[1]), now=now, zone=zone)
    if match := _CLOCK.fullmatch(words):
        return _next_at(match[1], now=now, zone=zone)
    if match := _DATE.fullmatch(words):
        return parse_once(read_moment(match[1], zone), zone)
    return None


def read_moment(text: str, zone: str) -> Micros:
    """Return the instant of a date, a wall-clock time in `zone`, or a time with an offset. Raises InvalidInput.

    A time that a clock change leaves out is the end of the gap; of one that comes twice it is the first.
    """
    exact = text.strip().upper()
    match = _LOCAL.fullmatch(exact)
    try:
        if match is None:
            return parse_rfc3339(exact)
        wall = parse_rfc3339(f"{match[1]}T{match[2] or '00:00'}{match[3] or ':00'}Z") // SECOND
    except InvalidInput as fault:
        raise InvalidInput(
            f'"{_brief(text)}" is not a moment',
            expected="a date and time, in the trigger's zone or with an offset",
            hint='such as "2026-12-01 02:00" or "2026-12-01T02:00:00Z"',
        ) from fault
    return zone_named(zone).first_reaching(wall) * SECOND


def _from_now(length: Micros, *, now: Micros, zone: str) -> OnceTrigger:
    """Up to the next full second, as a person reads it, and never an instant that is over already."""
    at = -(-(now + length) // SECOND) * SECOND
    return parse_once(at if at > now else at + SECOND, zone)


def _next_at(clock: str, *, now: Micros, zone: str) -> OnceTrigger:
    """Today at that time, or tomorrow if it has passed."""
    second, table = read_time(clock), zone_named(parse_zone(zone))
    wall = table.wall_at(now // SECOND)
    today = wall - wall % _DAY_SECONDS
    at = table.first_reaching(today + second) * SECOND
    if at <= now:
        at = table.first_reaching(today + _DAY_SECONDS + second) * SECOND
    return OnceTrigger(at, table.name)


def _length(text: str) -> Micros:
    """A duration that may be zero: seed 5's recipes begin with `+0s`."""
    return 0 if re.fullmatch(r"0+[smhdw]", text) else parse_duration(text)


def _is_cron(text: str) -> bool:
    fields = text.split()
    return len(fields) in (5, 6, 7) and all(map(_CRON_FIELD.fullmatch, fields))


def _brief(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
