"""What every route has in common: who asks, unknown query parameters, bodies nobody reads, and errors."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.datastructures import DefaultPlaceholder
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from rota.api.bodies import Reads, read_bytes, unknown
from rota.api.problems import problem
from rota.domain.authorize import Principal
from rota.domain.errors import FieldError, InvalidInput, Refused, RotaError
from rota.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Caller:
    ctx: Context
    principal: Principal


async def _caller(request: Request) -> Caller:
    return Caller(request.app.state.ctx, principal_of(request.scope.get("client")))


By = Annotated[Caller, Depends(_caller)]


def principal_of(client: tuple[str, int] | None) -> Principal:
    """Who is at the other end. The server put `uid:1000` there (SO_PEERCRED), or `inprocess` for this very process.

    Raises Refused for anything else: an address proves nothing.
    """
    host = client[0] if client else ""
    if host == "inprocess":
        return _account(os.geteuid())
    if host.startswith("uid:"):
        return _account(int(host.removeprefix("uid:")))
    raise Refused("nobody knows who you are", expected="a connection over this instance's unix socket")


@lru_cache(maxsize=256)
def _account(uid: int) -> Principal:
    try:
        return Principal(pwd.getpwuid(uid).pw_name, uid)
    except KeyError:
        return Principal(f"uid-{uid}", uid)


async def _if_match(if_match: Annotated[str | None, Header(alias="If-Match")] = None) -> int | None:
    """The version a change is meant for: `"3"`; None for no header or `*`."""
    if if_match is None or if_match.strip() == "*":
        return None
    digits = if_match.strip().removeprefix("W/").strip('"')
    if not digits.isdecimal() or len(digits) > 9:
        fault = FieldError(
            field="If-Match", message="is not a version", expected='the ETag of the job: "3"', got=if_match
        )
        raise InvalidInput.of([fault])
    return int(digits)


OnlyVersion = Annotated[int | None, Depends(_if_match)]


async def _idempotency_key(key: Annotated[str | None, Header(alias="Idempotency-Key")] = None) -> str | None:
    if key is not None and not (0 < len(key) <= 200 and key.isprintable() and key.isascii()):
        fault = FieldError(field="Idempotency-Key", message="cannot be taken", expected="1 to 200 printable characters")
        raise InvalidInput.of([fault])
    return key


OnceKey = Annotated[str | None, Depends(_idempotency_key)]


class Route(APIRoute):
    """Every accepted word is honoured or refused: parameters and bodies that no one reads are faults.

    `shape` is what it answers with. Answers are written as they are (`answers.answer`), so the shape serves the OpenAPI
    document alone; FastAPI would build its validator at every start, which costs an in-process command 0.2 s.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], *, response_model: Any = None, **said: Any) -> None:
        self.shape = None if isinstance(response_model, DefaultPlaceholder) else response_model
        super().__init__(path, endpoint, response_model=None, **said)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = {field.alias for field in self.dependant.query_params}
        takes_body = any(isinstance(dependency.call, Reads) for dependency in self.dependant.dependencies)

        async def handler(request: Request) -> Response:
            try:
                if request.scope["query_string"]:
                    _refuse_unknown(request, known)
                if not takes_body and request.method != "GET":
                    await _refuse_body(request)
                return await handle(request)
            except (RotaError, RequestValidationError) as error:
                return problem(error)
            except Exception as error:  # the outermost place: logged there, answered with 500
                return problem(error)

        return handler


def _refuse_unknown(request: Request, known: set[str]) -> None:
    faults = [
        unknown(name, "is not a parameter here", name, known) for name in request.query_params if name not in known
    ]
    if faults:
        raise InvalidInput.of(faults)


async def _refuse_body(request: Request) -> None:
    if (await read_bytes(request)).strip() not in {b"", b"{}"}:
        raise InvalidInput.of([FieldError(field="", message="a body has no meaning here", expected="none")])
