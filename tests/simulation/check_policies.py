"""I8, I12: what the policies of jobs promise about when runs and tries start, and how many there are of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise

from rota.domain.instant import SECOND
from rota.domain.policy import Missed, Overlap
from rota.domain.step import Step
from tests.simulation.clock import EPOCH
from tests.simulation.facts import Facts, RunFact
from tests.simulation.jobs import Job
from tests.simulation.witness import FOREVER, Life

SLACK = 3.0  # seconds: a claim, an order, and a clock that hears of the store's time a moment late
BEFORE = 30.0  # seconds: for so long before a start nothing may have been broken, where it is said to be late


def check_policies(facts: Facts) -> Iterator[str]:
    for job in facts.world.jobs:
        runs = [run for run in facts.runs.values() if run.job_id == job.job_id]
        began = {run.id: min(life.began for life in facts.lives_of[run.id]) for run in runs if run.id in facts.lives_of}
        yield from _in_order(job, runs, began)
        yield from _queue(facts, job, runs)
        yield from _patience(facts, job, runs, began)
        yield from _catch_up(facts, job, runs)
        yield from _tries(facts, job, runs)


def _in_order(job: Job, runs: list[RunFact], began: dict[int, float]) -> Iterator[str]:
    """Runs that queue start in the order in which they were made."""
    if job.spec.overlap is Overlap.QUEUE:
        for before, after in pairwise(run.id for run in runs if run.id in began):
            if began[after] < began[before]:
                yield f"I8 run {after} of {job.name} started before run {before}, which was in the queue before it"


def _queue(facts: Facts, job: Job, runs: list[RunFact]) -> Iterator[str]:
    """No more of them wait than may. What is caught up all runs, and does not count."""
    if job.spec.overlap is not Overlap.QUEUE or job.spec.missed is Missed.RUN_ALL:
        return
    most, finished = job.spec.policies.overlap_limit or 1, facts.world.witness.finished
    made = [(facts.world.created[run.id], run.id) for run in runs]
    for at, run_id in made:
        before = sum(when < at and finished.get(other, FOREVER) > at for when, other in made)
        if before > most:
            yield f"I12 run {run_id} of {job.name} was put behind {before} others, and {most} may wait"


def _patience(facts: Facts, job: Job, runs: list[RunFact], began: dict[int, float]) -> Iterator[str]:
    """What came too late has not started. Not judged where the clock was set, or what is at work was slow."""
    world, policies = facts.world, job.spec.policies
    for run in runs:
        start = began.get(run.id)
        if start is None or world.witness.was_set(0, start) or not world.witness.is_calm(start - BEFORE, start):
            continue
        made = world.created[run.id]
        due = made if run.nominal is None else (run.nominal - EPOCH) / SECOND
        if policies.queue_timeout_seconds is not None and start > made + policies.queue_timeout_seconds + SLACK:
            yield f"I8 run {run.id} of {job.name} started {start - made:.1f} s after it was made"
        if policies.start_within_seconds is not None and start > due + policies.start_within_seconds + SLACK:
            yield f"I8 run {run.id} of {job.name} started {start - due:.1f} s after it was due"


def _catch_up(facts: Facts, job: Job, runs: list[RunFact]) -> Iterator[str]:
    """Of what was missed at one time no more is caught up than may be, and no faster: it is the turn of one at a time,
    whatever it waits for then."""
    world, policy = facts.world, job.spec.policies.catch_up
    caught = [run.id for run in runs if run.catch_up]
    if job.spec.missed is not Missed.RUN_ALL:
        return
    for at, count in Counter(world.created[run_id] for run_id in caught).items():
        if count > policy.most:
            yield f"I12 {job.name} caught up {count} runs at {at:.3f}, and {policy.most} may be"
    by_batch: dict[float, list[float]] = {}  # what was missed later begins a turn of its own
    for run_id in caught:
        if run_id in world.witness.admitted:
            by_batch.setdefault(world.created[run_id], []).append(world.witness.admitted[run_id])
    for first, second in chain.from_iterable(pairwise(sorted(turns)) for turns in by_batch.values()):
        if second - first < policy.spacing / SECOND - SLACK / 10 and not world.witness.was_set(first - BEFORE, second):
            yield f"I12 {job.name} caught up two runs within {second - first:.3f} s"


def _tries(facts: Facts, job: Job, runs: list[RunFact]) -> Iterator[str]:
    """A step is tried so often as it says, and after such a time."""
    by_number = dict(enumerate(job.spec.steps))
    for run in runs:
        tries: dict[tuple[str, int], list[Life]] = {}
        for life in facts.lives_of.get(run.id, ()):
            tries.setdefault((life.label.host, life.label.step), []).append(life)
        for (host, place), lives in tries.items():
            step = by_number[place]
            if len(lives) > 1 + max(step.retries, int(step.idempotent)):
                yield f"I12 step {place} of run {run.id} was tried {len(lives)} times on {host}"
            for before, after in pairwise(lives):
                gap, delay = after.began - before.ended, _least_delay(step)
                if gap < delay - 0.1 and _is_measured(facts, before, after):
                    yield f"I12 {after.token} came {gap:.1f} s after {before.token}, and {delay} s were due"


def _is_measured(facts: Facts, before: Life, after: Life) -> bool:
    """Whether the time between these tries says something: the first was a known failure, and no clock was wrong."""
    is_known = any(end.exit_code is not None for end in before.told)
    calm = facts.world.witness.is_calm(before.ended - BEFORE, after.began)
    return is_known and calm and not facts.world.has_set_clocks


def _least_delay(step: Step) -> float:
    """Seconds. The first delay is the shortest, and jitter takes a share of it."""
    return step.retry_delay_seconds * (1 - (step.retry_jitter or 0.0))
