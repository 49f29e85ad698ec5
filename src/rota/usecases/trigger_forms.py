"""The seeds' own forms of a trigger, told by `type`: seed 3's type and value, seed 2's type and start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.instant import Micros
from rota.domain.trigger.rrule import Recurrence
from rota.domain.trigger.schedule_types import SCHEDULE_TYPES, from_schedule_type
from rota.domain.trigger.spec import OnceTrigger, parse_zone
from rota.domain.trigger.when import read_moment

if TYPE_CHECKING:
    from rota.usecases.triggers import TriggerDraft

_VALUE_TYPES = ("interval", "cron", "continuous", "trigger")


def is_schedule_type(draft: TriggerDraft) -> bool:
    """Whether it is of seed 2's form."""
    return draft.type is not None and draft.type.strip().lower() in SCHEDULE_TYPES


def of_schedule_type(draft: TriggerDraft, zone: str, *, now: Micros, path: str) -> Recurrence:
    """Seed 2's form: `{"type": "daily", "start": "2026-12-01T09:15"}`; without a start it begins now.

    A start that is still to come is where the job's clock begins. Raises InvalidInput.
    """
    assert draft.type is not None
    field = "timezone"
    try:
        zone = parse_zone(zone)
        field = "start"
        begin = None if draft.start is None else read_moment(draft.start, zone)
    except InvalidInput as error:
        raise InvalidInput.of(error.as_faults(f"{path}{field}")) from error
    rule = from_schedule_type(draft.type, start=begin, now=now, zone=zone)
    return Recurrence(rule, None if isinstance(rule, OnceTrigger) else begin, None)


def with_kind(draft: TriggerDraft, path: str) -> TriggerDraft:
    """Seed 3's form, `{"type": "interval", "value": "1h"}`, in the fields of today. Raises InvalidInput."""
    said = replace(draft, type=None, value=None)
    match draft.type, draft.value:
        case "interval", str(value):
            return replace(said, kind="interval", every=value)
        case "cron", str(value):
            return replace(said, kind="cron", expression=value)
        case "continuous", None:
            return replace(said, kind="continuous")
        case "trigger", None | "on_demand":
            return replace(said, kind="manual")
        case str(name), None if name not in _VALUE_TYPES:
            message, expected = f'"{name[:40]}" is not a type', " ".join((*_VALUE_TYPES, *SCHEDULE_TYPES))
            hint = near(name, (*_VALUE_TYPES, *SCHEDULE_TYPES))
            raise InvalidInput.of([FieldError(field=f"{path}type", message=message, expected=expected, hint=hint)])
        case _:
            message = f"{draft.type} with {draft.value!r} is no trigger"
            expected = "interval with a length, cron with an expression, continuous, or trigger with on_demand"
            raise InvalidInput.of([FieldError(field=f"{path}type", message=message, expected=expected)])
