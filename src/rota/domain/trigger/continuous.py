"""When a continuous job goes on: pauses that grow while it fails. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable

from rota.domain.instant import SECOND, Micros
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.domain.trigger.kinds import ContinuousTrigger

ENDS_LOOKED_AT = 24  # 2^24 seconds is longer than any back-off: older ends change nothing
_FAILURES = {RunState.FAILED, RunState.PARTIAL, RunState.TIMED_OUT, RunState.EXPIRED}
# Ends without a verdict that may come again at once: a job that takes its daemon down with it must slow down too.
_CRASHES = {Reason.DAEMON_CRASHED, Reason.KEEPER_LOST, Reason.WORKER_LOST}


def pause(rule: ContinuousTrigger, ends: Iterable[tuple[RunState, Reason | None]]) -> Micros:
    """Return the length from the end of the last run to the next start.

    `ends` are those of the job's latest runs, newest first. The first failure waits `gap` (at least a second),
    each one more twice as long, never longer than `backoff`. Whatever is no failure ends the series: a run that
    somebody cancelled is none.
    """
    failures = 0
    for state, reason in ends:
        if state not in _FAILURES and reason not in _CRASHES:
            break
        failures += 1
    if failures == 0:
        return rule.gap
    return max(rule.gap, min(max(rule.gap, SECOND) << (failures - 1), rule.backoff))
