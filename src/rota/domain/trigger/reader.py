"""Reads typed values out of a trigger's JSON, noting what is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from rota.domain.errors import near
from rota.domain.instant import DAY, SECOND, Micros, parse_rfc3339
from rota.domain.trigger.faults import Faults

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
_LONGEST_SECONDS = 100 * 366 * DAY // SECOND  # a century, as for `parse_duration`
_LONGEST_LIST = 2000


@dataclass(frozen=True, slots=True)
class Reader:
    """Each method gives the value of `key`, its default where it is absent, or None after noting a fault."""

    data: Mapping[str, object]
    faults: Faults

    def text(self, key: str, default: str | None = None) -> str | None:
        value = self.data.get(key, default)
        if isinstance(value, str):
            return value
        self._fault(key, "text")
        return None

    def instant(self, key: str) -> Micros | None:
        text = self.text(key)
        return None if text is None else self.faults.attempt(key, lambda: parse_rfc3339(text))

    def seconds(self, key: str, default: Micros | None = None, *, least: int = 1) -> Micros | None:
        """A length in seconds, as Micros. Whether it is too short is for `checks`, unless it is negative."""
        if key not in self.data and default is not None:
            return default
        value = self.data.get(key)
        value = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
        if 0 <= value <= _LONGEST_SECONDS and (value > 0 or least == 0):
            return round(value * SECOND)
        self._fault(key, f"a number of seconds, at least {least}", hint="such as 20")
        return None

    def choice(self, key: str, words: type[E], default: E | None = None) -> E | None:
        value = self.data.get(key, default)
        if isinstance(value, str) and value in [*words]:
            return words(value)
        self._fault(key, " ".join(words), hint=near(str(value), [*words]))
        return None

    def whole(self, key: str, default: int) -> int | None:
        value = self.data.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self._fault(key, "a whole number")
        return None

    def words(self, key: str, read: Callable[[str], T]) -> list[T] | None:
        """A list of texts, each read by `read`; absent is empty."""
        return self._all(key, lambda item: self._word(key, item, read))

    def wholes(self, key: str, read: Callable[[str], int] | None = None) -> list[int] | None:
        """A list of whole numbers, or of names that `read` knows."""

        def one(item: object) -> int | None:
            if isinstance(item, int) and not isinstance(item, bool):
                return item
            return self._word(key, item, read)

        return self._all(key, one)

    def _all(self, key: str, one: Callable[[object], T | None]) -> list[T] | None:
        value = self.data.get(key, [])
        if not isinstance(value, list | tuple) or len(value) > _LONGEST_LIST:
            self._fault(key, f"a list of at most {_LONGEST_LIST}")
            return None
        read = [one(item) for item in value]
        found = [item for item in read if item is not None]
        return found if len(found) == len(read) else None

    def _word(self, key: str, item: object, read: Callable[[str], T] | None) -> T | None:
        if isinstance(item, str) and read is not None:
            return self.faults.attempt(key, lambda: read(item))
        self.faults.add(key, f"has {item!r}"[:80], expected="whole numbers" if read is None else "words")
        return None

    def _fault(self, key: str, expected: str, *, hint: str = "") -> None:
        happened = f"is {self.data[key]!r}"[:80] if key in self.data else "is missing"
        got = repr(self.data[key])[:80] if key in self.data else ""
        self.faults.add(key, happened, expected=expected, got=got, hint=hint)
