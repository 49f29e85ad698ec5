"""The options that say how a run spreads over its hosts, and the API's fields they make. See docs/fan-out.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.options import Faults, one_of, with_options

if TYPE_CHECKING:
    from rota.domain.step import Json
    from rota.usecases.shapes import FanOut

F = TypeVar("F", bound=Callable[..., Any])

# The API's fields as they are typed here.
FAN_OUT_FLAGS = {
    "targets_at_once": "--targets-at-once",
    "on_offline": "--on-offline",
    "lock_hosts": "--lock",
    "throttle": "--throttle",
    "batch": "--batch",
    "batch_pause_seconds": "--batch-pause",
    "max_fail": "--max-fail",
    "priority": "--priority",
}


def fan_out_options(command: F) -> F:
    """The command gets them by the names of `Spread`'s fields."""
    return with_options(
        command,
        click.option("--targets-at-once", metavar="N", help="Hosts at work at one time. Default: 10."),
        click.option(
            "--on-offline", **one_of(["fail", "skip", "wait"]), help="When a host is not there. Default: fail."
        ),
        click.option("--lock/--no-lock", "lock", default=None, help="Share no host with another run that locks."),
        click.option("--throttle", metavar="RATE", help="Start at most so many hosts: 10/s, 30/m, 100/h."),
        click.option("--batch", metavar="SIZES", help='Hosts in batches, one after the other: "1, 10%, 100%".'),
        click.option("--batch-pause", metavar="DURATION", help="Wait so long between two batches."),
        click.option("--max-fail", metavar="N|N%", help="Stop when more hosts fail. With batches: 0."),
        click.option("--priority", metavar="N", help="Larger goes first. Default: 0."),
    )


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The options, each None where it was not typed. "" takes a throttle, batches or the limit of failures away."""

    targets_at_once: str | None
    on_offline: str | None
    lock: bool | None
    throttle: str | None
    batch: str | None
    batch_pause: str | None
    max_fail: str | None
    priority: str | None

    def spread(self, faults: Faults) -> dict[str, Json]:
        """What was typed, in the API's fields."""
        typed: dict[str, Json] = {
            "targets_at_once": _number("--targets-at-once", self.targets_at_once, faults),
            "on_offline": self.on_offline,
            "lock_hosts": self.lock,
            "throttle": self.throttle,
            "batch": self.batch,
            "batch_pause_seconds": faults.seconds("--batch-pause", self.batch_pause),
            "max_fail": self.max_fail,
            "priority": _number("--priority", self.priority, faults),
        }
        return {field: value if value != "" else None for field, value in typed.items() if value is not None}


def fan_out_text(run: FanOut) -> str:
    """A run's rules, and how far it is: `batches 1, 10%, 100% (2 of 3 open); stops when more than 0 fail (1 did)`."""
    words = []
    if run["batch"]:
        pause = f", {run['batch_pause_seconds']:g}s apart" if run["batch_pause_seconds"] else ""
        words.append(f"batches {run['batch']} ({run['open_batch']} of {len(run['sizes'])} open){pause}")
    words += [f"stops when more than {run['most_bad']} fail ({run['bad']} did)"] if run["most_bad"] is not None else []
    words += [run["throttle"]] if run["throttle"] else []
    words += ["hosts locked"] if run["lock_hosts"] else []
    words += [f"offline hosts: {run['on_offline']}"] if run["on_offline"] != "fail" else []
    return "; ".join(words)


def _number(option: str, text: str | None, faults: Faults) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        faults.add(option, f'"{text}" is no whole number', expected="a number such as 10", got=text)
        return None
