"""The environment in which checked templates are compiled and rendered, within the child only.

Behind the walk of `language` stands a second wall: values are plain JSON, an attribute is an item of a mapping and
never an attribute of a Python object, and there are no globals, no calls and no loaders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.step import Json
from rota.templating.filters import FILTERS, HIDDEN, TESTS
from rota.templating.language import expression_tree, template_tree
from rota.templating.quoting import Quoting

LONGEST_OUTPUT: Final = 64 * 1024  # bytes of UTF-8 that one render may give, all fields together


class MissingVariable(UndefinedError):
    """A template asked for something that is not there. The message names it and what is near."""


class Absent(StrictUndefined):
    """What a name without a value stands for: any use but `is defined` and `default` is an error."""

    __slots__ = ()
    known: tuple[str, ...] = ()  # the names of the render at hand; the child renders one at a time

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[Exception] = MissingVariable,
    ) -> None:
        super().__init__(hint, obj, name, MissingVariable)

    @property
    def _undefined_message(self) -> str:
        name = str(self._undefined_name)
        if self._undefined_obj is missing:
            near_name = near(name, Absent.known)
            return f"missing variable `{name}`" + (f"; {near_name}" if near_name else "")
        if isinstance(self._undefined_obj, Mapping):
            near_name = near(name, map(str, self._undefined_obj))
            return f"missing variable: nothing is named `{name}` there" + (f"; {near_name}" if near_name else "")
        return f"missing variable: {_kind(self._undefined_obj)} has no `{name}`"


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with our filters and tests and nothing else."""

    intercepted_binops = frozenset({"*", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=Absent, optimized=False, autoescape=False, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = {**FILTERS, **HIDDEN}
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Give an item of a mapping; Python attributes do not exist here."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Give an item of a mapping by name, or of a list or text by index."""
        by_name = isinstance(obj, Mapping) and isinstance(argument, str)
        by_index = isinstance(obj, Sequence) and isinstance(argument, int)
        if by_name or by_index:
            try:
                return obj[argument]
            except LookupError:
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """`*` and `%` are arithmetic only: on text they repeat and format, without bound."""
        if not all(isinstance(value, int | float) for value in (left, right)):
            raise TypeError(f"`{operator}` needs two numbers, not {_kind(left)} and {_kind(right)}; try `| int`")
        return super().call_binop(context, operator, left, right)


_SANDBOX = Sandbox()


def render(text: str, quoting: Quoting, variables: Mapping[str, Json]) -> str:
    """Render one template. Raises InvalidInput with a sentence for the author."""
    return _run(_template(text, quoting), variables)


def evaluate(expression: str, variables: Mapping[str, Json]) -> bool:
    """Evaluate one `when` expression. Raises InvalidInput with a sentence for the author."""
    return _run(_expression(expression), variables) == "true"


@lru_cache(maxsize=256)
def _template(text: str, quoting: Quoting) -> Template:
    tree, reading = template_tree(text, quoting)
    if tree is None:
        raise InvalidInput.of(reading.faults)
    return _SANDBOX.from_string(tree)


@lru_cache(maxsize=256)
def _expression(text: str) -> Template:
    tree, reading = expression_tree(text)
    if tree is None:
        raise InvalidInput.of(reading.faults)
    return _SANDBOX.from_string(tree)


def _run(template: Template, variables: Mapping[str, Json]) -> str:
    parts, size = [], 0
    try:
        for part in template.generate(variables):
            size += len(part.encode())
            if size > LONGEST_OUTPUT:
                raise _wrong(f"the rendered text is longer than {LONGEST_OUTPUT} bytes")
            parts.append(part)
    except UnicodeEncodeError:
        raise _wrong("the rendered text holds half a surrogate pair, which UTF-8 cannot write") from None
    except (UndefinedError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise _wrong(_sentence(error)) from error
    return "".join(parts)


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.of([FieldError(field="", message=message)])


def _sentence(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, TypeError) and "not supported between" in text:
        return f"{text}; variables are text, so write `| int` before comparing with a number"
    return text


def _kind(value: object) -> str:
    names: dict[type, str] = {str: "text", list: "a list", dict: "a mapping", bool: "true/false"}
    return names.get(type(value), "null" if value is None else "a number")
