"""What every request passes before it reaches the API: its size, and whether the daemon still takes orders."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 8 * 1024 * 1024
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """An ASGI app around `app`.

    A body of more than `max_body` bytes is answered 413 as soon as that is known. Once `is_stopping`, nothing may
    be changed any more (503) while everything may still be looked at: seed 1's first step of a shutdown.
    """

    def __init__(self, app: ASGIApp, *, is_stopping: Callable[[], bool], max_body: int = MAX_BODY_BYTES) -> None:
        self._app, self._is_stopping, self._max_body = app, is_stopping, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] not in _READING and self._is_stopping():
            await _answer(send, 503, "unavailable", "the daemon is stopping", "try again once it runs: rota daemon")
        elif _announced(scope) > self._max_body:
            await self._answer_too_large(send)
        else:
            await self._app_within_limit(scope, receive, send)

    async def _app_within_limit(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        is_over = False
        has_answered = False

        async def counted() -> Message:
            nonlocal received, is_over
            if is_over:
                return {"type": "http.disconnect"}
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body:
                # The app sees the client leave, which every app knows how to stop for; what it then answers is
                # dropped in favour of the truth.
                is_over = True
                if not has_answered:
                    await self._answer_too_large(send)
                return {"type": "http.disconnect"}
            return message

        async def unless_over(message: Message) -> None:
            nonlocal has_answered
            if not is_over:
                has_answered = True
                await send(message)

        try:
            await self._app(scope, counted, unless_over)
        except Exception:
            if not is_over:
                raise

    async def _answer_too_large(self, send: Send) -> None:
        limit = f"at most {self._max_body // (1024 * 1024)} MiB"
        await _answer(send, 413, "invalid_input", "the request is too large", f"send {limit} at once")


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def _answer(send: Send, status: int, code: str, message: str, hint: str) -> None:
    body = json.dumps({"code": code, "message": message, "hint": hint, "errors": []}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
