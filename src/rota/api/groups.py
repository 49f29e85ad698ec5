"""/groups."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from rota.api.answers import answer
from rota.api.bodies import Given, GroupBody, GroupChangeBody, Reads
from rota.api.hosts import group_draft_of
from rota.api.routing import By, Route
from rota.usecases import groups, shapes
from rota.usecases.host_drafts import GroupDraft

router = APIRouter(route_class=Route, tags=["inventory"])


@router.get("/groups", response_model=shapes.Groups)
async def list_groups(by: By) -> Response:
    return answer(await groups.list_all(by.ctx, by.principal))


@router.post("/groups", status_code=201, response_model=shapes.Group)
async def add_group(
    by: By, given: Annotated[Given[GroupBody], Depends(Reads(GroupBody))], dry_run: bool = False
) -> Response:
    group = await groups.add(by.ctx, by.principal, group_draft_of(given.body, *given.faults), dry_run=dry_run)
    return answer(group, status=200 if dry_run else 201)


@router.get("/groups/{name}", response_model=shapes.Group)
async def show_group(by: By, name: str) -> Response:
    return answer(await groups.show(by.ctx, by.principal, name))


@router.patch("/groups/{name}", response_model=shapes.Group)
async def update_group(
    by: By, name: str, given: Annotated[Given[GroupChangeBody], Depends(Reads(GroupChangeBody))], dry_run: bool = False
) -> Response:
    body = given.body
    said = {field: value for field in ("description", "selector") if (value := getattr(body, field)) is not None}
    draft = GroupDraft(
        name=name,
        join=frozenset(body.add_hosts or ()),
        leave=frozenset(body.remove_hosts or ()),
        faults=given.faults,
        **said,
    )
    return answer(await groups.change(by.ctx, by.principal, name, draft, dry_run=dry_run))


@router.delete("/groups/{name}", response_model=shapes.Removed)
async def remove_group(by: By, name: str, dry_run: bool = False) -> Response:
    return answer(await groups.remove(by.ctx, by.principal, name, dry_run=dry_run))
