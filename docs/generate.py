"""Fill in the parts of the docs that the code knows best. `tests/docs` fails when one of them is out of date.

    python docs/generate.py           write them
    python docs/generate.py --check   name the pages that are out of date; the exit code is 1 then

A page says where such a part belongs, with a line `<!-- generated: NAME -->` above it and `<!-- end: NAME -->` below.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
from fastapi.routing import APIRoute

from rota.actions import registry
from rota.api import backups, calendars, groups, hosts, instance, jobs, limits, pauses, playbooks, runs
from rota.cli.command import GLOBAL_OPTIONS
from rota.cli.main import rota
from rota.domain.reasons import EXPLANATIONS
from rota.domain.states import ATTEMPT_MOVES, RUN_MOVES, TARGET_MOVES
from rota.settings import Settings
from rota.templating.filters import FILTERS, TESTS

DOCS = Path(__file__).parent
_PART = re.compile(r"(?P<head><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<foot><!-- end: (?P=name) -->)", re.DOTALL)


def fresh(page: str) -> str:
    """`page` with every generated part as the code has it now. KeyError for a name that nobody generates."""
    return _PART.sub(lambda part: f"{part['head']}\n{PARTS[part['name']]().strip()}\n\n{part['foot']}", page)


def stale() -> Iterator[tuple[Path, str]]:
    """Each page that is out of date, with the text it should have."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text()
        if (now := fresh(text)) != text:
            yield path, now


def main(arguments: list[str]) -> int:
    found = list(stale())
    for path, text in found:
        sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")
        if "--check" not in arguments:
            path.write_text(text)
    return 1 if found and "--check" in arguments else 0


# The command line


def commands(root: click.Group = rota) -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, groups before what is in them."""

    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            with click.Context(command) as context:
                for below in command.list_commands(context):
                    found = command.get_command(context, below)
                    assert found is not None, f"{name} lists {below} and does not have it"
                    yield from walk(f"{name} {below}", found)

    yield from walk("rota", root)


def own_params(command: click.Command) -> list[click.Parameter]:
    """A command's arguments and options, without the global ones and `--help`."""
    with click.Context(command) as context:
        return [
            param for param in command.get_params(context) if param not in GLOBAL_OPTIONS and "--help" not in param.opts
        ]


def _commands() -> str:
    return "\n\n".join(_command(name, command) for name, command in commands() if name != "rota")


def _command(name: str, command: click.Command) -> str:
    with click.Context(command, info_name=name) as context:
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        aliases = getattr(command, "aliases", {})
    parts = [f"{'##' if name.count(' ') == 1 else '###'} `{name}`", _paragraphs(command.help or "")]
    if isinstance(command, click.Group) and aliases:
        parts.append(f"Other names: {', '.join(f'`{name} {alias}`' for alias in aliases)}.")
    parts.append(f"```text\n{usage}\n```")
    if options := [param for param in own_params(command) if isinstance(param, click.Option)]:
        parts.append(_table(["option", "meaning"], [_option(option) for option in options]))
    parts.append(f"Example:\n\n```sh\n{command.epilog or ''}\n```")
    return "\n\n".join(parts)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _option(option: click.Option) -> list[str]:
    value = "" if option.is_flag else f" {option.metavar or _value_of(option)}"
    default = f" Default: {option.default}." if option.show_default and option.default is not None else ""
    repeat = " May be repeated." if option.multiple and "repeated" not in (option.help or "") else ""
    return [f"`{', '.join(option.opts)}{value}`", f"{option.help or ''}{default}{repeat}"]


