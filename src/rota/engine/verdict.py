"""What follows from how one attempt ended: the next attempt, the next step, or the end of the target. Pure."""

from __future__ import annotations

from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import AttemptState, TargetState
from rota.domain.step import Exit, Step, StepResult
from rota.storage.work import AttemptEnd, TargetEnd

_TARGET_OF = {
    AttemptState.FAILED: TargetState.FAILED,
    AttemptState.TIMED_OUT: TargetState.TIMED_OUT,
    AttemptState.CANCELLED: TargetState.CANCELLED,
    AttemptState.UNREACHABLE: TargetState.UNREACHABLE,
    AttemptState.UNKNOWN: TargetState.UNKNOWN,
}
_WENT_WELL = frozenset({AttemptState.SUCCEEDED, AttemptState.SKIPPED})
SUCCEEDED = TargetEnd(state=TargetState.SUCCEEDED)


def state_of(exit_: Exit | None, result: StepResult | None) -> tuple[AttemptState, Reason | None]:
    """The state of an attempt from its exit (None: done in process) and the action's verdict (None: no verdict)."""
    cause = exit_.cause if exit_ is not None else None
    if cause in {Reason.STEP_TIMEOUT, Reason.RUN_TIMEOUT}:
        return AttemptState.TIMED_OUT, Reason(cause)
    if cause is not None:
        confirmed = not (exit_ and exit_.left_running)
        return AttemptState.CANCELLED, Reason(cause) if confirmed else Reason.CANCEL_UNCONFIRMED
    if result is not None and result.ok:
        return AttemptState.SUCCEEDED, None
    return AttemptState.FAILED, Reason.STEP_FAILED


def may_try_again(step: Step, end: AttemptEnd, number: int) -> bool:
    """Whether another attempt follows: after a known failure with retries left, or after `unknown` only where the
    step says that it is idempotent (DESIGN §3 At most one start order)."""
    if end.state is AttemptState.UNKNOWN:
        return step.idempotent and number <= max(1, step.retries)
    if end.state is AttemptState.TIMED_OUT:
        return end.reason is Reason.STEP_TIMEOUT and number <= step.retries
    return end.state is AttemptState.FAILED and number <= step.retries


def goes_on(step: Step, end: AttemptEnd) -> bool:
    """Whether the step after this one has its turn."""
    if end.state in _WENT_WELL:
        return True
    is_known = end.state is AttemptState.FAILED or end.reason is Reason.STEP_TIMEOUT
    return step.continue_on_error and is_known


def target_end(step: Step, end: AttemptEnd) -> TargetEnd:
    """The end of a target whose last attempt ended like this and that does not go on."""
    message = end.message or (EXPLANATIONS[end.reason] if end.reason else None)
    if message and end.state is AttemptState.FAILED:
        message = f"{step.name}: {message}"
    return TargetEnd(state=_TARGET_OF[end.state], reason=end.reason, message=message)
