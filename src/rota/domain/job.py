"""A job: the saved definition of what to run, when, where and under which policies.

`JobSpec` is what one version holds: immutable, JSON in and out without loss. What is asked of a user's input is
checked here, all faults at once; that the playbook and the hosts it names exist is checked by the use case.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rota.domain.errors import FieldError
from rota.domain.ids import name_faults
from rota.domain.policy import Missed, Overlap
from rota.domain.step import Json, Step
from rota.domain.trigger.spec import ManualTrigger, TriggerSpec
from rota.domain.trigger.spec import from_dict as trigger_from_dict
from rota.domain.trigger.spec import to_dict as trigger_to_dict

DEFAULT_GRACE_SECONDS = 60.0  # planned later than this is missed (DESIGN §5)
DEFAULT_RUN_TIMEOUT_SECONDS = 3600.0
DEFAULT_STEP_TIMEOUT_SECONDS = 300.0
DEFAULT_TARGETS_AT_ONCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTrigger:
    """A trigger's identity is (job, name) and outlives every edit of its rule."""

    name: str
    rule: TriggerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    name: str
    description: str = ""
    enabled: bool = True
    triggers: tuple[NamedTrigger, ...] = (NamedTrigger(name="main", rule=ManualTrigger()),)
    steps: tuple[Step, ...] = ()
    target: str | None = None  # selector text; None = @controller
    variables: Mapping[str, str] = field(default_factory=dict)
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.SKIP
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    run_timeout_seconds: float = DEFAULT_RUN_TIMEOUT_SECONDS
    targets_at_once: int = DEFAULT_TARGETS_AT_ONCE
    priority: int = 0  # larger goes first

    @property
    def playbook(self) -> str | None:
        """The playbook this job runs, where it runs just that."""
        if len(self.steps) == 1 and self.steps[0].action == "playbook":
            return str(self.steps[0].params["playbook"])
        return None

    def faults(self) -> list[FieldError]:
        """Everything wrong with the fields themselves; empty when the spec may be saved."""
        faults = name_faults(self.name)
        if not self.steps:
            faults.append(FieldError(field="steps", message="nothing to do", expected="a playbook, do, or steps"))
        if len({t.name for t in self.triggers}) != len(self.triggers):
            faults.append(FieldError(field="triggers", message="two triggers have the same name"))
        if len({s.name for s in self.steps}) != len(self.steps):
            faults.append(FieldError(field="steps", message="two steps have the same name"))
        for name, value, least in (
            ("grace_seconds", self.grace_seconds, 1),
            ("run_timeout_seconds", self.run_timeout_seconds, 1),
            ("targets_at_once", self.targets_at_once, 1),
        ):
            if not least <= value <= 10**8:
                faults.append(
                    FieldError(
                        field=name,
                        message=f"{value:g} is out of range",
                        expected=f"{least} to {10**8}",
                        got=f"{value:g}",
                    )
                )
        if abs(self.priority) > 1000:
            faults.append(
                FieldError(field="priority", message="out of range", expected="-1000 to 1000", got=str(self.priority))
            )
        return faults

    def to_dict(self) -> dict[str, Json]:
        """The JSON of this version, as storage keeps it and the API shows it (derived fields apart)."""
        return {
            "name": self.name,
            "description": self.description,
            "enabled": self.enabled,
            "target": self.target,
            "vars": dict(self.variables),
            "triggers": [{"name": t.name, **trigger_to_dict(t.rule)} for t in self.triggers],  # type: ignore[dict-item]  # instants and numbers only
            "steps": [step_to_dict(step) for step in self.steps],
            "overlap_policy": self.overlap.value,
            "missed_run_policy": self.missed.value,
            "grace_seconds": self.grace_seconds,
            "run_timeout_seconds": self.run_timeout_seconds,
            "targets_at_once": self.targets_at_once,
            "priority": self.priority,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Json]) -> JobSpec:
        """Read what `to_dict` wrote. For stored versions, not for user input: it trusts the shape."""
        raw: dict[str, object] = dict(data)
        triggers: Sequence[Mapping[str, Json]] = raw["triggers"]  # type: ignore[assignment]  # written by to_dict
        steps: Sequence[Mapping[str, Json]] = raw["steps"]  # type: ignore[assignment]  # written by to_dict
        return cls(
            name=str(raw["name"]),
            description=str(raw["description"]),
            enabled=bool(raw["enabled"]),
            target=None if raw["target"] is None else str(raw["target"]),
            variables=dict(raw["vars"]),  # type: ignore[call-overload]  # a mapping, by to_dict
            triggers=tuple(
                NamedTrigger(name=str(t["name"]), rule=trigger_from_dict({k: v for k, v in t.items() if k != "name"}))
                for t in triggers
            ),
            steps=tuple(step_from_dict(s) for s in steps),
            overlap=Overlap(str(raw["overlap_policy"])),
            missed=Missed(str(raw["missed_run_policy"])),
            grace_seconds=float(raw["grace_seconds"]),  # type: ignore[arg-type]  # a number, by to_dict
            run_timeout_seconds=float(raw["run_timeout_seconds"]),  # type: ignore[arg-type]  # a number, by to_dict
            targets_at_once=int(raw["targets_at_once"]),  # type: ignore[call-overload]  # a number, by to_dict
            priority=int(raw["priority"]),  # type: ignore[call-overload]  # a number, by to_dict
        )

    def but(self, **changes: object) -> JobSpec:
        """This spec with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # replace() itself refuses unknown names


def step_to_dict(step: Step) -> dict[str, Json]:
    # Spelt out: dataclasses.asdict copies deeply, and this is done for every plan that is looked up.
    return {
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


def step_from_dict(data: Mapping[str, Json]) -> Step:
    return Step(**dict(data))  # type: ignore[arg-type]  # keys are those of step_to_dict; Step() refuses others


def canonical(value: Json) -> str:
    """One spelling for one value, so that equal content has equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Json) -> str:
    """SHA-256 over the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
