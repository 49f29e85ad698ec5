"""Sentences that mean one moment: which one, seen from now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from rota.domain.instant import DAY, SECOND, Micros, from_micros
from rota.domain.trigger.calendar_words import format_time
from rota.domain.trigger.kinds import OnceTrigger
from rota.domain.trigger.phrase.errors import Unclear
from rota.domain.trigger.phrase.said import Said
from rota.domain.trigger.phrase.tokens import Cursor
from rota.domain.trigger.phrase.vocabulary import PARTS_OF_DAY
from rota.domain.trigger.zones import zone_named

DEFAULT_TIME = 9 * 3600
_DAY_SECONDS = DAY // SECOND


@dataclass(frozen=True, slots=True)
class Now:
    """The moment of speaking, and the wall clock of the zone in which it is heard."""

    at: Micros
    zone: str

    @property
    def today(self) -> date:
        return self.date_of(self.at)

    @property
    def second(self) -> int:
        """Of the day, rounded up, as a person reads a clock."""
        return zone_named(self.zone).wall_at(-(-self.at // SECOND)) % _DAY_SECONDS

    def date_of(self, instant: Micros) -> date:
        return from_micros(zone_named(self.zone).wall_at(instant // SECOND) * SECOND).date()

    def instant_of(self, day: date, second: int) -> Micros:
        """A time that a clock change leaves out is the end of the gap; of one that comes twice it is the first."""
        wall = (day.toordinal() - _EPOCH) * _DAY_SECONDS + second
        return zone_named(self.zone).first_reaching(wall) * SECOND


_EPOCH = date(1970, 1, 1).toordinal()


def moments(said: Said, cursor: Cursor, now: Now, assumed: list[str]) -> list[OnceTrigger]:
    """The moments of a sentence with a date, or with a length from now. Raises Unclear for what has passed."""
    if said.after is not None:
        at = -(-(now.at + said.after) // SECOND) * SECOND
        return [OnceTrigger(at if at > now.at else at + SECOND, now.zone)]
    day = day_of(said, cursor, now)
    times = said.times
    if times is None and said.day is not None and said.day.kind == "ahead" and said.part is None:
        times = (now.second,)
    elif times is None:
        times = (_default_time(said, cursor),)
        assumed.append(format_time(times[0]))
    found = [OnceTrigger(now.instant_of(day, second), now.zone) for second in times]
    if any(trigger.at <= now.at for trigger in found):
        raise _passed(said, cursor, now, day)
    return found


def day_of(said: Said, cursor: Cursor, now: Now) -> date:
    """The date that is meant. Raises Unclear where two are possible."""
    day = said.day
    assert day is not None  # asked of such sentences only
    today = now.today
    if day.date is not None:
        return day.date
    if day.kind in ("in_days", "ahead"):
        return today + timedelta(days=day.number)
    monday = today - timedelta(days=today.weekday())
    this, following = monday + timedelta(days=day.number), monday + timedelta(days=day.number + 7)
    if day.kind == "this":
        return this
    if this <= today:  # the coming one is that of next week, however it is counted
        return following
    span = said.spans["day"]
    candidates = [cursor.edited({span: f"on {one}"}) for one in (this, following)]
    raise Unclear(cursor.typed(span), "may be this week or the next", candidates=candidates)


def _default_time(said: Said, cursor: Cursor) -> int:
    if said.part is None:
        return DEFAULT_TIME
    span = said.spans["part"]
    if said.spans.get("day") == span and said.part == "night":  # tonight
        candidates = [cursor.edited({span: f"today at {hour}:00"}) for hour in (20, 22)]
        raise Unclear(cursor.typed(span), "does not say at what time", candidates=candidates)
    return PARTS_OF_DAY[said.part][0] * 3600


def _passed(said: Said, cursor: Cursor, now: Now, day: date) -> Unclear:
    spans = [said.spans[name] for name in ("day", "times") if name in said.spans]
    words = cursor.typed((min(start for start, _ in spans), max(end for _, end in spans)))
    candidates = []
    if day == now.today:
        candidates = [cursor.edited({said.spans["day"]: f"on {day + timedelta(days=1)}"})]
    return Unclear(words, "has passed", candidates=candidates, expected="a moment that is still to come")
