"""`http` against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rota.domain.step import Json, Step, StepResult
from rota.templating.renderer import Renderer
from tests.unit.actions.doing import a_context, do


class Handler(BaseHTTPRequestHandler):
    """Answers by path; keeps what it was asked in `server.seen`."""

    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        path, _, argument = self.path.partition("?")
        if path == "/status":
            self._answer(int(argument), b"said")
        elif path == "/loop":
            self._answer(302, b"", Location=f"/loop?{int(argument) + 1}")
        elif path == "/to":
            self._answer(307, b"", Location=argument)
        elif path == "/json":
            self._answer(200, b'{"status": "up"}', **{"Content-Type": "application/json"})
        elif path == "/large":
            self._answer(200, b"x" * (10 * 1024 * 1024 + 1))
        elif path == "/drip":
            self.send_response(200)
            self.end_headers()
            while not self.server.closing.wait(0.02):
                self.wfile.write(b".")
        else:
            self._answer(200, b"a" * 70_000)

    do_POST = do_GET  # noqa: N815 - the base class's name

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.closing, self.hung_up = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        self.hung_up.set()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.closing.set()
        running.shutdown()
        thread.join()


async def ask(renderer: Renderer, variables: dict[str, Json] | None = None, **params: Json) -> StepResult:
    return await do(Step(name="s", action="http", params=params), a_context(variables=variables), renderer)


async def test_an_answer_is_registered(server: Server, renderer: Renderer) -> None:
    result = await ask(renderer, url=f"{server.url}/json")
    assert result.ok and result.message == f"GET {server.url}/json: 200"
    assert result.registered["status"] == 200
    assert result.registered["json"] == {"status": "up"}
    assert result.registered["body"] == '{"status": "up"}'
    assert isinstance(result.registered["headers"], dict)
    assert result.registered["headers"]["content-type"] == "application/json"


async def test_a_long_body_is_registered_in_part(server: Server, renderer: Renderer) -> None:
    result = await ask(renderer, url=f"{server.url}/")
    assert result.registered["body"] == "a" * 65536


async def test_a_status_that_was_not_expected_fails_the_step(server: Server, renderer: Renderer) -> None:
    assert not (await ask(renderer, url=f"{server.url}/status?404")).ok
    assert not (await ask(renderer, url=f"{server.url}/status?200", expect=[204])).ok
    assert (await ask(renderer, url=f"{server.url}/status?404", expect=[404, 410])).ok


async def test_values_are_rendered_in_url_headers_and_json(server: Server, renderer: Renderer) -> None:
    await ask(
        renderer,
        {"x": "a b&c"},
        url=server.url + "/x?q={{ x | urlencode }}",
        method="POST",
        headers={"X-Value": "{{ x }}"},
        json={"deep": ["{{ x }}", 1]},
    )
    method, path, headers, body = server.seen[0]
    assert (method, path, headers["X-Value"]) == ("POST", "/x?q=a%20b%26c", "a b&c")
    assert json.loads(body) == {"deep": ["a b&c", 1]} and headers["Content-Type"] == "application/json"


async def test_a_newline_in_a_header_fails_before_anything_is_sent(server: Server, renderer: Renderer) -> None:
    result = await ask(renderer, {"x": "a\r\nX-Evil: 1"}, url=server.url, headers={"X-Value": "{{ x }}"})
    assert not result.ok and "headers.X-Value" in result.message
    assert server.seen == []


async def test_the_attempt_is_its_idempotency_key_unless_one_is_given(server: Server, renderer: Renderer) -> None:
    await ask(renderer, url=server.url)
    await ask(renderer, url=server.url, headers={"idempotency-key": "mine"})
    assert server.seen[0][2]["Idempotency-Key"] == "run_1-a1"
    assert [value for name, value in server.seen[1][2].items() if name.lower() == "idempotency-key"] == ["mine"]


async def test_at_most_three_redirects_are_followed(server: Server, renderer: Renderer) -> None:
    result = await ask(renderer, url=f"{server.url}/loop?0")
    assert not result.ok and "more than 3 redirects" in result.message
    assert len(server.seen) == 4


async def test_redirects_are_followed_only_when_wanted(server: Server, renderer: Renderer) -> None:
    assert (await ask(renderer, url=f"{server.url}/to?/json")).registered["json"] == {"status": "up"}
    result = await ask(renderer, url=f"{server.url}/to?/json", follow_redirects=False, expect=[307])
    assert result.ok and result.registered["status"] == 307


async def test_secrets_stay_with_the_host_they_were_meant_for(server: Server, renderer: Renderer) -> None:
    other = f"http://localhost:{server.server_port}/json"
    await ask(renderer, url=f"{server.url}/to?{other}", headers={"Authorization": "Bearer x", "X-Plain": "y"})
    assert "Authorization" in server.seen[0][2]
    assert "Authorization" not in server.seen[1][2] and server.seen[1][2]["X-Plain"] == "y"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/", "http://u:p@h/"])
async def test_a_redirect_to_anything_but_plain_http_is_refused(
    server: Server, renderer: Renderer, target: str
) -> None:
    result = await ask(renderer, url=f"{server.url}/to?{target}")
    assert not result.ok and "redirected to a URL that" in result.message


async def test_an_answer_that_is_too_long_is_given_up(server: Server, renderer: Renderer) -> None:
    assert "longer than 10485760 bytes" in (await ask(renderer, url=f"{server.url}/large")).message


async def test_an_answer_that_never_ends_times_out(server: Server, renderer: Renderer) -> None:
    assert (await ask(renderer, url=f"{server.url}/drip", timeout=0.2)).message == "timed out"


async def test_a_refused_connection_is_a_result(renderer: Renderer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = await ask(renderer, url=f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert not result.ok and "refused" in result.message


async def test_a_cancelled_request_is_broken_off(server: Server, renderer: Renderer) -> None:
    asked = asyncio.create_task(ask(renderer, url=f"{server.url}/drip", timeout=60.0))
    while not server.seen:
        await asyncio.sleep(0.005)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await asyncio.to_thread(server.hung_up.wait, 5)
