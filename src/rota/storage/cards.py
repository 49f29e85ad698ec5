"""What the planner knows of triggers, read in bulk: plan and targets are frozen here, before planning.

A million jobs may be due in one second. So a card is small, and nearly all of it is shared: jobs that differ in their
names alone have one `CardTerms` between them, and their versions are read as JSON once for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar

from rota.domain.errors import RotaError
from rota.domain.instant import SECOND, Micros
from rota.domain.job import JobSpec
from rota.domain.policy import CATCH_UP, CatchUp, Missed
from rota.domain.reasons import Reason
from rota.domain.spreading import Spreading, spreading_of
from rota.domain.trigger.interval import NEVER
from rota.domain.trigger.spec import ContinuousTrigger, OnStartTrigger, TriggerSpec, from_dict
from rota.domain.trigger.timetable import Timetable, timetable_within
from rota.ports import RunTerms, Tx
from rota.storage.events import Event
from rota.storage.freeze import TargetSetRow, inventory_version, library_version, plan_for, target_set_for
from rota.storage.windows import NOBODY, Subject, subject_of

_CARDS = """
SELECT due.trigger_id, due.generation, job.id, job.version_id, job.name, (
           SELECT max(nominal) FROM run WHERE run.trigger_id = due.trigger_id AND run.nominal > due.high_water
       ), trigger.kind, timetable.rule, job_version.principal, job_version.spec
FROM due
JOIN trigger ON trigger.id = due.trigger_id
JOIN timetable ON timetable.id = trigger.timetable_id
JOIN job ON job.id = trigger.job_id
JOIN job_version ON job_version.id = job.version_id
WHERE due.trigger_id IN ({marks})
"""
_UPCOMING = "SELECT trigger_id FROM due WHERE fire_at <= ? ORDER BY fire_at LIMIT ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTerms(RunTerms):
    """How a trigger is planned, but for whose it is, frozen under the versions that it depends on.

    `refusal`: there is nothing to run, for this reason (no host matches, the playbook is gone).
    """

    inventory_version: int | None  # None: its targets do not come from the inventory
    library_version: int | None  # None: it names no playbook
    timetable: Timetable
    missed: Missed
    grace: Micros
    refusal: tuple[Reason, str | None] | None = None
    max_runs: int | None = None
    event: Event | None = None  # what it is due upon, where `timetable` has no instants
    spreading: Spreading | None = None  # without the seed, which is the job's name
    subject: Subject = NOBODY  # without the job
    catch_up: CatchUp = CATCH_UP

    # Whether the timetable alone says when it starts: no calendar or window of its own, no spread, no count, no haste.
    is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        apart = self.event or self.max_runs or self.spreading or self.subject.names_rules or self.patience
        object.__setattr__(self, "is_plain", not apart)


@dataclass(slots=True)  # not frozen: there may be a million of them, and freezing triples what making one costs
class Card:
    """What the planner must know of one trigger, as of `generation`, and what the runs of it are made from."""

    generation: int
    job_id: int
    job_version_id: int
    title: str
    ran_until: Micros | None  # up to here instants may have run already, while the clock was ahead
    terms: CardTerms

    key: ClassVar[None] = None
    rerun_of: ClassVar[None] = None

    def is_current(self, generation: int, inventory: int, library: int) -> bool:
        """Whether it says what holds now: of its trigger, of the hosts, of the playbooks."""
        return (
            self.generation == generation
            and self.terms.inventory_version in {None, inventory}
            and self.terms.library_version in {None, library}
        )

    @property
    def spreading(self) -> Spreading | None:
        shared = self.terms.spreading
        return None if shared is None else replace(shared, seed=self.title)

    @property
    def subject(self) -> Subject:
        return replace(self.terms.subject, job_id=self.job_id)


def upcoming(tx: Tx, *, until: Micros, limit: int) -> list[int]:
    """Triggers due up to `until`, soonest first."""
    return [trigger_id for (trigger_id,) in tx.driver.execute(_UPCOMING, (until, limit))]


def load_cards(tx: Tx, trigger_ids: Sequence[int]) -> dict[int, Card]:
    """Make the cards of these triggers as things stand. Writes plans and target sets that are not there yet."""
    cards: dict[int, Card] = {}
    shared: dict[tuple[str, ...], CardTerms] = {}
    targets: dict[str | None, TargetSetRow] = {}
    for start in range(0, len(trigger_ids), 500):
        part = trigger_ids[start : start + 500]
        marks = ", ".join("?" * len(part))
        for (
            trigger_id,
            generation,
            job_id,
            version_id,
            name,
            ran_until,
            kind,
            rule,
            principal,
            spec,
        ) in tx.driver.execute(_CARDS.format(marks=marks), tuple(part)).fetchall():
            # Versions are canonical JSON. Where this finds a name that is not the job's own, or none, less is shared.
            key = (kind, rule, principal, spec.replace(f'"name":"{name}"', "", 1))
            terms = shared.get(key)
            if terms is None:
                terms = shared[key] = _terms(tx, targets, kind, rule, principal, spec)
            cards[trigger_id] = Card(generation, job_id, version_id, name, ran_until, terms)
    return cards


def _terms(
    tx: Tx, targets: dict[str | None, TargetSetRow], kind: str, rule: str, principal: str, spec_text: str
) -> CardTerms:
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
    return CardTerms(
        kind=kind, plan_id=plan_id, target_set_id=frozen.id, members=frozen.members, principal=principal,
        overlap=spec.overlap, overlap_limit=spec.policies.overlap_limit, patience=spec.policies.patience,
        priority=spec.priority, targets_at_once=spec.targets_at_once, fan_out=spec.fan_out.rules,
        run_timeout=round(spec.run_timeout_seconds * SECOND),
        inventory_version=None if spec.target is None else inventory_version(tx),
        library_version=library_version(tx) if any(step.action == "playbook" for step in spec.steps) else None,
        timetable=timetable_within(trigger, spec.start_at, spec.end_at) or NEVER,
        missed=spec.missed,
        grace=round(spec.grace_seconds * SECOND),
        refusal=refusal,
        max_runs=spec.max_runs,
        event=Event(trigger, spec.start_at, spec.end_at)
        if isinstance(trigger, ContinuousTrigger | OnStartTrigger)
        else None,
        spreading=spreading_of("", spec.spread_seconds, spec.jitter_seconds),
        subject=subject_of(None, spec, frozen.members),
        catch_up=spec.policies.catch_up,
    )  # fmt: skip


@lru_cache(maxsize=65_536)
def _trigger_of(rule: str) -> TriggerSpec:
    """A stored rule; equal texts are read once."""
    return from_dict(json.loads(rule))
