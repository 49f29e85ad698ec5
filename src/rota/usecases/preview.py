"""When a job is due, or a trigger that is not saved would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.job import JobSpec
from rota.ports import Tx
from rota.storage.jobs import get_job
from rota.storage.quota import runs_left
from rota.storage.windows import NOBODY, load_book
from rota.usecases import resources, shapes
from rota.usecases.context import Context
from rota.usecases.jobs import standing_of
from rota.usecases.outlook import View, outlook
from rota.usecases.triggers import ReadTriggers, TriggerDraft, read_triggers

_FIELDS = {"expression": "cron"}
_NO_JOB = "preview"  # what `H` is hashed from here: the minute of a saved job will be another one


async def preview_job(ctx: Context, principal: Principal, ref: str, view: View) -> shapes.Preview:
    """When a saved job starts, as things stand. Raises NotFound with a near name, and InvalidInput."""

    def read(tx: Tx) -> shapes.Preview:
        row = get_job(tx, ref)
        authorize(principal, Verb.READ, f"job {row.name}")
        left = runs_left(tx, row.id, row.spec.max_runs)
        seen = outlook(row.spec, standing_of(tx, load_book(tx, since=tx.at), row, row.spec), view, now=tx.at)
        if left is not None:
            seen["next_runs"] = seen["next_runs"][:left]
        if not row.enabled:
            seen["next_runs"], seen["no_next"] = [], f"it is disabled (rota schedule enable {row.name})"
        elif not seen["next_runs"] and (why := resources.no_next(row.spec, left, tx.at)):
            seen["no_next"] = why
        return seen

    return await ctx.store.read(read)


async def preview(
    ctx: Context, principal: Principal, given: Mapping[str, str | None], *, timezone: str | None, view: View
) -> shapes.Preview:
    """What `view` asks for of one trigger, and what it means in English. Raises InvalidInput.

    `given` is one of `cron every at when rrule`. `when` may mean several triggers: their instants come in order.
    """
    authorize(principal, Verb.READ, "preview")
    typed = {name: text for name, text in given.items() if text is not None}
    names = [*typed]
    faults: list[FieldError] = []
    if len(names) != 1:
        message = f"{' and '.join(names)} are given together" if names else "is missing"
        field = names[1] if names else "cron"
        faults.append(FieldError(field=field, message=message, expected=f"one of {' '.join(given)}"))
    draft = TriggerDraft(
        expression=typed.get("cron"),
        every=typed.get("every"),
        at=typed.get("at"),
        when=typed.get("when"),
        rrule=typed.get("rrule"),
        timezone=timezone,
    )
    now, book = await ctx.store.read(lambda tx: (tx.at, load_book(tx, since=tx.at)))
    read = read_triggers([draft], now=now, seed=_NO_JOB, faults=faults) if typed else ReadTriggers(())
    if faults:
        raise InvalidInput.of(_as_typed(fault) for fault in faults)
    spec = JobSpec(name=_NO_JOB, triggers=read.triggers, start_at=read.start_at, end_at=read.end_at)
    seen = outlook(spec, resources.Standing(rules=book.rules_for(NOBODY)), view, now=now)
    if read.readings:
        seen["readings"] = [*read.readings]
    return seen


def _as_typed(fault: FieldError) -> FieldError:
    name = fault.field.removeprefix("triggers[0].")
    return replace(fault, field=_FIELDS.get(name, name))
