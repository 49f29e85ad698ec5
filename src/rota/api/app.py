"""The ASGI application, made from a Context. Served by uvicorn over the unix socket, and in process by the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from rota.api import backups, calendars, groups, hosts, instance, jobs, limits, openapi, pauses, playbooks, runs
from rota.api.problems import not_routed
from rota.usecases.context import Context

PREFIX = "/api/v1"
_NOUNS = (instance, jobs, runs, calendars, pauses, hosts, groups, limits, playbooks, backups)
_ROUTERS = tuple(noun.router for noun in _NOUNS)


def create_app(ctx: Context) -> FastAPI:
    app = FastAPI(
        title="Rota",
        version=ctx.info.version,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.ctx = ctx
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.openapi = lambda: openapi.describe(app, _ROUTERS, PREFIX)  # type: ignore[method-assign]  # FastAPI's documented way to extend it

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        return not_routed(request.url.path, request.method, error)

    return app


def readiness(app: FastAPI) -> Callable[[], Awaitable[None]]:
    """Give a chore whose first call makes the routes ready, in a thread.

    FastAPI builds what a route needs (models, validators) when a request first passes it on its way: all together 0.2 s
    of CPU, which the first person to ask would wait for.
    """
    unready = list(app.routes)

    async def get_ready() -> None:
        while unready:
            await asyncio.to_thread(unready.pop().matches, {"type": "http", "method": "GET", "path": f"{PREFIX}/"})

    return get_ready
