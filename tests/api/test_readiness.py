"""The first request of a daemon's life is answered as quickly as the next."""

from __future__ import annotations

import time

from fastapi import FastAPI

from rota.api.app import readiness
from rota.api.runs import router


def an_app() -> FastAPI:
    app = FastAPI()
    app.include_router(router, prefix="/api/v1")
    return app


def cpu_of_first_match(app: FastAPI) -> float:
    began = time.thread_time()
    for route in app.routes:
        route.matches({"type": "http", "method": "GET", "path": "/api/v1/runs/run_1"})
    return time.thread_time() - began


async def test_routes_are_ready_before_somebody_waits_for_them() -> None:
    app, unready = an_app(), an_app()
    await readiness(app)()
    assert cpu_of_first_match(app) * 5 < cpu_of_first_match(unready)


async def test_routes_are_made_ready_once() -> None:
    get_ready = readiness(an_app())
    await get_ready()
    began = time.thread_time()
    await get_ready()
    assert time.thread_time() - began < 0.001
