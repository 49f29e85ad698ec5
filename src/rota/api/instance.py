"""/instance."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rota.api.answers import answer
from rota.api.routing import By, Route
from rota.usecases import instance, shapes

router = APIRouter(route_class=Route, tags=["instance"])


@router.get("/instance", response_model=shapes.Instance)
async def describe_instance(by: By) -> Response:
    return answer(await instance.describe(by.ctx, by.principal))
