"""I3: every instant that has passed is settled exactly once, by a run, a ledger row or a span; and nothing else is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from rota.domain.instant import DAY, SECOND, Micros, format_rfc3339
from tests.simulation.facts import Facts
from tests.simulation.instants import between
from tests.simulation.jobs import Job

LATE: Micros = 10 * SECOND  # an engine that is well has settled an instant by then


def check_coverage(facts: Facts) -> Iterator[str]:
    for job in facts.world.jobs:
        if job.rhythm is not None:
            yield from _of(facts, job)
        made = sum(run.job_id == job.job_id and run.nominal is not None for run in facts.runs.values())
        if job.spec.max_runs is not None and made > job.spec.max_runs:
            yield f"I12 {job.name} was started {made} times by the clock, and max_runs is {job.spec.max_runs}"
    yield from _paused(facts)


def _of(facts: Facts, job: Job) -> Iterator[str]:
    settled = Counter(
        run.nominal for run in facts.runs.values() if run.trigger_id == job.trigger_id and run.nominal is not None
    )
    spans = [span for span in facts.spans if span.trigger_id == job.trigger_id]
    last = max([*settled, *(span.last for span in spans)], default=0)  # nobody asks what is due after that
    if strange := settled.keys() - _ever_due(facts, job, last, is_cut=False):
        yield f"I3 {job.name}: runs for {sorted(strange)}, which were not due"
    known = _ever_due(facts, job, last, is_cut=True) if spans else []
    now = facts.world.wall.now()
    for span in spans:
        instants = [instant for instant in known if span.first <= instant <= span.last]
        if len(instants) != span.occurrences:
            yield f"I3 {job.name}: {span}, and {len(instants)} were due"
        if facts.world.checked_until is not None and span.last > now:
            yield f"I3 {job.name}: {span} tells of what is still to come"
        settled.update(instants)
    for instant, count in sorted(settled.items()):
        if count > 1:
            yield f"I3 {job.name}: {format_rfc3339(instant)} was settled {count} times"
    for instant in () if job.spec.max_runs is not None else _due(facts, job):
        if instant not in settled:
            yield f"I3 {job.name}: {format_rfc3339(instant)} was lost without a word"


def _ever_due(facts: Facts, job: Job, last: Micros, *, is_cut: bool) -> list[Micros]:
    """All instants the job ever had up to `last`, in order: of each rhythm those from where it began to where the next
    took over, or later, where the clock was ahead when they were settled. `is_cut`: less those that were taken back
    when a clock that had been far ahead was right again; of them only those that ran are settled."""
    world, found = facts.world, list[Micros]()
    ahead = max((wall for _, wall in world.witness.astray), default=0)
    for place, (saved, after) in enumerate(pairwise([*job.spells, None]), start=1):
        assert saved is not None
        until = max(after.at, after.settled) if after is not None else max(saved.at + DAY, world.wall.now(), ahead)
        until = min([until, *_taken_back(job, place)]) if is_cut else max(until, ahead)
        if saved.rhythm is not None:
            found += between(saved.rhythm, max(saved.at, saved.settled), min(until, last))
    return found


def _taken_back(job: Job, place: int) -> list[Micros]:
    """Where the job was due anew, of its spells from `place` on."""
    return [saved.at for saved in job.spells[place:] if saved.is_taken_back]


def _due(facts: Facts, job: Job) -> Iterator[Micros]:
    """What must have been settled by the end, reckoned from how the job was saved."""
    world = facts.world
    (upcoming,) = world.sql("SELECT nominal FROM due WHERE trigger_id = ?", job.trigger_id)[0]
    until = world.wall.now() - LATE if world.checked_until is None else world.checked_until - LATE
    if world.checked_until is None and upcoming is not None:
        until = min(until, upcoming - 1)  # nobody has come to that one yet
    edges = [(each.at, each) for each in job.spells]
    for place, ((begin, saved), (end, _)) in enumerate(pairwise([*edges, (until, job.spells[-1])]), start=1):
        if saved.rhythm is not None:
            yield from between(saved.rhythm, max(begin, saved.settled), min(end, until, *_taken_back(job, place)))


def _paused(facts: Facts) -> Iterator[str]:
    """While all is paused the clock starts nothing. Not judged where the clock was set."""
    world = facts.world
    if world.witness.clock_steps:
        return
    for since, until, when in world.witness.pauses:
        for run in facts.runs.values():
            if run.nominal is None or run.kind == "continuous":
                continue
            if since < run.nominal < until and world.created[run.id] > when:
                yield f"I12 run {run.id} was made for {format_rfc3339(run.nominal)}, in a pause"
