"""`--do 'kind: text'`: one step in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rota.actions.registry import KINDS, check
from rota.actions.yaml_reader import read_yaml
from rota.domain.errors import FieldError, InvalidInput, near
from rota.domain.step import Json, Step

_METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS"


def parse_do(text: str) -> Step:
    """Read `shell: df -h`, `http: POST https://…`, `playbook: backup`, `noop`, or `kind: {param: value}`.

    Raises InvalidInput that names every fault.
    """
    kind, colon, rest = (part.strip() for part in text.partition(":"))
    if kind not in KINDS:
        raise _unknown(text, kind if colon else text.split(" ", 1)[0])
    params = _params(kind, rest)
    if faults := check(kind, params, where="--do"):
        raise InvalidInput.of(faults)
    return Step(name=kind, action=kind, params=params)


def _params(kind: str, rest: str) -> Mapping[str, Json]:
    main = KINDS[kind].main
    if re.match(r"\{(?!\{|%)", rest) and rest.endswith("}"):  # a mapping, and not a template
        params = read_yaml(rest, what="--do").data
        if isinstance(params, dict):
            return params
    if not rest:
        return {}
    if main is None:
        example = f"--do '{kind}: {{…}}'" if KINDS[kind].params.model_fields else f"--do {kind}"
        raise InvalidInput.of([FieldError(field="--do", message=f"{kind} takes no text", expected=example, got=rest)])
    if kind == "http" and (match := re.fullmatch(rf"({_METHODS.replace(' ', '|')})\s+(\S+)", rest)):
        return {"method": match[1], "url": match[2]}
    return {main: rest}


def _unknown(text: str, word: str) -> InvalidInput:
    """Text without a known kind is refused: a typo must not become a command."""
    expected = f"a kind and a colon: {' '.join(KINDS)}"
    hint = near(word, KINDS) or f"--do 'shell: {text}'"
    message = f'"{word}" is no action kind'
    return InvalidInput.of([FieldError(field="--do", message=message, expected=expected, got=text[:80], hint=hint)])
