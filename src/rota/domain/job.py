"""A job: the saved definition of what to run, when, where and under which policies.

`JobSpec` is what one version holds: immutable, JSON in and out without loss. What is asked of a user's input is
checked here, all faults at once; that the playbook and the hosts it names exist is checked by the use case.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from rota.domain.calendar_spec import CalendarUse, JobWindow, read_use
from rota.domain.errors import FieldError
from rota.domain.fanout import PLAIN, FanOut
from rota.domain.ids import name_faults
from rota.domain.instant import Micros, format_rfc3339, parse_rfc3339
from rota.domain.inventory import tag_faults
from rota.domain.policy import PLAIN as PLAIN_POLICIES
from rota.domain.policy import Missed, Overlap, Policies
from rota.domain.step import Json, Step, step_from_dict, step_to_dict
from rota.domain.trigger.spec import ManualTrigger, TriggerSpec
from rota.domain.trigger.spec import from_dict as trigger_from_dict
from rota.domain.trigger.spec import to_dict as trigger_to_dict

DEFAULT_GRACE_SECONDS = 60.0  # planned later than this is missed (DESIGN §5)
DEFAULT_RUN_TIMEOUT_SECONDS = 3600.0
DEFAULT_STEP_TIMEOUT_SECONDS = 300.0
DEFAULT_TARGETS_AT_ONCE = 10
LONGEST_SPREAD_SECONDS = 7 * 86_400


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
    policies: Policies = PLAIN_POLICIES  # how long runs wait, how many at once, how missed ones are caught up
    fan_out: FanOut = PLAIN  # how runs spread over their hosts
    start_at: Micros | None = None  # its clock triggers are due from then on …
    end_at: Micros | None = None  # … up to then, both instants included …
    max_runs: int | None = None  # … and until they have made so many runs, counted from when this was first set
    tags: Mapping[str, str] = field(default_factory=dict)  # what pauses, calendars and lists find it by; not the hosts'
    spread_seconds: float = 0.0  # every start is moved by a length of its own below that …
    jitter_seconds: float = 0.0  # … and each by one more that differs from start to start
    calendars: tuple[CalendarUse, ...] = ()
    windows: tuple[JobWindow, ...] = ()  # outside all of these it does not start; none = whenever it is due

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
        faults += self.policies.faults(self.overlap, self.missed)
        if self.max_runs is not None and not 1 <= self.max_runs <= 10**8:
            got = str(self.max_runs)
            faults.append(FieldError(field="max_runs", message="out of range", expected=f"1 to {10**8}", got=got))
        if self.start_at is not None and self.end_at is not None and self.end_at < self.start_at:
            message = f"{format_rfc3339(self.end_at)} is before the start"
            expected = f"{format_rfc3339(self.start_at)} or later"
            faults.append(FieldError(field="end_at", message=message, expected=expected))
        faults += tag_faults(self.tags)
        for name, value in (("spread_seconds", self.spread_seconds), ("jitter_seconds", self.jitter_seconds)):
            if not 0 <= value <= LONGEST_SPREAD_SECONDS:
                expected = f"0 to {LONGEST_SPREAD_SECONDS}"
                faults.append(FieldError(field=name, message=f"{value:g} is out of range", expected=expected))
        if len({use.name for use in self.calendars}) != len(self.calendars):
            faults.append(FieldError(field="calendars", message="one calendar is named twice"))
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
            **self.policies.to_dict(),
            **self.fan_out.to_dict(),
            "start_at": None if self.start_at is None else format_rfc3339(self.start_at),
            "end_at": None if self.end_at is None else format_rfc3339(self.end_at),
            "max_runs": self.max_runs,
            "tags": dict(self.tags),
            "spread_seconds": self.spread_seconds,
            "jitter_seconds": self.jitter_seconds,
            "calendars": [*map(str, self.calendars)],
            "windows": [window.to_dict() for window in self.windows],
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
                NamedTrigger(name=str(t["name"]), rule=_rule(canonical({k: v for k, v in t.items() if k != "name"})))
                for t in triggers
            ),
            steps=tuple(step_from_dict(s) for s in steps),
            overlap=Overlap(str(raw["overlap_policy"])),
            missed=Missed(str(raw["missed_run_policy"])),
            grace_seconds=float(raw["grace_seconds"]),  # type: ignore[arg-type]  # a number, by to_dict
            run_timeout_seconds=float(raw["run_timeout_seconds"]),  # type: ignore[arg-type]  # a number, by to_dict
            targets_at_once=int(raw["targets_at_once"]),  # type: ignore[call-overload]  # a number, by to_dict
            priority=int(raw["priority"]),  # type: ignore[call-overload]  # a number, by to_dict
            policies=Policies.from_dict(data),
            fan_out=FanOut.from_dict(data),
            # Versions saved before the time issue have none of these.
            start_at=_instant(raw.get("start_at")),
            end_at=_instant(raw.get("end_at")),
            max_runs=raw.get("max_runs"),  # type: ignore[arg-type]  # a number or null, by to_dict
            tags=dict(raw.get("tags", {})),  # type: ignore[call-overload]  # a mapping, by to_dict
            spread_seconds=float(raw.get("spread_seconds", 0)),  # type: ignore[arg-type]  # a number, by to_dict
            jitter_seconds=float(raw.get("jitter_seconds", 0)),  # type: ignore[arg-type]  # a number, by to_dict
            calendars=tuple(map(read_use, raw.get("calendars", ()))),  # type: ignore[call-overload]  # texts, by to_dict
            windows=tuple(map(JobWindow.from_dict, raw.get("windows", ()))),  # type: ignore[call-overload]  # by to_dict
        )

    def but(self, **changes: object) -> JobSpec:
        """This spec with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # replace() itself refuses unknown names


@lru_cache(maxsize=4096)
def _rule(text: str) -> TriggerSpec:
    """A stored rule. Equal ones are read once: herds share theirs, and it takes as long as all else of a version."""
    return trigger_from_dict(json.loads(text))


def _instant(text: object) -> Micros | None:
    return None if text is None else parse_rfc3339(str(text))


def canonical(value: Json) -> str:
    """One spelling for one value, so that equal content has equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Json) -> str:
    """SHA-256 over the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
