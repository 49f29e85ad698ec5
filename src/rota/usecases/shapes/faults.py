"""What is wrong with a request."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class Fault(TypedDict):
    field: str
    message: str
    expected: str
    got: str
    hint: str


class Problem(TypedDict):
    """Every answer that is not a success."""

    code: str
    message: str
    hint: str
    expected: str
    request_id: str
    errors: list[Fault]
    reason: NotRequired[str]
