"""Errors of the wire become the exceptions of `rota.domain.errors` again, with all they said."""

from __future__ import annotations

import json
from typing import TypedDict, cast

from rota.client.transport import Response
from rota.domain.errors import (
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    Refused,
    RotaError,
    Skipped,
    Unavailable,
)


class InternalFault(RotaError):
    """The server met a bug of its own. `request_id` finds the trace in its log."""

    code = "internal"

    def __init__(self, happened: str, *, request_id: str = "", hint: str = "") -> None:
        self.request_id = request_id
        super().__init__(happened, hint=hint)


class _Fault(TypedDict, total=False):
    field: str
    message: str
    expected: str | None
    got: object
    hint: str | None


class _Problem(TypedDict, total=False):
    code: str
    message: str
    hint: str | None
    expected: str | None
    reason: str | None
    request_id: str | None
    errors: list[_Fault] | None


_CODE_OF_STATUS = {
    403: "refused",
    404: "not_found",
    409: "conflict",
    412: "conflict",
    422: "invalid_input",
    503: "unavailable",
}


def error_of(response: Response) -> RotaError:
    """Return the exception that a response with an error status stands for."""
    problem = _problem(response)
    if problem is None:
        happened = f"the answer was HTTP {response.status}, and not in the words of Rota's API"
        return InternalFault(happened, hint="is something else listening there?")
    code = problem.get("code") or _CODE_OF_STATUS.get(response.status, "internal")
    happened = problem.get("message") or f"HTTP {response.status}"
    expected, hint = problem.get("expected") or "", problem.get("hint") or ""
    faults = tuple(_field_error(fault) for fault in problem.get("errors") or ())
    match code:
        case "invalid_input":
            return InvalidInput(happened, errors=faults, expected=expected, hint=hint)
        case "not_found":
            return NotFound(happened, errors=faults, expected=expected, hint=hint)
        case "skipped":
            return Skipped(happened, reason=problem.get("reason") or "", hint=hint)
        case "conflict" | "precondition":
            return Conflict(happened, expected=expected, hint=hint)
        case "refused":
            return Refused(happened, expected=expected, hint=hint)
        case "unavailable":
            return Unavailable(happened, expected=expected, hint=hint)
        case _:
            return InternalFault(happened, request_id=problem.get("request_id") or "", hint=hint)


def _problem(response: Response) -> _Problem | None:
    try:
        body = json.loads(response.body)
    except ValueError:
        return None
    return cast(_Problem, body) if isinstance(body, dict) and "message" in body else None


def _field_error(fault: _Fault) -> FieldError:
    got = fault.get("got")
    return FieldError(
        field=fault.get("field", ""),
        message=fault.get("message", ""),
        expected=fault.get("expected") or "",
        got="" if got is None else str(got),
        hint=fault.get("hint") or "",
    )
