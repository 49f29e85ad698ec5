"""Every error a caller can act on. Anything else is a bug and should crash loudly.

RotaError
  InvalidInput   the words are wrong, so retrying cannot help       REST 422, CLI exit 2
  NotFound       no such job, run, host                             REST 404, CLI exit 4
  Conflict       the state moved on: illegal move, stale version    REST 409, CLI exit 5
  Unavailable    the world said no: store, daemon, host             REST 503, CLI exit 6; retryable
  Refused        policy said no                                     REST 403, CLI exit 7
  Skipped        a decision not to run, with its reason             REST 409, CLI exit 9
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace


class RotaError(Exception):
    """Base. `code` is the stable contract for machines; the text is for people and may be reworded."""

    code = "error"
    retryable = False

    def __init__(self, happened: str, *, expected: str = "", hint: str = "") -> None:
        self.happened, self.expected, self.hint = happened, expected, hint
        super().__init__("; ".join(filter(None, [happened, expected and f"expected {expected}", hint])))


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One fault of one field. `field` is a dotted path as the user wrote it (`steps[2].path`, `--cron`).

    `expected` says what the field may hold, `hint` what to type in its place (`did you mean "web"?`).
    """

    field: str
    message: str
    expected: str = ""
    got: str = ""
    hint: str = ""

    @property
    def said(self) -> str:
        """What is wrong and what was expected; the hint has a line of its own where there are lines."""
        text = f"{self.field}: {self.message}" if self.field else self.message
        return f"{text} (expected {self.expected})" if self.expected else text

    def __str__(self) -> str:
        return f"{self.said}; {self.hint}" if self.hint else self.said


class InvalidInput(RotaError):
    """The words are wrong. `errors` holds every fault of the input, never only the first."""

    code = "invalid_input"

    def __init__(self, happened: str, *, errors: Iterable[FieldError] = (), expected: str = "", hint: str = "") -> None:
        self.errors = tuple(errors)
        super().__init__(happened, expected=expected, hint=hint)

    @classmethod
    def of(cls, errors: Iterable[FieldError], *, hint: str = "") -> InvalidInput:
        """Gather faults into one error whose text names them all. A lone fault gives its hint."""
        faults = tuple(errors)
        if len(faults) == 1 and not hint:
            return cls(faults[0].said, errors=faults, hint=faults[0].hint)
        return cls("; ".join(map(str, faults)), errors=faults, hint=hint)

    def as_faults(self, field: str = "") -> tuple[FieldError, ...]:
        """This error as it is told among others: of its own fields, or all of it of `field`. Its hint stays with it."""
        found = self.errors or (FieldError(field=field, message=self.happened, expected=self.expected),)
        if field:
            found = tuple(replace(fault, field=field) for fault in found)
        if self.hint and not any(fault.hint for fault in found):
            found = (*found[:-1], replace(found[-1], hint=self.hint))
        return found


class NotFound(RotaError):
    """Nothing goes by that name or id. `errors` names each thing that is missing, when there are several."""

    code = "not_found"

    def __init__(self, happened: str, *, errors: Iterable[FieldError] = (), expected: str = "", hint: str = "") -> None:
        self.errors = tuple(errors)
        super().__init__(happened, expected=expected, hint=hint)


class Conflict(RotaError):
    """The state moved on, or two wishes exclude each other."""

    code = "conflict"


class Unavailable(RotaError):
    """The world said no: store, daemon, keeper, host. Trying again later may help."""

    code = "unavailable"
    retryable = True


class DiskFull(Unavailable):
    """There is no room for what was to be written."""


class Refused(RotaError):
    """Policy or permission said no."""

    code = "refused"


class Skipped(RotaError):
    """A run was asked for and a policy decided against it. `reason` is a word of `domain.reasons`."""

    code = "skipped"

    def __init__(self, happened: str, *, reason: str, hint: str = "") -> None:
        self.reason = reason
        super().__init__(happened, hint=hint)


def near(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the closest of `known`, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{matches[0]}"?' if matches else ""
