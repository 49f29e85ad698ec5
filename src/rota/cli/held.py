"""The options that move or hold a schedule's starts, and the API's fields they make. See docs/calendars.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.options import Faults, with_options

if TYPE_CHECKING:
    from rota.domain.step import Json

F = TypeVar("F", bound=Callable[..., Any])

# The API's fields as they are typed here.
HELD_FLAGS = {
    "tags": "--tag",
    "calendars": "--calendar",
    "windows": "--window",
    "window": "--window",
    "spread_seconds": "--spread",
    "jitter_seconds": "--jitter",
    # of calendars and pauses
    "rules": "--window",
    "applies_to": "--apply",
    "effect": "--allow",
    "until": "--until",
    "reason": "--reason",
    "tag": "--tag",
}


def held_options(command: F) -> F:
    """The command gets them by the names of `Held`'s fields."""
    return with_options(
        command,
        _several("--tag", "job_tags", "KEY[=VALUE]", "A tag of the schedule; may be repeated."),
        _several("--calendar", "calendar", "NAME[:defer]", "A calendar that may hold it; may be repeated."),
        _several("--window", "window", "TIMES[:defer]", 'Start only then: "mon-fri 08:00-18:00"; may be repeated.'),
        click.option(
            "--spread",
            "start_spread",
            metavar="DURATION",
            help="Start later by a fixed length of its own below that.",
        ),
        click.option(
            "--jitter",
            "start_jitter",
            metavar="DURATION",
            help="Start later each time by another length below that.",
        ),
    )


def _several(name: str, field: str, metavar: str, text: str) -> Callable[[F], F]:
    return click.option(name, field, metavar=metavar, multiple=True, help=text)


@dataclass(frozen=True, kw_only=True)
class Held:
    """The options, each None or empty where it was not typed. An empty text takes calendars or windows away."""

    job_tags: tuple[str, ...]
    calendar: tuple[str, ...]
    window: tuple[str, ...]
    start_spread: str | None
    start_jitter: str | None

    def held(self, faults: Faults) -> dict[str, Json]:
        """What was typed, in the API's fields."""
        tags: dict[str, Json] = {}
        for tag in self.job_tags:
            key, _, value = tag.partition("=")
            tags[key] = value
        windows: list[Json] = [{"window": text} for text in self.window if text]
        typed: dict[str, Json] = {
            "tags": tags or None,
            "calendars": [text for text in self.calendar if text] if self.calendar else None,
            "windows": windows if self.window else None,
            "spread_seconds": _seconds("--spread", self.start_spread, faults),
            "jitter_seconds": _seconds("--jitter", self.start_jitter, faults),
        }
        return {field: value for field, value in typed.items() if value is not None}


def _seconds(option: str, text: str | None, faults: Faults) -> float | None:
    """A duration in seconds; "0" and "" take it away."""
    return 0.0 if text in {"", "0", "0s"} else faults.seconds(option, text)
