"""What storage and a worker say to each other about one claimed run target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rota.domain.fanout import OnOffline
from rota.domain.instant import Micros
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState, TargetState

# Target id and fence. Whoever took back what was taken from it may hold a target by two claims, until it hears of both.
Claim = tuple[int, int]


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
    on_offline: OnOffline | None = None  # None: the run has no fan-out rules (`run_fanout`)

    @property
    def claim(self) -> Claim:
        return self.target_id, self.fence

    @property
    def has_rules(self) -> bool:
        return self.on_offline is not None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """The target waits for a retry or for its host, held by nobody.

    `has_begun` False: its host was away before the first step, so its lock on the host is given back. A report without
    an `attempt` takes the open one back: nothing of it was started.
    """

    until: Micros
    waiting_for: Literal["retry", "host"]
    reason: Reason | None
    message: str | None
    has_begun: bool = True


@dataclass(slots=True, kw_only=True)
class Report:
    """One attempt is over. Then the target is too (`end`), goes on with another attempt (`then`), or waits (`park`)."""

    work: Assignment
    attempt: AttemptEnd | None  # None: there was no attempt to end (the target ends before its first one)
    end: TargetEnd | None = None
    then: tuple[int, int] | None = None  # (step index, attempt number) of the next intent
    park: Park | None = None


def token_of(attempt_id: int) -> str:
    """What names an attempt to keepers and hosts for ever: attempt ids are never used twice."""
    return f"att-{attempt_id}"


def attempt_of(token: str) -> int:
    """The id of the attempt that a token of ours names."""
    return int(token.removeprefix("att-"))


@dataclass(slots=True)
class Settled:
    """What a batch of reports did. `fenced` were refused: by these claims nobody holds a target any more."""

    next_attempts: dict[Claim, int]  # ids of the next attempts, for reports with `then`
    fenced: set[Claim]
    finished_runs: list[int]
    slots: int = 0  # those that ended runs held and `finishing.free_slots` has not given back yet
