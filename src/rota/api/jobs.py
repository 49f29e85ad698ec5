"""/jobs and /preview."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from rota.api.answers import answer
from rota.api.bodies import Given, JobBody, Reads, SpreadBody, StepBody, TriggerBody, TriggerRunBody, WorkBody
from rota.api.routing import By, OnceKey, OnlyVersion, Route
from rota.domain.errors import FieldError
from rota.domain.fanout import FIELDS
from rota.domain.policy import FIELDS as POLICY_FIELDS
from rota.domain.step import Json, Step
from rota.usecases import jobs, preview, shapes
from rota.usecases.drafts import UNSET, JobDraft, WindowDraft, WorkDraft
from rota.usecases.outlook import View
from rota.usecases.step_drafts import RETRY_FIELDS
from rota.usecases.triggers import TriggerDraft

router = APIRouter(route_class=Route, tags=["jobs"])
Job = Annotated[Given[JobBody], Depends(Reads(JobBody))]
# What a preview may be asked for: how many moments; a month, `2026-03` or `current`; a zone to tell them in as well.
Many = Annotated[int, Query(ge=0, le=1000)]
Month = Annotated[str | None, Query(max_length=20)]
Zone = Annotated[str | None, Query(max_length=100)]
# What `null` means for a field of a job: only these may be without a value.
_NULLABLE = {"target", "start_at", "end_at", "max_runs"}
_FIELDS = {"overlap_policy": "overlap", "missed_run_policy": "missed", "vars": "variables"}


@router.get("/jobs", response_model=shapes.JobPage)
async def list_jobs(
    by: By,
    limit: Annotated[int, Query(ge=1, le=jobs.MOST_LISTED)] = jobs.MOST_LISTED,
    after: Annotated[str | None, Query(max_length=300)] = None,
    fields: Literal["list", "all"] = "all",
    tag: Annotated[str | None, Query(max_length=2000)] = None,  # `k` or `k=v`; several with commas: all of them
) -> Response:
    tags = tag.split(",") if tag else ()
    page = await jobs.list_all(by.ctx, by.principal, after=after, limit=limit, short=fields == "list", tags=tags)
    return answer(page)


@router.post("/jobs", status_code=201, response_model=shapes.Job)
async def create_job(by: By, given: Job, dry_run: bool = False) -> Response:
    job = await jobs.create(by.ctx, by.principal, draft_of(given), dry_run=dry_run)
    return answer(job, status=200 if dry_run else 201, version=job["version"])


@router.get("/jobs/{ref}", response_model=shapes.Job)
async def show_job(by: By, ref: str) -> Response:
    job = await jobs.show(by.ctx, by.principal, ref)
    return answer(job, version=job["version"])


@router.patch("/jobs/{ref}", response_model=shapes.Changed)
async def update_job(by: By, ref: str, given: Job, only_version: OnlyVersion, dry_run: bool = False) -> Response:
    changed = await jobs.change(by.ctx, by.principal, ref, draft_of(given), only_version=only_version, dry_run=dry_run)
    return answer(changed, version=changed["job"]["version"])


@router.delete("/jobs/{ref}", response_model=shapes.Deleted)
async def delete_job(by: By, ref: str) -> Response:
    return answer(await jobs.delete(by.ctx, by.principal, ref))


@router.post("/jobs/{ref}/enable", response_model=shapes.Job)
async def enable_job(by: By, ref: str) -> Response:
    job = await jobs.enable(by.ctx, by.principal, ref)
    return answer(job, version=job["version"])


@router.post("/jobs/{ref}/disable", response_model=shapes.Job)
async def disable_job(by: By, ref: str) -> Response:
    job = await jobs.disable(by.ctx, by.principal, ref)
    return answer(job, version=job["version"])


@router.post("/jobs/{ref}/trigger", status_code=201, response_model=shapes.Run)
async def trigger_job(
    by: By, ref: str, key: OnceKey, given: Annotated[Given[TriggerRunBody], Depends(Reads(TriggerRunBody))]
) -> Response:
    run = await jobs.trigger(by.ctx, by.principal, ref, variables=given.body.vars, key=key, faults=given.faults)
    return answer(run, status=201)


@router.get("/jobs/{ref}/preview", response_model=shapes.Preview)
async def preview_job(
    by: By, ref: str, count: Many = 5, previous: Many = 0, month: Month = None, viewer: Zone = None
) -> Response:
    view = View(count=count, previous=previous, month=month, viewer=viewer)
    return answer(await preview.preview_job(by.ctx, by.principal, ref, view))


@router.get("/preview", response_model=shapes.Preview)
async def preview_trigger(
    by: By,
    cron: Annotated[str | None, Query(max_length=1000)] = None,
    every: Annotated[str | None, Query(max_length=100)] = None,
    at: Annotated[str | None, Query(max_length=100)] = None,
    when: Annotated[str | None, Query(max_length=1000)] = None,
    rrule: Annotated[str | None, Query(max_length=1000)] = None,
    timezone: Zone = None,
    count: Many = 5,
    previous: Many = 0,
    month: Month = None,
    viewer: Zone = None,
) -> Response:
    given = {"cron": cron, "every": every, "at": at, "when": when, "rrule": rrule}
    view = View(count=count, previous=previous, month=month, viewer=viewer)
    return answer(await preview.preview(by.ctx, by.principal, given, timezone=timezone, view=view))


def draft_of(given: Given[JobBody]) -> JobDraft:
    """Exactly the fields that were sent."""
    body = given.body
    sent = body.model_fields_set - {"playbook", "do", "steps", "triggers", "windows"}
    fields = {name: getattr(body, name) for name in sent - {*FIELDS, *POLICY_FIELDS, *RETRY_FIELDS}}
    nulls = [name for name, value in fields.items() if value is None and name not in _NULLABLE]
    faults = [FieldError(field=name, message="is null", expected="a value, or no such field") for name in sorted(nulls)]
    return JobDraft(
        work=work_of(body),
        triggers=UNSET if body.triggers is None else tuple(map(_trigger, body.triggers)),
        windows=UNSET if body.windows is None else tuple(WindowDraft(**window.model_dump()) for window in body.windows),
        policies={name: getattr(body, name) for name in POLICY_FIELDS if name in sent},
        retry=retry_of(body),
        fan_out=fan_out_of(body),
        faults=(*given.faults, *faults),
        **{_FIELDS.get(name, name): value for name, value in fields.items() if name not in nulls},
    )


def fan_out_of(body: SpreadBody) -> dict[str, Json]:
    """What was sent of a run's fan-out rules, null where that takes one away."""
    return {name: getattr(body, name) for name in FIELDS if name in body.model_fields_set}


def retry_of(body: JobBody) -> dict[str, object]:
    """What was sent of how its only step is tried again, null where the default is to hold."""
    sent = {name: getattr(body, name) for name in RETRY_FIELDS if name in body.model_fields_set}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in sent.items()}


def work_of(body: WorkBody) -> WorkDraft:
    steps = None if body.steps is None else tuple(map(_step, body.steps))
    return WorkDraft(playbook=body.playbook, do=body.do, steps=steps)


def _trigger(body: TriggerBody) -> TriggerDraft:
    return TriggerDraft(**body.model_dump())


def _step(body: StepBody) -> Step:
    fields = body.model_dump()
    return Step(register=fields.pop("register_"), retry_on=tuple(fields.pop("retry_on")), **fields)
