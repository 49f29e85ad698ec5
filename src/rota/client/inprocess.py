"""The API inside this very process: requests go to an ASGI application on a loop of another thread, and stream.

Only a command typed without a daemon comes here; the loop and the application are made by `rota.compose`.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

from rota.client.transport import Response
from rota.client.wire import error_of
from rota.domain.errors import Unavailable

# The shapes of the ASGI specification, whose messages are open dictionaries.
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

T = TypeVar("T")
CALLER = "inprocess"
_AHEAD = 64  # pieces the application may be ahead of a slow reader


class InProcessTransport:
    """`loop` runs in another thread for as long as this transport is used."""

    in_process = True

    def __init__(self, app: AsgiApp, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._loop = app, loop

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        patience_seconds: float | None = None,  # whatever is done here is waited for
    ) -> Response:
        exchange = _Exchange(self._loop, _scope(method, path, query, headers), body or b"")
        pieces = exchange.run(self._app)
        try:
            whole = b"".join(pieces)
        finally:
            pieces.close()
        return Response(status=exchange.status, headers=exchange.headers, body=whole)

    def stream(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[bytes]:
        exchange = _Exchange(self._loop, _scope(method, path, {}, headers), b"")
        pieces = exchange.run(self._app)
        try:
            refusal = b""
            for piece in pieces:
                if exchange.status < 300:
                    yield piece
                else:
                    refusal += piece
            if exchange.status >= 300:
                raise error_of(Response(status=exchange.status, headers=exchange.headers, body=refusal))
        finally:
            pieces.close()

    def close(self) -> None:
        """The loop and the application belong to whoever made them."""


class _Exchange:
    """One request and its answer, between the calling thread and the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scope: MutableMapping[str, Any], body: bytes) -> None:
        self.status, self.headers = 0, dict[str, str]()
        self._loop, self._scope, self._body = loop, scope, body
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # None = the answer is whole
        self._room = asyncio.Semaphore(_AHEAD)
        self._gone = asyncio.Event()  # the caller reads no more
        self._body_given = False

    def run(self, app: AsgiApp) -> Generator[bytes, None, None]:
        """Give the body in pieces; closing the generator ends the exchange. `status` is set by the first piece."""
        served = asyncio.run_coroutine_threadsafe(self._serve(app), self._loop)
        try:
            while (piece := self._pieces.get()) is not None:
                self._loop.call_soon_threadsafe(self._room.release)
                yield piece
            served.result()  # raises what the application raised
            if not self.status:
                raise Unavailable("the application in this process gave no answer")
        finally:
            if not served.done():
                self._loop.call_soon_threadsafe(self._gone.set)
                served.cancel()

    async def _serve(self, app: AsgiApp) -> None:
        try:
            await app(self._scope, self._receive, self._send)
        finally:
            self._pieces.put(None)

    async def _receive(self) -> Message:
        if not self._body_given:
            self._body_given = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
        elif piece := message.get("body", b""):
            await self._room.acquire()
            self._pieces.put(piece)


@contextmanager
def loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    """Give a running loop of its own thread; at the end its tasks are cancelled and it is closed."""
    ready: queue.SimpleQueue[asyncio.AbstractEventLoop] = queue.SimpleQueue()
    stop = asyncio.Event()

    async def live() -> None:
        ready.put(asyncio.get_running_loop())
        await stop.wait()

    # A daemon thread: a person who presses Ctrl-C twice leaves at once, whatever the loop is doing.
    thread = threading.Thread(target=asyncio.run, args=(live(),), name="rota-in-process", daemon=True)
    thread.start()
    loop = ready.get()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def call(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on a loop of another thread and wait for it."""
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _scope(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> MutableMapping[str, Any]:
    bare, _, typed = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(bare),
        "raw_path": bare.encode(),
        "root_path": "",
        "query_string": (urlencode(query) if query else typed).encode(),
        "headers": [(b"host", b"localhost")] + [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        # Where a server puts the caller's address: the API takes this one for the user of this very process.
        "client": (CALLER, os.getpid()),
        "server": ("localhost", None),
    }
