"""Every action kind, and the questions that can be asked of one: its schema, and all faults of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rota.actions.exec import EXEC, SUDO
from rota.actions.fs import FS_CHMOD, FS_MKDIR, FS_READ, FS_REMOVE, FS_WRITE
from rota.actions.http import HTTP
from rota.actions.noop import NOOP
from rota.actions.playbook import PLAYBOOK, modifier_faults
from rota.actions.script import SCRIPT
from rota.actions.service import SERVICE
from rota.actions.shell import SHELL
from rota.actions.spec import ActionSpec
from rota.domain.errors import FieldError, NotFound, near
from rota.domain.retry import retry_faults
from rota.domain.step import Json, Step
from rota.templating import language
from rota.templating.quoting import Quoting

_SPECS: tuple[ActionSpec[Any], ...] = (
    SHELL, SCRIPT, PLAYBOOK, NOOP, HTTP, EXEC, SUDO, FS_WRITE, FS_READ, FS_MKDIR, FS_REMOVE, FS_CHMOD, SERVICE,
)  # fmt: skip
KINDS: dict[str, ActionSpec[Any]] = {spec.kind: spec for spec in _SPECS}


def kinds() -> list[str]:
    """All kinds, in the order in which help shows them."""
    return list(KINDS)


def get(kind: str) -> ActionSpec[Any]:
    """Raises NotFound with a near name."""
    if kind not in KINDS:
        raise NotFound(f'no action kind "{kind}"', expected="one of " + " ".join(KINDS), hint=near(kind, KINDS))
    return KINDS[kind]


@cache
def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a kind's parameters. Raises NotFound."""
    spec = get(kind)
    return {**spec.params.model_json_schema(), "title": kind, "description": spec.summary}


def check(kind: str, params: Mapping[str, Json], *, where: str = "params") -> list[FieldError]:
    """All faults of an action's parameters: names, types, rules and templates. Empty when it may be saved.

    `where` begins each fault's field: `params.command`.
    """
    if kind not in KINDS:
        message = f'no action kind "{kind}"'
        return [FieldError(field=where, message=message, expected="one of " + " ".join(KINDS), hint=near(kind, KINDS))]
    spec = KINDS[kind]
    faults = type_faults(spec, params, rendered=False)
    faulty = {fault.field for fault in faults}
    faults += [fault for fault in spec.rules(params) if fault.field not in faulty]
    for name, text, quoting in templates(spec, params):
        faults += language.check(text, where=name, quoting=quoting)
    faults += _keys_with_braces(spec, params) + _nul(params)
    return [replace(fault, field=_dotted(where, fault.field)) for fault in faults]


def check_step(step: Step, *, where: str = "") -> list[FieldError]:
    """All faults of a step: its parameters, its `when`, and modifiers that its kind cannot honour."""
    faults = check(step.action, step.params, where=_dotted(where, "params"))
    if step.when is not None:
        faults += language.check_expression(step.when, where=_dotted(where, "when"))
    if step.action == PLAYBOOK.kind:
        faults += [replace(fault, field=_dotted(where, fault.field)) for fault in modifier_faults(step)]
    else:
        faults += [replace(fault, field=_dotted(where, fault.field)) for fault in retry_faults(step)]
    return faults


def uses_raw(step: Step) -> list[str]:
    """The variables that a step pastes into a command without quoting, for plan and policy."""
    if step.action not in KINDS:
        return []
    found = templates(KINDS[step.action], step.params)
    return [raw for _, text, quoting in found if quoting is Quoting.SHELL for raw in language.uses_raw(text)]


def templates(spec: ActionSpec[Any], params: Mapping[str, Json]) -> Iterator[tuple[str, str, Quoting]]:
    """(path, text, quoting) of every text in the parameters that is a template; paths such as `env.PATH`, `argv[1]`."""
    for name, quoting in spec.templates.items():
        for path, text in texts(params.get(name), name):
            if language.needs_render(text):
                yield path, text, quoting


def texts(value: Json, path: str) -> Iterator[tuple[str, str]]:
    """Every text within a value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from texts(item, f"{path}[{at}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, f"{path}.{key}")


def type_faults(spec: ActionSpec[Any], params: Mapping[str, Json], *, rendered: bool = True) -> list[FieldError]:
    """What the kind's model finds: unknown, missing, of the wrong type, out of range.

    Before rendering, a template's own text need not look like what it will be.
    """
    try:
        spec.params.model_validate(dict(params))
    except ValidationError as error:
        later = set() if rendered else {path for path, _, _ in templates(spec, params)}
        details = error.errors(include_url=False)
        return [
            _fault(spec, detail)
            for detail in details
            if not (detail["type"] in _JUDGED_WHEN_RENDERED and _path(detail["loc"]) in later)
        ]
    return []


_JUDGED_WHEN_RENDERED = {"string_pattern_mismatch", "string_too_long"}
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not a parameter",
    "string_type": "is not text",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "int_type": "is not a whole number",
    "float_type": "is not a number",
    "bool_type": "is not true or false",
    "list_type": "is not a list",
    "dict_type": "is not a mapping",
    "literal_error": "is not one of its values",
    "string_pattern_mismatch": "is not of the right form",
}


def _fault(spec: ActionSpec[Any], detail: ErrorDetails) -> FieldError:
    kind, path = detail["type"], _path(detail["loc"])
    message = _MESSAGES.get(kind) or detail["msg"].removeprefix("Value error, ")
    described = {field.alias or name: field.description or "" for name, field in spec.params.model_fields.items()}
    expected, hint = described.get(path, ""), ""
    if kind == "extra_forbidden":
        hint = near(str(detail["loc"][-1]), described)
        expected = f"one of {' '.join(described)}" if described else "no parameters"
    elif kind in ("literal_error", "string_pattern_mismatch") and not expected:
        context = detail.get("ctx", {})
        expected = str(context.get("expected") or context.get("pattern") or "")
    got = "" if kind in ("missing", "extra_forbidden") else repr(detail["input"])[:80]
    return FieldError(field=path, message=message, expected=expected, got=got, hint=hint)


def _path(location: tuple[int | str, ...]) -> str:
    """pydantic's location in our words: `env.PATH`, `argv[1]`."""
    path = ""
    for part in location:
        if part != "[key]":
            path = f"{path}[{part}]" if isinstance(part, int) else _dotted(path, part)
    return path


def _keys_with_braces(spec: ActionSpec[Any], params: Mapping[str, Json]) -> list[FieldError]:
    """Names in mappings are never rendered; refuse what looks as if it should be."""
    return [
        FieldError(field=name, message=f'the name "{key}" is a template', expected="plain names; values may be")
        for name in spec.templates
        for key in _keys(params.get(name))
        if language.needs_render(key)
    ]


def _keys(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def _nul(params: Mapping[str, Json]) -> list[FieldError]:
    return [
        FieldError(field=path, message="holds a NUL character", expected="text without it")
        for name, value in params.items()
        for path, text in texts(value, name)
        if "\0" in text
    ]


def _dotted(where: str, field: str) -> str:
    if not where or not field:
        return where or field
    return f"{where}{field}" if field.startswith("[") else f"{where}.{field}"
