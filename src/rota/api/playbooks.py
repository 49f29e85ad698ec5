"""/playbooks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from rota.api.answers import answer
from rota.api.bodies import Given, PlaybookBody, Reads
from rota.api.routing import By, Route
from rota.usecases import playbooks, shapes

router = APIRouter(route_class=Route, tags=["playbooks"])
Playbook = Annotated[Given[PlaybookBody], Depends(Reads(PlaybookBody))]


@router.get("/playbooks", response_model=shapes.Playbooks)
async def list_playbooks(by: By) -> Response:
    return answer(await playbooks.list_all(by.ctx, by.principal))


@router.post("/playbooks", status_code=201, response_model=shapes.Playbook)
async def import_playbook(by: By, given: Playbook) -> Response:
    given.require(text="the YAML of a playbook")
    body = given.body
    saved = await playbooks.import_text(by.ctx, by.principal, body.text or "", name=body.name)
    return answer(saved, status=201)


@router.post("/playbooks:validate", response_model=shapes.Validation)
async def validate_playbook(by: By, given: Playbook) -> Response:
    given.require(text="the YAML of a playbook")
    return answer(await playbooks.validate(by.ctx, by.principal, given.body.text or ""))


@router.get("/playbooks/{name}", response_model=shapes.Playbook)
async def show_playbook(by: By, name: str) -> Response:
    return answer(await playbooks.show(by.ctx, by.principal, name))


@router.delete("/playbooks/{name}", response_model=shapes.Removed)
async def remove_playbook(by: By, name: str) -> Response:
    return answer(await playbooks.remove(by.ctx, by.principal, name))
