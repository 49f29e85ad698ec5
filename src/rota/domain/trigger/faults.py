"""Gathers the faults of one input, so that all are told at once and a single one keeps its own words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from rota.domain.errors import FieldError, InvalidInput

T = TypeVar("T")


class Faults:
    """Faults found so far. `path` goes before every field name (`trigger.`)."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._found: list[InvalidInput] = []

    def add(self, field: str, happened: str, *, expected: str = "", got: str = "", hint: str = "") -> None:
        """Note a fault of one field."""
        name = self._path + field
        error = FieldError(field=name, message=happened, expected=expected, got=got, hint=hint)
        self._found.append(InvalidInput(f"{name} {happened}", errors=[error], expected=expected, hint=hint))

    def attempt(self, field: str, read: Callable[[], T]) -> T | None:
        """Return what `read` returns, or note its InvalidInput and return None.

        The faults are told as of `field`; if that is empty, as of the fields that they name themselves.
        """
        try:
            return read()
        except InvalidInput as fault:
            located = [replace(error, field=self._path + error.field) for error in fault.as_faults(field)]
            self._found.append(InvalidInput(fault.happened, errors=located, expected=fault.expected, hint=fault.hint))
            return None

    def raise_any(self) -> None:
        """Raise InvalidInput if anything was noted."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            errors = [error for fault in self._found for error in fault.errors]
            raise InvalidInput("; ".join(map(str, self._found)), errors=errors)
