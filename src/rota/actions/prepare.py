"""From a step and its context to what is to be done: skip it, order it, perform it, or nothing more.

    prepared = prepare_now(step, context) or await prepare(step, context, renderer)
    match prepared:
        case Skip(reason): ...                     # the step is over; later steps see SKIPPED under its register
        case Ordered(order, read): result = read(await connector.carry_out(order))
        case Perform(perform): result = await perform()
        case Instant(result): ...

A template that fails, or parameters that are wrong once rendered, fail the step: an `Instant` whose result is not ok.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from rota.actions import registry
from rota.actions.spec import ActionSpec, AtOnce, Expands, InProcess, OnHost, Params
from rota.domain.errors import InvalidInput
from rota.domain.step import Exit, Json, Order, Step, StepContext, StepResult
from rota.templating.renderer import Field, Renderer

SKIPPED: Final[Mapping[str, Json]] = {"ok": True, "changed": False, "skipped": True, "stdout": "", "exit_code": None}
"""What later steps see under the `register` name of a step that was skipped."""

_HERE: Final = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
_THIS_MACHINE: Final = frozenset({"@controller", "local"})


@dataclass(frozen=True, slots=True)
class Skip:
    """The step is not for this host, or its `when` is false."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """The connector carries `order` out; `read` makes the verdict from how it ended."""

    order: Order
    read: Callable[[Exit], StepResult]


@dataclass(frozen=True, slots=True)
class Perform:
    """Rota does it itself. Call once; cancelling ends it. It has no step timeout of its own but the action's."""

    perform: Callable[[], Awaitable[StepResult]]


@dataclass(frozen=True, slots=True)
class Instant:
    """It is done already."""

    result: StepResult


Prepared = Skip | Ordered | Perform | Instant


def ready_now(step: Step) -> Callable[[StepContext], Prepared] | None:
    """How to prepare a step that needs no rendering; None where it does, or has a `when` that must be evaluated.

    What is the same for every context is done once, here: a step that many runs share is validated only once.
    """
    spec = registry.KINDS.get(step.action)
    if step.when is not None or spec is None or any(True for _ in registry.templates(spec, step.params)):
        return None
    model = _validated(spec, step.params)
    return lambda context: _other_system(step, context) or _prepared(spec, model, context)


def prepare_now(step: Step, context: StepContext) -> Prepared | None:
    """Prepare a step that needs no rendering; None where it does, or has a `when` that must be evaluated."""
    if skip := _other_system(step, context):
        return skip
    ready = ready_now(step)
    return ready(context) if ready is not None else None


async def prepare(step: Step, context: StepContext, renderer: Renderer) -> Prepared:
    """Evaluate `when`, render the parameters, check them once more and make the order.

    Raises NotFound for an unknown kind and Unavailable where no renderer can be had; what is wrong with the step's
    own words fails the step.
    """
    if skip := _other_system(step, context):
        return skip
    spec = registry.get(step.action)
    variables = template_variables(context)
    try:
        if step.when is not None and not await renderer.evaluate(step.when, variables):
            return Skip(f"when is false: {step.when}")
        params = await _rendered(spec, step.params, variables, frozenset(context.registered), renderer)
    except InvalidInput as error:
        return Instant(_refused(error))
    return _prepared(spec, _validated(spec, params), context)


def template_variables(context: StepContext) -> dict[str, Json]:
    """What a template may name: variables by name and under `vars`, registered results, `host` and `run`."""
    return {
        **context.variables,
        **{name: dict(value) for name, value in context.registered.items()},
        "vars": dict(context.variables),
        "host": dict(context.host),
        "run": dict(context.run),
    }


async def _rendered(
    spec: ActionSpec[Any],
    params: Mapping[str, Json],
    variables: Mapping[str, Json],
    tainted: frozenset[str],
    renderer: Renderer,
) -> Mapping[str, Json]:
    fields = {path: Field(text, quoting) for path, text, quoting in registry.templates(spec, params)}
    if not fields:
        return params
    values = await renderer.render(fields, variables, tainted=tainted)
    rendered = {name: _replaced(params[name], name, values) for name in spec.templates if name in params}
    return {**params, **rendered}


def _replaced(value: Json, path: str, values: Mapping[str, str]) -> Json:
    """`value` with the texts at the paths of `values` replaced; paths as `registry.texts` writes them."""
    if isinstance(value, str):
        return values.get(path, value)
    if isinstance(value, list):
        return [_replaced(item, f"{path}[{at}]", values) for at, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: _replaced(item, f"{path}.{key}", values) for key, item in value.items()}
    return value


def _validated(spec: ActionSpec[Any], params: Mapping[str, Json]) -> Params | StepResult:
    """The parameters as the action takes them, or why it does not: rendering may have made of a path none."""
    try:
        model: Params = spec.params.model_validate(dict(params))
    except ValidationError:
        return _refused(InvalidInput.of(registry.type_faults(spec, params)))
    return model


def _prepared(spec: ActionSpec[Any], model: Params | StepResult, context: StepContext) -> Prepared:
    """Make the order of valid parameters; what is wrong with others is the step's result."""
    if isinstance(model, StepResult):
        return Instant(model)
    match spec.work:
        case OnHost(order=order, read=read):
            return Ordered(order(model, context), lambda ended: read(model, ended))
        case InProcess(perform=perform):
            return Perform(lambda: perform(model, context))
        case AtOnce(instant=instant):
            return Instant(instant(model, context))
        case Expands():
            raise InvalidInput(f"a {spec.kind} step is replaced by its steps when the plan is made")


def _other_system(step: Step, context: StepContext) -> Skip | None:
    if step.os is None:
        return None
    system = context.host.get("os")
    if system is None and context.host.get("name") in _THIS_MACHINE:
        system = _HERE
    if system == step.os:
        return None
    return Skip(f"the step is for {step.os}; the host's system is {system or 'not known'}")


def _refused(error: InvalidInput) -> StepResult:
    return StepResult(ok=False, message=str(error), registered={"ok": False, "changed": None, "skipped": False})
