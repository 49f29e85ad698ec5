"""Sentences and blocks that several commands print about jobs and runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rota.cli import badhosts, times
from rota.cli.words import run_status
from rota.domain.ids import SHOWN

if TYPE_CHECKING:
    from rota.domain.instant import Micros
    from rota.domain.step import Json
    from rota.usecases.shapes import Job, Run, Step, Upcoming

_LABELS = {"cron": "Cron", "interval": "Every", "once": "At"}


def short_id(public_id: str) -> str:
    """`sched_` and 8 of the 16 digits: enough to type, and what the seeds print."""
    kind, _, digits = public_id.partition("_")
    return f"{kind}_{digits[:SHOWN]}"


def trigger_line(job: Job) -> tuple[str, str]:
    """`("Cron", "0 2 * * * (Every day at 02:00)")`; the label is Cron, Every, At or Trigger.

    Of several triggers each has a line of its own under the label Triggers, with its zone where they do not share one.
    """
    words = job.get("triggers_in_words", [])
    if len(words) > 1:
        zones = [trigger.get("timezone", "") for trigger in job["triggers"]]
        ends = [f", {zone}" if zone and len({*zones} - {""}) > 1 else "" for zone in zones]
        longest = max(len(said["name"]) for said in words)
        lines = [
            f"{said['name']:{longest}}  {_with_reading(said['short'], said['text'])}{end}"
            for said, end in zip(words, ends, strict=True)
        ]
        return "Triggers", "\n".join(lines)
    kind = job["triggers"][0]["kind"] if job["triggers"] else "manual"
    short = job["trigger_short"]
    if kind in _LABELS:
        short = short.removeprefix("every ").removeprefix("at ")
    return _LABELS.get(kind, "Trigger"), _with_reading(short, job["trigger_text"])


def _with_reading(short: str, reading: str) -> str:
    return short if reading.lower() == short else f"{short} ({reading})"


def next_runs(moments: Sequence[Upcoming], count: int, *, otherwise: str = "") -> Iterator[str]:
    """`Next 3 runs:` and a line each; `otherwise` says why there are none."""
    if not moments:
        yield f"Next runs: none{otherwise}"
        return
    shown = moments[: _place_of_start(moments, count)]
    # A job that is due once has one next run: the heading tells the truth about what follows.
    starts = sum("reason" not in moment for moment in shown)
    yield f"Next {starts} runs:" if starts > 1 else "Next run:" if starts else "Next runs: none, as things stand"
    yield from (f"  {times.upcoming(moment)}" for moment in shown)


def _place_of_start(moments: Sequence[Upcoming], count: int) -> int:
    """How many moments there are up to the `count`-th that starts: those that do not are shown between them."""
    starts = [place for place, moment in enumerate(moments, start=1) if "reason" not in moment]
    return starts[count - 1] if len(starts) >= count else len(moments)


def job_next_runs(job: Job, count: int) -> Iterator[str]:
    why = ""
    if not job["enabled"]:
        why = f", as it is disabled (rota schedule enable {job['name']})"
    elif all(trigger["kind"] == "manual" for trigger in job["triggers"]):
        why = f"; start it with: rota schedule trigger {job['name']}"
    elif (no_next := job.get("no_next")) is not None:
        why = f"; {no_next}"
    return next_runs(job.get("next_runs", []), count, otherwise=why)


def step_text(step: Step) -> str:
    """`shell: df -h`: a step with one parameter as it is typed after `--do`, another with its parameters as JSON."""
    params = step["params"]
    if len(params) == 1:
        return f"{step['action']}: {value_text(next(iter(params.values())))}"
    return f"{step['action']}: {json.dumps(params, ensure_ascii=False)}" if params else step["action"]


def step_lines(steps: Sequence[Step]) -> Iterator[str]:
    """`  1. df  shell: df -h` for each; of a text of several lines, its lines below that, indented."""
    for number, step in enumerate(steps, start=1):
        kind, colon, text = step_text(step).rstrip("\n").partition(": ")
        if "\n" in text:
            yield f"  {number}. {step['name']}  {kind}:"
            yield from (f"       {line}".rstrip() for line in text.split("\n"))
        else:
            yield f"  {number}. {step['name']}  {kind}{colon}{text}"


def value_text(value: Json) -> str:
    """A JSON value in a sentence: text as it is, nothing as `-`, the rest as JSON."""
    if value is None or value == "":
        return times.NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def labelled(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """`Name:        daily-backup`, the values in one column, each line of them."""
    wide = max(len(label) for label, _ in rows) + 1
    below = "\n" + " " * (wide + 1)
    return (f"{label + ':':{wide}} {below.join(value.rstrip().split(chr(10)))}".rstrip() for label, value in rows)


def summary(run: Run, now: Micros, *, width: int = 80) -> Iterator[str]:
    """How a run ended, and which hosts went wrong with what: equal troubles once."""
    hosts = run["hosts"]
    took = times.since(run["started_at"], run["finished_at"], now)
    yield f"{short_id(run['id'])} {run_status(run)} in {took}, {hosts['ok']}/{hosts['total']} hosts"
    targets = run.get("targets", [])
    yield from badhosts.told(targets, width=width)


def rerun_hint(run: Run) -> str | None:
    """What to type to repeat a run where it did not succeed."""
    hosts = run["hosts"]
    if hosts["total"] == 1 or hosts["ok"] == hosts["total"]:
        return None
    return f"Again where it did not succeed: rota runs rerun {short_id(run['id'])} --failed"
