"""What all of them are made with."""

from __future__ import annotations

from functools import lru_cache

from rota.domain.errors import FieldError
from rota.domain.instant import Micros, format_rfc3339
from rota.usecases import shapes

rfc3339 = lru_cache(maxsize=4096)(format_rfc3339)  # the same few instants stand in many rows


def instant(at: Micros | None) -> str | None:
    return None if at is None else rfc3339(at)


def fault(error: FieldError) -> shapes.Fault:
    return {
        "field": error.field,
        "message": error.message,
        "expected": error.expected,
        "got": error.got,
        "hint": error.hint,
    }
