"""The hot statements as driver SQL, from the `.sql` files beside this module.

A file is named for the store function that uses it; `-- name: x` begins statement x of that file.
"""

from __future__ import annotations

import re
from importlib.resources import files


class Statements:
    """`Statements("plan").due` is the SQL text of that statement."""

    def __init__(self, stem: str) -> None:
        text = files("rota.storage").joinpath("sql", f"{stem}.sql").read_text(encoding="utf-8")
        parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
        # Plain attributes: a statement is asked for with each turn, and looking it up by a function costs 0.2 µs more.
        vars(self).update({name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)})

    def __getattr__(self, name: str) -> str:
        raise AttributeError(f"no statement {name!r}; there are {', '.join(vars(self))}")
