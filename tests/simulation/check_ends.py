"""I4, I14: what is counted agrees with what is there; and when the world has healed, everything comes to its end."""

from __future__ import annotations

from collections.abc import Iterator

from rota.domain.instant import SECOND
from tests.simulation.facts import Facts
from tests.simulation.world import World

LOOKED_AT_WITHIN = 200 * SECOND  # a look, a back-off, and as much as the clock may have been set back

_BOOKS = {
    "slots": "SELECT used, (SELECT count(*) FROM run WHERE state IN ('queued', 'running')) FROM run_limit"
    " WHERE key = 'runs'",
    "unfinished runs of a job": "SELECT active, (SELECT count(*) FROM run WHERE run.job_id = job_state.job_id AND"
    " finished_at IS NULL) FROM job_state",
    "open targets of a run": "SELECT open_targets, (SELECT count(*) FROM run_target WHERE run_id = run.id AND"
    " finished_at IS NULL) FROM run WHERE state IN ('queued', 'running')",
    "targets of a finished run": "SELECT 0, (SELECT count(*) FROM run_target WHERE run_id = run.id AND"
    " finished_at IS NULL) FROM run WHERE finished_at IS NOT NULL",
    "locks of ended targets": "SELECT 0, count(*) FROM host_lock JOIN run_target ON run_target.id = run_target_id"
    " WHERE finished_at IS NOT NULL",
    "outbox rows of a finished run": "SELECT 1, (SELECT count(*) FROM outbox WHERE run_id = run.id) FROM run"
    " WHERE finished_at IS NOT NULL",
}


def check_books(facts: Facts) -> Iterator[str]:
    for name, statement in _BOOKS.items():
        for said, counted in facts.world.sql(statement):
            if said != counted:
                yield f"I14 {name}: {said} by the books, {counted} by counting"


def check_ends(facts: Facts) -> Iterator[str]:
    """Nothing was started for a good while, and nothing breaks: all is final, delivered and let go of."""
    world = facts.world
    for run in facts.runs.values():
        if run.finished_at is None:
            targets = [target for target in facts.targets.values() if target.run_id == run.id]
            yield f"I4 run {run.id} ({run.kind}) is {run.state} for ever: {targets}"
    for token, attempt in facts.attempts.items():
        if attempt.state == "running":
            yield f"I4 {token} is running for ever"
    ((undelivered,),) = world.sql("SELECT count(*) FROM outbox WHERE delivered_at IS NULL")
    if undelivered:
        yield f"I4 {undelivered} ends were never delivered"
    ((locks,),) = world.sql("SELECT count(*) FROM host_lock")
    if locks:
        yield f"I4 {locks} locks on hosts are held by nobody"
    for process in world.processes:
        if process.is_well and process.worker.held_runs:
            yield f"I14 {process.owner} still holds {process.worker.held_runs}"


def check_continuous(world: World) -> Iterator[str]:
    """A continuous job that is enabled is looked at again before long, whatever has become of its runs."""
    for job in world.jobs:
        if job.name == "continuous" and job.spec.enabled:
            ((look_at,),) = world.sql("SELECT fire_at FROM due WHERE trigger_id = ?", job.trigger_id)
            if look_at is None or look_at > world.wall.now() + LOOKED_AT_WITHIN:
                yield f"I4 the continuous job has died: it is looked at {look_at}"
