"""/jobs and /preview."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from rota.api.answers import answer
from rota.api.bodies import Given, JobBody, Reads, StepBody, TriggerBody, TriggerRunBody, WorkBody
from rota.api.routing import By, OnceKey, OnlyVersion, Route
from rota.domain.errors import FieldError
from rota.domain.step import Step
from rota.usecases import jobs, preview, shapes
from rota.usecases.drafts import UNSET, JobDraft, WorkDraft
from rota.usecases.triggers import TriggerDraft

router = APIRouter(route_class=Route, tags=["jobs"])
Job = Annotated[Given[JobBody], Depends(Reads(JobBody))]
# What `null` means for a field of a job: only these may be without a value.
_NULLABLE = {"target"}
_FIELDS = {"overlap_policy": "overlap", "missed_run_policy": "missed", "vars": "variables"}


@router.get("/jobs", response_model=shapes.JobPage)
async def list_jobs(
    by: By,
    limit: Annotated[int, Query(ge=1, le=jobs.MOST_LISTED)] = jobs.MOST_LISTED,
    after: Annotated[str | None, Query(max_length=300)] = None,
    fields: Literal["list", "all"] = "all",
) -> Response:
    page = await jobs.list_all(by.ctx, by.principal, after=after, limit=limit, short=fields == "list")
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


@router.get("/preview", response_model=shapes.Preview)
async def preview_trigger(
    by: By,
    cron: Annotated[str | None, Query(max_length=1000)] = None,
    every: Annotated[str | None, Query(max_length=100)] = None,
    at: Annotated[str | None, Query(max_length=100)] = None,
    timezone: Annotated[str | None, Query(max_length=100)] = None,
    count: Annotated[int, Query(ge=1, le=1000)] = 5,
) -> Response:
    found = await preview.preview(by.ctx, by.principal, cron=cron, every=every, at=at, timezone=timezone, count=count)
    return answer(found)


def draft_of(given: Given[JobBody]) -> JobDraft:
    """Exactly the fields that were sent."""
    body = given.body
    sent = body.model_fields_set - {"playbook", "do", "steps", "triggers"}
    fields = {name: getattr(body, name) for name in sent}
    nulls = [name for name, value in fields.items() if value is None and name not in _NULLABLE]
    faults = [FieldError(field=name, message="is null", expected="a value, or no such field") for name in sorted(nulls)]
    return JobDraft(
        work=work_of(body),
        triggers=UNSET if body.triggers is None else tuple(map(_trigger, body.triggers)),
        faults=(*given.faults, *faults),
        **{_FIELDS.get(name, name): value for name, value in fields.items() if name not in nulls},
    )


def work_of(body: WorkBody) -> WorkDraft:
    steps = None if body.steps is None else tuple(map(_step, body.steps))
    return WorkDraft(playbook=body.playbook, do=body.do, steps=steps)


def _trigger(body: TriggerBody) -> TriggerDraft:
    return TriggerDraft(**body.model_dump())


def _step(body: StepBody) -> Step:
    fields = body.model_dump()
    return Step(register=fields.pop("register_"), **fields)
