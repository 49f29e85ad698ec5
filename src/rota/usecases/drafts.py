"""What a person asked a job to be, field by field, and how that becomes a `JobSpec`.

A draft is of a new job or of changes to one: what is `UNSET` takes the default, or stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, TypeVar

from rota.actions.do import parse_do
from rota.domain.errors import FieldError, InvalidInput
from rota.domain.instant import Micros
from rota.domain.job import JobSpec
from rota.domain.policy import Missed, Overlap
from rota.domain.step import Step
from rota.usecases.triggers import TriggerDraft, in_zone, passed_faults, read_triggers

T = TypeVar("T")


class Unset(Enum):
    UNSET = auto()


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDraft:
    """What to do: exactly one of three. A step without a name is named after its action."""

    playbook: str | None = None
    do: str | None = None  # `shell: df -h`
    steps: Sequence[Step] | None = None

    @property
    def is_set(self) -> bool:
        return any(part is not None for part in (self.playbook, self.do, self.steps))

    def read(self, faults: list[FieldError]) -> tuple[Step, ...]:
        """The steps. What is wrong is added to `faults`."""
        given = [name for name in ("playbook", "do", "steps") if getattr(self, name) is not None]
        if len(given) > 1:
            message = f"{' and '.join(given)} are given together"
            faults.append(FieldError(field=given[1], message=message, expected="exactly one of playbook, do, steps"))
        if self.playbook is not None:
            return (Step(name="playbook", action="playbook", params={"playbook": self.playbook}),)
        if self.do is not None:
            try:
                return (parse_do(self.do),)
            except InvalidInput as error:
                faults += [replace(fault, field=fault.field.replace("--do", "do", 1)) for fault in error.as_faults()]
                return ()
        return _named(self.steps or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDraft:
    """`faults` are those found while the words were read (unknown keys, wrong types): told with all others."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    enabled: bool | Unset = UNSET
    triggers: Sequence[TriggerDraft] | Unset = UNSET
    timezone: str | Unset = UNSET  # of every clock trigger that does not say
    work: WorkDraft = WorkDraft()
    target: str | Unset | None = UNSET
    variables: Mapping[str, str | None] | Unset = UNSET  # merged; None takes one away
    overlap: Overlap | Unset = UNSET
    missed: Missed | Unset = UNSET
    grace_seconds: float | Unset = UNSET
    run_timeout_seconds: float | Unset = UNSET
    targets_at_once: int | Unset = UNSET
    priority: int | Unset = UNSET
    faults: Sequence[FieldError] = ()


def new_spec(draft: JobDraft, *, targets_at_once: int, now: Micros) -> tuple[JobSpec, list[FieldError]]:
    """The spec of a new job, and everything that is wrong with it by itself. With faults, do not save it."""
    return _apply(draft, JobSpec(name="", targets_at_once=targets_at_once), now=now)


def changed_spec(draft: JobDraft, old: JobSpec, *, now: Micros) -> tuple[JobSpec, list[FieldError]]:
    """`old` with the changes, and everything that is wrong with them."""
    return _apply(draft, old, now=now)


def _apply(draft: JobDraft, old: JobSpec, *, now: Micros) -> tuple[JobSpec, list[FieldError]]:
    faults = list(draft.faults)
    triggers = old.triggers
    zone = None if draft.timezone is UNSET else draft.timezone
    if draft.triggers is not UNSET:
        if not draft.triggers:
            expected = 'at least one; {"kind": "manual"} for none'
            faults.append(FieldError(field="triggers", message="the list is empty", expected=expected))
        triggers = read_triggers(draft.triggers, now=now, timezone=zone, before=old.triggers, faults=faults)
    elif zone is not None:
        try:
            triggers = in_zone(old.triggers, zone)
        except InvalidInput as error:
            faults += error.as_faults()
    if triggers != old.triggers:
        faults += passed_faults(triggers, now=now)
    variables: dict[str, str] = dict(old.variables)
    for name, value in {}.items() if draft.variables is UNSET else draft.variables.items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    spec = replace(
        old,
        name=_or(draft.name, old.name),
        description=_or(draft.description, old.description),
        enabled=_or(draft.enabled, old.enabled),
        triggers=triggers,
        steps=draft.work.read(faults) if draft.work.is_set else old.steps,
        target=_or(draft.target, old.target),
        variables=variables,
        overlap=_or(draft.overlap, old.overlap),
        missed=_or(draft.missed, old.missed),
        grace_seconds=_or(draft.grace_seconds, old.grace_seconds),
        run_timeout_seconds=_or(draft.run_timeout_seconds, old.run_timeout_seconds),
        targets_at_once=_or(draft.targets_at_once, old.targets_at_once),
        priority=_or(draft.priority, old.priority),
    )
    told = {fault.field.partition("[")[0].partition(".")[0] for fault in faults}
    if told & {"do", "playbook"}:
        told.add("steps")  # "nothing to do" would be no news
    return spec, faults + [fault for fault in spec.faults() if fault.field not in told]


def _or(value: T | Unset, default: T) -> T:
    return default if isinstance(value, Unset) else value


def _named(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Give nameless steps the name of their action, with a number from the second on."""
    taken = {step.name for step in steps if step.name}
    named = []
    for step in steps:
        name, number = step.name or step.action, 1
        while not step.name and name in taken:
            number += 1
            name = f"{step.action}-{number}"
        taken.add(name)
        named.append(replace(step, name=name))
    return tuple(named)
