"""I4, I14: what is counted agrees with what is there; and when the world has healed, everything comes to its end."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.facts import Facts

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
    for job in world.jobs if not world.witness.clock_steps else ():  # a clock set back puts off its next look
        enabled = [each.enabled for each in job.saved[:-1]]
        since = sum(each.when >= world.healed_at for each in job.saved[:-1])
        if job.name == "continuous" and all(enabled[-since - 1 :]) and not _has_gone_on(facts, job.job_id):
            yield "I4 the continuous job has died"


def _has_gone_on(facts: Facts, job_id: int) -> bool:
    """Whether it was started since the world has healed."""
    return any(
        run.job_id == job_id and run.nominal is not None and facts.world.created[run.id] > facts.world.healed_at
        for run in facts.runs.values()
    )
