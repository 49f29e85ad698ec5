"""Why something did not run, or ended as it did. One closed list, never in a SQL CHECK, so that it may grow."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    # decided while planning: ledger rows
    OVERLAP_SKIP = "overlap_skip"
    MISSED = "missed"
    NO_TARGETS = "no_targets"
    PLAN_FAILED = "plan_failed"
    # decided before or while running
    OVERLAP_REPLACED = "overlap_replaced"
    POLICY_DENIED = "policy_denied"
    STEP_FAILED = "step_failed"
    STEP_TIMEOUT = "step_timeout"
    RUN_TIMEOUT = "run_timeout"
    USER_CANCELLED = "user_cancelled"
    CANCEL_UNCONFIRMED = "cancel_unconfirmed"
    SHUTDOWN = "shutdown"
    # something died
    DAEMON_CRASHED = "daemon_crashed"
    KEEPER_LOST = "keeper_lost"
    WORKER_LOST = "worker_lost"
    CONNECTION_LOST = "connection_lost"


EXPLANATIONS: dict[Reason, str] = {
    Reason.OVERLAP_SKIP: "the previous run was still unfinished, and the overlap policy says skip",
    Reason.MISSED: "no daemon was planning at that time, and the missed-run policy says skip",
    Reason.NO_TARGETS: "the target selector matched no host",
    Reason.PLAN_FAILED: "no plan could be made of the job as it stands",
    Reason.OVERLAP_REPLACED: "a newer run of the same job took its place (overlap policy cancel_running)",
    Reason.POLICY_DENIED: "policy denied it",
    Reason.STEP_FAILED: "a step failed",
    Reason.STEP_TIMEOUT: "a step ran longer than its timeout",
    Reason.RUN_TIMEOUT: "the run took longer than its timeout",
    Reason.USER_CANCELLED: "a person cancelled it",
    Reason.CANCEL_UNCONFIRMED: "it was cancelled, but processes could not be ended",
    Reason.SHUTDOWN: "the daemon was shut down",
    Reason.DAEMON_CRASHED: "daemon crashed during execution",
    Reason.KEEPER_LOST: "the keeper process died, and with it the result",
    Reason.WORKER_LOST: "the worker that held it is gone",
    Reason.CONNECTION_LOST: "the connection was lost after the order left",
}
