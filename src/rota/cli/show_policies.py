"""What `rota schedule show` says of a schedule's policies: of what is rarely said only what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rota.domain.instant import SECOND, format_span

if TYPE_CHECKING:
    from rota.usecases.shapes import Job, Step

Row = tuple[str, str]


def overlap_text(job: Job) -> str:
    """`skip`, `queue (at most 2 wait)`, `allow (at most 5 at once)`."""
    limit, policy = job["overlap_limit"], job["overlap_policy"]
    words = {"queue": f"at most {limit} wait", "allow": f"at most {limit} at once"}
    return f"{policy} ({words[policy]})" if limit is not None and policy in words else policy


def missed_text(job: Job) -> str:
    """`skip`, `run_all (at most 5, not older than 2h, 30/m)`."""
    window = job["catch_up_window_seconds"]
    said = [
        f"at most {job['catch_up_max']}" if job["catch_up_max"] is not None else "",
        f"not older than {_span(window)}" if window is not None else "",
        job["catch_up_rate"] or "",
    ]
    words = ", ".join(filter(None, said))
    return f"{job['missed_run_policy']} ({words})" if words else job["missed_run_policy"]


def waits_rows(job: Job) -> Iterator[Row]:
    """How long a run of it waits, and how its only step is tried again."""
    for label, seconds in (
        ("Start Within", job["start_within_seconds"]),
        ("Queue Timeout", job["queue_timeout_seconds"]),
        ("Step Timeout", job["step_timeout_seconds"]),
    ):
        if seconds is not None:
            yield label, _span(seconds)
    steps = job.get("steps", [])
    if len(steps) == 1:
        yield from _tries(steps[0])


def _tries(step: Step) -> Iterator[Row]:
    if step.get("retries"):
        yield "Retries", f"{step['retries']}, {_delay(step)}"
    if "retry_on" in step:
        yield "Retry On", ", ".join(step["retry_on"])
    is_idempotent = step.get("idempotent", False)
    if is_idempotent or "on_lost" in step:
        on_lost = step.get("on_lost", "retry" if is_idempotent else "stop")
        yield "On Lost", f"{on_lost}{' (idempotent)' if is_idempotent else ''}"
    if "total_timeout_seconds" in step:
        yield "Total Timeout", _span(step["total_timeout_seconds"])


def _delay(step: Step) -> str:
    """`60s apart`, `2s apart, then twice as long each time up to 5m, ±20%`."""
    grows = step.get("retry_backoff") == "exponential"
    jitter = step.get("retry_jitter", 0.2 if grows else 0.0)
    longest = max(step.get("retry_max_delay_seconds", 300.0), step["retry_delay_seconds"])
    said = [
        f"{_span(step['retry_delay_seconds'])} apart" if step["retry_delay_seconds"] else "at once",
        f"then twice as long each time up to {_span(longest)}" if grows else "",
        f"±{jitter * 100:g}%" if jitter else "",
    ]
    return ", ".join(filter(None, said))


def _span(seconds: float) -> str:
    return format_span(round(seconds * SECOND))
