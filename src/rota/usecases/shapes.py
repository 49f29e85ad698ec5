"""The JSON of API v1, field by field: what every use case answers. `resources` builds these.

Instants are RFC 3339 with Z. Ids are a kind prefix and 16 hex digits. The OpenAPI document is made from these types.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import JsonValue as Json

# `typing.TypedDict` loses NotRequired on 3.11 when pydantic makes a schema of it.
from typing_extensions import TypedDict


class Daemon(TypedDict):
    running: bool
    pid: int | None
    started_at: str | None
    scheduling: bool


class Upcoming(TypedDict):
    """`local` is the moment `at` in the trigger's zone, with the zone's abbreviation."""

    at: str
    local: str
    timezone: str


class LastRun(TypedDict):
    id: str
    state: str
    reason: str | None
    started_at: str | None
    finished_at: str | None
    trigger: str


class Trigger(TypedDict):
    name: str
    kind: str
    timezone: NotRequired[str]
    expression: NotRequired[str]
    every_seconds: NotRequired[float]
    anchor: NotRequired[str]
    at: NotRequired[str]


class Step(TypedDict):
    name: str
    action: str
    params: dict[str, Json]
    os: str | None
    when: str | None
    register: str | None
    continue_on_error: bool
    timeout_seconds: float | None
    retries: int
    retry_delay_seconds: float
    idempotent: bool


class Job(TypedDict):
    id: str
    name: str
    description: str
    enabled: bool
    version: int
    target: str | None
    triggers: list[Trigger]
    overlap_policy: str
    missed_run_policy: str
    grace_seconds: float
    run_timeout_seconds: float
    targets_at_once: int
    priority: int
    created_by: str
    created_at: str
    updated_by: str
    updated_at: str
    trigger_short: str
    trigger_text: str
    action_short: str
    playbook: str | None
    last_run: LastRun | None
    active_runs: int
    # not in a listing with `fields=list`
    vars: NotRequired[dict[str, str]]
    steps: NotRequired[list[Step]]
    next_runs: NotRequired[list[Upcoming]]
    # only in the answer to a save
    warnings: NotRequired[list[str]]


class JobPage(TypedDict):
    items: list[Job]
    next: str | None
    daemon: Daemon


class Change(TypedDict):
    field: str
    old: Json
    new: Json


class Changed(TypedDict):
    job: Job
    changes: list[Change]


class Deleted(TypedDict):
    deleted: str
    id: str
    runs_kept: int
    active_runs: int


class Preview(TypedDict):
    trigger_text: str
    trigger_short: str
    next_runs: list[Upcoming]


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
    started_at: str | None
    finished_at: str | None
    output_bytes: int


class Target(TypedDict):
    """`step` is the cursor: the name of the step it is at, None after the last."""

    id: str
    host: str
    state: str
    reason: str | None
    message: str | None
    step: str | None
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
    duration_seconds: float | None
    principal: str
    rerun_of: str | None
    cancel_requested_at: str | None
    hosts: HostCount
    targets_by_state: dict[str, int]
    # only in the details of one run
    plan: NotRequired[Plan]
    targets: NotRequired[list[Target]]


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


class NextJob(TypedDict):
    job: str
    at: str


class JobCounts(TypedDict):
    total: int
    enabled: int


class Instance(TypedDict):
    version: str
    home: str
    instance_id: str
    in_process: bool
    daemon: Daemon
    jobs: JobCounts
    next: NextJob | None
    zone: str


class Host(TypedDict):
    """`in_all`: whether the selector `all` picks it now."""

    id: str
    name: str
    connector: str
    address: str | None
    os: str | None
    tags: dict[str, str]
    groups: list[str]
    site: str | None
    disabled: bool
    in_all: bool


class Hosts(TypedDict):
    items: list[Host]
    next: None


class Names(TypedDict):
    items: list[str]


class Group(TypedDict):
    name: str
    hosts: list[str]


class Groups(TypedDict):
    items: list[Group]
    next: None


class Removed(TypedDict):
    deleted: str


class PlaybookItem(TypedDict):
    """`steps` counts them; `faults` say why a newer text of its file was not taken."""

    id: str
    name: str
    description: str
    digest: str
    steps: int
    source: str
    updated_at: str
    faults: list[str]


class PlaybookFault(TypedDict):
    source: str
    errors: list[str]


class Playbooks(TypedDict):
    """`faults`: files of the playbook folder that could not be taken."""

    items: list[PlaybookItem]
    next: None
    faults: list[PlaybookFault]


class Playbook(TypedDict):
    id: str
    name: str
    description: str
    digest: str
    steps: list[Step]
    source: str
    updated_at: str
    text: str
    vars: dict[str, str]


class Fault(TypedDict):
    field: str
    message: str
    expected: str
    got: str
    hint: str


class Validation(TypedDict):
    valid: bool
    errors: list[Fault]


class Problem(TypedDict):
    """Every answer that is not a success."""

    code: str
    message: str
    hint: str
    expected: str
    request_id: str
    errors: list[Fault]
    reason: NotRequired[str]
