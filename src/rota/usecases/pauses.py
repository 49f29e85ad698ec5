"""Pause and resume: keep a job, the jobs of a tag, or everything from starting by itself, and let it again.

A pause never touches a job's own `enabled`, and nothing that has started. What comes due meanwhile is in the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.calendar_spec import tag_filter_faults
from rota.domain.calendars import Pause, Scope
from rota.domain.errors import Conflict, FieldError, InvalidInput
from rota.domain.ids import Kind, public
from rota.domain.instant import Micros, format_rfc3339
from rota.domain.trigger.kinds import OnceTrigger
from rota.domain.trigger.when import find_when, read_moment
from rota.ports import Tx
from rota.storage import audit, jobs, pauses
from rota.storage.jobs import JobRow
from rota.storage.windows import Book
from rota.usecases import resources, shapes
from rota.usecases.context import Context

_CLOCK = re.compile(r"[0-9]{1,2}:[0-9:]+")

LONGEST_REASON = 500
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeDraft:
    """Whom it concerns: exactly one of the three."""

    job: str | None = None
    tag: str | None = None
    everything: bool = False

    def faults(self) -> list[FieldError]:
        given = [name for name, value in (("job", self.job), ("tag", self.tag), ("all", self.everything)) if value]
        if len(given) != 1:
            message = f"{' and '.join(given)} are given together" if given else "it is not said what"
            field = given[1] if given else "job"
            return [FieldError(field=field, message=message, expected="exactly one of job, tag, all")]
        return tag_filter_faults(self.tag) if self.tag else []

    def read(self, tx: Tx) -> tuple[Scope, str, int | None]:
        """(scope, key, job id). Raises NotFound for a job that is not there."""
        if self.job is not None:
            row = jobs.get_job(tx, self.job)
            return Scope.JOB, row.name, row.id
        return (Scope.TAG, self.tag, None) if self.tag is not None else (Scope.ALL, "", None)


async def pause(
    ctx: Context,
    principal: Principal,
    scope: ScopeDraft,
    *,
    until: str | None,
    timezone: str | None,
    reason: str,
    faults: Sequence[FieldError] = (),
) -> shapes.Pause:
    """Begin a pause now. `until`: a moment in `timezone`, or with an offset; None = until it is resumed.

    Raises InvalidInput with every fault, NotFound for the job, Conflict if exactly that is paused already.
    """
    authorize(principal, Verb.WRITE, "pauses")

    def begin(tx: Tx) -> shapes.Pause:
        found = [*faults, *scope.faults()]
        end = None if until is None else _moment(until, timezone or "UTC", tx.at, found)
        if len(reason) > LONGEST_REASON:
            expected = f"at most {LONGEST_REASON} characters"
            found.append(FieldError(field="reason", message="is too long", expected=expected))
        if found:
            raise InvalidInput.of(found)
        kind, key, job_id = scope.read(tx)
        for one in pauses.pauses_since(tx, tx.at):
            if _is_meant(one, kind, key, job_id):
                raise Conflict(
                    f"{_named(one)} is paused already: {one.said}", hint=f"first: rota resume {typed_scope(one)}"
                )
        made = pauses.insert_pause(tx, scope=kind, key=key, job_id=job_id, until=end, reason=reason, by=principal.name)
        detail = {"scope": kind.value, "key": key, "until": end, "reason": reason}
        audit.record(tx, principal.name, "pause", f"pause {public(Kind.PAUSE, made.public_id)}", detail)
        return resources.pause(made, now=tx.at)

    made = await ctx.store.write(begin)
    ctx.launcher.jobs_changed()
    return made


async def resume(
    ctx: Context, principal: Principal, scope: ScopeDraft, *, faults: Sequence[FieldError] = ()
) -> shapes.Resumed:
    """End the pause of exactly that scope: a job that is paused by itself stays so when everything is resumed.

    Raises InvalidInput, NotFound for the job, Conflict if there is no such pause.
    """
    authorize(principal, Verb.WRITE, "pauses")

    def end(tx: Tx) -> shapes.Resumed:
        if found := [*faults, *scope.faults()]:
            raise InvalidInput.of(found)
        kind, key, job_id = scope.read(tx)
        active = pauses.pauses_since(tx, tx.at)
        ended = [one for one in active if _is_meant(one, kind, key, job_id)]
        if not ended:
            others = "; ".join(f"{_named(one)} ({one.said})" for one in active)
            what = {Scope.ALL: "everything", Scope.TAG: f"tag {key}"}.get(kind, f'"{key}"')
            also = f"; what is paused: {others}" if others else ""
            raise Conflict(f"there is no pause of {what}{also}", hint="see: rota pause --list")
        for one in ended:
            pauses.end_pause(tx, one.public_id, by=principal.name)
            subject = f"pause {public(Kind.PAUSE, one.public_id)}"
            audit.record(tx, principal.name, "resume", subject, {"scope": one.scope.value, "key": one.key})
        return {"items": [resources.pause(one, now=tx.at) | {"state": "over"} for one in ended]}

    resumed = await ctx.store.write(end)
    ctx.launcher.jobs_changed()
    return resumed


async def list_all(ctx: Context, principal: Principal, *, ended: bool = False) -> shapes.Pauses:
    """The pauses that last, oldest first; with `ended` all that were, newest first."""
    authorize(principal, Verb.READ, "pauses")

    def read(tx: Tx) -> list[shapes.Pause]:
        if not ended:
            return [resources.pause(one, now=tx.at) for one in pauses.pauses_since(tx, tx.at)]
        rows = pauses.list_pauses(tx, limit=MOST_LISTED)
        shown = [resources.pause(row.pause, now=tx.at) for row in rows]
        for row, item in zip(rows, shown, strict=True):
            if row.ended_at is not None:
                item["state"] = "over"
        return shown

    return {"items": await ctx.store.read(read), "next": None}


def pause_of(tx: Tx, book: Book, row: JobRow) -> Pause | None:
    """The pause that keeps a job from starting now: of several the one that lasts longest."""
    tags = row.data.get("tags", {})
    concerned = [one for one in book.pauses if one.since <= tx.at and one.concerns(row.id or None, tags)]
    lasting = [one for one in concerned if one.until is None or one.until > tx.at]
    return max(lasting, key=lambda one: one.until or 1 << 62, default=None)


def mark_paused(tx: Tx, book: Book, rows: Sequence[JobRow], items: Sequence[shapes.Job]) -> None:
    """Say of each job by what it is paused."""
    if book.pauses:
        for row, item in zip(rows, items, strict=True):
            found = pause_of(tx, book, row)
            item["paused"] = None if found is None else resources.pause(found, now=tx.at)


def _moment(text: str, zone: str, now: Micros, faults: list[FieldError]) -> Micros | None:
    try:
        clock = f"at {text}" if _CLOCK.fullmatch(text.strip()) else text
        rule = find_when(clock, now=now, zone=zone)  # `2h`, `17:30`, a date and time
        at = rule.at if isinstance(rule, OnceTrigger) else read_moment(text, zone)
    except InvalidInput as error:
        faults += error.as_faults("until")
        return None
    if at <= now:
        message, expected = f"{format_rfc3339(at)} has passed", f"a time after {format_rfc3339(now)}"
        faults.append(FieldError(field="until", message=message, expected=expected))
    return at


def _is_meant(one: Pause, scope: Scope, key: str, job_id: int | None) -> bool:
    return one.scope is scope and (one.key == key if scope is Scope.TAG else one.job_id == job_id)


def _named(one: Pause) -> str:
    return {Scope.ALL: "everything", Scope.TAG: f"tag {one.key}"}.get(one.scope, f'"{one.key}"')


def typed_scope(one: Pause) -> str:
    """The scope as the command line takes it."""
    return {Scope.ALL: "--all", Scope.TAG: f"--tag {one.key}"}.get(one.scope, one.key)
