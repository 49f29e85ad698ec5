"""I8, I12: what must not overlap did not, and no cap, batch or throttle was overstepped at any instant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, pairwise

from rota.domain.fanout import FanOut
from rota.domain.instant import SECOND
from rota.domain.policy import Overlap
from tests.simulation.facts import Facts
from tests.simulation.jobs import GROUPED, HOSTS
from tests.simulation.people import SITE
from tests.simulation.process import Process
from tests.simulation.witness import FOREVER, Life

Interval = tuple[float, float]
CANCELLED_WITHIN = 45.0  # of time with a daemon: an order's grace, a round of housekeeping, and some


def check_bounds(facts: Facts) -> Iterator[str]:
    runs = {run_id: (min(life.began for life in lives), _end(facts, run_id, lives))
            for run_id, lives in facts.lives_of.items() if run_id}  # fmt: skip
    yield from _overlap(facts, runs)
    if (most := most_at_once(runs.values())) > facts.world.cap:
        yield f"I12 {most} runs at once, and the cap is {facts.world.cap}"
    sites = {host.name: host.site for host in HOSTS}
    at_site = [life.span for life in _lives(facts) if sites.get(life.label.host) == SITE]
    cap = facts.world.site_cap
    if cap is not None and (most := most_at_once(at_site)) > cap:
        yield f"I12 {most} targets at once at {SITE}, and the cap is {cap}"
    yield from _caps(facts)
    yield from _fan_out(facts)
    yield from _locks(facts)
    yield from _cancels(facts)
    yield from _late(facts)


def _caps(facts: Facts) -> Iterator[str]:
    for key, cap in facts.world.caps.items():
        if (most := most_at_once(life.span for life in _lives(facts) if _is_of(key, life))) > cap:
            yield f"I12 {most} targets at once, and the cap on {key} is {cap}"


def _is_of(key: str, life: Life) -> bool:
    kind, _, name = key.partition(":")
    match kind:
        case "host":
            return life.label.host == name
        case "group":
            return life.label.host in GROUPED
        case "job":
            return life.label.job == name
        case _:
            return True


def most_at_once(intervals: Iterable[Interval]) -> int:
    """How many of them there are at the busiest instant. One that ends when another begins is not beside it."""
    edges = sorted(edge for begin, end in intervals for edge in ((begin, 1), (end, -1)))
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most


def _lives(facts: Facts) -> Iterator[Life]:
    return (life for life in facts.world.witness.lives.values() if not life.is_late)


def _end(facts: Facts, run_id: int, lives: list[Life]) -> float:
    return min(max(life.over for life in lives), facts.world.time)


def bound_on_runs(policy: Overlap, limit: int | None) -> int:
    """How many runs of a job may be beside each other, as docs/policies.md says."""
    return (limit or 3) if policy is Overlap.ALLOW else 1


def _overlap(facts: Facts, runs: dict[int, Interval]) -> Iterator[str]:
    for job in facts.world.jobs:
        of_job = [runs[run.id] for run in facts.runs.values() if run.job_id == job.job_id and run.id in runs]
        allowed = bound_on_runs(job.spec.overlap, job.spec.policies.overlap_limit)
        if (most := most_at_once(of_job)) > allowed:
            yield f"I8 {most} runs of {job.name} at once, and its overlap policy is {job.spec.overlap}"
    for run_id, lives in facts.lives_of.items():
        finished = facts.world.witness.finished.get(run_id)
        for life in lives:
            if finished is not None and life.over > finished + 0.001:
                yield f"I8 run {run_id} was over while {life.token} was at work"


def _fan_out(facts: Facts) -> Iterator[str]:
    for run_id, lives in facts.lives_of.items():
        run = facts.runs.get(run_id)
        if run is None:
            continue
        if (most := most_at_once(life.span for life in lives)) > run.targets_at_once:
            yield f"I12 {most} targets of run {run_id} at once, and {run.targets_at_once} may be"
        rules = FanOut.from_dict(json.loads(run.rules)) if run.rules else None
        if rules is None:
            continue
        spans = _spans(lives)
        if rules.batch:
            yield from _batches(facts, run_id, spans)
        if rules.throttle is not None:
            starts = sorted(begin for begin, _ in spans.values())
            for first, third in zip(starts, starts[2:], strict=False):
                witness = facts.world.witness
                calm = witness.is_calm(first - 30, third) and not witness.was_set(first - 30, third)
                if calm and third - first < rules.throttle.spacing / SECOND:
                    yield f"I12 three targets of run {run_id} were started within {third - first:.1f} s"


def _spans(lives: list[Life]) -> dict[str, Interval]:
    """Each host's time in a run: from its first start to its last end."""
    found: dict[str, Interval] = {}
    for life in lives:
        begin, end = found.get(life.label.host, life.span)
        found[life.label.host] = begin, max(end, life.over)
    return found


