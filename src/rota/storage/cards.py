"""What the planner knows of triggers, read in bulk: plan and targets are frozen here, before planning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from rota.domain.errors import RotaError
from rota.domain.instant import SECOND, Micros
from rota.domain.job import JobSpec
from rota.domain.reasons import Reason
from rota.domain.spreading import spreading_of
from rota.domain.trigger.interval import NEVER
from rota.domain.trigger.spec import ContinuousTrigger, OnStartTrigger, TriggerSpec, from_dict
from rota.domain.trigger.timetable import timetable_within
from rota.ports import RunRequest, Tx
from rota.storage.events import Event
from rota.storage.freeze import TargetSetRow, inventory_version, library_version, plan_for, target_set_for
from rota.storage.planning import Card
from rota.storage.windows import subject_of

_CARDS = """
SELECT due.trigger_id, due.generation, trigger.kind, timetable.rule, job.id, job.version_id, job_version.spec,
       job_version.principal, (
           SELECT max(nominal) FROM run WHERE run.trigger_id = due.trigger_id AND run.nominal > due.high_water
       )
FROM due
JOIN trigger ON trigger.id = due.trigger_id
JOIN timetable ON timetable.id = trigger.timetable_id
JOIN job ON job.id = trigger.job_id
JOIN job_version ON job_version.id = job.version_id
WHERE due.trigger_id IN ({marks})
"""
_UPCOMING = "SELECT trigger_id FROM due WHERE fire_at <= ? ORDER BY fire_at LIMIT ?"


def upcoming(tx: Tx, *, until: Micros, limit: int) -> list[int]:
    """Triggers due up to `until`, soonest first."""
    return [trigger_id for (trigger_id,) in tx.driver.execute(_UPCOMING, (until, limit))]


def load_cards(tx: Tx, trigger_ids: Sequence[int]) -> dict[int, Card]:
    """Make the cards of these triggers as things stand. Writes plans and target sets that are not there yet."""
    cards: dict[int, Card] = {}
    targets: dict[str | None, TargetSetRow] = {}
    for start in range(0, len(trigger_ids), 500):
        part = trigger_ids[start : start + 500]
        marks = ", ".join("?" * len(part))
        for trigger_id, *row in tx.driver.execute(_CARDS.format(marks=marks), tuple(part)).fetchall():
            cards[trigger_id] = _card(tx, targets, *row)
    return cards


def _card(
    tx: Tx, targets: dict[str | None, TargetSetRow], generation: int, kind: str, rule: str, job_id: int,
    version_id: int, spec_text: str, principal: str, ran_until: Micros | None,
) -> Card:  # fmt: skip
    spec = JobSpec.from_dict(json.loads(spec_text))
    trigger = _trigger_of(rule)
    refusal: tuple[Reason, str | None] | None = None
    plan_id, frozen = 0, TargetSetRow(0, "", ())
    try:
        plan_id = plan_for(tx, spec)
        if spec.target not in targets:
            targets[spec.target] = target_set_for(tx, spec.target)
        frozen = targets[spec.target]
        if not frozen.members:
            refusal = Reason.NO_TARGETS, f"no host matches {spec.target}"
    except RotaError as error:  # what the job names has gone since it was saved
        refusal = Reason.PLAN_FAILED, str(error)
    return Card(
        generation=generation,
        inventory_version=None if spec.target is None else inventory_version(tx),
        library_version=library_version(tx) if any(step.action == "playbook" for step in spec.steps) else None,
        timetable=timetable_within(trigger, spec.start_at, spec.end_at) or NEVER,
        request=RunRequest(
            title=spec.name, kind=kind, plan_id=plan_id, target_set_id=frozen.id, members=frozen.members,
            principal=principal, job_id=job_id, job_version_id=version_id, overlap=spec.overlap,
            overlap_limit=spec.policies.overlap_limit, patience=spec.policies.patience,
            priority=spec.priority, targets_at_once=spec.targets_at_once, fan_out=spec.fan_out.rules,
            run_timeout=round(spec.run_timeout_seconds * SECOND),
        ),
        missed=spec.missed,
        grace=round(spec.grace_seconds * SECOND),
        refusal=refusal,
        max_runs=spec.max_runs,
        event=Event(trigger, spec.start_at, spec.end_at)
        if isinstance(trigger, ContinuousTrigger | OnStartTrigger)
        else None,
        spreading=spreading_of(spec.name, spec.spread_seconds, spec.jitter_seconds),
        subject=subject_of(job_id, spec, frozen.members),
        catch_up=spec.policies.catch_up,
        ran_until=ran_until,
    )  # fmt: skip


@lru_cache(maxsize=65_536)
def _trigger_of(rule: str) -> TriggerSpec:
    """A stored rule; equal texts are read once."""
    return from_dict(json.loads(rule))
