from __future__ import annotations

import pytest

from rota.domain.errors import InvalidInput, NotFound
from rota.domain.job import JobSpec
from rota.domain.step import Step
from rota.ports import Member
from rota.storage.freeze import (
    expand,
    get_plan,
    get_target_set,
    inventory_version,
    library_version,
    plan_for,
    target_set_for,
)
from tests.support.builders import Rota

BACKUP_STEP = Step(name="playbook", action="playbook", params={"playbook": "backup"})
OTHER = "name: other\nvars: {retention_days: '7'}\nsteps:\n  - name: copy\n    exec: echo {{ retention_days }}\n"


def a_spec(*steps: Step, **variables: str) -> JobSpec:
    return JobSpec(name="daily", steps=steps or (BACKUP_STEP,), variables=variables)


async def test_a_playbook_is_expanded_to_its_steps_and_pinned_by_its_digest(rota: Rota) -> None:
    playbook = await rota.a_playbook()
    plan = await rota.ctx.store.write(lambda tx: get_plan(tx, plan_for(tx, a_spec())))
    assert [(step.name, step.action) for step in plan.steps] == [("copy", "exec")]
    assert plan.items == {"playbook/backup": playbook["digest"]}


async def test_job_variables_lie_over_those_of_the_playbook(rota: Rota) -> None:
    await rota.a_playbook()
    plan = await rota.ctx.store.read(lambda tx: expand(tx, (BACKUP_STEP,), {"retention_days": "60"}))
    assert plan.variables == {"retention_days": "60"}


async def test_equal_plans_are_one_row(rota: Rota) -> None:
    await rota.a_playbook()
    ids = [await rota.ctx.store.write(lambda tx: plan_for(tx, a_spec())) for _ in range(3)]
    assert len(set(ids)) == 1


async def test_a_changed_playbook_makes_another_plan_and_leaves_the_old_one(rota: Rota) -> None:
    await rota.a_playbook()
    old = await rota.ctx.store.write(lambda tx: plan_for(tx, a_spec()))
    await rota.a_playbook("name: backup\nsteps:\n  - name: changed\n    exec: 'true'\n")
    new = await rota.ctx.store.write(lambda tx: plan_for(tx, a_spec()))
    assert new != old
    assert (await rota.ctx.store.read(lambda tx: get_plan(tx, old))).steps[0].name == "copy"


async def test_steps_of_several_playbooks_are_told_apart(rota: Rota) -> None:
    await rota.a_playbook()
    steps = (BACKUP_STEP, Step(name="then", action="noop"))
    plan = await rota.ctx.store.read(lambda tx: expand(tx, steps, {}))
    assert [step.name for step in plan.steps] == ["playbook: copy", "then"]


async def test_two_playbooks_that_disagree_on_a_variable_need_a_word_of_the_job(rota: Rota) -> None:
    await rota.a_playbook()
    await rota.a_playbook(OTHER)
    steps = (BACKUP_STEP, Step(name="other", action="playbook", params={"playbook": "other"}))
    with pytest.raises(InvalidInput, match="retention_days"):
        await rota.ctx.store.read(lambda tx: expand(tx, steps, {}))
    plan = await rota.ctx.store.read(lambda tx: expand(tx, steps, {"retention_days": "1"}))
    assert plan.variables == {"retention_days": "1"}


async def test_a_playbook_that_is_gone_is_not_found(rota: Rota) -> None:
    with pytest.raises(NotFound, match="backup"):
        await rota.ctx.store.write(lambda tx: plan_for(tx, a_spec()))


async def test_no_target_is_the_controller_alone(rota: Rota) -> None:
    targets = await rota.ctx.store.write(lambda tx: target_set_for(tx, None))
    assert targets.members == (Member("@controller", None, "local"),)


async def test_all_is_the_built_in_host_while_there_is_no_other(rota: Rota) -> None:
    before = await rota.ctx.store.write(lambda tx: target_set_for(tx, "all"))
    assert before.members == (Member("local", None, "local"),)
    await rota.api.post("/hosts", {"name": "web-1"})
    after = await rota.ctx.store.write(lambda tx: target_set_for(tx, "all"))
    assert [member.host for member in after.members] == ["web-1"]


async def test_a_target_set_keeps_the_host_versions_it_froze(rota: Rota) -> None:
    await rota.api.post("/hosts", {"name": "web-1", "tags": {"env": "prod"}})
    frozen = await rota.ctx.store.write(lambda tx: target_set_for(tx, "tag:env"))
    await rota.api.patch("/hosts/web-1", {"tags": {"env": "staging"}})
    later = await rota.ctx.store.write(lambda tx: target_set_for(tx, "tag:env"))
    assert frozen.members[0].host_version_id != later.members[0].host_version_id
    assert await rota.ctx.store.read(lambda tx: get_target_set(tx, frozen.id)) == frozen


async def test_equal_target_sets_are_one_row(rota: Rota) -> None:
    ids = {(await rota.ctx.store.write(lambda tx: target_set_for(tx, "all"))).id for _ in range(3)}
    assert len(ids) == 1


async def test_a_selector_that_picks_nobody_gives_an_empty_set(rota: Rota) -> None:
    assert (await rota.ctx.store.write(lambda tx: target_set_for(tx, "tag:nobody"))).members == ()


async def test_each_change_of_hosts_and_groups_moves_the_inventory_version(rota: Rota) -> None:
    seen = [await rota.ctx.store.read(inventory_version)]
    for method, path, body in (
        ("POST", "/groups", {"name": "web"}),
        ("POST", "/hosts", {"name": "web-1", "groups": ["web"]}),
        ("PATCH", "/hosts/web-1", {"disabled": True}),
        ("DELETE", "/hosts/web-1", None),
        ("DELETE", "/groups/web", None),
    ):
        assert (await rota.api.request(method, path, body)).status < 300
        seen.append(await rota.ctx.store.read(inventory_version))
    assert seen == sorted(set(seen))


async def test_each_change_of_a_playbook_moves_the_library_version(rota: Rota) -> None:
    before = await rota.ctx.store.read(library_version)
    await rota.a_playbook()
    between = await rota.ctx.store.read(library_version)
    await rota.api.delete("/playbooks/backup")
    assert before < between < await rota.ctx.store.read(library_version)
