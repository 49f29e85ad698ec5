"""`http`: one request, made by Rota itself with the standard library, in a thread with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, StringConstraints

from rota.actions.spec import ActionSpec, InProcess, Params
from rota.domain.errors import FieldError
from rota.domain.step import Json, StepContext, StepResult
from rota.templating.quoting import Quoting

LARGEST_BODY: Final = 10 * 1024 * 1024  # bytes of a response
LARGEST_REGISTERED: Final = 64 * 1024  # characters of a body that later steps see; its beginning
MOST_REDIRECTS: Final = 3
# Threads of our own: asyncio's few are for work that ends soon, and a slow server must not hold them.
_THREADS: Final = ThreadPoolExecutor(max_workers=64, thread_name_prefix="rota-http")
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=200)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0a-\x1f\x7f]*$", max_length=8192)]


class HttpParams(Params):
    """At most one of `body` and `json`. Only http and https; up to 3 redirects are followed."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=8192), Field(description="http or https")]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: Annotated[dict[HeaderName, HeaderValue], Field(description="sent as they are", default_factory=dict)]
    body: Annotated[str | None, Field(description="sent as UTF-8")] = None
    json_body: Annotated[JsonValue, Field(alias="json", description="sent as JSON")] = None
    expect: Annotated[
        list[Annotated[int, Field(ge=100, le=599)]] | None,
        Field(description="status codes that are good; 200-299 unless given", min_length=1),
    ] = None
    timeout: Annotated[float, Field(description="seconds for all of it", gt=0, le=3600)] = 30.0
    follow_redirects: bool = True


def rules(params: Mapping[str, Json]) -> list[FieldError]:
    """The URL's form, and that there are not two bodies."""
    faults = []
    if params.get("body") is not None and params.get("json") is not None:
        faults.append(FieldError(field="body", message="`body` and `json` are both given", expected="one of them"))
    url = params.get("url")
    if isinstance(url, str) and "{{" not in url and "{%" not in url and (fault := url_fault(url)):
        faults.append(FieldError(field="url", message=fault, expected="such as https://example.org/path"))
    return faults


