"""/runs, /history and /why."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.responses import StreamingResponse

from rota.api.answers import answer
from rota.api.bodies import Given, Reads, RunBody
from rota.api.events import encoded
from rota.api.jobs import fan_out_of, work_of
from rota.api.routing import By, OnceKey, Route
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.instant import parse_rfc3339
from rota.domain.job import DEFAULT_RUN_TIMEOUT_SECONDS
from rota.usecases import follow, runs, shapes, why

router = APIRouter(route_class=Route, tags=["runs"])
Limit = Annotated[int, Query(ge=1, le=runs.MOST_LISTED)]
Cursor = Annotated[str | None, Query(max_length=100)]
Ref = Annotated[str | None, Query(max_length=300)]
_MOST_SEQ = 1 << 62


@router.get("/runs", response_model=shapes.RunPage)
async def list_runs(
    by: By, job: Ref = None, state: Ref = None, limit: Limit = runs.DEFAULT_LISTED, after: Cursor = None
) -> Response:
    return answer(await runs.list_all(by.ctx, by.principal, job=job, states=state, limit=limit, after=after))


@router.post("/runs", status_code=201, response_model=shapes.Run)
async def start_run(
    by: By, given: Annotated[Given[RunBody], Depends(Reads(RunBody))], key: OnceKey, dry_run: bool = False
) -> Response:
    """An ad-hoc run. With `dry_run` the answer is `{"plan": …}`, and nothing is made."""
    if dry_run:
        return answer(await runs.plan(by.ctx, by.principal, _draft(given)))
    return answer(await runs.start(by.ctx, by.principal, _draft(given), key=key), status=201)


@router.get("/runs/{ref}", response_model=shapes.Run)
async def show_run(by: By, ref: str) -> Response:
    return answer(await runs.show(by.ctx, by.principal, ref))


@router.post("/runs/{ref}/cancel", response_model=shapes.Run)
async def cancel_run(by: By, ref: str) -> Response:
    return answer(await runs.cancel(by.ctx, by.principal, ref))


@router.post("/runs/{ref}/rerun", status_code=201, response_model=shapes.Run)
async def rerun_run(by: By, ref: str, failed: bool = False, dry_run: bool = False) -> Response:
    """`failed`: on the hosts that did not succeed. With `dry_run` the answer is `{"plan": …}`, and nothing is made."""
    if dry_run:
        return answer(await runs.plan_rerun(by.ctx, by.principal, ref, failed=failed))
    return answer(await runs.rerun(by.ctx, by.principal, ref, failed=failed), status=201)


@router.get("/runs/{ref}/output", response_model=shapes.OutputPage)
async def run_output(
    by: By,
    ref: str,
    after: Annotated[int, Query(ge=0, le=_MOST_SEQ)] = 0,
    limit: Limit = runs.MOST_LISTED,
) -> Response:
    return answer(await runs.output(by.ctx, by.principal, ref, after=after, limit=limit))


@router.get(
    "/runs/{ref}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def run_events(by: By, ref: str, last: Annotated[str | None, Header(alias="Last-Event-ID")] = None) -> Response:
    """Server-sent events: `run` (snapshots), `output` (`id` is its seq), `end`. Last-Event-ID resumes the output."""
    row = await follow.find(by.ctx, by.principal, ref)
    events = encoded(follow.follow(by.ctx, row, after=_resume_at(last)))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, headers=headers, media_type="text/event-stream")


@router.get("/history", response_model=shapes.History)
async def history(by: By, job: Ref = None, limit: Limit = runs.DEFAULT_LISTED, after: Cursor = None) -> Response:
    return answer(await runs.history(by.ctx, by.principal, job=job, limit=limit, after=after))


@router.get("/why/{ref}", response_model=shapes.Why)
async def explain(
    by: By, ref: str, at: Annotated[str | None, Query(max_length=100)] = None, host: Ref = None
) -> Response:
    """`at`: about one instant of a job. `host`: about one host of a run, or of a job's latest run."""
    return answer(await why.why(by.ctx, by.principal, ref, at=None if at is None else _instant(at), host=host))


def _draft(given: Given[RunBody]) -> runs.RunDraft:
    body = given.body
    timeout = body.run_timeout_seconds
    return runs.RunDraft(
        work=work_of(body),
        target=body.target,
        variables=body.vars,
        run_timeout_seconds=DEFAULT_RUN_TIMEOUT_SECONDS if timeout is None else timeout,
        targets_at_once=body.targets_at_once,
        priority=body.priority or 0,
        fan_out=fan_out_of(body),
        faults=given.faults,
    )


def _resume_at(last: str | None) -> int:
    if not last:
        return 0
    if not (last.isascii() and last.isdecimal() and int(last) <= _MOST_SEQ):
        fault = FieldError(
            field="Last-Event-ID", message="is not an id of this stream", expected="a number", got=last[:40]
        )
        raise InvalidInput.of([fault])
    return int(last)


def _instant(text: str) -> int:
    try:
        return parse_rfc3339(text)
    except InvalidInput as error:
        raise InvalidInput.of(replace(fault, got=text) for fault in error.as_faults("at")) from error
