"""What the server says is wrong is raised as the same error here."""

from __future__ import annotations

import json

import pytest

from rota.client.transport import Response
from rota.client.wire import InternalFault, error_of
from rota.domain.errors import Conflict, FieldError, InvalidInput, NotFound, Refused, RotaError, Skipped, Unavailable


def answer(status: int, **problem: object) -> Response:
    return Response(status=status, headers={}, body=json.dumps(problem).encode())


@pytest.mark.parametrize(
    ("status", "code", "family"),
    [
        (422, "invalid_input", InvalidInput),
        (404, "not_found", NotFound),
        (409, "conflict", Conflict),
        (412, "precondition", Conflict),
        (403, "refused", Refused),
        (503, "unavailable", Unavailable),
    ],
)
def test_each_code_has_its_family(status: int, code: str, family: type[RotaError]) -> None:
    error = error_of(answer(status, code=code, message="no", hint="try this", expected="that"))
    assert type(error) is family
    assert (error.happened, error.hint, error.expected) == ("no", "try this", "that")


def test_every_fault_of_an_input_comes_through() -> None:
    error = error_of(
        answer(
            422,
            code="invalid_input",
            message="two",
            errors=[
                {"field": "name", "message": "taken", "expected": "another", "got": "x"},
                {"field": "enabled", "message": "is 3", "expected": None, "got": 3, "hint": "say true"},
            ],
        )
    )
    assert isinstance(error, InvalidInput)
    assert error.errors == (
        FieldError(field="name", message="taken", expected="another", got="x"),
        FieldError(field="enabled", message="is 3", got="3", hint="say true"),
    )


def test_a_skip_keeps_its_reason() -> None:
    error = error_of(answer(409, code="skipped", message="unfinished", reason="overlap_skip"))
    assert isinstance(error, Skipped)
    assert error.reason == "overlap_skip"


def test_a_bug_of_the_server_keeps_the_number_of_the_request() -> None:
    error = error_of(answer(500, code="internal", message="boom", request_id="req-1"))
    assert isinstance(error, InternalFault)
    assert error.request_id == "req-1"


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"detail": 1}'])
def test_an_answer_in_other_words_is_not_taken_for_one_of_ours(body: bytes) -> None:
    assert isinstance(error_of(Response(status=404, headers={}, body=body)), InternalFault)
