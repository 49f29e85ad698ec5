"""Sentences and blocks that several commands print about jobs and runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rota.cli import times
from rota.cli.words import run_status, status_word
from rota.domain.ids import SHOWN

if TYPE_CHECKING:
    from rota.domain.instant import Micros
    from rota.domain.step import Json
    from rota.usecases.shapes import Job, Run, Step, Target, Upcoming

_BAD_HOSTS_NAMED = 10
_GOOD = frozenset({"succeeded", "skipped"})
_LABELS = {"cron": "Cron", "interval": "Every", "once": "At"}


def short_id(public_id: str) -> str:
    """`sched_` and 8 of the 16 digits: enough to type, and what the seeds print."""
    kind, _, digits = public_id.partition("_")
    return f"{kind}_{digits[:SHOWN]}"


def trigger_line(job: Job) -> tuple[str, str]:
    """`("Cron", "0 2 * * * (Every day at 02:00)")`; the label is Cron, Every, At or Trigger."""
    kind = job["triggers"][0]["kind"] if job["triggers"] else "manual"
    short = job["trigger_short"].removeprefix("every ").removeprefix("at ")
    reading = job["trigger_text"]
    return _LABELS.get(kind, "Trigger"), short if reading.lower() == short else f"{short} ({reading})"


def next_runs(moments: Sequence[Upcoming], count: int, *, otherwise: str = "") -> Iterator[str]:
    """`Next 3 runs:` and a line each; `otherwise` says why there are none."""
    if not moments:
        yield f"Next runs: none{otherwise}"
        return
    shown = moments[:count]
    # A job that is due once has one next run: the heading tells the truth about what follows.
    yield f"Next {len(shown)} runs:" if len(shown) > 1 else "Next run:"
    yield from (f"  {times.upcoming(moment)}" for moment in shown)


def job_next_runs(job: Job, count: int) -> Iterator[str]:
    why = ""
    if not job["enabled"]:
        why = f", as it is disabled (rota schedule enable {job['name']})"
    elif all(trigger["kind"] == "manual" for trigger in job["triggers"]):
        why = f"; start it with: rota schedule trigger {job['name']}"
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


def summary(run: Run, now: Micros) -> Iterator[str]:
    """How a run ended, and a line for each host that went wrong with its reason."""
    hosts = run["hosts"]
    took = times.since(run["started_at"], run["finished_at"], now)
    yield f"{short_id(run['id'])} {run_status(run)} in {took}, {hosts['ok']}/{hosts['total']} hosts"
    bad = [target for target in run.get("targets", []) if target["state"] not in _GOOD]
    yield from (f"  {bad_host(target)}" for target in bad[:_BAD_HOSTS_NAMED])
    if len(bad) > _BAD_HOSTS_NAMED:
        yield f"  and {len(bad) - _BAD_HOSTS_NAMED} more: rota runs show {short_id(run['id'])}"


def step_of(target: Target) -> str | None:
    """The step a host is at; where it has ended, the step it was at last."""
    return target["step"] or (target["attempts"][-1]["step"] if target["attempts"] else None)


def bad_host(target: Target) -> str:
    """`web-3: failure at step "rotate" (step_failed): exit code 1`."""
    text = f"{target['host']}: {status_word(target['state'])}"
    failed = [attempt for attempt in target["attempts"] if attempt["state"] not in _GOOD]
    if step := step_of(target):
        text += f' at step "{step}"'
    if target["reason"]:
        text += f" ({target['reason']})"
    message = target["message"] or (failed[-1]["message"] if failed else None)
    return f"{text}: {message}" if message else text
