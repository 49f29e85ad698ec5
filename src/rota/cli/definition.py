"""What a schedule says, as it is typed: the options of `create` and `update`, and the API's body they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rota.cli.fanout import FAN_OUT_FLAGS, Spread, fan_out_options
from rota.cli.flags import renamed
from rota.cli.held import HELD_FLAGS, Held, held_options
from rota.cli.options import Faults, dry_run, one_of, variables_option, with_options
from rota.cli.policies import POLICY_FLAGS, Waits, policy_options, whole
from rota.domain.errors import FieldError

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
    "when": "--when",
    "describe": "--describe",
    "rrule": "--rrule",
    "start_at": "--start-at",
    "end_at": "--end-at",
    "max_runs": "--max-runs",
    **POLICY_FLAGS,
    **FAN_OUT_FLAGS,
    **HELD_FLAGS,
}


def definition_options(command: F) -> F:
    """The options that say what a schedule is. The command gets them by the names of `Definition`'s fields."""
    return with_options(
        command,
        _rule("--when", "TEXT", 'When, in words: "every weekday at 9am", "+90s", "at 17:30".'),
        _rule("--cron", "EXPRESSION", 'When: a cron expression, "0 2 * * *".'),
        _rule("--every", "DURATION", "When: an interval, such as 20s, 15m, 1h30m."),
        _rule("--at", "TIME", 'When: once, at "2026-12-01 02:00", "17:30" or "+90s".'),
        _rule("--rrule", "RULE", 'When: an RFC 5545 rule, "FREQ=MONTHLY;BYDAY=2TU".'),
        _rule("--describe", "SENTENCE", 'When, from a sentence about the task: "check my inbox every morning".'),
        click.option("--continuous", is_flag=True, help="When: again as soon as the last run has ended."),
        click.option("--on-start", is_flag=True, help="When: each time a daemon starts."),
        click.option("--manual", is_flag=True, help="When: only when somebody triggers it."),
        click.option("--start-at", metavar="TIME", help="The clock starts nothing before."),
        click.option("--end-at", metavar="TIME", help="The clock starts nothing after."),
        click.option("--max-runs", metavar="N", help="The clock starts so many runs, and no more."),
        click.option("--playbook", metavar="NAME", help="What: a playbook."),
        click.option("--do", metavar="ACTION", help='What: one action, "shell: df -h".'),
        click.option("--target", metavar="SELECTOR", help="Where: all, host:a, group:web, @FILE and more."),
        variables_option,
        click.option("--timezone", metavar="ZONE", help="IANA zone of the times. Default: this machine's."),
        click.option(
            "--overlap-policy",
            **one_of(["skip", "queue", "allow", "cancel_running"]),
            help="When due while the previous run is unfinished. Default: skip.",
        ),
        click.option(
            "--missed-run-policy",
            **one_of(["skip", "run_once", "run_all"]),
            help="When due while no daemon ran. Default: skip.",
        ),
        click.option("--description", metavar="TEXT", help="What it is for, in your words."),
        click.option("--enabled", **one_of(["true", "false"]), help="Whether it fires. Default: true."),
        click.option("--run-timeout", metavar="DURATION", help="End a run that takes longer. Default: 1h."),
        click.option("--grace", metavar="DURATION", help="Later than this is missed. Default: 60s."),
        policy_options,
        held_options,
        fan_out_options,
        dry_run,
    )


def _rule(name: str, metavar: str, text: str) -> Callable[[F], F]:
    """An option that says when. Each time it is typed is a trigger."""
    return click.option(name, metavar=metavar, multiple=True, help=text)


