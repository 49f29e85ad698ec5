"""/pauses."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from rota.api.answers import answer
from rota.api.bodies import Body, Given, Line, Reads, Word
from rota.api.routing import By, Route
from rota.usecases import pauses, shapes
from rota.usecases.pauses import ScopeDraft

router = APIRouter(route_class=Route, tags=["pauses"])


class ScopeBody(Body):
    """Whom it concerns: exactly one of the three. `tag` is "k" or "k=v"."""

    job: Word | None = None
    tag: Word | None = None
    everything: Annotated[bool, Field(alias="all")] = False


class PauseBody(ScopeBody):
    """`until`: a moment in `timezone` (UTC), or with an offset; without it the pause lasts until it is resumed."""

    until: Word | None = None
    timezone: Word | None = None
    reason: Line | None = None


Pause = Annotated[Given[PauseBody], Depends(Reads(PauseBody))]
Scope = Annotated[Given[ScopeBody], Depends(Reads(ScopeBody))]


@router.get("/pauses", response_model=shapes.Pauses)
async def list_pauses(by: By, ended: bool = False) -> Response:
    return answer(await pauses.list_all(by.ctx, by.principal, ended=ended))


@router.post("/pauses", status_code=201, response_model=shapes.Pause)
async def pause(by: By, given: Pause) -> Response:
    body = given.body
    made = await pauses.pause(
        by.ctx, by.principal, _scope(body), until=body.until, timezone=body.timezone, reason=body.reason or "",
        faults=given.faults,
    )  # fmt: skip
    return answer(made, status=201)


@router.post("/pauses:resume", response_model=shapes.Resumed)
async def resume(by: By, given: Scope) -> Response:
    return answer(await pauses.resume(by.ctx, by.principal, _scope(given.body), faults=given.faults))


def _scope(body: ScopeBody) -> ScopeDraft:
    return ScopeDraft(job=body.job, tag=body.tag, everything=body.everything)
