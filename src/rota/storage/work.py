"""What storage and a worker say to each other about one claimed run target."""

from __future__ import annotations

from dataclasses import dataclass

from rota.domain.instant import Micros
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState, TargetState


@dataclass(slots=True, kw_only=True)
class Assignment:
    """A run target that this process has claimed, with the intent of its next attempt already durable.

    Mutable on purpose: as steps end, `cursor`, `attempt_id` and `number` move on with the rows they mirror.
    """

    target_id: int
    run_id: int
    run_public: str
    job_id: int | None
    title: str
    kind: str
    plan_id: int
    total: int  # targets of the run
    host: str
    host_version_id: int | None
    connector: str
    fence: int
    cursor: int
    attempt_id: int
    number: int
    due_at: Micros
    run_started_at: Micros
    run_timeout: Micros
    changed: bool | None = None  # whether any step so far changed something


# AttemptEnd and Report are not `frozen`: one of each is made for every attempt, and freezing triples what that costs.
@dataclass(slots=True, kw_only=True)
class AttemptEnd:
    """The verdict on one attempt, as its row will say. `registered` is JSON text."""

    state: AttemptState
    reason: Reason | None = None
    message: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    changed: bool | None = None
    registered: str | None = None
    output_bytes: int | None = None
    started_at: Micros | None = None
    finished_at: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEnd:
    state: TargetState
    reason: Reason | None = None
    message: str | None = None


@dataclass(slots=True, kw_only=True)
class Report:
    """One attempt is over. Then either the target is (`end`), or it goes on with another attempt (`then`)."""

    work: Assignment
    attempt: AttemptEnd | None  # None: there was no attempt to end (the target ends before its first one)
    end: TargetEnd | None = None
    then: tuple[int, int] | None = None  # (step index, attempt number) of the next intent


@dataclass(slots=True)
class Settled:
    """What a batch of reports did. `fenced` were refused because another owner holds the target now."""

    next_attempts: dict[int, int]  # target id -> id of the next attempt, for reports with `then`
    fenced: set[int]  # target ids
    finished_runs: list[int]
