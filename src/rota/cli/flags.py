"""Faults that the server finds in fields, told by what was typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rota.domain.errors import FieldError, InvalidInput, NotFound

T = TypeVar("T")


def renamed(request: Callable[[], T], in_flag: Callable[[FieldError], FieldError]) -> T:
    """Do `request`; where the server finds faults in fields, name each by its option, as `in_flag` does."""
    try:
        return request()
    except (InvalidInput, NotFound) as error:
        if not error.errors:
            raise
        faults = [in_flag(fault) for fault in error.errors]
        raise type(error)(error.happened, errors=faults, expected=error.expected, hint=error.hint) from error
