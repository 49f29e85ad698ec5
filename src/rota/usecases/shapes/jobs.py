"""Jobs, their steps, and how they change."""

from __future__ import annotations

from typing import NotRequired

from pydantic import JsonValue as Json
from typing_extensions import TypedDict

from rota.usecases.shapes.instance import Daemon
from rota.usecases.shapes.times import Pause, Trigger, TriggerInWords, Upcoming, Window


class LastRun(TypedDict):
    id: str
    state: str
    reason: str | None
    started_at: str | None
    finished_at: str | None
    trigger: str


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
