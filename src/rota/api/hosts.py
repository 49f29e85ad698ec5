"""/hosts and /sites."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from rota.api.answers import answer
from rota.api.bodies import Given, GroupBody, HostBody, ImportBody, MatchBody, Reads, TrustBody
from rota.api.routing import By, Route
from rota.domain.errors import FieldError
from rota.usecases import host_import, hosts, reaching, shapes, sites
from rota.usecases.host_drafts import GroupDraft, HostDraft

router = APIRouter(route_class=Route, tags=["inventory"])
Host = Annotated[Given[HostBody], Depends(Reads(HostBody))]
_MOST_IMPORTED = 64 * 1024 * 1024  # bytes; ten thousand hosts with all that can be said of one are some 10 MiB
# What a host always has; `null` takes any other fact away.
_NEVER_NULL = ("name", "connector", "tags", "vars", "groups", "disabled")


@router.get("/hosts", response_model=shapes.Hosts)
async def list_hosts(by: By) -> Response:
    return answer(await hosts.list_all(by.ctx, by.principal))


@router.get("/hosts:match", response_model=shapes.Names)
async def match_hosts(by: By, selector: Annotated[str, Query(max_length=10_000)]) -> Response:
    return answer(await hosts.match(by.ctx, by.principal, selector))


@router.post("/hosts:match", response_model=shapes.Names)
async def match_many_hosts(by: By, given: Annotated[Given[MatchBody], Depends(Reads(MatchBody))]) -> Response:
    """The same for a selector that is too long for a path."""
    given.require(selector="a selector such as all or group:web")
    return answer(await hosts.match(by.ctx, by.principal, given.body.selector or ""))


@router.post("/hosts:import", response_model=shapes.Imported)
async def import_hosts(
    by: By,
    given: Annotated[Given[ImportBody], Depends(Reads(ImportBody, most=_MOST_IMPORTED))],
    dry_run: bool = False,
) -> Response:
    body = given.body
    wish = host_import.Import(
        hosts=[draft_of(host) for host in body.hosts or ()],
        groups=[group_draft_of(group) for group in body.groups or ()],
        update=body.update,
        faults=given.faults,
    )
    return answer(await host_import.run(by.ctx, by.principal, wish, dry_run=dry_run))


@router.post("/hosts", status_code=201, response_model=shapes.Host)
async def add_host(by: By, given: Host, dry_run: bool = False) -> Response:
    host = await hosts.add(by.ctx, by.principal, draft_of(given.body, *given.faults), dry_run=dry_run)
    return answer(host, status=200 if dry_run else 201)


@router.post("/hosts/{name}:ping", response_model=shapes.Ping)
async def ping_host(by: By, name: str) -> Response:
    return answer(await reaching.ping(by.ctx, by.principal, name))


@router.get("/hosts/{name}/key", response_model=shapes.KeyCheck)
async def show_host_key(by: By, name: str) -> Response:
    return answer(await reaching.key(by.ctx, by.principal, name))


@router.post("/hosts/{name}:trust", response_model=shapes.KeyCheck)
async def trust_host_key(by: By, name: str, given: Annotated[Given[TrustBody], Depends(Reads(TrustBody))]) -> Response:
    given.require(fingerprint="SHA256:… of the key that the host shows")
    fingerprint, replace = given.body.fingerprint or "", given.body.replace
    return answer(await reaching.trust(by.ctx, by.principal, name, fingerprint, replace=replace))


@router.get("/hosts/{name}", response_model=shapes.Host)
async def show_host(by: By, name: str) -> Response:
    return answer(await hosts.show(by.ctx, by.principal, name))


@router.patch("/hosts/{name}", response_model=shapes.Host)
async def update_host(by: By, name: str, given: Host, dry_run: bool = False) -> Response:
    faults = list(given.faults)
    if given.body.name not in {None, name}:
        faults.append(FieldError(field="name", message="a host keeps its name", expected=name))
    return answer(await hosts.change(by.ctx, by.principal, name, draft_of(given.body, *faults), dry_run=dry_run))


@router.delete("/hosts/{name}", response_model=shapes.Removed)
async def remove_host(by: By, name: str, dry_run: bool = False) -> Response:
    return answer(await hosts.remove(by.ctx, by.principal, name, dry_run=dry_run))


@router.get("/sites", response_model=shapes.Sites)
async def list_sites(by: By) -> Response:
    return answer(await sites.list_all(by.ctx, by.principal))


def draft_of(body: HostBody, *faults: FieldError) -> HostDraft:
    """Exactly the fields that were sent."""
    sent = {name: getattr(body, name) for name in body.model_fields_set}
    nulls = [name for name in _NEVER_NULL if name in sent and sent[name] is None]
    for name in nulls:
        faults = (*faults, FieldError(field=name, message="is null", expected="a value, or no such field"))
        del sent[name]
    return HostDraft(faults=faults, **sent)


def group_draft_of(body: GroupBody, *faults: FieldError) -> GroupDraft:
    """Exactly the fields that were sent; null is as good as no such field, for what `groups list` answers is that."""
    said = {name: value for name in ("description", "selector") if (value := getattr(body, name)) is not None}
    return GroupDraft(name=body.name or "", join=frozenset(body.hosts or ()), faults=faults, **said)
