"""Tools to plant a mutant: to put something wrong in the place of a function or of a statement's text, for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

Place = ModuleType | type
Planting = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A small sabotage of the real code. `deed`: what is done, in words that a page can show. `needs`: what a world
    must have for it to do any harm (`World.traits`); the others are passed over in the search for it."""

    name: str
    deed: str
    plantings: tuple[Planting, ...]
    needs: frozenset[str] = frozenset()

    @contextmanager
    def planted(self) -> Iterator[None]:
        with ExitStack() as stack:
            for planting in self.plantings:
                stack.enter_context(planting())
            yield


def instead(place: Place, name: str, wrong: object) -> Planting:
    """`wrong` in the place of the function `name`."""
    assert hasattr(place, name), f"{place} has no {name} any more: the mutant must move with the code"
    return lambda: patch.object(place, name, wrong)


def around(place: Place, name: str, wrap: Callable[[Any], object]) -> Planting:
    """`wrap(right)` in the place of the function `name`, which is `right`."""
    assert hasattr(place, name), f"{place} has no {name} any more: the mutant must move with the code"
    return lambda: patch.object(place, name, wrap(getattr(place, name)))


def reworded(module: ModuleType, attribute: str, statement: str, old: str, new: str) -> Planting:
    """Another text for a statement of `module`: `new` in the place of its part `old`."""

    def plant() -> AbstractContextManager[Any]:
        known = getattr(module, attribute)
        text = getattr(known, statement)
        assert old in text, f"{statement} does not say {old!r} any more: the mutant must move with the statement"
        return patch.object(module, attribute, _Reworded(known, {statement: text.replace(old, new)}))

    return plant


class _Reworded:
    """Statements, some of which say something else."""

    def __init__(self, known: object, texts: dict[str, str]) -> None:
        self._known, self._texts = known, texts

    def __getattr__(self, name: str) -> Any:
        return self._texts[name] if name in self._texts else getattr(self._known, name)
