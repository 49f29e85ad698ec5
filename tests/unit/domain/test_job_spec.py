"""Jobs and plans: JSON in and out without loss, and one digest for one content."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.job import JobSpec, NamedTrigger, canonical, digest
from rota.domain.plan import Plan, plan_digest
from rota.domain.policy import Missed, Overlap
from rota.domain.step import Step, step_from_dict, step_to_dict
from rota.domain.trigger.spec import CronTrigger, IntervalTrigger, ManualTrigger, OnceTrigger

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SECONDS = st.floats(0.1, 1e6, allow_nan=False)
STEPS = st.builds(
    Step,
    name=TEXT, action=st.sampled_from(["exec", "noop"]), params=st.dictionaries(TEXT, JSON, max_size=3),
    os=st.sampled_from([None, "linux", "macos", "windows"]), when=st.none() | TEXT, register=st.none() | TEXT,
    continue_on_error=st.booleans(), timeout_seconds=st.none() | SECONDS, retries=st.integers(0, 9),
    retry_delay_seconds=SECONDS, idempotent=st.booleans(),
)  # fmt: skip
MICROS = st.integers(0, 4 * 10**15)
RULES = st.one_of(
    st.builds(CronTrigger, st.just("0 2 * * *"), st.sampled_from(["UTC", "Europe/Zurich"])),
    st.builds(IntervalTrigger, st.integers(1, 10**6).map(lambda s: s * 10**6), MICROS, st.just("UTC")),
    st.builds(OnceTrigger, MICROS, st.just("UTC")),
    st.just(ManualTrigger()),
)
SPECS = st.builds(
    JobSpec,
    name=TEXT, description=TEXT, enabled=st.booleans(), target=st.none() | TEXT,
    triggers=st.lists(st.builds(NamedTrigger, name=TEXT, rule=RULES), max_size=3).map(tuple),
    steps=st.lists(STEPS, max_size=3).map(tuple), variables=st.dictionaries(TEXT, TEXT, max_size=3),
    overlap=st.sampled_from(Overlap), missed=st.sampled_from(Missed), grace_seconds=SECONDS,
    run_timeout_seconds=SECONDS, targets_at_once=st.integers(1, 1000), priority=st.integers(-1000, 1000),
)  # fmt: skip


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(SPECS)
def test_a_job_survives_its_json_without_loss(spec: JobSpec) -> None:
    assert JobSpec.from_dict(through_json(spec.to_dict())) == spec


@given(SPECS)
def test_a_job_read_back_has_the_same_digest(spec: JobSpec) -> None:
    assert digest(JobSpec.from_dict(json.loads(canonical(spec.to_dict()))).to_dict()) == digest(spec.to_dict())


@given(STEPS)
def test_a_step_survives_its_json_without_loss(step: Step) -> None:
    assert step_from_dict(through_json(step_to_dict(step))) == step


@given(st.lists(STEPS, max_size=3), st.dictionaries(TEXT, JSON, max_size=3), st.dictionaries(TEXT, TEXT, max_size=2))
def test_a_plan_survives_its_json_with_its_digest(steps: list[Step], variables: Any, items: dict[str, str]) -> None:
    plan = Plan(steps=tuple(steps), variables=variables, items=items)
    again = Plan.from_dict(json.loads(plan.text))
    assert (again, again.digest) == (plan, plan.digest)


@given(st.dictionaries(TEXT, JSON, max_size=5))
def test_the_order_of_keys_does_not_matter_to_a_digest(value: dict[str, Any]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(st.lists(JSON, min_size=2, max_size=4, unique_by=canonical))
def test_different_values_have_different_digests(values: list[Any]) -> None:
    assert len({digest(value) for value in values}) == len(values)


BASE = JobSpec(name="base", steps=(Step(name="main", action="noop"),))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"enabled": False},
        {"target": "all"},
        {"variables": {"a": "1"}},
        {"overlap": Overlap.ALLOW},
        {"grace_seconds": 61.0},
        {"priority": 1},
        {"steps": (Step(name="main", action="noop", retries=1),)},
        {"triggers": (NamedTrigger(name="main", rule=CronTrigger("0 2 * * *", "UTC")),)},
    ],
)
def test_each_field_counts_in_the_digest_of_a_version(changes: dict[str, Any]) -> None:
    assert digest(BASE.but(**changes).to_dict()) != digest(BASE.to_dict())


def test_each_part_counts_in_the_digest_of_a_plan() -> None:
    parts = {"job_version": "a", "plan": "b", "target_set": "c"}
    digests = {plan_digest(**parts)} | {plan_digest(**parts | {name: "x"}) for name in parts}
    assert len(digests) == 4
    assert plan_digest(job_version="ab", plan="", target_set="c") != plan_digest(
        job_version="a", plan="b", target_set="c"
    )


def test_a_good_job_has_no_faults() -> None:
    assert BASE.faults() == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"steps": ()}, "steps"),
        ({"steps": BASE.steps * 2}, "steps"),
        ({"triggers": BASE.triggers * 2}, "triggers"),
        ({"grace_seconds": 0.0}, "grace_seconds"),
        ({"grace_seconds": float("nan")}, "grace_seconds"),
        ({"run_timeout_seconds": 1e9}, "run_timeout_seconds"),
        ({"targets_at_once": 0}, "targets_at_once"),
        ({"priority": 1001}, "priority"),
    ],
)
def test_each_fault_names_its_field(changes: dict[str, Any], field: str) -> None:
    assert field in [fault.field for fault in BASE.but(**changes).faults()]


def test_all_faults_are_told_at_once() -> None:
    assert len(replace(BASE, name="", steps=(), priority=5000).faults()) == 3


def test_a_job_that_is_just_a_playbook_knows_which() -> None:
    step = Step(name="main", action="playbook", params={"playbook": "backup"})
    assert BASE.but(steps=(step,)).playbook == "backup"
    assert BASE.but(steps=(step, *BASE.steps)).playbook is None
    assert BASE.playbook is None
