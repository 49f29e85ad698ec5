"""/limits."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from rota.api.answers import answer
from rota.api.bodies import Given, LimitBody, Reads
from rota.api.routing import By, Route
from rota.usecases import limits, shapes

router = APIRouter(route_class=Route, tags=["limits"])


@router.get("/limits", response_model=shapes.Limits)
async def list_limits(by: By) -> Response:
    return answer(await limits.list_all(by.ctx, by.principal))


@router.put("/limits/{key}", response_model=shapes.Limit)
async def set_limit(
    by: By, key: str, given: Annotated[Given[LimitBody], Depends(Reads(LimitBody))], dry_run: bool = False
) -> Response:
    """From now on; what is at work beyond it goes on."""
    given.require(cap="how many targets may be at work at one time")
    return answer(await limits.change(by.ctx, by.principal, key, given.body.cap or 0, dry_run=dry_run))


@router.delete("/limits/{key}", response_model=shapes.Removed)
async def remove_limit(by: By, key: str, dry_run: bool = False) -> Response:
    return answer(await limits.remove(by.ctx, by.principal, key, dry_run=dry_run))
