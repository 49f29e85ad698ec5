"""Why something did not run, or ended as it did. One closed list, never in a SQL CHECK, so that it may grow."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    # decided while planning: ledger rows
    OVERLAP_SKIP = "overlap_skip"
    MISSED = "missed"
    NO_TARGETS = "no_targets"
    PLAN_FAILED = "plan_failed"
    PAUSED = "paused"
    BLACKOUT = "blackout"
    # decided before or while running
    OVERLAP_REPLACED = "overlap_replaced"
    POLICY_DENIED = "policy_denied"
    CREDENTIAL_MISSING = "credential_missing"
    HOST_LOCKED = "host_locked"
    MAX_FAIL = "max_fail"
    PAST_DEADLINE = "past_deadline"
    QUEUE_EXPIRED = "queue_expired"
    # a host was not reached: nothing was started on it
    HOST_OFFLINE = "host_offline"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    AUTH_FAILED = "auth_failed"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    # how it ended
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
    RESTORED = "restored"


EXPLANATIONS: dict[Reason, str] = {
    Reason.OVERLAP_SKIP: "the previous run was still unfinished, and the overlap policy says skip",
    Reason.MISSED: "no daemon was planning at that time, and the missed-run policy says skip",
    Reason.NO_TARGETS: "the target selector matched no host",
    Reason.PLAN_FAILED: "no plan could be made of the job as it stands",
    Reason.PAUSED: "it was paused at that time",
    Reason.BLACKOUT: "a calendar allows no start at that time",
    Reason.OVERLAP_REPLACED: "a newer run of the same job took its place (overlap policy cancel_running)",
    Reason.POLICY_DENIED: "policy denied it",
    Reason.CREDENTIAL_MISSING: "a key or password that it needs is not there, or may not be used",
    Reason.HOST_LOCKED: "another run holds the lock on the host",
    Reason.PAST_DEADLINE: "it had not started within the time that its job allows after it is due (start_within)",
    Reason.QUEUE_EXPIRED: "it had waited for its turn as long as its job allows (queue_timeout)",
    Reason.MAX_FAIL: "too many hosts had failed before its turn came",
    Reason.HOST_OFFLINE: "the host could not be reached",
    Reason.CONNECT_REFUSED: "the host refused the connection",
    Reason.CONNECT_TIMEOUT: "the host did not answer in time",
    Reason.AUTH_FAILED: "the host refused the key or password",
    Reason.HOST_KEY_UNKNOWN: "the host's key is not known",
    Reason.HOST_KEY_CHANGED: "the host shows another key than the one that is known",
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
    Reason.RESTORED: "it was open when the backup was made that this instance was restored from",
}
