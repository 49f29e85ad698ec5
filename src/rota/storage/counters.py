"""Numbers that grow with every change of something: what was read under one is current while it stands."""

from __future__ import annotations

from typing import Literal

from rota.ports import Hint, Tx

Counted = Literal["inventory_version", "library_version"]


def current(tx: Tx, name: Counted) -> int:
    row = tx.driver.execute("SELECT value FROM instance WHERE key = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def bump(tx: Tx, name: Counted) -> None:
    tx.driver.execute(
        "INSERT INTO instance (key, value) VALUES (?, '1')"
        " ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(instance.value AS INTEGER) + 1 AS TEXT)",
        (name,),
    )
    tx.tell(Hint.JOBS)
