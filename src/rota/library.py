"""`Cron`, for other programs: the time engine over aware datetimes, without the rest of Rota (docs/cron.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from rota.domain.errors import InvalidInput, near
from rota.domain.instant import Micros, from_micros, to_micros
from rota.domain.trigger.cron import CronTimetable, cron_timetable
from rota.domain.trigger.dialect import read_cron, tidy
from rota.domain.trigger.explain import describe
from rota.domain.trigger.fields import CronFields
from rota.domain.trigger.format import format_cron
from rota.domain.trigger.kinds import CronTrigger, Fold, Gap
from rota.domain.trigger.tzversion import zone_info
from rota.domain.trigger.zones import parse_zone

Rule = TypeVar("Rule", bound=StrEnum)


class CronError(InvalidInput, ValueError):
    """The expression, the zone or a rule cannot be read. The text says what was expected; `errors` has every fault."""


@dataclass(frozen=True, slots=True)
class Cron:
    """When a cron expression is due in a time zone. Made by `Cron.parse`; immutable, hashable, safe to share.

    An *occurrence* is an instant, to the second. All datetimes must be aware (ValueError otherwise), in any zone;
    those returned are in `timezone`. Occurrences lie between 0001-01-03 and 9999-12-29; a question beyond is
    answered with None, never with an error. Every answer takes bounded time.

    Two values are equal if they mean the same, however they were written.
    """

    expression: str = field(compare=False)  # as written, but for spaces
    timezone: str
    gap: Gap
    fold: Fold
    fields: CronFields = field(repr=False)
    seed: str = field(compare=False, repr=False)  # `fields` has what it was hashed to
    _times: CronTimetable = field(compare=False, repr=False)

    @classmethod
    def parse(
        cls,
        expression: str,
        timezone: str = "UTC",
        *,
        seed: str | None = None,
        gap: str = Gap.RUN_AFTER,
        fold: str = Fold.FIRST,
    ) -> Cron:
        """Read an expression of five fields, six (seconds first) or seven (a year last), or a shorthand.

        `timezone` is an IANA name. `seed` is what `H` and `~` are hashed from: any text that stays the same. `gap`
        and `fold` rule fixed times of day at clock changes: `run_after` or `skip`; `first`, `second` or `both`.
        Raises ValueError with the reason, and with a way out.
        """
        try:
            rules = _choice(Gap, "gap", gap), _choice(Fold, "fold", fold)
            zone = parse_zone(timezone)
            fields = read_cron(expression, seed or "")
            times = cron_timetable(expression, zone, seed=seed or "", gap=rules[0], fold=rules[1])
        except InvalidInput as fault:
            raise CronError(fault.happened, errors=fault.errors, expected=fault.expected, hint=fault.hint) from fault
        return cls(tidy(expression), zone, *rules, fields, seed or "", times)

    def next(self, after: datetime, inclusive: bool = False) -> datetime | None:
        """Return the first occurrence later than `after`, or at it if `inclusive`; None if there is none."""
        return self._shown(self._times.next(to_micros(after) - inclusive))

    def prev(self, before: datetime, inclusive: bool = False) -> datetime | None:
        """Return the last occurrence earlier than `before`, or at it if `inclusive`; None if there is none."""
        return self._shown(self._times.prev(to_micros(before) + inclusive))

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Return the occurrences from `start` on and before `end`, each found when it is asked for."""
        return self._walk(to_micros(start) - 1, to_micros(end))

    def count(self, start: datetime, end: datetime) -> int:
        """Return how many occurrences `between` would yield, without walking along them."""
        return self._times.count(to_micros(start) - 1, to_micros(end) - 1)

    def matches(self, instant: datetime) -> bool:
        """Whether `instant` is an occurrence: exactly, so half a second past is none."""
        at = to_micros(instant)
        return self._times.next(at - 1) == at

    def explain(self) -> str:
        """Return what the expression means in English, such as `Every day at 02:00`."""
        return describe(CronTrigger(self.expression, self.timezone, self.gap, self.fold, self.seed))

    def __str__(self) -> str:
        """The expression in one normal form: `Cron.parse(str(cron), cron.timezone) == cron`, but for gap and fold."""
        return format_cron(self.fields)

    def _walk(self, after: Micros, end: Micros) -> Iterator[datetime]:
        zone = zone_info(self.timezone)
        at = self._times.next(after)
        while at is not None and at < end:
            yield from_micros(at).astimezone(zone)
            at = self._times.next(at)

    def _shown(self, at: Micros | None) -> datetime | None:
        return None if at is None else from_micros(at).astimezone(zone_info(self.timezone))


def _choice(rules: Iterable[Rule], name: str, chosen: str) -> Rule:
    known = {rule.value: rule for rule in rules}
    if chosen not in known:
        happened = f'{name} "{chosen}" is no rule for clock changes'
        raise InvalidInput(happened, expected=" or ".join(known), hint=near(chosen, known))
    return known[chosen]
