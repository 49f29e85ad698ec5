"""The API in this process: the same answers as over a socket, and they stream."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from rota.client.api import Client, Snapshot, Wrote
from rota.client.inprocess import InProcessTransport, Message, Receive, Send, call, loop_in_thread
from rota.domain.errors import NotFound, Unavailable

Scope = Message


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with loop_in_thread() as running:
        yield running


async def respond(send: Send, body: bytes, *, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"X-Kind", b"toy")]})
    await send({"type": "http.response.body", "body": body})


def event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def start_stream(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def piece(send: Send, content: bytes) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


def test_the_first_event_arrives_before_the_second_is_sent(loop: asyncio.AbstractEventLoop) -> None:
    got_first = threading.Event()
    sent_second = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start_stream(send)
        await piece(send, event("run", {"state": "running"}))
        # Only the caller sets this, after it has the first event in its hands.
        assert await asyncio.to_thread(got_first.wait, 10)
        sent_second.set()
        await piece(send, event("end", {"state": "succeeded"}))

    events = Client(InProcessTransport(app, loop)).follow("run_1")
    first = next(events)
    assert isinstance(first, Snapshot)
    assert first.run["state"] == "running"
    assert not sent_second.is_set()
    got_first.set()
    last = next(events)
    assert isinstance(last, Snapshot)
    assert last.final


def test_a_request_reaches_the_application_whole(loop: asyncio.AbstractEventLoop) -> None:
    seen: list[Scope] = []
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        bodies.append((await receive())["body"])
        await respond(send, b'{"name": "x"}')

    job = Client(InProcessTransport(app, loop)).update_job("a job/7", {"enabled": True}, version=3, dry_run=True)
    assert list(job.items()) == [("name", "x")]
    scope = seen[0]
    assert (scope["method"], scope["path"]) == ("PATCH", "/api/v1/jobs/a job/7")
    assert scope["raw_path"] == b"/api/v1/jobs/a%20job%2F7"
    assert scope["query_string"] == b"dry_run=true"
    assert scope["client"][0] == "inprocess"
    assert dict(scope["headers"])[b"if-match"] == b'"3"'
    assert json.loads(bodies[0]) == {"enabled": True}


def test_an_answer_has_its_status_headers_and_whole_body(loop: asyncio.AbstractEventLoop) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b"x" * 1_000_000, status=201)

    response = InProcessTransport(app, loop).request("GET", "/", {}, None, {})
    assert (response.status, response.headers["x-kind"], len(response.body)) == (201, "toy", 1_000_000)


def test_a_refused_stream_raises_the_error_it_holds(loop: asyncio.AbstractEventLoop) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, b'{"code": "not_found", "message": "no run x"}', status=404)

    with pytest.raises(NotFound, match="no run x"):
        next(Client(InProcessTransport(app, loop)).follow("x"))


def test_closing_a_stream_early_tells_the_application(loop: asyncio.AbstractEventLoop) -> None:
    told = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await start_stream(send)
        await piece(send, event("run", {}))
        try:
            await receive()  # http.disconnect, or cancelled
        finally:
            told.set()

    stream = InProcessTransport(app, loop).stream("GET", "/", {})
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert told.wait(10)


def test_an_application_cannot_run_far_ahead_of_a_slow_reader(loop: asyncio.AbstractEventLoop) -> None:
    sent = 0
    full = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await start_stream(send)
        for number in range(1000):
            if number == 64:
                full.set()
            await piece(send, b"x")
            sent = number + 1

    stream = InProcessTransport(app, loop).stream("GET", "/", {})
    next(stream)
    assert full.wait(10)
    call(loop, asyncio.sleep(0))
    assert sent <= 66
    assert len(list(stream)) == 999


def test_what_the_application_raises_is_raised_here(loop: asyncio.AbstractEventLoop) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        InProcessTransport(app, loop).request("GET", "/", {}, None, {})


def test_a_stream_that_ends_before_the_run_is_no_end_of_the_run(loop: asyncio.AbstractEventLoop) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start_stream(send)
        await piece(send, event("output", {"seq": 1}))
        await send({"type": "http.response.body", "body": b""})

    events = Client(InProcessTransport(app, loop)).follow("x")
    assert isinstance(next(events), Wrote)
    with pytest.raises(Unavailable, match="ended before"):
        next(events)
