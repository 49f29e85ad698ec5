"""What a run is made from, fixed at the moment it is made: the plan, and the hosts (DESIGN §3 Frozen).

Both are content-addressed: equal plans and equal target sets are one row, shared by any number of runs. What was
frozen under one `library_version` and `inventory_version` is current while those stand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rota.domain.errors import Conflict, InvalidInput
from rota.domain.job import JobSpec, canonical, digest
from rota.domain.plan import Plan
from rota.domain.playbook import Playbook
from rota.domain.run import CONTROLLER
from rota.domain.selector import parse
from rota.domain.step import Json, Step
from rota.ports import Member, Tx
from rota.storage import inventory, library, tables
from rota.storage.counters import current
from rota.storage.insert import insert_row


@dataclass(frozen=True, slots=True)
class TargetSetRow:
    """A frozen target set. `members` empty: the selector picked nobody, and the caller records `no_targets`."""

    id: int
    digest: str
    members: tuple[Member, ...]


def inventory_version(tx: Tx) -> int:
    """Grows with every change of hosts and groups."""
    return current(tx, "inventory_version")


def library_version(tx: Tx) -> int:
    """Grows with every change of playbooks."""
    return current(tx, "library_version")


def plan_for(tx: Tx, spec: JobSpec) -> int:
    """The row id of the plan that the job makes with the library as it is now. Raises as `expand` does."""
    return store_plan(tx, plan_of(tx, spec))


def plan_of(tx: Tx, spec: JobSpec) -> Plan:
    """The plan that the job makes with the library as it is now, stored or not. Raises as `expand` does."""
    return _timed(expand(tx, spec.steps, spec.variables), spec.policies.step_timeout_seconds)


def expand(tx: Tx, steps: Sequence[Step], variables: Mapping[str, str]) -> Plan:
    """Put the steps of the playbooks in the place of the steps that name them, and pin what was used.

    Job variables lie over playbook variables. Raises NotFound for a playbook that is gone, InvalidInput where two
    playbooks give one variable different defaults and the job says nothing.
    """
    flat: list[Step] = []
    defaults: dict[str, str] = {}
    items: dict[str, str] = {}
    for step in steps:
        if step.action != "playbook":
            flat.append(step)
            continue
        item = library.get_playbook(tx, str(step.params["playbook"]))
        playbook = parsed(item.text)
        items[f"playbook/{item.name}"] = item.digest
        clashing = [
            name
            for name, value in playbook.vars.items()
            if name not in variables and defaults.setdefault(name, value) != value
        ]
        if clashing:
            raise InvalidInput(
                f'playbook "{item.name}" and one before it give {", ".join(clashing)} different values',
                expected="one value for the whole run",
                hint=f"say which: --var {clashing[0]}=…",
            )
        # Names are unique within a playbook; beside other steps they are told apart by the step that named it.
        flat += playbook.steps if len(steps) == 1 else [
            replace(inner, name=f"{step.name}: {inner.name}") for inner in playbook.steps
        ]  # fmt: skip
    values: dict[str, Json] = {**defaults, **variables}
    return Plan(steps=tuple(flat), variables=values, items=items)


def _timed(plan: Plan, seconds: float | None) -> Plan:
    """The plan with the job's timeout on each step that has none of its own."""
    if seconds is None:
        return plan
    steps = (step if step.timeout_seconds else replace(step, timeout_seconds=seconds) for step in plan.steps)
    return replace(plan, steps=tuple(steps))


@lru_cache(maxsize=256)
def parsed(text: str) -> Playbook:
    """Read a stored playbook; equal texts are read once. Raises InvalidInput if this Rota no longer takes it."""
    from rota.actions.playbook_file import read_playbook

    return read_playbook(text)


def store_plan(tx: Tx, plan: Plan) -> int:
    """The row id of an equal plan, inserted if there was none."""
    row = tx.driver.execute("SELECT id FROM plan WHERE digest = ?", (plan.digest,)).fetchone()
    if row is not None:
        return int(row[0])
    plan_id = tx.take_ids("plan")
    insert_row(tx, tables.plan, (plan_id, plan.digest, plan.text))
    return plan_id


def members_of(tx: Tx, selector: str | None) -> tuple[Member, ...]:
    """The hosts that `selector` picks now, by name; None is the controller alone. Raises InvalidInput."""
    if selector is None:
        return (Member(CONTROLLER, None, "local"),)
    known = inventory.load(tx)
    return known.members(known.pick(parse(selector)))


def target_set_for(tx: Tx, selector: str | None) -> TargetSetRow:
    """Freeze the hosts that `selector` picks now; None is the controller alone. Raises InvalidInput."""
    return target_set_of(tx, members_of(tx, selector))


def target_set_of(tx: Tx, members: Sequence[Member]) -> TargetSetRow:
    """The target set of just these members, inserted if there was none."""
    members = tuple(members)
    content = _content(members)
    content_digest = digest(content)
    row = tx.driver.execute("SELECT id FROM target_set WHERE digest = ?", (content_digest,)).fetchone()
    if row is not None:
        return TargetSetRow(int(row[0]), content_digest, members)
    set_id = tx.take_ids("target_set")
    insert_row(tx, tables.target_set, (set_id, content_digest, len(members), canonical(content)))
    return TargetSetRow(set_id, content_digest, members)


def digest_of(members: Sequence[Member]) -> str:
    """The digest that a target set of these members has, stored or not."""
    return digest(_content(members))


def _content(members: Sequence[Member]) -> list[Json]:
    return [[member.host, member.host_version_id, member.connector, member.site] for member in members]


def get_plan(tx: Tx, plan_id: int) -> Plan:
    """The plan with this row id. Raises Conflict if a run points at none: retention never removes one in use."""
    row = tx.driver.execute("SELECT content FROM plan WHERE id = ?", (plan_id,)).fetchone()
    if row is None:
        raise Conflict("the plan of this run is gone", hint="trigger the job again: rota schedule trigger NAME")
    return Plan.from_dict(json.loads(row[0]))


def get_target_set(tx: Tx, set_id: int) -> TargetSetRow:
    """The frozen targets with this row id."""
    found_digest, text = tx.driver.execute("SELECT digest, members FROM target_set WHERE id = ?", (set_id,)).fetchone()
    return TargetSetRow(set_id, found_digest, tuple(Member(*member) for member in json.loads(text)))
