"""Runs down to their output, the ledger, and why."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import JsonValue as Json
from typing_extensions import TypedDict

from rota.usecases.shapes.jobs import Step


class HostCount(TypedDict):
    ok: int
    total: int


class Attempt(TypedDict):
    id: str
    step: str
    number: int
    state: str
    reason: str | None
    message: str | None
    exit_code: int | None
    signal: int | None
    changed: bool | None
    registered: Json
    evidence: str | None  # what was learnt after it had ended `unknown`
    started_at: str | None
    finished_at: str | None
    output_bytes: int


class Target(TypedDict):
    """`step` is the cursor: the name of the step it is at, None after the last.

    While `queued`, `waiting_for` says what it is parked for (retry, host), `message` in words, and `next_look_at` when
    it is looked at again at the latest. `batch` counts from 1; None where the run has no batches.
    """

    id: str
    host: str
    state: str
    reason: str | None
    message: str | None
    step: str | None
    batch: int | None
    waiting_for: str | None
    next_look_at: str | None
    changed: bool | None
    started_at: str | None
    finished_at: str | None
    attempts: list[Attempt]


class Plan(TypedDict):
    """`raw_uses` (dry run only) names each variable that a step pastes into a command unquoted."""

    digest: str
    steps: list[Step]
    vars: dict[str, Json]
    hosts: NotRequired[list[str]]
    raw_uses: NotRequired[list[str]]


class Planned(TypedDict):
    plan: Plan
    warnings: NotRequired[list[str]]


class FanOut(TypedDict):
    """The rules of a run, and how far it has come: targets of batches up to `open_batch` may start (None: there are
    no batches), none before `next_start_at`; `bad` ended badly, and `most_bad` may before the rest is skipped."""

    on_offline: str
    lock_hosts: bool
    throttle: str | None
    batch: str | None
    batch_pause_seconds: float
    max_fail: str | None
    sizes: list[int]
    open_batch: int | None
    next_start_at: str | None
    bad: int
    most_bad: int | None


class Run(TypedDict):
    id: str
    job: str | None
    job_id: str | None
    job_version: int | None
    title: str
    trigger: str
    catch_up: bool
    state: str
    reason: str | None
    message: str | None
    waiting_for: str | None
    priority: int
    nominal_at: str | None
    due_at: str
    created_at: str
    queued_at: str | None
    started_at: str | None
    finished_at: str | None
    deferred_by: str | None  # the calendar that put it off from `nominal_at` to `due_at`
    duration_seconds: float | None
    principal: str
    rerun_of: str | None
    cancel_requested_at: str | None
    hosts: HostCount
    targets_by_state: dict[str, int]
    # only in the details of one run
    plan: NotRequired[Plan]
    targets: NotRequired[list[Target]]
    fan_out: NotRequired[FanOut]  # where it has rules
    # only in the answer to a rerun
    warnings: NotRequired[list[str]]


class RunChange(TypedDict):
    """A run without its plan, and those of its targets that have changed since the event before."""

    run: Run
    targets: list[Target]


class RunPage(TypedDict):
    items: list[Run]
    next: str | None


class RunEntry(Run):
    kind: Literal["run"]


class LedgerEntry(TypedDict):
    """What the planner refused: one occurrence, or `count` of them from `first_at` to `last_at`."""

    kind: Literal["ledger"]
    job: str
    trigger: str
    reason: str
    message: str | None
    first_at: str
    last_at: str
    count: int
    at: str
    blocked_by: str | None


class History(TypedDict):
    items: list[RunEntry | LedgerEntry]
    next: str | None


class Output(TypedDict):
    """A piece of what a step wrote. `cut` bytes before `text` were not kept."""

    seq: int
    host: str
    step: str
    attempt: int
    offset: int
    text: str
    cut: int


class OutputPage(TypedDict):
    items: list[Output]
    next: int


class Why(TypedDict):
    subject: str
    state: str
    answer: str
    lines: list[str]
    next_look_at: str | None
