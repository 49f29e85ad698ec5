"""What the registry knows about an action kind. A kind is one `ActionSpec`, in a module of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from rota.domain.errors import FieldError
from rota.domain.step import Exit, Json, Order, StepContext, StepResult
from rota.templating.quoting import Quoting


class Params(BaseModel):
    """Base of every kind's parameters: unknown names and wrong types are errors, "5" is not a number.

    Defaults may be lists and mappings: the models are frozen, and pydantic copies such a default for each.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class NoParams(Params):
    """For kinds that take none."""


Text = Annotated[str, StringConstraints(min_length=1)]
"""Text that says something. A NUL is refused for every parameter, by `registry.check`."""

P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True)
class OnHost(Generic[P]):
    """Carried out by the connector: `order` says what, `read` makes the verdict from how it ended."""

    order: Callable[[P, StepContext], Order]
    read: Callable[[P, Exit], StepResult]


@dataclass(frozen=True, slots=True)
class InProcess(Generic[P]):
    """Done by Rota itself, awaiting the outside world. A failing action is a result, not an exception."""

    perform: Callable[[P, StepContext], Awaitable[StepResult]]


@dataclass(frozen=True, slots=True)
class AtOnce(Generic[P]):
    """Done by Rota itself, now; cannot block, and touches nothing, so that it may be done over after a crash."""

    instant: Callable[[P, StepContext], StepResult]


@dataclass(frozen=True, slots=True)
class Expands:
    """Stands for other steps, which take its place when the plan is made. See `actions.playbook.expand`."""


Work = OnHost[P] | InProcess[P] | AtOnce[P] | Expands


def _no_rules(params: Mapping[str, Json]) -> list[FieldError]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec(Generic[P]):
    """One action kind. JSON Schema, validation, forms and docs come from `params`."""

    kind: str
    summary: str
    example: Mapping[str, Json]
    params: type[P]
    work: Work[P]
    main: str | None = None  # the parameter that `--do 'kind: text'` and a playbook's `kind: text` mean
    templates: Mapping[str, Quoting] = field(default_factory=dict)
    """The parameters whose text is rendered, at any depth of lists and mapping values; their keys never are."""
    rules: Callable[[Mapping[str, Json]], list[FieldError]] = _no_rules
    """Rules about several parameters together, on unchecked input; each fault names its parameter."""
    in_playbooks: bool = True

    @property
    def touches_host(self) -> bool:
        """Whether it needs a host: False for what Rota does in its own process."""
        return isinstance(self.work, OnHost | Expands)
