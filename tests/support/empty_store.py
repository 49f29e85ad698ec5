"""A new SQLite store without migrating one: that costs more than most tests do."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from rota.storage.schema import prepare


def lay_empty_store(path: Path) -> None:
    """Put a store at `path` as `prepare` leaves a new one."""
    path.write_bytes(_empty_store())
    path.chmod(0o600)


@cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rota.db"
        prepare(path, create=True)
        return path.read_bytes()
