"""Fan-out rules of jobs and runs, reruns of what did not succeed, limits: as people say and see them."""

from __future__ import annotations

from typing import Any

import pytest

from rota.domain.reasons import Reason
from rota.domain.states import AttemptState, TargetState
from rota.storage.claiming import claim
from rota.storage.finishing import settle
from rota.storage.work import Assignment, AttemptEnd, Park, Report, TargetEnd
from tests.support.builders import Rota


async def add_hosts(rota: Rota, *names: str, **fields: Any) -> None:
    for name in names:
        answer = await rota.api.post("/hosts", {"name": name, "connector": "local", **fields})
        assert answer.status == 201, answer.json


async def start(rota: Rota, **fields: Any) -> dict[str, Any]:
    answer = await rota.api.post("/runs", {"do": "shell: true", "target": "all", **fields})
    assert answer.status == 201, answer.json
    run: dict[str, Any] = answer.json
    return run


async def show(rota: Rota, run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await rota.api.get(f"/runs/{run['id']}")).json
    return found


async def claimed(rota: Rota) -> dict[str, Assignment]:
    work = await rota.ctx.store.write(lambda tx: claim(tx, "own_a", slots=100))
    return {one.host: one for one in work}


async def end(rota: Rota, work: Assignment, state: TargetState = TargetState.SUCCEEDED) -> None:
    attempt = AttemptEnd(state=AttemptState(state), finished_at=rota.clock.now())
    report = Report(work=work, attempt=attempt, end=TargetEnd(state=state))
    await rota.ctx.store.write(lambda tx: settle(tx, [report]))


async def test_a_job_keeps_its_rules_and_its_runs_have_them(rota: Rota) -> None:
    await add_hosts(rota, "web1", "web2", "web3")
    kept = {
        "batch": "1, 100%",
        "batch_pause_seconds": 60,
        "max_fail": "1",
        "throttle": "10/m",
        "lock_hosts": True,
        "on_offline": "wait",
    }
    said: dict[str, Any] = {**kept, "max_fail": 1}
    job = await rota.a_job(target="all", **said)
    assert {field: job[field] for field in kept} == kept
    shown = (await show(rota, await rota.a_run()))["fan_out"]
    assert shown == {**kept, "sizes": [1, 2], "open_batch": 1, "next_start_at": None, "bad": 0, "most_bad": 1}


async def test_a_job_that_says_nothing_says_so_and_its_runs_have_no_rules(rota: Rota) -> None:
    job = await rota.a_job()
    assert (job["on_offline"], job["lock_hosts"], job["throttle"], job["batch"]) == ("fail", False, None, None)
    assert "fan_out" not in await show(rota, await rota.a_run())


async def test_a_rule_is_changed_and_taken_away(rota: Rota) -> None:
    await rota.a_job(throttle="10/m", max_fail="10%")
    answer = await rota.api.patch("/jobs/daily-backup", {"throttle": "20/m", "max_fail": None})
    assert [(change["field"], change["old"], change["new"]) for change in answer.json["changes"]] == [
        ("throttle", "10/m", "20/m"), ("max_fail", "10%", None),
    ]  # fmt: skip


async def test_all_faults_of_rules_are_told_with_the_others(rota: Rota) -> None:
    body = {"name": "a b", "do": "noop", "batch": "0", "throttle": "x", "on_offline": "no", "lock_hosts": None}
    answer = await rota.api.post("/jobs", body)
    assert answer.status == 422
    assert {error["field"] for error in answer.json["errors"]} >= {
        "name",
        "batch",
        "throttle",
        "on_offline",
        "lock_hosts",
    }


async def test_an_ad_hoc_run_may_say_all_of_it(rota: Rota) -> None:
    await add_hosts(rota, "web1", "web2")
    run = await start(rota, batch="1", priority=7, targets_at_once=3)
    assert (run["priority"], (await show(rota, run))["fan_out"]["sizes"]) == (7, [1, 1])
    assert await rota.sql("SELECT targets_at_once FROM run") == [(3,)]


async def test_a_target_that_waits_says_for_whom(rota: Rota) -> None:
    await add_hosts(rota, "web1")
    await rota.a_job("nightly-backup", target="all", lock_hosts=True)
    holder = await rota.a_run("nightly-backup")
    waits = await start(rota, lock_hosts=True)
    await claimed(rota)
    [target] = (await show(rota, waits))["targets"]
    said = f"waits for web1, held by nightly-backup ({holder['id'][:12]})"
    assert (target["state"], target["waiting_for"], target["message"]) == ("queued", "host", said)
    why = (await rota.api.get(f"/why/{waits['id']}")).json
    assert "waits for its hosts" in why["answer"]
    assert f"web1 {said}" in why["lines"]
    of_host = (await rota.api.get(f"/why/{waits['id']}", host="web1")).json
    assert said in of_host["answer"]


