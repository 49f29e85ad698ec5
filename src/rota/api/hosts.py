"""/hosts and /groups."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from rota.api.answers import answer
from rota.api.bodies import Given, GroupBody, HostBody, Reads
from rota.api.routing import By, Route
from rota.domain.errors import FieldError
from rota.usecases import hosts, shapes

router = APIRouter(route_class=Route, tags=["inventory"])
Host = Annotated[Given[HostBody], Depends(Reads(HostBody))]


@router.get("/hosts", response_model=shapes.Hosts)
async def list_hosts(by: By) -> Response:
    return answer(await hosts.list_all(by.ctx, by.principal))


@router.get("/hosts:match", response_model=shapes.Names)
async def match_hosts(by: By, selector: Annotated[str, Query(max_length=10_000)]) -> Response:
    return answer(await hosts.match(by.ctx, by.principal, selector))


@router.post("/hosts", status_code=201, response_model=shapes.Host)
async def add_host(by: By, given: Host) -> Response:
    return answer(await hosts.add(by.ctx, by.principal, given.body.name or "", _draft(given)), status=201)


@router.get("/hosts/{name}", response_model=shapes.Host)
async def show_host(by: By, name: str) -> Response:
    return answer(await hosts.show(by.ctx, by.principal, name))


@router.patch("/hosts/{name}", response_model=shapes.Host)
async def update_host(by: By, name: str, given: Host) -> Response:
    faults = []
    if given.body.name not in {None, name}:
        faults.append(FieldError(field="name", message="a host keeps its name", expected=name))
    return answer(await hosts.change(by.ctx, by.principal, name, _draft(given, *faults)))


@router.delete("/hosts/{name}", response_model=shapes.Removed)
async def remove_host(by: By, name: str) -> Response:
    return answer(await hosts.remove(by.ctx, by.principal, name))


@router.get("/groups", response_model=shapes.Groups)
async def list_groups(by: By) -> Response:
    return answer(await hosts.list_groups(by.ctx, by.principal))


@router.post("/groups", status_code=201, response_model=shapes.Group)
async def add_group(by: By, given: Annotated[Given[GroupBody], Depends(Reads(GroupBody))]) -> Response:
    name, members = given.body.name or "", given.body.hosts or ()
    return answer(await hosts.add_group(by.ctx, by.principal, name, members, faults=given.faults), status=201)


@router.delete("/groups/{name}", response_model=shapes.Removed)
async def remove_group(by: By, name: str) -> Response:
    return answer(await hosts.remove_group(by.ctx, by.principal, name))


def _draft(given: Given[HostBody], *faults: FieldError) -> hosts.HostDraft:
    body = given.body
    return hosts.HostDraft(
        connector=body.connector,
        tags=body.tags,
        groups=body.groups,
        disabled=body.disabled,
        faults=(*given.faults, *faults),
    )
