"""What the targets of a run that goes on wait for: a lock, an offline host, a retry, a batch, a throttle, a cap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rota.domain.errors import NotFound, near
from rota.domain.instant import Micros, from_micros
from rota.domain.states import TargetState
from rota.ports import Tx
from rota.storage import fanout, limits
from rota.storage.fanout import Progress
from rota.storage.runs import RunRow, TargetRow
from rota.usecases import resources

_MOST_HOSTS = 20


def held_up(tx: Tx, run: RunRow, targets: Sequence[TargetRow]) -> Iterator[str]:
    """A line for each thing that keeps targets of the run from starting, the parked ones by name."""
    parked = [target for target in targets if target.waiting_for is not None]
    for target in parked[:_MOST_HOSTS]:
        yield f"{target.host} {_waits(target)}"
    if len(parked) > _MOST_HOSTS:
        yield f"and {len(parked) - _MOST_HOSTS} hosts more wait"
    ready = [target for target in targets if target.state == TargetState.QUEUED and target.waiting_for is None]
    if ready:
        yield from _gates(tx, run, ready, targets)


def of_host(tx: Tx, run: RunRow, targets: Sequence[TargetRow], host: str) -> tuple[TargetRow, str]:
    """The run's target on `host`, and what is to be said of it: `is running`, `waits for web1, held by …`.

    Raises NotFound with a near name.
    """
    target = next((target for target in targets if target.host == host), None)
    if target is None:
        known = [target.host for target in targets]
        raise NotFound(
            f'the run has no target "{host}"', hint=near(host, known) or f"it runs on: {', '.join(known[:_MOST_HOSTS])}"
        )
    if target.waiting_for is not None:
        return target, _waits(target)
    if target.state == TargetState.QUEUED:
        return target, "; ".join(_gates(tx, run, [target], targets)) or "is ready and waits for a worker to take it"
    if target.state == TargetState.RUNNING and target.lost_since is not None:
        return target, resources.sought(target)
    if target.state == TargetState.RUNNING:
        return target, "is running" if target.started_at is None else f"has been running since {_at(target.started_at)}"
    return target, f"{target.state}: {target.message}" if target.message else target.state


def _waits(target: TargetRow) -> str:
    words = resources.waits(target)
    return f"{words}; looked at again by {_at(target.not_before)}" if target.not_before is not None else words


def _gates(tx: Tx, run: RunRow, ready: Sequence[TargetRow], targets: Sequence[TargetRow]) -> Iterator[str]:
    """What stands between targets that are ready and their start."""
    hosts = f"{len(ready)} hosts are" if len(ready) > 1 else f"{ready[0].host} is"
    progress = fanout.progress_of(tx, run.id)
    if progress is not None:
        yield from _rules(progress, hosts, ready, now=tx.at)
    at_work = sum(1 for target in targets if target.state == TargetState.RUNNING)
    if at_work >= run.targets_at_once:
        yield f"{hosts} queued: {at_work} of the run's hosts are at work, and no more may be at one time"
    names = frozenset(target.host for target in ready)
    for limit in limits.all_limits(tx):
        if limit.key == limits.RUNS or limit.used < limit.cap:
            continue
        if limits.covers(tx, limit.key, job=run.job_name, hosts=names):
            yield f"the limit {limit.key} is used up: {limit.used} of {limit.cap} (rota limits list)"


def _rules(progress: Progress, hosts: str, ready: Sequence[TargetRow], *, now: Micros) -> Iterator[str]:
    later = [target for target in ready if target.batch > progress.open_batch]
    if later:
        yield f"{hosts} in later batches: batch {progress.open_batch} of {progress.last_batch} is not over yet"
    elif progress.next_start_at is not None and progress.next_start_at > now:
        why = f"throttled to {progress.rules.throttle}" if progress.rules.throttle else "in the pause before its batch"
        yield f"{hosts} {why}: the next may start at {_at(progress.next_start_at)}"


def _at(at: Micros) -> str:
    return f"{from_micros(at):%Y-%m-%d %H:%M:%S} UTC"