def url_fault(url: str) -> str:
    """What is wrong with a URL, or nothing."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        return "holds white space or control characters; write `| urlencode` for values"
    if parts.scheme not in ("http", "https"):
        return f'has the scheme "{parts.scheme}"'
    if not parts.hostname or port == 0:
        return "names no host"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password; send a header instead"
    return ""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    url: str


class _Failure(Exception):
    """No usable answer came. The text says why."""


@dataclass(slots=True)
class _Exchange:
    """One request with its redirects, in a thread. `abort` ends it from outside."""

    deadline: float  # of time.monotonic
    sock: socket.socket | None = None  # kept here, as http.client drops it before the body is read
    aborted: threading.Event = field(default_factory=threading.Event)

    def abort(self) -> None:
        self.aborted.set()
        if self.sock is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Wakes a read that blocks in the thread. An SSL socket's own shutdown would take its state away.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def follow(self, request: _Request, redirects: int) -> _Response:
        """Send, and follow up to `redirects` redirects. Raises _Failure."""
        for left in range(redirects, -1, -1):
            response = self._send(request)
            location = response.headers.get("location")
            if response.status not in (301, 302, 303, 307, 308) or location is None or redirects == 0:
                return response
            if left == 0:
                raise _Failure(f"more than {MOST_REDIRECTS} redirects, the last to {location[:200]}")
            request = _redirected(request, response.status, location)
        raise AssertionError("the loop returns or raises")

    def _send(self, request: _Request) -> _Response:
        parts = urllib.parse.urlsplit(request.url)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection = self._connect(parts)
        try:
            connection.connect()
            self.sock = connection.sock
            connection.request(request.method, target, body=request.body, headers=dict(request.headers))
            self._tick()
            response = connection.getresponse()
            body = self._read(response)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Failure(self._why(error, parts)) from error
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return _Response(response.status, headers, body, request.url)

    def _connect(self, parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
        host, seconds = parts.hostname or "", self._left()
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, parts.port, timeout=seconds, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
        return connection

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        parts, size = [], 0
        while chunk := response.read1(64 * 1024):
            size += len(chunk)
            if size > LARGEST_BODY:
                raise _Failure(f"the answer is longer than {LARGEST_BODY} bytes")
            parts.append(chunk)
            self._tick()
        return b"".join(parts)

    def _tick(self) -> None:
        """Give the next read no more than what is left of the whole time."""
        left = self._left()
        if self.sock is not None and self.sock.fileno() >= 0:
            self.sock.settimeout(left)

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0 or self.aborted.is_set():
            raise _Failure("timed out")
        return left

    def _why(self, error: Exception, parts: urllib.parse.SplitResult) -> str:
        if isinstance(error, TimeoutError) or time.monotonic() >= self.deadline:
            return "timed out"
        return f"{parts.hostname}: {error or type(error).__name__}"


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """The request that a redirect asks for (RFC 9110 §15.4). Secrets stay with the host they were meant for."""
    url = urllib.parse.urljoin(request.url, location)
    if fault := url_fault(url):
        raise _Failure(f"redirected to a URL that {fault}")
    old, new = urllib.parse.urlsplit(request.url), urllib.parse.urlsplit(url)
    if old.scheme == "https" and new.scheme != "https":
        raise _Failure(f"redirected from https to {new.scheme}")
    request = replace(request, url=url)
    if (old.scheme, old.netloc) != (new.scheme, new.netloc):
        kept = {name: value for name, value in request.headers.items() if name.lower() not in _SECRET_HEADERS}
        request = replace(request, headers=kept)
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        kept = {name: value for name, value in request.headers.items() if name.lower() != "content-type"}
        method = request.method if request.method == "HEAD" else "GET"
        request = replace(request, method=method, body=None, headers=kept)
    return request


async def perform(params: HttpParams, context: StepContext) -> StepResult:
    """Send the request. Registered: status body headers ok, and json where the answer is JSON."""
    if fault := url_fault(params.url):
        return _failed(f"the url {fault}")
    exchange = _Exchange(time.monotonic() + params.timeout)
    redirects = MOST_REDIRECTS if params.follow_redirects else 0
    try:
        request = _request(params, context)
        response = await asyncio.get_running_loop().run_in_executor(_THREADS, exchange.follow, request, redirects)
    except _Failure as failure:
        return _failed(str(failure))
    except asyncio.CancelledError:
        exchange.abort()
        raise
    return _result(params, response)


def _request(params: HttpParams, context: StepContext) -> _Request:
    body = None if params.body is None else params.body.encode()
    headers: dict[str, str] = {
        "User-Agent": "rota",
        "Accept-Encoding": "identity",
        "Idempotency-Key": idempotency_key(context),
    }
    if params.json_body is not None:
        body = json.dumps(params.json_body, ensure_ascii=False).encode()
        headers["Content-Type"] = "application/json"
    given = {name.lower() for name in params.headers}
    kept = {name: value for name, value in headers.items() if name.lower() not in given}
    return _Request(params.method, params.url, {**kept, **params.headers}, body)


def idempotency_key(context: StepContext) -> str:
    """The attempt's token: one attempt never has the same effect twice at a server that honours it."""
    return f"{context.run.get('id', '')}-{context.run.get('token', '')}"


def _result(params: HttpParams, response: _Response) -> StepResult:
    good = response.status in params.expect if params.expect else 200 <= response.status < 300
    text = response.body.decode(errors="replace")
    registered: dict[str, Json] = {
        "status": response.status,
        "headers": dict(response.headers),
        "body": text[:LARGEST_REGISTERED],
        "ok": good,
        "changed": None,
        "skipped": False,
    }
    if "json" in response.headers.get("content-type", "") and len(text) <= LARGEST_REGISTERED:
        registered["json"] = _parsed(text)
    wanted = "" if good else f" (expected {' '.join(map(str, params.expect)) if params.expect else '200-299'})"
    message = f"{params.method} {response.url.split('?')[0]}: {response.status}{wanted}"
    return StepResult(ok=good, message=message, registered=registered)


def _parsed(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _failed(message: str) -> StepResult:
    return StepResult(
        ok=False, message=message, registered={"ok": False, "status": None, "changed": None, "skipped": False}
    )


HTTP = ActionSpec(
    kind="http",
    summary="Send an HTTP request and check the status of the answer",
    example={"url": "http://127.0.0.1:8080/health?host={{ host.name | urlencode }}", "expect": [200]},
    params=HttpParams,
    work=InProcess(perform),
    main="url",
    templates={"url": Quoting.PLAIN, "headers": Quoting.PLAIN, "body": Quoting.PLAIN, "json": Quoting.PLAIN},
    rules=rules,
)