@dataclass(frozen=True, kw_only=True)
class Definition(Spread, Held, Waits):
    """The options, each None or empty where it was not typed. Those that say when may each be typed several times."""

    when: tuple[str, ...]
    cron: tuple[str, ...]
    every: tuple[str, ...]
    at: tuple[str, ...]
    rrule: tuple[str, ...]
    describe: tuple[str, ...]
    continuous: bool
    on_start: bool
    manual: bool
    start_at: str | None
    end_at: str | None
    max_runs: str | None
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
        given: dict[str, object] = {
            "--when": self.when,
            "--cron": self.cron,
            "--every": self.every,
            "--at": self.at,
            "--rrule": self.rrule,
            "--describe": self.describe,
            "--continuous": self.continuous,
            "--on-start": self.on_start,
            "--manual": self.manual,
        }
        return [option for option, value in given.items() if value]

    def check_complete(self, name: str | None, faults: Faults) -> None:
        """Name what a new schedule still lacks: a name, a trigger, an action, a target (parity C32)."""
        if not name:
            faults.add("--name", "missing", expected="a name for the schedule")
        if not self.rules:
            expected = 'a cron expression such as "0 2 * * *"; or --when, --every, --at, --manual'
            faults.add("--cron", "missing", expected=expected)
        if not (self.playbook or self.do):
            faults.add("--playbook", "missing", expected='the name of a playbook; or --do "shell: df -h"')
        if not (self.target or self.do):
            faults.add("--target", "missing", expected="a selector such as all, host:NAME or group:NAME")

    def triggers(self, zone: str) -> list[Json]:
        """The triggers as the API takes them."""
        found: list[Json] = []
        for field, texts, kind in (
            ("when", self.when, {}),
            ("expression", self.cron, {"kind": "cron"}),
            ("every", self.every, {"kind": "interval"}),
            ("at", self.at, {"kind": "once"}),
            ("rrule", self.rrule, {}),
            ("describe", self.describe, {}),
        ):
            found += [{**kind, field: text, "timezone": zone} for text in texts]
        found += [{"kind": "continuous"}] if self.continuous else []
        found += [{"kind": "on_start"}] if self.on_start else []
        return found or [{"kind": "manual"}]

    def body(self, name: str | None, faults: Faults) -> dict[str, Json]:
        """All but the triggers, in the API's fields; what was not typed is left out."""
        if self.manual:
            faults.at_most_one(self.rules)
        faults.at_most_one([option for option, value in (("--playbook", self.playbook), ("--do", self.do)) if value])
        typed: dict[str, Json] = {
            "name": name,
            "description": self.description,
            "playbook": self.playbook,
            "do": self.do,
            "target": faults.target(self.target),
            "vars": {**faults.variables(self.variables)} or None,
            "overlap_policy": self.overlap_policy,
            "missed_run_policy": self.missed_run_policy,
            "enabled": faults.truth("--enabled", self.enabled),
            "run_timeout_seconds": faults.seconds("--run-timeout", self.run_timeout),
            "grace_seconds": faults.seconds("--grace", self.grace),
            "start_at": self.start_at,
            "end_at": self.end_at,
            "max_runs": whole("--max-runs", self.max_runs, faults),
        }
        body: dict[str, Json] = {field: value for field, value in typed.items() if value is not None}
        bounds = {"start_at": self.start_at, "end_at": self.end_at, "max_runs": self.max_runs}
        for field, text in {"target": self.target, **bounds}.items():
            if text == "":
                body[field] = None  # how it is taken away
        waits = self.policies(faults, run_timeout=self.run_timeout)
        return body | waits | self.held(faults) | self.spread(faults)


def in_flags(request: Callable[[], T]) -> T:
    """Do `request`; where the server finds faults in fields, name them as they were typed."""
    return renamed(request, _in_flag)


def _in_flag(fault: FieldError) -> FieldError:
    words = fault.field.replace("[", ".").split(".")
    flag = next((_FLAGS[word] for word in reversed(words) if word in _FLAGS), fault.field)
    message = fault.message
    if words[0] == "vars" and len(words) > 1:
        flag = f"--var {'.'.join(words[1:])}"
    if words[0] == "do" and len(words) > 1:  # a parameter within the text
        flag, message = "--do", f"{'.'.join(words[1:])}: {message}"
    return replace(fault, field=flag, message=message)
