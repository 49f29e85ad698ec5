"""Plans by row id, kept in memory: immutable, shared by many runs, read once."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable

from rota.domain.plan import Plan
from rota.ports import Store, Tx

KEPT = 20_000


class Plans:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._plans: OrderedDict[int, Plan] = OrderedDict()

    def peek(self, plan_id: int) -> Plan | None:
        """The plan if it is at hand."""
        return self._plans.get(plan_id)

    async def get(self, plan_id: int) -> Plan:
        if plan_id not in self._plans:
            await self.load([plan_id])
        return self._plans[plan_id]

    async def load(self, plan_ids: Iterable[int]) -> None:
        """Have these at hand."""
        wanted = [plan_id for plan_id in set(plan_ids) if plan_id not in self._plans]
        if not wanted:
            return
        for plan_id, text in await self._store.read(lambda tx: _contents(tx, wanted)):
            self._plans[plan_id] = Plan.from_dict(json.loads(text))
        while len(self._plans) > KEPT:
            self._plans.popitem(last=False)


def _contents(tx: Tx, plan_ids: list[int]) -> list[tuple[int, str]]:
    found = []
    for start in range(0, len(plan_ids), 500):
        part = plan_ids[start : start + 500]
        marks = ", ".join("?" * len(part))
        found += tx.driver.execute(f"SELECT id, content FROM plan WHERE id IN ({marks})", part).fetchall()  # noqa: S608  # marks only
    return found
