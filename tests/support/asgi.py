"""A client for an ASGI application in this process: whole answers, and streams that can be left half-way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.types import ASGIApp

Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class AsgiClient:
    def __init__(self, app: ASGIApp, *, client: tuple[str, int] = ("inprocess", 0)) -> None:
        self._app, self._client = app, client

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        messages: list[Message] = []
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        await self._app(self._scope(method, path, query or {}, headers or {}), receive, send)
        start, *rest = messages
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], found, b"".join(message.get("body", b"") for message in rest))

    async def get(self, path: str, **query: object) -> Answer:
        return await self.request("GET", path, None, query)

    async def post(self, path: str, body: object = None, **query: object) -> Answer:
        return await self.request("POST", path, body, query)

    async def patch(self, path: str, body: object = None, **query: object) -> Answer:
        return await self.request("PATCH", path, body, query)

    async def delete(self, path: str) -> Answer:
        return await self.request("DELETE", path)

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an answer as they are sent. Leaving the context is the client hanging up."""
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        gone, given = asyncio.Event(), False

        async def receive() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                pieces.put_nowait(message.get("body", b""))
                if not message.get("more_body"):
                    pieces.put_nowait(None)

        async def read() -> AsyncIterator[bytes]:
            while (piece := await pieces.get()) is not None:
                yield piece

        async def serve() -> None:
            await self._app(self._scope("GET", path, {}, headers or {}), receive, send)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve())
            yield read()
            gone.set()

    def _scope(self, method: str, path: str, query: Mapping[str, object], headers: Mapping[str, str]) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": f"/api/v1{path}",
            "raw_path": quote(f"/api/v1{path}").encode(),
            "query_string": urlencode({key: str(value) for key, value in query.items()}).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": self._client,
            "server": None,
            "root_path": "",
        }
