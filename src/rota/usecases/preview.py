"""When a trigger that is not saved would be due."""

from __future__ import annotations

from dataclasses import replace

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.trigger.explain import describe
from rota.domain.trigger.spec import short_form
from rota.usecases import resources, shapes
from rota.usecases.context import Context
from rota.usecases.triggers import TriggerDraft, read_triggers

_FIELDS = {"expression": "cron"}


async def preview(
    ctx: Context,
    principal: Principal,
    *,
    cron: str | None,
    every: str | None,
    at: str | None,
    timezone: str | None,
    count: int,
) -> shapes.Preview:
    """The next `count` instants of one trigger, and what it means in English. Raises InvalidInput."""
    authorize(principal, Verb.READ, "preview")
    given = {"cron": cron, "every": every, "at": at}
    typed = [name for name, value in given.items() if value is not None]
    faults: list[FieldError] = []
    if len(typed) != 1:
        message = f"{' and '.join(typed)} are given together" if typed else "is missing"
        faults.append(FieldError(field=typed[1] if typed else "cron", message=message, expected="one of cron every at"))
    draft = TriggerDraft(expression=cron, every=every, at=at, timezone=timezone)
    now = await ctx.store.read(lambda tx: tx.at)
    triggers = read_triggers([draft], now=now, faults=faults) if typed else ()
    if faults:
        raise InvalidInput.of(_as_typed(fault) for fault in faults)
    rule = triggers[0].rule
    return {
        "trigger_text": describe(rule),
        "trigger_short": short_form(rule),
        "next_runs": resources.upcoming(rule, after=now, count=count),
    }


def _as_typed(fault: FieldError) -> FieldError:
    name = fault.field.removeprefix("triggers[0].")
    return replace(fault, field=_FIELDS.get(name, name))
