"""What follows from how one attempt ended: the next attempt, the next step, a wait, or the end of the target. Pure."""

from __future__ import annotations

from rota.domain.fanout import OnOffline
from rota.domain.instant import SECOND, Micros
from rota.domain.plan import Plan
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.retry import AWAY, delay_before_next, may_try_again
from rota.domain.states import AttemptState, TargetState
from rota.domain.step import Exit, OnLost, Step, StepResult
from rota.storage.work import Assignment, AttemptEnd, Park, Report, TargetEnd

_TARGET_OF = {
    AttemptState.FAILED: TargetState.FAILED,
    AttemptState.TIMED_OUT: TargetState.TIMED_OUT,
    AttemptState.CANCELLED: TargetState.CANCELLED,
    AttemptState.UNREACHABLE: TargetState.UNREACHABLE,
    AttemptState.UNKNOWN: TargetState.UNKNOWN,
}
_WENT_WELL = frozenset({AttemptState.SUCCEEDED, AttemptState.SKIPPED})
OFFLINE_LOOK: Micros = 30 * SECOND  # how long a target waits before its host is looked for again
SUCCEEDED = TargetEnd(state=TargetState.SUCCEEDED)


def state_of(exit_: Exit | None, result: StepResult | None) -> tuple[AttemptState, Reason | None]:
    """The state of an attempt from its exit (None: done in process) and the action's verdict (None: no verdict)."""
    if exit_ is not None and exit_.unreached is not None:
        return AttemptState.UNREACHABLE, exit_.unreached
    if exit_ is not None and exit_.lost is not None:
        return AttemptState.UNKNOWN, exit_.lost
    cause = exit_.cause if exit_ is not None else None
    if cause in {Reason.STEP_TIMEOUT, Reason.RUN_TIMEOUT}:
        return AttemptState.TIMED_OUT, Reason(cause)
    if cause is not None:
        confirmed = not (exit_ and exit_.left_running)
        return AttemptState.CANCELLED, Reason(cause) if confirmed else Reason.CANCEL_UNCONFIRMED
    if result is not None and result.ok:
        return AttemptState.SUCCEEDED, None
    return AttemptState.FAILED, Reason.STEP_FAILED


def follow_up(
    work: Assignment,
    plan: Plan,
    end: AttemptEnd,
    *,
    cancel: Reason | None,
    now: Micros,
    step_over_at: Micros | None = None,
) -> Report:
    """The report of an ended attempt. `cancel`: somebody asked for the end of the run, so nothing more is started.

    `step_over_at`: when the time of the step with all its attempts is over; None where it has no such limit.
    """
    step = plan.steps[work.cursor]
    if cancel is None and (waiting := _wait(work, step, end, now, step_over_at)) is not None:
        return waiting
    if not goes_on(step, end):
        return Report(work=work, attempt=end, end=target_end(step, end))
    if work.cursor + 1 == len(plan.steps):
        return Report(work=work, attempt=end, end=SUCCEEDED)
    if cancel is not None:
        return Report(work=work, attempt=end, end=cancelled(cancel))
    return Report(work=work, attempt=end, then=(work.cursor + 1, 1))


def cancelled(reason: Reason) -> TargetEnd:
    return TargetEnd(state=TargetState.CANCELLED, reason=reason, message=EXPLANATIONS[reason])


def _wait(work: Assignment, step: Step, end: AttemptEnd, now: Micros, step_over_at: Micros | None) -> Report | None:
    """The report of a target that waits for its host, leaves it out, or tries again; None where none of that is so.

    Nobody waits beyond the end of the run, or of the step's own time: then the failure at hand is the verdict.
    """
    over_at = work.run_started_at + work.run_timeout
    if end.state is AttemptState.UNREACHABLE and end.reason in AWAY:
        has_begun = work.cursor > 0 or work.number > 1
        if work.on_offline is OnOffline.SKIP and not has_begun:
            left_out = TargetEnd(state=TargetState.SKIPPED, reason=Reason.HOST_OFFLINE, message=end.message)
            return Report(work=work, attempt=end, end=left_out)
        if work.on_offline is OnOffline.WAIT and now + OFFLINE_LOOK < over_at:
            until = now + OFFLINE_LOOK
            park = Park(until=until, waiting_for="host", reason=end.reason, message=end.message, has_begun=has_begun)
            return Report(work=work, attempt=None, park=park)  # a look for a host is no try of the step
    if not may_try_again(step, end.state, end.reason, end.exit_code, work.number):
        return None
    delay = delay_before_next(step, work.number, seed=f"{work.target_id}/{work.cursor}")
    if step_over_at is not None and now + delay >= step_over_at:
        return None
    if not delay:
        return Report(work=work, attempt=end, then=(work.cursor, work.number + 1))
    if now + delay >= over_at:
        return None
    park = Park(until=now + delay, waiting_for="retry", reason=end.reason, message=end.message)
    return Report(work=work, attempt=end, park=park)


def goes_on(step: Step, end: AttemptEnd) -> bool:
    """Whether the step after this one has its turn."""
    if end.state in _WENT_WELL:
        return True
    if end.state is AttemptState.UNKNOWN:
        return step.on_lost is OnLost.CONTINUE
    is_known = end.state is AttemptState.FAILED or end.reason is Reason.STEP_TIMEOUT
    return step.continue_on_error and is_known


def target_end(step: Step, end: AttemptEnd) -> TargetEnd:
    """The end of a target whose last attempt ended like this and that does not go on."""
    message = end.message or (EXPLANATIONS[end.reason] if end.reason else None)
    if message and end.state is AttemptState.FAILED:
        message = f"{step.name}: {message}"
    return TargetEnd(state=_TARGET_OF[end.state], reason=end.reason, message=message)
