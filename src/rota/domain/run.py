"""How the ends of a run's targets become the end of the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import RunState, TargetState

CONTROLLER = "@controller"  # the host name of work that touches no host
# Ends that speak against going on with the rest of a run's hosts (`max_fail`).
BAD = frozenset({TargetState.FAILED, TargetState.TIMED_OUT, TargetState.UNREACHABLE, TargetState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class TargetEnd:
    """One group of final targets: their common state and reason, and how many there are (> 0)."""

    state: TargetState
    reason: Reason | None
    count: int
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RunEnd:
    state: RunState
    reason: Reason | None
    message: str | None
    ok: int


def roll_up(ends: Iterable[TargetEnd]) -> RunEnd:
    """The verdict on a run whose targets are all final.

    A run whose every started target is unknown because the daemon crashed is `cancelled`, "daemon crashed during
    execution" (seed 1, Crash Recovery; DESIGN §2 unknown). A cancelled run stays cancelled also if some targets
    had already succeeded: that is what was asked. Otherwise some successes beside others' failures are `partial`.

    Hosts that were offline, in a run that skips those, do not make it worse: it has `succeeded`, with fewer hosts ok
    than there are, and says how many were skipped. Where nothing ran anywhere, nothing has succeeded.
    """
    groups = sorted(ends, key=lambda end: -end.count)
    ok = sum(end.count for end in groups if end.state is TargetState.SUCCEEDED)
    bad = [end for end in groups if end.state is not TargetState.SUCCEEDED]
    if ok and all(map(_left_out, bad)):
        skipped = sum(end.count for end in bad)
        told = f"skipped as offline: {skipped} of {ok + skipped} hosts" if skipped else None
        return RunEnd(RunState.SUCCEEDED, None, told, ok)
    bad = [end for end in bad if not _left_out(end)] or bad
    started = [end for end in groups if end.state not in {TargetState.CANCELLED, TargetState.SKIPPED}]
    if started and all(_crashed(end) for end in started):
        return RunEnd(RunState.CANCELLED, Reason.DAEMON_CRASHED, EXPLANATIONS[Reason.DAEMON_CRASHED], ok)
    worst = min(bad, key=_severity)
    if all(end.state is TargetState.CANCELLED for end in bad):
        return RunEnd(RunState.CANCELLED, worst.reason, worst.message, ok)
    if ok:
        return RunEnd(RunState.PARTIAL, worst.reason, worst.message, ok)
    if all(end.state is TargetState.TIMED_OUT for end in bad):
        return RunEnd(RunState.TIMED_OUT, worst.reason, worst.message, ok)
    return RunEnd(RunState.FAILED, worst.reason, worst.message, ok)


_ORDER = (
    TargetState.FAILED,
    TargetState.UNKNOWN,
    TargetState.UNREACHABLE,
    TargetState.TIMED_OUT,
    TargetState.CANCELLED,
    TargetState.SKIPPED,
)


def _severity(end: TargetEnd) -> int:
    return _ORDER.index(end.state)


def _left_out(end: TargetEnd) -> bool:
    """Skipped because its host was offline, as the run asked for (`on_offline: skip`)."""
    return end.state is TargetState.SKIPPED and end.reason is Reason.HOST_OFFLINE


def _crashed(end: TargetEnd) -> bool:
    return end.state is TargetState.UNKNOWN and end.reason is Reason.DAEMON_CRASHED
