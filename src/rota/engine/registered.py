"""What earlier attempts of a target left behind, read back where it matters: registered values, and since when."""

from __future__ import annotations

import json

from rota.domain.instant import Micros
from rota.domain.plan import Plan
from rota.domain.step import Json
from rota.ports import Tx


def registered_before(tx: Tx, target_id: int, plan: Plan) -> dict[str, dict[str, Json]]:
    """The registered values of this target's ended steps, by register name."""
    if not any(step.register for step in plan.steps):
        return {}
    rows = tx.driver.execute(
        "SELECT step, registered FROM attempt WHERE run_target_id = ? AND registered IS NOT NULL ORDER BY step, number",
        (target_id,),
    ).fetchall()
    found: dict[str, dict[str, Json]] = {}
    for index, text in rows:
        name = plan.steps[index].register
        if name:
            found[name] = json.loads(text)
    return found


def step_began_at(tx: Tx, target_id: int, step: int) -> Micros | None:
    """When the first attempt of a step was intended. None: there is none, or whoever holds the target took it back."""
    (began,) = tx.driver.execute(
        "SELECT min(intended_at) FROM attempt WHERE run_target_id = ? AND step = ?", (target_id, step)
    ).fetchone()
    return None if began is None else int(began)
