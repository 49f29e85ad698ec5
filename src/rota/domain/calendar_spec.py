"""What people say of calendars: the saved definition of one, and how jobs name them.

One spelling each, in the store, the API and on the command line: `year-end:defer`, `tag:env=prod:skip`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rota.domain.calendars import Calendar, Effect, OnHit, Scope, read_calendar
from rota.domain.errors import FieldError, InvalidInput, RotaError
from rota.domain.ids import name_faults
from rota.domain.inventory import tag_faults
from rota.domain.step import Json
from rota.domain.trigger.zones import parse_zone
from rota.domain.windows.rules import read_rule

MOST_RULES = 5_000
MOST_ATTACHMENTS = 500


@dataclass(frozen=True, slots=True)
class CalendarUse:
    """A calendar as a job names it."""

    name: str
    on_hit: OnHit = OnHit.SKIP

    def __str__(self) -> str:
        return f"{self.name}:{self.on_hit}"


@dataclass(frozen=True, slots=True)
class JobWindow:
    """A window of a job's own: outside all of these it does not start. `rule` is spelt as in a calendar."""

    rule: str
    zone: str
    on_hit: OnHit = OnHit.SKIP

    def to_dict(self) -> dict[str, Json]:
        return {"window": self.rule, "timezone": self.zone, "on_hit": self.on_hit.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> JobWindow:
        """Read what `to_dict` wrote."""
        return cls(str(data["window"]), str(data["timezone"]), OnHit(str(data["on_hit"])))


@dataclass(frozen=True, slots=True)
class Attachment:
    """Whom a calendar concerns by itself: `all`, `tag:env=prod`, `group:web`."""

    scope: Scope
    key: str = ""
    on_hit: OnHit = OnHit.SKIP

    def __str__(self) -> str:
        return ":".join(filter(None, [self.scope, self.key, self.on_hit]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarSpec:
    """`rules` and `applies_to` are spelt as `rules.read_rule` and `read_attachment` spell them."""

    name: str
    description: str = ""
    effect: Effect = Effect.BLACKOUT
    zone: str = "UTC"
    rules: tuple[str, ...] = ()
    applies_to: tuple[Attachment, ...] = ()

    @property
    def calendar(self) -> Calendar:
        return read_calendar(self.name, self.effect, self.rules, self.zone)

    def tidied(self) -> tuple[CalendarSpec, list[FieldError]]:
        """This spec with every rule in its one spelling, and all that is wrong with it."""
        faults = name_faults(self.name, what="calendar")
        rules: list[str] = []
        try:
            parse_zone(self.zone)
        except InvalidInput as error:
            return self, [*faults, *error.as_faults("timezone")]
        if not self.rules:
            faults.append(FieldError(field="rules", message="the calendar has no windows", expected="one or more"))
        if len(self.rules) > MOST_RULES:
            message = f"the calendar has {len(self.rules)} windows"
            faults.append(FieldError(field="rules", message=message, expected=f"at most {MOST_RULES}"))
        for place, rule in enumerate(self.rules[:MOST_RULES]):
            try:
                rules.append(read_rule(rule, self.zone).text)
            except RotaError as error:  # also where the library of holidays is missing
                fault = InvalidInput(error.happened, expected=error.expected, hint=error.hint)
                faults += fault.as_faults(f"rules[{place}]")
        if len(set(self.applies_to)) > MOST_ATTACHMENTS:
            faults.append(FieldError(field="applies_to", message="too many", expected=f"at most {MOST_ATTACHMENTS}"))
        tidy = CalendarSpec(
            name=self.name,
            description=self.description,
            effect=self.effect,
            zone=self.zone,
            rules=tuple(dict.fromkeys(rules)),
            applies_to=tuple(dict.fromkeys(self.applies_to)),
        )
        return tidy, faults

    def to_dict(self) -> dict[str, Json]:
        """The JSON that storage keeps and the API shows."""
        return {
            "name": self.name,
            "description": self.description,
            "effect": self.effect.value,
            "timezone": self.zone,
            "rules": [*self.rules],
            "applies_to": [*map(str, self.applies_to)],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> CalendarSpec:
        """Read what `to_dict` wrote."""
        rules: Sequence[str] = data["rules"]  # type: ignore[assignment]  # written by to_dict
        attached: Sequence[str] = data["applies_to"]  # type: ignore[assignment]  # written by to_dict
        return cls(
            name=str(data["name"]),
            description=str(data["description"]),
            effect=Effect(str(data["effect"])),
            zone=str(data["timezone"]),
            rules=tuple(rules),
            applies_to=tuple(map(read_attachment, attached)),
        )


def read_use(text: str) -> CalendarUse:
    """Read `year-end`, or `year-end:defer`. Raises InvalidInput for no name."""
    name, on_hit = _split_on_hit(text)
    if not name:
        raise InvalidInput(
            "no calendar is named", expected="NAME, NAME:skip or NAME:defer", hint="see: rota calendars list"
        )
    return CalendarUse(name, on_hit)


def read_window(text: str, zone: str) -> JobWindow:
    """Read a job's window: `mon-fri 08:00-18:00`, or the same with `:defer` behind it. Raises InvalidInput."""
    words, on_hit = _split_on_hit(text)
    return JobWindow(read_rule(words, parse_zone(zone)).text, zone, on_hit)


def read_attachment(text: str) -> Attachment:
    """Read `all`, `tag:k=v`, `group:web`, each perhaps with `:skip` or `:defer` behind it. Raises InvalidInput."""
    words, on_hit = _split_on_hit(text)
    scope, _, key = words.partition(":")
    if scope == Scope.ALL and not key:
        return Attachment(Scope.ALL, "", on_hit)
    if scope == Scope.GROUP and key:
        return Attachment(Scope.GROUP, key, on_hit)
    if scope == Scope.TAG and key and not tag_filter_faults(key):
        return Attachment(Scope.TAG, key, on_hit)
    raise InvalidInput(
        f'"{text[:60]}" says not whom the calendar concerns',
        expected="all, tag:KEY, tag:KEY=VALUE or group:NAME, perhaps with :skip or :defer behind it",
        hint="a job names its calendars itself: rota schedule update NAME --calendar CALENDAR",
    )


def tag_filter_faults(tag: str, *, field: str = "tag") -> list[FieldError]:
    """What is wrong with a tag that is looked for, written `k` or `k=v`."""
    key, _, value = tag.partition("=")
    return tag_faults({key: value}, field=field)


def _split_on_hit(text: str) -> tuple[str, OnHit]:
    words, colon, last = text.strip().rpartition(":")
    if colon and last in [*OnHit]:
        return words, OnHit(last)
    return text.strip(), OnHit.SKIP