def _value_of(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(option.type.choices)
    return "N" if "integer" in option.type.name else "TEXT"


def _global_options() -> str:
    options = [option for option in GLOBAL_OPTIONS if isinstance(option, click.Option)]
    return _table(["option", "meaning"], [_option(option) for option in options])


# Actions


def _actions() -> str:
    return "\n\n".join(_action(kind) for kind in registry.kinds())


def _action(kind: str) -> str:
    spec, schema = registry.get(kind), registry.schema(kind)
    parts = [f"## `{kind}`", f"{spec.summary}."]
    if schema["properties"]:
        required = schema.get("required", [])
        rows = [
            [f"`{name}`", _type(field), _default(field, name in required), _meaning(spec, name, field)]
            for name, field in schema["properties"].items()
        ]
        parts.append(_table(["parameter", "type", "default", "meaning"], rows))
    else:
        parts.append("It takes no parameters.")
    if spec.main:
        parts.append(f"`{kind}: TEXT` and `--do '{kind}: TEXT'` mean its `{spec.main}`.")
    if not spec.in_playbooks:
        parts.append("It is for jobs and `--do`; a playbook cannot hold another playbook.")
    parts.append(f"```yaml\n{kind}: {json.dumps(spec.example, ensure_ascii=False)}\n```")
    return "\n\n".join(parts)


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return _type(next(each for each in field["anyOf"] if each.get("type") != "null"))
    if field.get("type") == "array":
        return {"string": "list of texts", "integer": "list of whole numbers"}[field["items"]["type"]]
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return names.get(field.get("type", ""), "mapping" if field.get("type") == "object" else "any")


def _default(field: Mapping[str, Any], is_required: bool) -> str:
    default = field.get("default")
    return "required" if is_required else "" if default is None else f"`{json.dumps(default)}`".replace('"', "")


def _meaning(spec: Any, name: str, field: Mapping[str, Any]) -> str:
    descriptions = [each.get("description") for each in (field, *field.get("anyOf", []))]
    told = next(filter(None, descriptions), "")
    return "; ".join(filter(None, [told, "may be a template" if name in spec.templates else ""]))


# States and reasons

_STATE_MEANINGS = {
    "waiting": "for what `waiting_for` names: a slot, or an older run of the job to end",
    "queued": "ready; a worker may claim it",
    "running": "in work",
    "succeeded": "everything went well",
    "partial": "some targets succeeded and some did not",
    "failed": "a step failed",
    "timed_out": "a step, or the whole run, took longer than it may",
    "cancelled": "a person, a newer run or a shutdown ended it; or the daemon crashed under it",
    "skipped": "never started (a run); `when` or `os` said no (a step)",
    "expired": "never started, and its time is over; no rule of this release makes it",
    "unreachable": "the host could not be reached; no connector of this release makes it",
    "unknown": "it was started, and nobody can say how it ended",
}


def _states() -> str:
    things: Mapping[str, Mapping[Any, frozenset[Any]]] = {
        "A run": RUN_MOVES,
        "A run target": TARGET_MOVES,
        "An attempt": ATTEMPT_MOVES,
    }
    return "\n\n".join(_machine(what, moves) for what, moves in things.items())


def _machine(what: str, moves: Mapping[Any, frozenset[Any]]) -> str:
    states: type[StrEnum] = type(next(iter(moves)))
    first = next(iter(states))
    arrows = [f"    [*] --> {first}"]
    arrows += [f"    {state} --> {to}" for state in moves for to in states if to in moves[state]]
    arrows += [f"    {state} --> [*]" for state in states if state not in moves]
    diagram = "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```"])
    rows = [[f"`{state}`", "" if state in moves else "final", _STATE_MEANINGS[state]] for state in states]
    return f"## {what}\n\n{diagram}\n\n{_table(['state', '', 'meaning'], rows)}"


def _reasons() -> str:
    return _table(["reason", "meaning"], [[f"`{reason}`", text] for reason, text in EXPLANATIONS.items()])


# Settings, templates, routes


def _settings() -> str:
    schema = Settings.model_json_schema()

    def rows(properties: Mapping[str, Any], path: str) -> Iterator[list[str]]:
        for name, field in properties.items():
            if "$ref" in field:
                section = schema["$defs"][field["$ref"].rpartition("/")[2]]
                yield from rows(section["properties"], f"{path}{name}.")
                continue
            variable = "ROTA_" + f"{path}{name}".replace(".", "__").upper()
            kind = _type(field) + (f", {field['minimum']} to {field['maximum']}" if "minimum" in field else "")
            yield [f"`{path}{name}`", kind, f"`{json.dumps(field['default'])}`".replace('"', ""), f"`{variable}`"]

    return _table(["setting", "value", "default", "environment"], list(rows(schema["properties"], "")))


def _filters() -> str:
    words = " ".join(f"`{name}`" for name in sorted(FILTERS))
    tests = " ".join(f"`{name}`" for name in sorted(TESTS))
    return f"Filters: {words}\n\nTests (after `is`): {tests}"


def routes() -> Iterator[APIRoute]:
    """Every route of API v1."""
    for noun in (instance, jobs, runs, calendars, pauses, playbooks, hosts, groups, limits, backups):
        yield from (route for route in noun.router.routes if isinstance(route, APIRoute))


def _routes() -> str:
    return _table(
        ["request", "answers with"],
        [
            [f"`{method} /api/v1{route.path}`", _answer(route)]
            for route in routes()
            for method in sorted(route.methods or ())
        ],
    )


def _answer(route: APIRoute) -> str:
    shape = getattr(route.response_model, "__name__", "a stream of events")
    return f"{route.status_code or 200}, {shape}"


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS: Mapping[str, Callable[[], str]] = {
    "actions": _actions,
    "commands": _commands,
    "filters": _filters,
    "global-options": _global_options,
    "reasons": _reasons,
    "routes": _routes,
    "settings": _settings,
    "states": _states,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
