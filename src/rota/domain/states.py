"""States of runs, run targets and attempts, and the moves between them: one table for code, SQL CHECK, docs and tests.

A state without moves is final. Cancelling is `cancel_requested_at`, not a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    WAITING = "waiting"  # for what is named in `waiting_for`
    QUEUED = "queued"  # its targets are rows that a worker may claim
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"  # some targets succeeded and some did not
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # never started
    EXPIRED = "expired"  # never started


class TargetState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"  # started, and nobody can say how it ended


class AttemptState(StrEnum):
    RUNNING = "running"  # the intent is durable; the start order may have left
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # `when` or `os` said no
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class Fate(StrEnum):
    """What became of the order of an attempt whose owner died, as far as can be known."""

    LIVE = "live"  # queued, running or ending under a living keeper
    ENDED = "ended"  # there is (or was) a result
    NEVER_STARTED = "never_started"  # no process was made: the same order may be sent again
    STILL_RUNNING = "still_running"  # the keeper died, processes of it live: its end will not be known
    GONE = "gone"  # the keeper died, and there is neither a process nor a result


_RUN_ENDS = frozenset({RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED})
RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    RunState.WAITING: frozenset(
        {RunState.QUEUED, RunState.RUNNING, RunState.CANCELLED, RunState.SKIPPED, RunState.EXPIRED}
    ),
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED, RunState.EXPIRED}),
    RunState.RUNNING: _RUN_ENDS,
}
_TARGET_ENDS = frozenset(TargetState) - {TargetState.QUEUED, TargetState.RUNNING}
TARGET_MOVES: Mapping[TargetState, frozenset[TargetState]] = {
    TargetState.QUEUED: frozenset(
        {TargetState.RUNNING, TargetState.CANCELLED, TargetState.SKIPPED, TargetState.TIMED_OUT}
    ),
    TargetState.RUNNING: _TARGET_ENDS | {TargetState.QUEUED},  # back to queued: parked, or rescued before any start
}
ATTEMPT_MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.RUNNING: frozenset(AttemptState) - {AttemptState.RUNNING},
}

UNFINISHED_RUN = tuple(RUN_MOVES)
UNFINISHED_TARGET = tuple(TARGET_MOVES)
