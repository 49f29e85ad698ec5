"""A playbook's YAML text to a `Playbook`; faults say the line. The stored item keeps the original text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rota.actions import registry
from rota.actions.yaml_reader import Document, read_yaml
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.playbook import Playbook, Reference, parse
from rota.domain.step import Json
from rota.templating import language

_GO_VARIABLE: Final = re.compile(r"(\{\{-?)\s*\.Vars\.")


class RegistryRules:
    """The registry's and the template language's answers to `domain.playbook.StepRules`."""

    def actions(self) -> Mapping[str, str | None]:
        return {kind: spec.main for kind, spec in registry.KINDS.items() if spec.in_playbooks}

    def faults(self, action: str, params: Mapping[str, Json], where: str) -> list[FieldError]:
        return registry.check(action, params, where=where)

    def condition_faults(self, expression: str, where: str) -> list[FieldError]:
        return language.check_expression(expression, where=where)

    def names(self, action: str, params: Mapping[str, Json], where: str) -> list[Reference]:
        found = registry.templates(registry.KINDS[action], params)
        return [
            Reference(f"{where}.{path}", name)
            for path, text, quoting in found
            for name in sorted(language.names_in(text, quoting))
        ]

    def condition_names(self, expression: str, where: str) -> list[Reference]:
        return [Reference(where, name) for name in sorted(language.read_expression(expression).references)]


def read_playbook(text: str) -> Playbook:
    """Read a playbook's YAML. Raises InvalidInput that names every fault, each with its line."""
    document = read_yaml(text, what="playbook")
    try:
        return parse(from_go(document.data), RegistryRules())
    except InvalidInput as error:
        raise InvalidInput.of(_with_line(fault, document) for fault in error.errors) from None


def from_go(value: Json) -> Json:
    """Turn the `{{.Vars.x}}` of the original playbooks into `{{ vars.x }}`, at any depth."""
    if isinstance(value, str):
        return _GO_VARIABLE.sub(r"\1 vars.", value)
    if isinstance(value, list):
        return [from_go(item) for item in value]
    if isinstance(value, dict):
        return {key: from_go(item) for key, item in value.items()}
    return value


def _with_line(fault: FieldError, document: Document) -> FieldError:
    """Add the line of the fault's field, or of the nearest thing around it that is in the text."""
    path = fault.field
    while path and path not in document.lines:
        path = re.sub(r"(\.[^.\[]*|\[\d+\]|^[^.\[]+)$", "", path)
    line = document.lines.get(path)
    return fault if line is None else replace(fault, message=f"{fault.message} (line {line})")
