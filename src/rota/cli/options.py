"""Options that several commands share, and what becomes of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from rota.cli.selectors import typed_selector
from rota.domain.errors import FieldError, InvalidInput, NotFound, RotaError
from rota.domain.instant import SECOND, parse_duration

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def with_options(command: F, *options: Callable[[F], F]) -> F:
    """The command with these options, which its help shows in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def dry_run(command: F) -> F:
    return click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")(command)


def variables_option(command: F) -> F:
    text = "A variable of the playbook; may be repeated."
    return click.option("--var", "variables", metavar="KEY=VALUE", multiple=True, help=text)(command)


def one_of(words: Sequence[str]) -> dict[str, Any]:
    """Settings of an option that takes one of `words`.

    Not a `click.Choice`: that stops at the first wrong option, and the server names all of them at once.
    """
    return {
        "metavar": "|".join(words),
        "shell_complete": lambda _ctx, _param, begun: [word for word in words if word.startswith(begun)],
    }


class Faults:
    """Collects what is wrong with the options, so that all of it is said at once."""

    def __init__(self) -> None:
        self._errors: list[FieldError] = []

    def add(self, option: str, message: str, *, expected: str = "", got: str = "", hint: str = "") -> None:
        self._errors.append(FieldError(field=option, message=message, expected=expected, got=got, hint=hint))

    def variables(self, pairs: Sequence[str], option: str = "--var") -> dict[str, str]:
        """`k=v` pairs; the value may hold anything, also `=`."""
        read = {}
        for pair in pairs:
            key, found, value = pair.partition("=")
            if found and key:
                read[key] = value
            else:
                self.add(option, f'"{pair}" is not a pair', expected="KEY=VALUE", got=pair)
        return read

    def seconds(self, option: str, text: str | None) -> float | None:
        """A duration such as `90s` or `1h30m`, in seconds."""
        return self._read(option, text, lambda typed: parse_duration(typed) / SECOND)

    def target(self, text: str | None) -> str | None:
        """What `--target` says; `@file` and `-` are read here, where the files are."""
        return self._read("--target", text, lambda typed: typed_selector(typed) if typed else typed)

    def _read(self, option: str, text: str | None, read: Callable[[str], T]) -> T | None:
        if text is None:
            return None
        try:
            return read(text)
        except InvalidInput as error:
            self._errors += [replace(fault, got=text) for fault in error.as_faults(option)]
            return None

    def truth(self, option: str, text: str | None) -> bool | None:
        if text not in (None, "true", "false"):
            self.add(option, f'"{text}" is neither', expected="true or false", got=text or "")
        return None if text is None else text == "true"

    def at_most_one(self, given: Sequence[str]) -> None:
        if len(given) > 1:
            self.add(given[-1], f"does not go with {' and '.join(given[:-1])}", expected="one of them")

    def join(self, ask: Callable[[], object]) -> None:
        """Add what a server says is wrong with the rest of the options, by the same names. What it says of an option
        that is named already only follows from that."""
        told = {fault.field for fault in self._errors}
        try:
            ask()
        except (InvalidInput, NotFound) as error:
            self._errors += [fault for fault in error.errors if fault.field not in told]
        except RotaError:
            pass  # there is none to ask; what was found here is told all the same

    def __bool__(self) -> bool:
        return bool(self._errors)

    def raise_any(self, *, hint: str = "") -> None:
        if self._errors:
            raise InvalidInput.of(self._errors, hint=hint)