def _batches(facts: Facts, run_id: int, spans: dict[str, Interval]) -> Iterator[str]:
    batch = {target.host: target.batch for target in facts.targets.values() if target.run_id == run_id}
    key: Callable[[str], int] = batch.__getitem__
    groups = [list(group) for _, group in groupby(sorted(spans, key=key), key=key)]
    for before, after in pairwise(groups):
        if max(spans[host][1] for host in before) > min(spans[host][0] for host in after):
            yield f"I12 run {run_id}: batch {batch[after[0]]} began before the one before it was over"


def _locks(facts: Facts) -> Iterator[str]:
    by_host: dict[str, list[Interval]] = {}
    for run_id, lives in facts.lives_of.items():
        run = facts.runs.get(run_id)
        if run is not None and run.rules and json.loads(run.rules)["lock_hosts"]:
            for host, span in _spans(lives).items():
                by_host.setdefault(host, []).append(span)
    for host, spans in by_host.items():
        if most_at_once(spans) > 1:
            yield f"I12 {host} was locked by one run, and another worked on it"


def _cancels(facts: Facts) -> Iterator[str]:
    """What was cancelled ends soon, where nothing else was broken and while there are daemons: what one of them left
    when it ended in order is the next one's to end."""
    witness, gaps = facts.world.witness, sorted(_gaps(facts))
    for run_id, at in witness.cancelled:
        limit = _after_gaps(at, CANCELLED_WITHIN, gaps)
        if limit > facts.world.time or not witness.is_calm(at - 5, limit):
            continue
        if witness.finished.get(run_id, limit + 1) > limit:
            yield f"I6 run {run_id} was cancelled, and goes on"
        for life in facts.lives_of.get(run_id, ()):
            if life.over > limit:
                yield f"I6 {life.token} of run {run_id} was cancelled, and runs on"


def _gaps(facts: Facts) -> Iterator[Interval]:
    """When a home was without a daemon, from the end of one to the start of the next."""
    by_home: dict[int, list[Process]] = {}
    for process in facts.world.processes:
        if process.kind == "daemon":
            by_home.setdefault(process.home, []).append(process)
    for daemons in by_home.values():
        for before, after in pairwise([*daemons, None]):
            assert before is not None
            end, start = min(before.left, before.died), FOREVER if after is None else after.began
            if end < start:
                yield end, start


def _after_gaps(since: float, seconds: float, gaps: list[Interval]) -> float:
    """When so much time has passed, not counting what lies in the gaps (by their beginnings)."""
    until = since + seconds
    for begin, end in gaps:
        if begin < until and end > since:
            until += end - max(begin, since)
    return until


def _late(facts: Facts) -> Iterator[str]:
    """What somebody started who had not heard yet that it was given up is ended as soon as it hears."""
    world = facts.world
    for life in world.witness.lives.values():
        limit, starter = life.began + CANCELLED_WITHIN, world.by_owner[life.by]
        could_not = starter.died < limit or starter.was_hindered(life.began, limit)
        if life.is_late and limit < min(world.time, life.ended) and not could_not:
            yield f"I6 {life.token} was started too late, and runs on"
