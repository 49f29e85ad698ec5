"""A step names an action kind with parameters; what a try of it is told and what it tells back.

The words: DESIGN §1. A *step* belongs to a plan; an *attempt* is the nth try of one step on one run target.
An action turns a step into an `Order`; a connector carries the order out and gives an `Exit`; the action
reads the exit as a `StepResult`. Actions that touch no host do all of that in process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from rota.domain.reasons import Reason

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
OsName = Literal["linux", "macos", "windows"]


class Backoff(StrEnum):
    """How the delay before a further attempt goes on."""

    FIXED = "fixed"  # always the same: seed 4
    EXPONENTIAL = "exponential"  # twice as long each time: seed 5


class OnLost(StrEnum):
    """What follows when nobody can say how an attempt ended (`unknown`)."""

    STOP = "stop"  # the target is `unknown`, too
    RETRY = "retry"  # another attempt: only of a step that is idempotent
    CONTINUE = "continue"  # the next step has its turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a plan. `params` is JSON that the action's schema accepted; templates in it are not rendered."""

    name: str
    action: str
    params: Mapping[str, Json] = field(default_factory=dict)
    os: OsName | None = None  # other systems skip the step
    when: str | None = None  # template expression; false skips the step
    register: str | None = None  # later steps read the result under this name
    continue_on_error: bool = False
    timeout_seconds: float | None = None  # of each attempt; None = the job's `step_timeout_seconds`, else 300 s
    retries: int = 0
    retry_delay_seconds: float = 5.0
    idempotent: bool = False  # may be tried again after `unknown`
    # What is rarely said. What it means: domain.retry.
    retry_backoff: Backoff = Backoff.FIXED
    retry_max_delay_seconds: float | None = None
    retry_jitter: float | None = None  # a share of the delay, 0 to 0.5
    retry_on: tuple[str, ...] = ()  # states, reasons, exit codes; empty = every known failure
    on_lost: OnLost | None = None  # None = retry where it is idempotent, else stop
    total_timeout_seconds: float | None = None  # of all attempts together, and the delays between them


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What templates and children may know about the try at hand."""

    variables: Mapping[str, Json]  # job vars over playbook vars; also reachable as `vars.NAME`
    registered: Mapping[str, Mapping[str, Json]]  # `register` name -> StepResult.registered of an earlier step
    host: Mapping[str, Json]  # name os address tags vars; name is "@controller" where no host is meant
    run: Mapping[str, Json]  # id job due_at trigger attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An argv to run where the connector leads. `env` is added to the connector's own base environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    run_as: str | None = None  # account name; None = the connector's own
    stdin: bytes = b""  # at most 1 MiB; empty = end of file at once


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOp:
    """A file step. Idempotent: the connector looks first and answers `changed: false` when nothing was to do."""

    op: Literal["write", "read", "mkdir", "remove", "chmod"]
    path: str
    content: bytes = b""
    mode: int | None = None
    parents: bool = False
    recursive: bool = False
    sudo: bool = False


Order = Command | FileOp


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How an order ended. At most one of `exit_code`, `signal`, `failure` is set.

    `output` is what the action may read to make its registered value: at most the last 64 KiB.
    """

    exit_code: int | None = None
    signal: int | None = None
    failure: str | None = None  # it never started ("no such file or directory: /bin/nope"), or why nobody can tell
    unreached: Reason | None = None  # the host was not reached, so nothing was started; `failure` says more
    lost: Reason | None = None  # it was started, or may have been, and nobody can say how it ended
    cause: str | None = None  # who ended it: step_timeout, run_timeout, user_cancelled, shutdown, overlap_replaced
    output: bytes = b""
    output_total: int = 0
    note: str | None = None  # what people should know besides: "the connection was lost; exit code 0 at …"
    left_running: int = 0  # processes that could not be ended, or were left on purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """The verdict on one attempt. `registered` is what later steps see under the step's `register` name."""

    ok: bool
    message: str = ""
    exit_code: int | None = None
    changed: bool | None = None  # None = the action cannot tell
    registered: Mapping[str, Json] = field(default_factory=dict)


_RARE = {
    "retry_backoff": Backoff.FIXED,
    "retry_max_delay_seconds": None,
    "retry_jitter": None,
    "retry_on": (),
    "on_lost": None,
    "total_timeout_seconds": None,
}


def step_to_dict(step: Step) -> dict[str, Json]:
    """The JSON of a step. What is rarely said is there only where it is: plans keep their digests."""
    # Spelt out: dataclasses.asdict copies deeply, and this is done for every plan that is looked up.
    data: dict[str, Json] = {
        "name": step.name,
        "action": step.action,
        "params": dict(step.params),
        "os": step.os,
        "when": step.when,
        "register": step.register,
        "continue_on_error": step.continue_on_error,
        "timeout_seconds": step.timeout_seconds,
        "retries": step.retries,
        "retry_delay_seconds": step.retry_delay_seconds,
        "idempotent": step.idempotent,
    }
    for name, unsaid in _RARE.items():
        value = getattr(step, name)
        if value != unsaid:
            data[name] = list(value) if name == "retry_on" else value
    return data


def step_from_dict(data: Mapping[str, Json]) -> Step:
    """Read what `step_to_dict` wrote."""
    fields: dict[str, object] = dict(data)
    if "retry_backoff" in fields:
        fields["retry_backoff"] = Backoff(str(fields["retry_backoff"]))
    if "on_lost" in fields:
        fields["on_lost"] = OnLost(str(fields["on_lost"]))
    if "retry_on" in fields:
        fields["retry_on"] = tuple(fields["retry_on"])  # type: ignore[arg-type]  # a list of texts, by step_to_dict
    return Step(**fields)  # type: ignore[arg-type]  # keys are those of step_to_dict; Step() refuses others
