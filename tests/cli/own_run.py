"""A child of the tests: `watch` on a run that an API in this very process carries out.

Its one run works until it is asked to cancel; told to be "stubborn" it says so and goes on working.
"""

from __future__ import annotations

import asyncio
import json
import sys

from rota.cli.session import Session, out
from rota.cli.watch import watch
from rota.client.api import Client
from rota.client.inprocess import InProcessTransport, Message, Receive, Send, loop_in_thread
from tests.cli.canned import Json, a_run, a_target, output  # found by PYTHONPATH

STUBBORN = sys.argv[1] == "stubborn"


class Api:
    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"].endswith("/cancel"):
            self.cancelled.set()
            await send({"type": "http.response.body", "body": json.dumps(a_run(state="running")).encode()})
        else:
            headers = dict(scope["headers"])
            await self._events(send, after=int(headers.get(b"last-event-id", b"0")))

    async def _events(self, send: Send, *, after: int) -> None:
        async def event(name: str, data: Json) -> None:
            body = f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})

        if after < 1:
            await event(*output(1, "web-1", "working\n"))
        await self.cancelled.wait()
        if STUBBORN:
            await event(*output(2, "web-1", "asked to cancel\n"))
            await asyncio.Event().wait()
        await event("end", a_run(state="cancelled", reason="user_cancelled", targets=[a_target("web-1", "cancelled")]))


with loop_in_thread() as loop:
    code = watch(Session(), Client(InProcessTransport(Api(), loop)), a_run(state="queued"))
out("closed in order")
sys.exit(code)
