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
    """A start that is ahead, or one that will not happen: then there is a `reason`.

    `local` is the moment `at` in the trigger's zone, with the zone's abbreviation. `note` says what moves or drops it.
    """

    at: str
    local: str
    timezone: str
    nominal_at: NotRequired[str]  # what the trigger says, where that is not `at`
    note: NotRequired[str]
    reason: NotRequired[str]  # paused, blackout
    viewer: NotRequired[str]  # the moment in the zone that was asked for
    count: NotRequired[int]  # so many are dropped together, up to `until`; both missing: all that ever come
    until: NotRequired[str]


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
    seed: NotRequired[str]
    gap: NotRequired[str]
    fold: NotRequired[str]
    every_seconds: NotRequired[float]
    anchor: NotRequired[str]
    at: NotRequired[str]
    every: NotRequired[int]
    unit: NotRequired[str]
    times: NotRequired[list[str]]
    weekdays: NotRequired[list[str]]
    nth: NotRequired[list[str]]
    month_days: NotRequired[list[int]]
    months: NotRequired[list[int]]
    overflow: NotRequired[str]
    gap_seconds: NotRequired[float]
    backoff_seconds: NotRequired[float]


class Recurrence(TypedDict):
    """`DTSTART…` and `RRULE…`, a line each: what RFC 5545 has exact words for."""

    rrule: NotRequired[str]


class TriggerInWords(Recurrence):
    """`short` as a list shows it (`0 2 * * *`), `text` in English (`Every day at 02:00`)."""

    name: str
    short: str
    text: str


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
    # only where they are said
    retry_backoff: NotRequired[str]
    retry_max_delay_seconds: NotRequired[float]
    retry_jitter: NotRequired[float]
    retry_on: NotRequired[list[str]]
    on_lost: NotRequired[str]
    total_timeout_seconds: NotRequired[float]


class Window(TypedDict):
    """A window of a job's own: outside all of them it does not start."""

    window: str
    timezone: str
    on_hit: str


class Pause(TypedDict):
    """`scope`: all, tag or job; `key` the tag or the job's name. `until` null: until somebody resumes.

    `state`: active or over. `said` is the whole of it in words.
    """

    id: str
    scope: str
    key: str
    since: str
    until: str | None
    reason: str
    by: str
    said: str
    state: str


class Pauses(TypedDict):
    items: list[Pause]
    next: None


class Resumed(TypedDict):
    """The pauses that were ended."""

    items: list[Pause]


class CalendarWindow(TypedDict):
    """`end` null: there is none within two years."""

    start: str
    end: str | None


class Calendar(TypedDict):
    """`applies_to`: whom it concerns by itself; `jobs`: those that name it. `fault`: why it cannot be read."""

    id: str
    name: str
    description: str
    effect: str
    timezone: str
    rules: list[str]
    applies_to: list[str]
    jobs: list[str]
    fault: str | None
    created_by: str
    created_at: str
    updated_by: str
    updated_at: str
    # only for one calendar
    next_windows: NotRequired[list[CalendarWindow]]
    # only in the answer to an import
    skipped: NotRequired[list[str]]


class Calendars(TypedDict):
    items: list[Calendar]
    next: None


class Job(TypedDict):
    id: str
    name: str
    description: str
    enabled: bool
    version: int
    target: str | None
    triggers: list[Trigger]
    overlap_policy: str
    overlap_limit: int | None
    missed_run_policy: str
    catch_up_max: int | None
    catch_up_window_seconds: float | None
    catch_up_rate: str | None
    grace_seconds: float
    start_within_seconds: float | None
    queue_timeout_seconds: float | None
    step_timeout_seconds: float | None
    run_timeout_seconds: float
    targets_at_once: int
    priority: int
    on_offline: str
    lock_hosts: bool
    throttle: str | None
    batch: str | None
    batch_pause_seconds: float
    max_fail: str | None
    start_at: str | None
    end_at: str | None
    max_runs: int | None
    tags: dict[str, str]
    spread_seconds: float
    jitter_seconds: float
    calendars: list[str]
    windows: list[Window]
    paused: Pause | None
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
    triggers_in_words: NotRequired[list[TriggerInWords]]
    attached_calendars: NotRequired[list[str]]  # those that concern it by a tag, a group or as all jobs
    next_runs: NotRequired[list[Upcoming]]
    no_next: NotRequired[str]  # why an enabled job has no next run at a known instant
    runs_left: NotRequired[int]  # of max_runs
    # only in the answer to a save
    warnings: NotRequired[list[str]]
    readings: NotRequired[list[str]]  # what the words of `when` were taken to mean


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


class DayAhead(TypedDict):
    """One day of a month, by the calendar of `Preview.timezone`."""

    date: str
    starts: int
    dropped: int  # by a pause or a calendar
    first: NotRequired[str]  # the first start's time of day
    notes: NotRequired[list[str]]  # what moves or drops