async def test_why_tells_of_a_retry_when_it_is_looked_at_again(rota: Rota) -> None:
    await add_hosts(rota, "web1")
    run = await start(rota)
    [work] = (await claimed(rota)).values()
    attempt = AttemptEnd(state=AttemptState.FAILED, reason=Reason.STEP_FAILED, finished_at=rota.clock.now())
    waiting = Park(
        until=rota.clock.now() + 60_000_000, waiting_for="retry", reason=Reason.STEP_FAILED, message="exit 1"
    )
    await rota.ctx.store.write(lambda tx: settle(tx, [Report(work=work, attempt=attempt, park=waiting)]))
    why = (await rota.api.get(f"/why/{run['id']}")).json
    assert "web1 waits for its next try: exit 1; looked at again by 2026-03-04 12:01:00 UTC" in why["lines"]
    assert why["next_look_at"] == "2026-03-04T12:01:00Z"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"batch": "1"}, "web2 is in later batches: batch 1 of 2 is not over yet"),
        ({"throttle": "1/m"}, "web2 is throttled to 1/m: the next may start at 2026-03-04 12:01:00 UTC"),
        ({"targets_at_once": 1}, "web2 is queued: 1 of the run's hosts are at work, and no more may be at one time"),
    ],
)
async def test_why_tells_what_keeps_a_host_from_starting(rota: Rota, rules: dict[str, Any], said: str) -> None:
    await add_hosts(rota, "web1", "web2")
    run = await start(rota, **rules)
    await claimed(rota)
    assert said in (await rota.api.get(f"/why/{run['id']}")).json["lines"]
    assert said in (await rota.api.get(f"/why/{run['id']}", host="web2")).json["answer"]


async def test_why_tells_of_a_limit_that_is_used_up(rota: Rota) -> None:
    await add_hosts(rota, "web1", "web2", site="lon")
    await rota.api.request("PUT", "/limits/site:lon", {"cap": 1})
    run = await start(rota)
    await claimed(rota)
    why = (await rota.api.get(f"/why/{run['id']}")).json
    assert "the limit site:lon is used up: 1 of 1 (rota limits list)" in why["lines"]


async def test_a_host_that_the_run_does_not_have_is_not_found_by_why(rota: Rota) -> None:
    await add_hosts(rota, "web1")
    run = await start(rota)
    answer = await rota.api.get(f"/why/{run['id']}", host="web")
    assert answer.status == 404
    assert 'did you mean "web1"?' in answer.json["hint"]


async def a_mixed_run(rota: Rota) -> dict[str, Any]:
    """Four hosts: one succeeded, one failed, one was not reached, one was not started."""
    await add_hosts(rota, "web1", "web2", "web3", "web4")
    run = await start(rota, targets_at_once=3, throttle="10/s", max_fail="1")
    for host, state in (("web1", "succeeded"), ("web2", "failed"), ("web3", "unreachable")):
        await end(rota, (await claimed(rota))[host], TargetState(state))
        rota.clock.advance(1)
    return run


async def test_a_rerun_of_the_failed_takes_every_host_that_did_not_succeed(rota: Rota) -> None:
    run = await a_mixed_run(rota)
    answer = await rota.api.post(f"/runs/{run['id']}/rerun", failed="true")
    assert answer.status == 201, answer.json
    again = await show(rota, answer.json)
    assert [target["host"] for target in again["targets"]] == ["web2", "web3", "web4"]
    assert (again["rerun_of"], again["plan"]["steps"]) == (run["id"], (await show(rota, run))["plan"]["steps"])
    assert again["fan_out"]["throttle"] == "10/s"


async def test_it_takes_hosts_as_they_are_now_and_tells_which_are_gone(rota: Rota) -> None:
    run = await a_mixed_run(rota)
    await rota.api.patch("/hosts/web2", {"address": "192.0.2.7", "connector": "ssh"})
    await rota.api.patch("/hosts/web3", {"disabled": True})
    await rota.api.delete("/hosts/web4")
    answer = await rota.api.post(f"/runs/{run['id']}/rerun", failed="true")
    assert answer.json["warnings"] == [
        "left out, as not in the inventory any more: web4",
        "left out, as disabled: web3",
    ]
    newest = await rota.sql("SELECT version_id FROM host WHERE name = 'web2'")
    ((run_id,),) = await rota.sql("SELECT max(id) FROM run")
    where = "SELECT host_version_id FROM run_target WHERE run_id = ?"
    assert await rota.sql(where, run_id) == newest
    assert await rota.sql(where.replace("host_version_id", "connector"), run_id) == [("ssh",)]


