"""What `rota schedule show` prints: everything that a schedule says, and of what is rarely said only what it says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rota.cli import times
from rota.cli.show_policies import missed_text, overlap_text, waits_rows
from rota.cli.texts import job_next_runs, labelled, short_id, step_text, trigger_line
from rota.cli.words import run_status
from rota.domain.instant import SECOND, format_span

if TYPE_CHECKING:
    from rota.usecases.shapes import Job, LastRun

Row = tuple[str, str]

_NEXT_SHOWN = 5  # seed 1
_NARROWEST = 20  # columns for values; a narrower terminal wraps by itself
# Shown only where a schedule differs (DESIGN §5), or with `-o wide`.
_RUN_TIMEOUT_SECONDS, _GRACE_SECONDS, _TARGETS_AT_ONCE, _ON_OFFLINE = 3600, 60, 10, "fail"
_UTC = ("UTC", "Etc/UTC")


def job_lines(job: Job, *, wide: bool, width: int | None) -> Iterator[str]:
    """The lines of a schedule. `width`: columns of the terminal, into which values are broken; None: no breaks."""
    rows = [*_what(job, wide=wide), *_how(job, wide=wide), *_who(job, wide=wide)]
    variables = job.get("vars", {})
    rows.append(("Variables", "" if variables else times.NONE))
    yield from labelled(_broken(rows, width))
    yield from (f"  {key} = {value}" for key, value in sorted(variables.items()))
    yield from ("", f"Last Run: {_last_run(job['last_run'])}", "")
    for line in job_next_runs(job, _NEXT_SHOWN):
        yield from [line] if width is None else _fitted(line, width, indent=" " * 6)


def _what(job: Job, *, wide: bool) -> Iterator[Row]:
    """Its name, when it starts, what it does, and on which hosts."""
    yield "Name", job["name"]
    yield "ID", job["id"] if wide else short_id(job["id"])
    yield "Description", job["description"] or times.NONE
    yield from _triggers(job, wide=wide)
    yield from _set_ones(
        ("Starts", f"not before {times.utc(job['start_at'])} UTC" if job["start_at"] else ""),
        ("Ends", f"not after {times.utc(job['end_at'])} UTC" if job["end_at"] else ""),
        ("Max Runs", f"{job['max_runs']} ({job.get('runs_left', job['max_runs'])} left)" if job["max_runs"] else ""),
    )
    if job["playbook"]:
        yield "Playbook", job["playbook"]
    elif len(steps := job.get("steps", [])) == 1:
        yield "Do", step_text(steps[0])
    else:
        yield "Steps", ", ".join(step["name"] for step in steps)
    yield "Target", job["target"] or times.NONE


def _triggers(job: Job, *, wide: bool) -> Iterator[Row]:
    yield trigger_line(job)
    rules = [words["rrule"] for words in job.get("triggers_in_words", []) if "rrule" in words]
    if wide and rules:
        yield "Recurrence", "\n".join(rules)
    zones = {trigger["timezone"] for trigger in job["triggers"] if "timezone" in trigger}
    zone = min(zones, default="UTC")
    if len(zones) < 2 and (wide or zone not in _UTC):  # of several, each is told with its trigger
        yield "Timezone", zone


def _how(job: Job, *, wide: bool) -> Iterator[Row]:
    """Whether and when it may start, and how a run of it goes."""
    pause = job["paused"]
    yield "Enabled", "true" if job["enabled"] else "false"
    yield from _set_ones(("Paused", pause["said"] if pause else ""))
    yield "Overlap", overlap_text(job)
    yield "Missed Run", missed_text(job)
    yield from _set_ones(
        ("Tags", ", ".join(f"{key}={value}" if value else key for key, value in sorted(job["tags"].items()))),
        ("Calendars", _calendars(job)),
        ("Windows", "\n".join(f"{one['window']}:{one['on_hit']} ({one['timezone']})" for one in job["windows"])),
        ("Spread", f"up to {_span(job['spread_seconds'])}" if job["spread_seconds"] else ""),
        ("Jitter", f"up to {_span(job['jitter_seconds'])}" if job["jitter_seconds"] else ""),
    )
    yield from waits_rows(job)
    if wide or job["run_timeout_seconds"] != _RUN_TIMEOUT_SECONDS:
        yield "Run Timeout", _span(job["run_timeout_seconds"])
    if wide or job["grace_seconds"] != _GRACE_SECONDS:
        yield "Grace", _span(job["grace_seconds"])
    yield from _fan_out(job, wide=wide)


def _calendars(job: Job) -> str:
    """`freeze:skip` for those it names, and below them those that concern it all the same."""
    attached = job.get("attached_calendars", [])
    also = f"not named here, and hold it too: {', '.join(attached)}" if attached else ""
    return "\n".join(filter(None, [", ".join(job["calendars"]), also]))


def _fan_out(job: Job, *, wide: bool) -> Iterator[Row]:
    """How its runs spread over their hosts."""
    if wide or job["targets_at_once"] != _TARGETS_AT_ONCE:
        yield "At Once", f"{job['targets_at_once']} targets"
    if wide or job["priority"]:
        yield "Priority", str(job["priority"])
    pause = f", {_span(job['batch_pause_seconds'])} apart" if job["batch_pause_seconds"] else ""
    stops_at = job["max_fail"] or ("0" if job["batch"] else "")  # with batches, one bad host stops the rest
    yield from _set_ones(
        ("Batches", f"{job['batch']}{pause}" if job["batch"] else ""),
        ("Max Fail", f"{stops_at}; with more bad hosts the rest is not started" if stops_at else ""),
        ("Throttle", f"at most {job['throttle']}" if job["throttle"] else ""),
        ("Lock", "shares no host with another run that locks" if job["lock_hosts"] else ""),
        ("On Offline", job["on_offline"] if job["on_offline"] != _ON_OFFLINE else ""),
    )


def _who(job: Job, *, wide: bool) -> Iterator[Row]:
    yield "Created By", job["created_by"]
    yield "Created At", times.instant(job["created_at"])
    if wide:
        yield "Updated By", job["updated_by"]
        yield "Updated At", times.instant(job["updated_at"])
        yield "Version", str(job["version"])


def _last_run(run: LastRun | None) -> str:
    if run is None:
        return "never"
    moment = run["started_at"] or run["finished_at"]
    word = f"({run_status(run)})"
    return f"{times.instant(moment)} {word}" if moment else word


def _set_ones(*rows: Row) -> Iterator[Row]:
    """Those that have a value."""
    return (row for row in rows if row[1])


def _broken(rows: list[Row], width: int | None) -> list[Row]:
    """The rows with every value broken, between words, into lines that fit beside the labels."""
    if width is None:
        return rows
    room = max(_NARROWEST, width - max(len(label) for label, _ in rows) - len(": "))
    return [
        (label, "\n".join(piece for line in value.split("\n") for piece in _fitted(line, room, indent="  ")))
        for label, value in rows
    ]


def _fitted(line: str, room: int, *, indent: str) -> list[str]:
    """The line in pieces of at most `room` columns; a word that is longer stays whole."""
    if len(line) <= room:
        return [line]
    return textwrap.wrap(line, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _span(seconds: float) -> str:
    return format_span(round(seconds * SECOND))
