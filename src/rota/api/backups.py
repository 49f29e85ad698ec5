"""/backups."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from rota.api.answers import answer
from rota.api.bodies import Body, Given, Reads
from rota.api.routing import By, Route
from rota.usecases import backup, shapes

router = APIRouter(route_class=Route, tags=["instance"])


class BackupBody(Body):
    """`to`: an absolute path on the machine of the instance: a folder, or the file to make."""

    to: Annotated[str | None, Field(max_length=4096)] = None


@router.get("/backups", response_model=shapes.Backups)
async def list_backups(by: By) -> Response:
    return answer(await backup.list_all(by.ctx, by.principal))


@router.post("/backups", status_code=201, response_model=shapes.BackupMade)
async def create_backup(by: By, given: Annotated[Given[BackupBody], Depends(Reads(BackupBody))]) -> Response:
    """Answered when it is made and was read back, which takes as long as the store is large."""
    made = await backup.create(by.ctx, by.principal, to=given.body.to, faults=given.faults)
    return answer(made, status=201)