async def test_a_whole_rerun_keeps_the_hosts_as_they_were(rota: Rota) -> None:
    run = await a_mixed_run(rota)
    before = await rota.sql("SELECT host_version_id FROM run_target WHERE run_id = 1")
    await rota.api.patch("/hosts/web2", {"address": "192.0.2.7", "connector": "ssh"})
    answer = await rota.api.post(f"/runs/{run['id']}/rerun")
    assert answer.status == 201
    assert await rota.sql("SELECT host_version_id FROM run_target WHERE run_id = 2") == before


async def test_where_every_host_succeeded_there_is_nothing_to_run_again(rota: Rota) -> None:
    await add_hosts(rota, "web1")
    run = await start(rota)
    await end(rota, (await claimed(rota))["web1"])
    answer = await rota.api.post(f"/runs/{run['id']}/rerun", failed="true")
    assert (answer.status, answer.json["code"]) == (409, "skipped")
    assert "every host has succeeded" in answer.json["message"]


async def test_a_run_that_goes_on_has_not_failed_yet(rota: Rota) -> None:
    await add_hosts(rota, "web1")
    run = await start(rota)
    assert (await rota.api.post(f"/runs/{run['id']}/rerun", failed="true")).status == 409


async def test_a_dry_rerun_names_the_hosts_and_makes_nothing(rota: Rota) -> None:
    run = await a_mixed_run(rota)
    answer = await rota.api.post(f"/runs/{run['id']}/rerun", failed="true", dry_run="true")
    assert answer.json["plan"]["hosts"] == ["web2", "web3", "web4"]
    assert await rota.sql("SELECT count(*) FROM run") == [(1,)]


async def test_a_limit_is_set_listed_and_taken_away(rota: Rota) -> None:
    await add_hosts(rota, "web1", site="lon")
    answer = await rota.api.request("PUT", "/limits/site:lon", {"cap": 3})
    assert (answer.status, answer.json) == (200, {"key": "site:lon", "cap": 3, "used": 0})
    assert rota.launcher.looks == 1
    assert (await rota.api.get("/limits")).json["items"] == [
        {"key": "runs", "cap": 5, "used": 0}, {"key": "site:lon", "cap": 3, "used": 0},
    ]  # fmt: skip
    assert (await rota.api.delete("/limits/site:lon")).status == 200
    assert (await rota.api.delete("/limits/site:lon")).status == 404


@pytest.mark.parametrize("key", ["runs", "target", "site:", "site:a b", "hosts:web1"])
async def test_other_keys_are_refused(rota: Rota, key: str) -> None:
    answer = await rota.api.request("PUT", f"/limits/{key.replace(' ', '%20')}", {"cap": 3})
    assert (answer.status, {error["field"] for error in answer.json["errors"]}) == (422, {"key"})


@pytest.mark.parametrize("cap", [-1, 10**7, None, "3"])
async def test_a_cap_out_of_range_is_refused(rota: Rota, cap: object) -> None:
    assert (await rota.api.request("PUT", "/limits/targets", {"cap": cap})).status == 422


async def test_a_limit_of_a_site_that_no_host_is_at_is_set_with_a_word(rota: Rota) -> None:
    await add_hosts(rota, "web1", site="lon")
    answer = await rota.api.request("PUT", "/limits/site:lom", {"cap": 3})
    assert answer.json["warnings"] == ['no host is at the site "lom" now. did you mean "lon"?']


async def test_a_dry_limit_changes_nothing(rota: Rota) -> None:
    assert (await rota.api.request("PUT", "/limits/targets", {"cap": 3}, query={"dry_run": "true"})).json["cap"] == 3
    assert await rota.sql("SELECT key FROM run_limit") == [("runs",)]


async def test_a_disabled_host_is_not_picked_and_one_disabled_later_still_runs(rota: Rota) -> None:
    await add_hosts(rota, "web1", "web2")
    await rota.api.patch("/hosts/web1", {"disabled": True})
    await start(rota)
    await rota.api.patch("/hosts/web2", {"disabled": True})
    assert [*await claimed(rota)] == ["web2"]


async def test_why_names_the_hosts_of_one_trouble_in_one_line_as_people_count(rota: Rota) -> None:
    await add_hosts(rota, "web10", "web2", "web9", "db1")
    run = await start(rota)
    for host, work in (await claimed(rota)).items():
        await end(rota, work, TargetState.FAILED if host.startswith("web") else TargetState.SUCCEEDED)
    said = (await rota.api.get(f"/why/{run['id']}")).json
    assert "web2, web9, web10: failed" in said["lines"]
