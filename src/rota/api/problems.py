"""Errors become the contract's JSON, all in one place: `{code, message, hint, expected, request_id, errors}`."""

from __future__ import annotations

import logging
import os

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rota.api.answers import answer
from rota.api.bodies import fault_of
from rota.domain.errors import InvalidInput, NotFound, RotaError, Skipped
from rota.usecases import resources, shapes

_STATUS = {
    "invalid_input": 422,
    "not_found": 404,
    "conflict": 409,
    "skipped": 409,
    "refused": 403,
    "unavailable": 503,
    "precondition": 412,
}
_log = logging.getLogger("rota.api")


def not_routed(path: str, method: str, error: HTTPException) -> Response:
    """The response for a path or a method that is none of ours."""
    found = error.status_code != 404
    message = f"{method} is not possible on {path}" if found else f"there is no {path}"
    body = _body("refused" if found else "not_found", message, _new_id())
    body["hint"] = "see: GET /api/v1/openapi.json"
    return answer(body, status=error.status_code)


def problem(error: Exception) -> Response:
    """The response that tells of `error`. What is no RotaError is a bug of ours: logged, and answered with 500."""
    request_id = _new_id()
    if isinstance(error, RequestValidationError):
        # `loc` begins with where the value came from (query, path, header); the field alone is what was typed.
        error = InvalidInput.of(fault_of(None, detail, skip=1) for detail in error.errors())
    if not isinstance(error, RotaError):
        _log.error("request %s failed", request_id, exc_info=error)
        body = _body("internal", "Rota met a bug of its own", request_id)
        body["hint"] = f"please report it with what the log says about {request_id}"
        return answer(body, status=500)
    body = _body(error.code, error.happened, request_id)
    body["expected"], body["hint"] = error.expected, error.hint
    if isinstance(error, InvalidInput | NotFound):
        body["errors"] = [resources.fault(fault) for fault in error.errors]
    if isinstance(error, Skipped):
        body["reason"] = error.reason
    return answer(body, status=_STATUS.get(error.code, 500))


def _new_id() -> str:
    return f"req_{os.urandom(8).hex()}"


def _body(code: str, message: str, request_id: str) -> shapes.Problem:
    return {"code": code, "message": message, "hint": "", "expected": "", "request_id": request_id, "errors": []}
