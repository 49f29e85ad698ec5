"""What a schedule says, as it is typed: the options of `create` and `update`, and the API's body they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.options import Faults, dry_run, one_of, variables_option
from rota.domain.errors import FieldError, InvalidInput, NotFound

if TYPE_CHECKING:
    from rota.domain.step import Json

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

# The API's fields as they are typed here, so that an error names what the user wrote.
_FLAGS = {
    "name": "--name",
    "description": "--description",
    "expression": "--cron",
    "cron": "--cron",
    "state": "--state",
    "every": "--every",
    "at": "--at",
    "timezone": "--timezone",
    "playbook": "--playbook",
    "do": "--do",
    "target": "--target",
    "vars": "--var",
    "overlap_policy": "--overlap-policy",
    "missed_run_policy": "--missed-run-policy",
    "enabled": "--enabled",
    "grace_seconds": "--grace",
    "run_timeout_seconds": "--run-timeout",
}


def definition_options(command: F) -> F:
    """The options that say what a schedule is. The command gets them by the names of `Definition`'s fields."""
    for option in reversed(
        (
            click.option("--cron", metavar="EXPRESSION", help='When: a cron expression, "0 2 * * *".'),
            click.option("--every", metavar="DURATION", help="When: an interval, such as 20s, 15m, 1h30m."),
            click.option("--at", metavar="TIME", help='When: once, at "2026-12-01 02:00".'),
            click.option("--manual", is_flag=True, help="When: only when somebody triggers it."),
            click.option("--playbook", metavar="NAME", help="What: a playbook."),
            click.option("--do", metavar="ACTION", help='What: one action, "shell: df -h".'),
            click.option("--target", metavar="SELECTOR", help="Where: all, host:a, group:web, tag:k=v and more."),
            variables_option,
            click.option("--timezone", metavar="ZONE", help="IANA zone of the times. Default: this machine's."),
            click.option(
                "--overlap-policy",
                **one_of(["skip", "allow", "cancel_running"]),
                help="When due while the previous run is unfinished. Default: skip.",
            ),
            click.option(
                "--missed-run-policy",
                **one_of(["skip", "run_once"]),
                help="When due while no daemon ran. Default: skip.",
            ),
            click.option("--description", metavar="TEXT", help="What it is for, in your words."),
            click.option("--enabled", **one_of(["true", "false"]), help="Whether it fires. Default: true."),
            click.option("--run-timeout", metavar="DURATION", help="End a run that takes longer. Default: 1h."),
            click.option("--grace", metavar="DURATION", help="Later than this is missed. Default: 60s."),
            dry_run,
        )
    ):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The options, each None or empty where it was not typed."""

    cron: str | None
    every: str | None
    at: str | None
    manual: bool
    playbook: str | None
    do: str | None
    target: str | None
    variables: tuple[str, ...]
    timezone: str | None
    overlap_policy: str | None
    missed_run_policy: str | None
    description: str | None
    enabled: str | None
    run_timeout: str | None
    grace: str | None
    dry_run: bool

    @property
    def rules(self) -> list[str]:
        """The options typed that say when."""
        given = {"--cron": self.cron, "--every": self.every, "--at": self.at, "--manual": self.manual}
        return [option for option, value in given.items() if value]

    def check_complete(self, name: str | None, faults: Faults) -> None:
        """Name what a new schedule still lacks: a name, a trigger, an action, a target (parity C32)."""
        if not name:
            faults.add("--name", "missing", expected="a name for the schedule")
        if not self.rules:
            faults.add(
                "--cron", "missing", expected='a cron expression such as "0 2 * * *"; or --every, --at, --manual'
            )
        if not (self.playbook or self.do):
            faults.add("--playbook", "missing", expected='the name of a playbook; or --do "shell: df -h"')
        if not (self.target or self.do):
            faults.add("--target", "missing", expected="a selector such as all, host:NAME or group:NAME")

    def trigger(self, zone: str) -> dict[str, Json]:
        """The trigger as the API takes it."""
        if self.manual or not self.rules:
            return {"kind": "manual"}
        if self.every:
            return {"kind": "interval", "every": self.every, "timezone": zone}
        if self.at:
            return {"kind": "once", "at": self.at, "timezone": zone}
        return {"kind": "cron", "expression": self.cron, "timezone": zone}

    def body(self, name: str | None, faults: Faults) -> dict[str, Json]:
        """All but the trigger, in the API's fields; what was not typed is left out."""
        faults.at_most_one(self.rules)
        faults.at_most_one([option for option, value in (("--playbook", self.playbook), ("--do", self.do)) if value])
        typed: dict[str, Json] = {
            "name": name,
            "description": self.description,
            "playbook": self.playbook,
            "do": self.do,
            "target": self.target,
            "vars": {**faults.variables(self.variables)} or None,
            "overlap_policy": self.overlap_policy,
            "missed_run_policy": self.missed_run_policy,
            "enabled": faults.truth("--enabled", self.enabled),
            "run_timeout_seconds": faults.seconds("--run-timeout", self.run_timeout),
            "grace_seconds": faults.seconds("--grace", self.grace),
        }
        body: dict[str, Json] = {field: value for field, value in typed.items() if value is not None}
        if self.target == "":
            body["target"] = None  # how a target is taken away
        return body


def in_flags(request: Callable[[], T]) -> T:
    """Do `request`; where the server finds faults in fields, name them as they were typed."""
    try:
        return request()
    except (InvalidInput, NotFound) as error:
        if not error.errors:
            raise
        faults = [_in_flag(fault) for fault in error.errors]
        raise type(error)(error.happened, errors=faults, expected=error.expected, hint=error.hint) from error


def _in_flag(fault: FieldError) -> FieldError:
    words = fault.field.replace("[", ".").split(".")
    flag = next((_FLAGS[word] for word in reversed(words) if word in _FLAGS), fault.field)
    message = fault.message
    if words[0] == "vars" and len(words) > 1:
        flag = f"--var {'.'.join(words[1:])}"
    if words[0] == "do" and len(words) > 1:  # a parameter within the text
        flag, message = "--do", f"{'.'.join(words[1:])}: {message}"
    return replace(fault, field=flag, message=message)
