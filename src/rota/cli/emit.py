"""One answer, printed in the form that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rota.cli.session import Session, out

# What is printed is the API's own JSON: typed dictionaries, which no other type describes to mypy.
Data = Any


def emit(session: Session, data: Data, *, people: Callable[[], None], name: str = "name") -> None:
    """Print `data` for a program, or call `people` to print it for a person.

    A listing is a dictionary with "items": `jsonl` and `name` print a line for each of them. `name` is the key
    that `-o name` prints.
    """
    match session.output:
        case "json":
            out(json.dumps(data, indent=2, ensure_ascii=False))
        case "yaml":
            from rota.cli.yaml import dump

            out(dump(data))
        case "jsonl":
            for item in _items(data):
                out(json.dumps(item, ensure_ascii=False))
        case "name":
            for item in _items(data):
                if named := _named(item, name):
                    out(named)
        case _:
            people()


def _named(item: Data, key: str) -> str:
    """Empty for what has no name: a refusal in the history is no run that another command could be given."""
    value = item if isinstance(item, str) else item.get(key, item.get("id"))
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


def _items(data: Data) -> list[Data]:
    return list(data["items"]) if isinstance(data, dict) and "items" in data else [data]
