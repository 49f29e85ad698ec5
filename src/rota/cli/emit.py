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
                out(item if isinstance(item, str) else str(item.get(name) or item.get("id")))
        case _:
            people()


def _items(data: Data) -> list[Data]:
    return list(data["items"]) if isinstance(data, dict) and "items" in data else [data]
