"""I1, I2, I5, I8: what was started, in which order, how often, and whether the verdicts say what really happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from rota.domain.reasons import Reason
from rota.domain.run import CONTROLLER
from rota.domain.step import Exit, OnLost
from tests.simulation.facts import AttemptFact, Facts
from tests.simulation.jobs import Job
from tests.simulation.witness import Life

TIMEOUTS = frozenset({"timeout", Reason.RUN_TIMEOUT, Reason.STEP_TIMEOUT})


def check_starts(facts: Facts) -> Iterator[str]:
    yield from _one_run_for_each(facts)
    yield from _versions(facts)
    by_name = {job.name: job for job in facts.world.jobs}
    for run_id, lives in facts.lives_of.items():
        if not run_id:
            yield f"I9 {lives[0].token} belongs to a run that is not there"
            continue
        by_host: dict[str, list[Life]] = {}
        for life in lives:
            by_host.setdefault(life.label.host, []).append(life)
        for host, of_host in by_host.items():
            yield from _one_after_the_other(facts, by_name[lives[0].label.job], f"run {run_id} on {host}", of_host)
    for token, attempt in facts.attempts.items():
        yield from _verdict_is_true(facts, token, attempt)
        yield from _was_cancelled(facts, token, attempt)


def _one_run_for_each(facts: Facts) -> Iterator[str]:
    named = Counter((run.trigger_id, run.nominal) for run in facts.runs.values() if run.nominal is not None)
    for (trigger_id, nominal), count in named.items():
        if count > 1:
            yield f"I2 {count} runs of trigger {trigger_id} for {nominal}"
    for run_id, _ in facts.world.witness.launched:
        if run_id not in facts.runs:
            yield f"I9 run {run_id} was acknowledged and is not there"


def _versions(facts: Facts) -> Iterator[str]:
    """What the clock starts is the job as it was saved last when the run was made."""
    world = facts.world
    saved = {job.name: job.saved for job in world.jobs}
    for run_id, lives in facts.lives_of.items():
        run = facts.runs.get(run_id)
        if run is None or run.nominal is None:
            continue
        made = world.created[run_id]
        versions = saved[lives[0].label.job]
        before = [each.version for each in versions if each.when < made][-1:]
        meanwhile = [each.version for each in versions if each.when == made]  # the same commit has both
        for life in lives:
            if life.label.version not in {*before, *meanwhile}:
                yield f"I8 run {run_id} runs version {life.label.version}, made when {before[0]} was saved"


def _one_after_the_other(facts: Facts, job: Job, where: str, lives: list[Life]) -> Iterator[str]:
    """Steps in order, each once, but for tries after a known failure, or after `unknown` where it is idempotent."""
    for before, life in pairwise(lives):
        if life.began < before.over:
            yield f"I1 {where}: {life.token} began before {before.token} was over"
        told = before.told
        went_well = any(end.exit_code == 0 for end in told)
        step, next_step = before.label.step, life.label.step
        if next_step == step and went_well:
            yield f"I1 {where}: step {step} had succeeded, and was started again"
        elif next_step == step and not _may_follow(job, told):
            yield f"I1 {where}: step {step} was started again after {told}"
        elif next_step != step and (next_step != step + 1 or not (went_well or _goes_on(job, before))):
            yield f"I1 {where}: step {next_step} came after step {step}, which ended {told}"


def _may_follow(job: Job, told: list[Exit]) -> bool:
    """Whether these ends allow another try."""
    step = job.spec.steps[0]
    meant = step.retry_on or ("exit:1", "timed_out")
    if "exit:1" in meant and any(end.exit_code not in {0, None} for end in told):
        return True
    if "timed_out" in meant and any(end.cause == "timeout" for end in told):
        return True
    return step.idempotent


def _goes_on(job: Job, life: Life) -> bool:
    """Whether the next step has its turn though this one did not go well."""
    step = job.spec.steps[0]
    if step.continue_on_error and any(end.exit_code is not None or end.cause == "timeout" for end in life.told):
        return True
    return step.on_lost is OnLost.CONTINUE and life.is_forsaken


def _verdict_is_true(facts: Facts, token: str, attempt: AttemptFact) -> Iterator[str]:
    life, told = facts.world.witness.lives.get(token), facts.world.witness.told(token)
    match attempt.state:
        case "succeeded":
            is_true = any(end.exit_code == 0 for end in told) or _is_noop(facts, attempt)
        case "failed":
            is_true = any(end.exit_code not in {0, None} for end in told)
        case "timed_out":
            is_true = any(end.cause in TIMEOUTS for end in told) or life is None
        case "cancelled":
            is_true = any(end.cause not in {None, *TIMEOUTS} for end in told) or life is None
        case "unreachable":
            is_true = any(end.unreached is not None for end in told)
        case "unknown":
            is_true = not any(map(_is_result, told)) or (life is not None and life.is_forsaken)
        case _:
            is_true = True
    if not is_true:
        yield f"I5 {token} is {attempt.state} ({attempt.reason}), and what was told is {told}"


def _was_cancelled(facts: Facts, token: str, attempt: AttemptFact) -> Iterator[str]:
    """What is cancelled somebody asked for; or its owner lost touch with the store, and nobody else could have it."""
    if attempt.state != "cancelled" or attempt.reason == Reason.SHUTDOWN:
        return
    target = facts.targets[attempt.target_id]
    is_own = attempt.reason == Reason.WORKER_LOST and target.host == CONTROLLER
    if facts.runs[target.run_id].cancel_reason is None and not is_own:
        yield f"I5 {token} on {target.host} is cancelled ({attempt.reason}), and nobody asked for it"


def _is_result(end: Exit) -> bool:
    return end.exit_code is not None or end.signal is not None


def _is_noop(facts: Facts, attempt: AttemptFact) -> bool:
    run = facts.runs[facts.targets[attempt.target_id].run_id]
    return any(job.job_id == run.job_id and job.name == "at-once" for job in facts.world.jobs)
