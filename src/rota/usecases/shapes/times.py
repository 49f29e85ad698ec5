"""When: triggers, windows, calendars, pauses, and what lies ahead."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


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
