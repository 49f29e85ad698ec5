"""What Rota says at the end, read once, to be held against what the witness saw."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rota.domain.instant import Micros
from tests.simulation.witness import Life
from tests.simulation.world import World


class RunFact(NamedTuple):
    id: int
    public_id: str
    job_id: int | None
    trigger_id: int | None
    nominal: Micros | None
    kind: str
    catch_up: bool
    state: str
    finished_at: Micros | None
    targets_at_once: int
    cancel_reason: str | None
    rules: str | None


class TargetFact(NamedTuple):
    id: int
    run_id: int
    host: str
    state: str
    reason: str | None
    batch: int
    owner: str | None
    waiting_for: str | None


class AttemptFact(NamedTuple):
    id: int
    target_id: int
    step: int
    number: int
    state: str
    reason: str | None


class Span(NamedTuple):
    trigger_id: int
    reason: str
    first: Micros
    last: Micros
    occurrences: int


@dataclass(frozen=True)
class Facts:
    world: World

    @cached_property
    def runs(self) -> dict[int, RunFact]:
        rows = self.world.sql(
            "SELECT run.id, public_id, job_id, trigger_id, nominal, kind, catch_up, state, finished_at,"
            " targets_at_once, cancel_reason, rules"
            " FROM run LEFT JOIN run_fanout ON run_id = run.id ORDER BY run.id"
        )
        return {row[0]: RunFact(*row) for row in rows}

    @cached_property
    def targets(self) -> dict[int, TargetFact]:
        rows = self.world.sql(
            "SELECT id, run_id, host, state, reason, batch, owner, waiting_for FROM run_target ORDER BY id"
        )
        return {row[0]: TargetFact(*row) for row in rows}

    @cached_property
    def attempts(self) -> dict[str, AttemptFact]:
        """By token."""
        rows = self.world.sql("SELECT id, run_target_id, step, number, state, reason FROM attempt ORDER BY id")
        return {f"att-{row[0]}": AttemptFact(*row) for row in rows}

    @cached_property
    def spans(self) -> list[Span]:
        rows = self.world.sql(
            "SELECT trigger_id, reason, first_nominal, last_nominal, count FROM ledger WHERE trigger_id IS NOT NULL"
        )
        return [Span(*row) for row in rows]

    @cached_property
    def run_ids(self) -> dict[str, int]:
        """Row ids by what children see as ROTA_RUN_ID."""
        return {f"run_{run.public_id}": run.id for run in self.runs.values()}

    @cached_property
    def lives_of(self) -> dict[int, list[Life]]:
        """Children by run, in the order of their starts; not those of whoever had not heard that it was given up."""
        found: dict[int, list[Life]] = {}
        for life in self.world.witness.lives.values():
            if life.is_late:
                continue
            found.setdefault(self.run_ids.get(life.label.run, 0), []).append(life)
        return found
