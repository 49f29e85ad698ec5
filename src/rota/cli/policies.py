"""The options that say how long a schedule's runs wait, how missed ones are caught up, and what follows a failure.

They make the API's fields. See docs/policies.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.options import Faults, one_of, with_options

if TYPE_CHECKING:
    from rota.domain.step import Json

F = TypeVar("F", bound=Callable[..., Any])

_NO_TIME = ("0", "0s")
# The API's fields as they are typed here, so that an error names what the user wrote.
POLICY_FLAGS = {
    "overlap_limit": "--overlap-limit",
    "catch_up_max": "--catch-up-max",
    "catch_up_window_seconds": "--catch-up-window",
    "catch_up_rate": "--catch-up-rate",
    "start_within_seconds": "--start-within",
    "queue_timeout_seconds": "--queue-timeout",
    "step_timeout_seconds": "--step-timeout",
    "total_timeout_seconds": "--total-timeout",
    "retries": "--retries",
    "retry_delay_seconds": "--retry-delay",
    "retry_backoff": "--retry-backoff",
    "retry_max_delay_seconds": "--retry-max-delay",
    "retry_jitter": "--retry-jitter",
    "retry_on": "--retry-on",
    "idempotent": "--idempotent",
    "on_lost": "--on-lost",
}


def policy_options(command: F) -> F:
    """The command gets them by the names of `Waits`' fields."""
    return with_options(
        command,
        click.option("--overlap-limit", metavar="N", help="Of queue those that wait (1), of allow all at once (3)."),
        click.option("--queue-timeout", metavar="DURATION", help="Give up a run that waits so long for its turn."),
        click.option("--start-within", metavar="DURATION", help="Give up a run so long after it was due."),
        click.option("--catch-up-max", metavar="N", help="Of run_all: at most so many. Default: 100."),
        click.option("--catch-up-window", metavar="DURATION", help="Of run_all: none that is older."),
        click.option("--catch-up-rate", metavar="RATE", help="Of run_all: so many starts, 1/s or 30/m. Default: 1/s."),
        click.option("--timeout", metavar="DURATION", help="Of the run and of each step: both at once."),
        click.option("--step-timeout", metavar="DURATION", help="End a step that takes longer. Default: 5m."),
        click.option("--total-timeout", metavar="DURATION", help="Of all tries of the step together."),
        click.option("--retries", metavar="N", help="Try the step again so often when it fails. Default: 0."),
        click.option("--retry-delay", metavar="DURATION", help="Wait so long before that. Default: 5s."),
        click.option("--retry-backoff", **one_of(["fixed", "exponential"]), help="How that goes on. Default: fixed."),
        click.option("--retry-max-delay", metavar="DURATION", help="Of exponential: no longer. Default: 5m."),
        click.option("--retry-jitter", metavar="N%", help="Give or take so much. Of exponential by default 20%."),
        click.option(
            "--retry-on",
            metavar="END",
            multiple=True,
            help="Only after failed, timed_out, unreachable, exit:75 …; may be repeated.",
        ),
        click.option("--idempotent/--not-idempotent", default=None, help="It may run again if its end is unknown."),
        click.option(
            "--on-lost",
            **one_of(["stop", "retry", "continue"]),
            help="When nobody knows how it ended. Default: stop.",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Waits:
    """The options, each None or empty where it was not typed. "" takes one away: then its default holds."""

    overlap_limit: str | None
    queue_timeout: str | None
    start_within: str | None
    catch_up_max: str | None
    catch_up_window: str | None
    catch_up_rate: str | None
    timeout: str | None
    step_timeout: str | None
    total_timeout: str | None
    retries: str | None
    retry_delay: str | None
    retry_backoff: str | None
    retry_max_delay: str | None
    retry_jitter: str | None
    retry_on: tuple[str, ...]
    idempotent: bool | None
    on_lost: str | None

    def policies(self, faults: Faults, *, run_timeout: str | None) -> dict[str, Json]:
        """What was typed, in the API's fields. `run_timeout`: what was typed of that."""
        body: dict[str, Json] = {}
        for option, text in (
            ("--queue-timeout", self.queue_timeout),
            ("--start-within", self.start_within),
            ("--catch-up-window", self.catch_up_window),
            ("--step-timeout", self.step_timeout),
            ("--total-timeout", self.total_timeout),
            ("--retry-delay", self.retry_delay),
            ("--retry-max-delay", self.retry_max_delay),
        ):
            if text is not None:
                body[f"{_field(option)}_seconds"] = 0.0 if text in _NO_TIME else faults.seconds(option, text or None)
        for option, text in (
            ("--overlap-limit", self.overlap_limit),
            ("--catch-up-max", self.catch_up_max),
            ("--retries", self.retries),
        ):
            if text is not None:
                body[_field(option)] = whole(option, text, faults)
        for option, text in (
            ("--catch-up-rate", self.catch_up_rate),
            ("--retry-backoff", self.retry_backoff),
            ("--on-lost", self.on_lost),
        ):
            if text is not None:
                body[_field(option)] = text or None
        if self.retry_jitter is not None:
            body["retry_jitter"] = _share("--retry-jitter", self.retry_jitter, faults)
        if self.retry_on:
            words = [word.strip() for text in self.retry_on for word in text.split(",")]
            body["retry_on"] = [word for word in words if word]
        if self.idempotent is not None:
            body["idempotent"] = self.idempotent
        if self.timeout is not None:
            also = {"--run-timeout": run_timeout, "--step-timeout": self.step_timeout}
            faults.at_most_one([*(option for option, text in also.items() if text is not None), "--timeout"])
            body["run_timeout_seconds"] = body["step_timeout_seconds"] = faults.seconds("--timeout", self.timeout)
        return body


def _field(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def whole(option: str, text: str | None, faults: Faults) -> int | None:
    """A whole number; None where nothing, or an empty text, was typed."""
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        faults.add(option, f'"{text}" is not a whole number', expected="such as 5", got=text)
        return None
    return int(text) if text else None


def _share(option: str, text: str, faults: Faults) -> float | None:
    """`20%` or `0.2`; None where an empty text was typed."""
    try:
        return (float(text[:-1]) / 100 if text.endswith("%") else float(text)) if text else None
    except ValueError:
        faults.add(option, f'"{text}" is no share', expected="such as 20%", got=text)
        return None
