"""A real daemon process around a very small app: `python small_daemon.py HOME [BEHAVIOUR]`.

The store and the engine have their own tests, and scenario tests run all of it together; here only the life around
them is looked at. Each thing the engine is asked to do is a line on standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from rota.cli.failure import report
from rota.daemon.locks import OwnerLock
from rota.daemon.main import run
from rota.domain.errors import Unavailable
from rota.instance import Instance
from rota.settings import Settings


def say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True, slots=True)
class SmallSummary:
    active: int = 3
    next_job: str | None = "daily-backup"
    next_at: int | None = 1_772_676_000_000_000  # 2026-03-05T02:00:00Z


class SmallEngine:
    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.ready, self.stopped = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        if self.behaviour == "fails":
            raise RuntimeError("a bug of ours")
        if self.behaviour == "loses-store":
            raise Unavailable("the store is gone")
        if self.behaviour == "ends-early":
            return
        self.ready.set()
        if self.behaviour == "ends":
            return
        await self.stopped.wait()

    async def stop(self, mode: Literal["cancel", "leave"], grace_seconds: float) -> None:
        say(f"stop {mode} {grace_seconds}")
        if self.behaviour == "stubborn":
            await asyncio.Event().wait()
        if self.behaviour == "slow":
            await asyncio.sleep(0.5)
        self.stopped.set()


class SmallApp:
    def __init__(self, behaviour: str) -> None:
        self.engine = SmallEngine(behaviour)
        self.asgi = Starlette(
            routes=[
                Route("/who", self.who),
                Route("/stream", self.stream),
                Route("/body", self.body, methods=["POST"]),
            ]
        )

    def summary(self) -> SmallSummary:
        return SmallSummary(0, None, None) if self.engine.behaviour == "empty" else SmallSummary()

    async def who(self, request: Request) -> JSONResponse:
        assert request.client
        return JSONResponse([request.client.host, request.client.port])

    async def body(self, request: Request) -> JSONResponse:
        return JSONResponse(len(await request.body()))

    async def stream(self, _: Request) -> StreamingResponse:
        async def endless() -> AsyncIterator[bytes]:
            yield b"first\n"
            await asyncio.Event().wait()

        return StreamingResponse(endless())


@asynccontextmanager
async def compose(_: Instance, settings: Settings, owner: OwnerLock) -> AsyncIterator[SmallApp]:
    say(json.dumps({"owner": owner.path.stem, "retention": settings.schedule.retention_days}))
    if BEHAVIOUR == "no-store":
        raise Unavailable("the store is of a newer version", hint="upgrade Rota")
    yield SmallApp(BEHAVIOUR)
    say("closed")


BEHAVIOUR = sys.argv[2] if len(sys.argv) > 2 else ""

if __name__ == "__main__":
    try:
        code = run(Instance(home=Path(sys.argv[1]), kind="option"), compose=compose)
    except Exception as error:
        code = report(error)
    sys.exit(code)
