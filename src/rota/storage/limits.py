"""Caps on targets at work at one time: over all runs (`targets`), and for each site (`site:NAME`).

They are rows that may be changed at any moment. How much is used is counted from the targets themselves, in the
transaction that claims, so no count can go wrong; where there is no cap nothing is counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.ports import Tx
from rota.storage.statements import Statements

_LIMITS = Statements("limits")
RUNS, TARGETS, SITE = "runs", "targets", "site:"
_UNLIMITED = 1 << 60


class LimitRow(NamedTuple):
    """`used`: of `runs` those that hold a slot; of the others the targets at work."""

    key: str
    cap: int
    used: int


@dataclass(slots=True)
class Room:
    """How many targets more may start in this transaction. `sites` has only those with a cap."""

    total: int = _UNLIMITED
    sites: dict[str, int] = field(default_factory=dict)

    @classmethod
    def now(cls, tx: Tx) -> Room:
        room = cls()
        for key, cap in tx.driver.execute(_LIMITS.caps).fetchall():
            if key == TARGETS:
                room.total = cap - at_work(tx, key)
            else:
                room.sites[key.removeprefix(SITE)] = cap - at_work(tx, key)
        return room

    def has(self, site: str | None) -> bool:
        return self.total > 0 and (site is None or self.sites.get(site, 1) > 0)

    def take(self, site: str | None) -> None:
        self.total -= 1
        if site in self.sites:
            self.sites[site] -= 1

    @property
    def full_sites(self) -> str:
        """Sites where nothing more may start, as a JSON list."""
        return json.dumps([site for site, left in self.sites.items() if left <= 0])


def any_on_targets(tx: Tx) -> bool:
    """Whether there is any cap on targets at all."""
    return bool(tx.driver.execute(_LIMITS.any).fetchone()[0])


def all_limits(tx: Tx) -> list[LimitRow]:
    """All caps by key, with what is used of them now."""
    rows = [LimitRow._make(row) for row in tx.driver.execute(_LIMITS.all).fetchall()]
    return [row if row.key == RUNS else row._replace(used=at_work(tx, row.key)) for row in rows]


def set_limit(tx: Tx, key: str, cap: int) -> None:
    """From the next claim on. What is at work beyond it goes on."""
    tx.driver.execute(_LIMITS.set, (key, cap))


def remove_limit(tx: Tx, key: str) -> None:
    tx.driver.execute(_LIMITS.remove, (key,))


def at_work(tx: Tx, key: str) -> int:
    """How many targets that a cap of this key counts are at work now."""
    if key == TARGETS:
        (count,) = tx.driver.execute(_LIMITS.at_work).fetchone()
    else:
        (count,) = tx.driver.execute(_LIMITS.at_work_in, (key.removeprefix(SITE),)).fetchone()
    return int(count)
