"""Seed 3's list: `Inbox Triage -- every 15 minutes (*/15 * * * *)`. Its words, of Rota's triggers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rota.domain.trigger.english import WEEKDAYS, length

if TYPE_CHECKING:
    from rota.usecases.shapes import Job, Trigger

_SECOND = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_DAILY = {_DAY: "0 0 * * *"}
_DAYS = {"*": "daily", "1-5": "weekdays", "0,6": "weekends"} | {
    str(number): f"{name}s" for number, name in enumerate(WEEKDAYS)
}


def schedule_lines(jobs: Sequence[Job]) -> Iterator[str]:
    """The whole list, with its heading; what is paused or disabled says so."""
    yield "  Schedules"
    yield ""
    yield from (f"    {_line(job)}" for job in jobs)
    if not jobs:
        yield "    none yet; make one: /schedule NAME --when 'daily 9am' --do 'shell: echo hello'"


def _line(job: Job) -> str:
    words = "; ".join(_reading(trigger) for trigger in job["triggers"]) if _are_simple(job) else job["trigger_text"]
    crons = [cron for trigger in job["triggers"] if (cron := _as_cron(trigger))]
    shown = f" ({'; '.join(crons)})" if crons else ""
    state = "" if job["enabled"] else " (disabled)"
    return f"{job['name']} -- {words}{shown}" + (" (paused)" if job.get("paused") else state)


def _are_simple(job: Job) -> bool:
    return all(_reading(trigger) for trigger in job["triggers"])


def _reading(trigger: Trigger) -> str:
    """`every 1 hour`, `weekdays 10 AM`, `daily 9:30 AM`; empty for what needs a sentence."""
    if trigger["kind"] == "interval":
        return f"every {length(round(trigger['every_seconds'] * _SECOND))}"
    if trigger["kind"] != "cron":
        return ""
    fields = trigger["expression"].split()
    if len(fields) != 5 or not (fields[0].isdigit() and fields[1].isdigit()) or fields[2:4] != ["*", "*"]:
        return ""
    days = _DAYS.get(fields[4], "")
    return f"{days} {_clock(int(fields[1]), int(fields[0]))}" if days else ""


def _clock(hour: int, minute: int) -> str:
    return f"{hour % 12 or 12}{f':{minute:02d}' if minute else ''} {'PM' if hour >= 12 else 'AM'}"


def _as_cron(trigger: Trigger) -> str:
    """The expression; for an interval the one that is due at the same instants, where there is one."""
    if trigger["kind"] == "cron":
        return trigger["expression"]
    if trigger["kind"] != "interval":
        return ""
    seconds = round(trigger["every_seconds"])
    if seconds != trigger["every_seconds"] or not trigger["anchor"].endswith(":00:00Z"):
        return ""
    if seconds <= _HOUR and _HOUR % seconds == 0 and seconds % _MINUTE == 0:
        return f"*/{seconds // _MINUTE} * * * *" if seconds < _HOUR else "0 */1 * * *"
    # Hours of the wall clock are hours of real time only where the clock never changes.
    if trigger.get("timezone") == "UTC" and trigger["anchor"].endswith("T00:00:00Z") and _DAY % seconds == 0:
        return f"0 */{seconds // _HOUR} * * *" if seconds < _DAY and seconds % _HOUR == 0 else _DAILY.get(seconds, "")
    return ""