class Preview(TypedDict):
    trigger_text: str
    trigger_short: str
    timezone: str
    next_runs: list[Upcoming]
    previous_runs: NotRequired[list[Upcoming]]  # what the trigger names, newest last; what ran is in the history
    days: NotRequired[list[DayAhead]]  # of the month that was asked for
    no_next: NotRequired[str]  # why there is no next run
    warnings: NotRequired[list[str]]  # what to be careful of
    readings: NotRequired[list[str]]  # what the words of `when` were taken to mean


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


class NextJob(TypedDict):
    job: str
    at: str


class JobCounts(TypedDict):
    total: int
    enabled: int


class ClockChange(TypedDict):
    """`kind`: set_back, set_forward, slept, skew, doubted, believed. `before` and `at`: what the clock said."""

    kind: str
    before: str
    at: str
    message: str


class ClockNow(TypedDict):
    """`doubt`: why nothing is begun, while the clock cannot be right. `ahead_seconds`: how far the database's clock is
    ahead of this machine's, where there are two. `last_change`: the newest that was noticed, whenever that was."""

    doubt: str | None
    ahead_seconds: float | None
    last_change: ClockChange | None


class Instance(TypedDict):
    version: str
    home: str
    database: str  # `sqlite`: a file in `home`; else the URL, without a password
    instance_id: str
    in_process: bool
    daemon: Daemon
    jobs: JobCounts
    next: NextJob | None
    clock: ClockNow
    disk_full_since: str | None  # since when nothing new is begun or saved, for want of room
    zone: str
    zone_data: str  # the release of the time zone database in use, and where it comes from: `2026b (system)`


class Host(TypedDict):
    """`in_all`: whether the selector `all` picks it now. `groups`: the static ones. The host that is built in has no
    version."""

    id: str
    name: str
    connector: str
    address: str | None
    port: int | None
    user: str | None
    key_file: str | None
    passphrase_file: str | None
    password_file: str | None
    sudo_password_file: str | None
    jump: str | None
    os: str | None
    site: str | None
    tags: dict[str, str]
    vars: dict[str, str]
    groups: list[str]
    disabled: bool
    in_all: bool
    version: int | None
    updated_at: str | None
    # only in the answer to a save
    warnings: NotRequired[list[str]]


class Hosts(TypedDict):
    items: list[Host]
    next: None


class Names(TypedDict):
    items: list[str]


class Group(TypedDict):
    """`selector` is None for a static group. `hosts` are in it now, disabled ones too."""

    name: str
    description: str
    selector: str | None
    hosts: list[str]


class Groups(TypedDict):
    items: list[Group]
    next: None


class Site(TypedDict):
    name: str
    hosts: list[str]


class Sites(TypedDict):
    items: list[Site]
    next: None


class Imported(TypedDict):
    """What became of each host and group that was named, or would in a dry run."""

    hosts_added: list[str]
    hosts_updated: list[str]
    hosts_unchanged: list[str]
    groups_added: list[str]
    groups_updated: list[str]
    warnings: list[str]


class Ping(TypedDict):
    """`reason` says why it is not `ok`; `system` is what the host calls its system."""

    host: str
    ok: bool
    reason: str | None
    message: str
    seconds: float
    system: str | None


class HostKey(TypedDict):
    """`line` is what a known_hosts file says of it: `ssh-ed25519 AAAA…`."""

    algorithm: str
    fingerprint: str
    line: str


class KeyCheck(TypedDict):
    """The key a host shows. `before` are the keys it was known by, where the verdict is `changed`."""

    host: str
    shown: HostKey
    verdict: Literal["known", "unknown", "changed"]
    before: list[HostKey]


class Removed(TypedDict):
    deleted: str


class Limit(TypedDict):
    """`used`: of `runs` those that hold a slot, of the others the targets at work now."""

    key: str
    cap: int
    used: int
    # only in the answer to a change
    warnings: NotRequired[list[str]]


class Limits(TypedDict):
    items: list[Limit]
    next: None


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


class Backup(TypedDict):
    """`counts`: rows of the store by table. A file that is no backup has a `fault` and none of the rest."""

    name: str
    path: str
    bytes: int
    made_at: str | None
    rota: str | None
    schema: int | None
    counts: dict[str, int]
    files: list[str]
    fault: str | None


class BackupMade(Backup):
    """`keys`: files in the instance's `keys`, which are not in it. `removed`: older backups that went."""

    keys: int
    removed: list[str]


class Backups(TypedDict):
    items: list[Backup]
    next: None


class Problem(TypedDict):
    """Every answer that is not a success."""

    code: str
    message: str
    hint: str
    expected: str
    request_id: str
    errors: list[Fault]
    reason: NotRequired[str]
