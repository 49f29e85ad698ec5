from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import Rota


async def items(rota: Rota, path: str, **query: object) -> list[dict[str, Any]]:
    answer = await rota.api.get(path, **query)
    assert answer.status == 200, answer.json
    found: list[dict[str, Any]] = answer.json["items"]
    return found


async def finish_all(rota: Rota) -> None:
    """As if every run had ended well."""
    await rota.sql("UPDATE run SET state = 'succeeded', finished_at = ? WHERE finished_at IS NULL", rota.clock.now())
    await rota.sql("UPDATE job_state SET active = 0")


async def test_runs_are_listed_newest_first_and_by_job_and_state(rota: Rota) -> None:
    await rota.a_job("a-job")
    await rota.a_job("b-job")
    first, second = await rota.a_run("a-job"), await rota.a_run("b-job")
    await rota.api.post(f"/runs/{first['id']}/cancel")
    assert [run["id"] for run in await items(rota, "/runs")] == [second["id"], first["id"]]
    assert [run["id"] for run in await items(rota, "/runs", job="a-job")] == [first["id"]]
    assert [run["id"] for run in await items(rota, "/runs", state="queued,running")] == [second["id"]]


async def test_an_unknown_state_is_a_fault_with_a_near_name(rota: Rota) -> None:
    answer = await rota.api.get("/runs", state="queud")
    assert 'did you mean "queued"?' in answer.json["errors"][0]["hint"]


async def test_runs_come_in_pages(rota: Rota) -> None:
    ids = [(await rota.api.post("/runs", {"do": "noop"})).json["id"] for _ in range(5)]
    seen, after = [], None
    while True:
        query = {"limit": 2} | ({} if after is None else {"after": after})
        page = (await rota.api.get("/runs", **query)).json
        seen += [run["id"] for run in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == ids[::-1]


async def test_a_cursor_that_is_none_is_a_fault(rota: Rota) -> None:
    assert (await rota.api.get("/runs", after="x")).status == 422
    assert (await rota.api.get("/history", after="7")).status == 422


async def test_the_details_of_a_run_hold_plan_and_targets(rota: Rota) -> None:
    await rota.a_playbook()
    await rota.a_job(playbook="backup", target="all")
    run = await rota.a_run()
    detail = (await rota.api.get(f"/runs/{run['id'][:12]}")).json
    assert [step["name"] for step in detail["plan"]["steps"]] == ["copy"]
    assert len(detail["plan"]["digest"]) == 64
    (target,) = detail["targets"]
    assert (target["host"], target["state"], target["step"], target["attempts"]) == ("local", "queued", "copy", [])
    assert detail["targets_by_state"] == {"queued": 1}


async def test_history_is_runs_and_refusals_newest_first(rota: Rota) -> None:
    await rota.a_job()
    first = await rota.a_run()
    rota.clock.advance(10)
    await rota.api.post("/jobs/daily-backup/trigger")  # refused: the first is not done
    rota.clock.advance(10)
    await finish_all(rota)
    second = await rota.a_run()
    entries = await items(rota, "/history", job="daily-backup")
    assert [entry["kind"] for entry in entries] == ["run", "ledger", "run"]
    assert [entries[0]["id"], entries[2]["id"]] == [second["id"], first["id"]]
    refusal = entries[1]
    assert (refusal["reason"], refusal["count"], refusal["blocked_by"]) == ("overlap_skip", 1, first["id"])


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
async def test_history_pages_lose_and_repeat_nothing(rota: Rota, limit: int) -> None:
    await rota.a_job("a-job")
    await rota.a_job("b-job")
    for _ in range(3):
        await rota.a_run("a-job")
        rota.clock.advance(1)
        await rota.api.post("/jobs/a-job/trigger")
        rota.clock.advance(1)
        await finish_all(rota)
        await rota.a_run("b-job")
        await finish_all(rota)
    whole = await items(rota, "/history", limit=100)
    paged, after = [], None
    while True:
        page = (await rota.api.get("/history", limit=limit, **({} if after is None else {"after": after}))).json
        paged += page["items"]
        after = page["next"]
        if after is None:
            break
    assert paged == whole
    assert len(whole) == 9


async def test_history_of_a_deleted_job_is_still_there(rota: Rota) -> None:
    await rota.a_job()
    await rota.a_run()
    await rota.api.delete("/jobs/daily-backup")
    assert [entry["job"] for entry in await items(rota, "/history", job="daily-backup")] == ["daily-backup"]


async def test_an_ad_hoc_run_needs_no_job(rota: Rota) -> None:
    answer = await rota.api.post("/runs", {"do": "shell: df -h"})
    run = answer.json
    assert answer.status == 201
    assert (run["job"], run["title"], run["trigger"]) == (None, "shell: df -h", "adhoc")


async def test_an_ad_hoc_run_with_faults_makes_nothing(rota: Rota) -> None:
    answer = await rota.api.post("/runs", {"do": "shel: x", "target": "grp:x", "run_timeout_seconds": 0, "wat": 1})
    assert {fault["field"] for fault in answer.json["errors"]} == {"do", "target", "run_timeout_seconds", "wat"}
    assert await items(rota, "/runs") == []


async def test_an_ad_hoc_run_without_work_is_a_fault(rota: Rota) -> None:
    assert [fault["field"] for fault in (await rota.api.post("/runs", {})).json["errors"]] == ["steps"]


async def test_a_dry_run_shows_steps_hosts_and_what_is_pasted_unquoted(rota: Rota) -> None:
    await rota.a_playbook("name: risky\nvars: {word: a}\nsteps:\n  - name: say\n    exec: echo {{ word | raw }}\n")
    answer = await rota.api.post("/runs", {"playbook": "risky", "target": "all"}, dry_run="true")
    plan = answer.json["plan"]
    assert answer.status == 200
    assert (plan["hosts"], plan["raw_uses"]) == (["local"], ["say: word"])
    assert await items(rota, "/runs") == []


async def test_the_run_has_the_digest_that_the_dry_run_showed(rota: Rota) -> None:
    body = {"do": "shell: df -h", "target": "all"}
    shown = (await rota.api.post("/runs", body, dry_run="true")).json["plan"]["digest"]
    run = (await rota.api.post("/runs", body)).json
    assert (await rota.api.get(f"/runs/{run['id']}")).json["plan"]["digest"] == shown


async def test_a_run_that_would_have_no_host_is_skipped(rota: Rota) -> None:
    answer = await rota.api.post("/runs", {"do": "noop", "target": "tag:nobody"})
    assert (answer.status, answer.json["reason"]) == (409, "no_targets")


async def test_a_trigger_of_a_job_without_hosts_is_in_the_ledger(rota: Rota) -> None:
    await rota.a_job(target="tag:nobody")
    answer = await rota.api.post("/jobs/daily-backup/trigger")
    assert (answer.status, answer.json["code"], answer.json["reason"]) == (409, "skipped", "no_targets")
    (entry,) = await items(rota, "/history")
    assert (entry["kind"], entry["reason"]) == ("ledger", "no_targets")


async def test_one_key_makes_one_ad_hoc_run(rota: Rota) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    answers = [await rota.api.request("POST", "/runs", {"do": "noop"}, headers=key) for _ in range(2)]
    assert answers[0].json["id"] == answers[1].json["id"]
    assert len(await items(rota, "/runs")) == 1


async def test_one_key_with_other_words_is_a_conflict(rota: Rota) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    await rota.api.request("POST", "/runs", {"do": "noop"}, headers=key)
    answer = await rota.api.request("POST", "/runs", {"do": "shell: true"}, headers=key)
    assert (answer.status, answer.json["code"]) == (409, "conflict")


async def test_a_key_is_free_again_when_the_request_was_faulty(rota: Rota) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    assert (await rota.api.request("POST", "/runs", {"playbook": "nope"}, headers=key)).status == 404
    assert (await rota.api.request("POST", "/runs", {"do": "noop"}, headers=key)).status == 201


async def test_a_key_whose_first_request_is_still_in_hand_makes_no_second_run(rota: Rota) -> None:
    key = {"Idempotency-Key": "deploy-42"}
    await rota.api.request("POST", "/runs", {"do": "noop"}, headers=key)
    await rota.sql("DELETE FROM run")  # as if the first were between its two transactions
    await rota.sql("UPDATE idempotency_key SET run_id = 0")
    assert (await rota.api.request("POST", "/runs", {"do": "noop"}, headers=key)).status == 409
    rota.clock.advance(61)  # it died on the way
    assert (await rota.api.request("POST", "/runs", {"do": "noop"}, headers=key)).status == 201


async def test_cancelling_ends_what_has_not_started(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    answer = await rota.api.post(f"/runs/{run['id']}/cancel")
    assert (answer.json["state"], answer.json["reason"]) == ("cancelled", "user_cancelled")
    again = await rota.api.post(f"/runs/{run['id']}/cancel")
    assert (again.status, again.json["code"]) == (409, "conflict")


async def test_a_rerun_repeats_the_plan_whatever_the_job_has_become(rota: Rota) -> None:
    await rota.a_job(do="shell: echo old")
    run = await rota.a_run()
    await finish_all(rota)
    await rota.api.patch("/jobs/daily-backup", {"do": "shell: echo new"})
    again = (await rota.api.post(f"/runs/{run['id']}/rerun")).json
    assert (again["trigger"], again["rerun_of"], again["job_version"]) == ("rerun", run["id"], 1)
    plans = [(await rota.api.get(f"/runs/{one['id']}")).json["plan"] for one in (run, again)]
    assert plans[0] == plans[1]


async def test_a_rerun_keeps_to_the_overlap_policy(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    assert (await rota.api.post(f"/runs/{run['id']}/rerun")).json["reason"] == "overlap_skip"


async def test_the_last_run_shows_in_the_job(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    job = (await rota.api.get("/jobs/daily-backup")).json
    assert job["last_run"]["id"] == run["id"]
    assert (job["last_run"]["trigger"], job["active_runs"]) == ("manual", 1)


async def test_every_change_has_its_audit_row(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    await rota.api.post(f"/runs/{run['id']}/cancel")
    await rota.api.patch("/jobs/daily-backup", {"description": "x"})
    await rota.api.post("/jobs/daily-backup/disable")
    await rota.api.delete("/jobs/daily-backup")
    verbs = [verb for (verb,) in await rota.sql("SELECT verb FROM audit ORDER BY id")]
    assert verbs == ["create", "trigger", "cancel", "update", "disable", "delete"]
    assert await rota.sql("SELECT DISTINCT principal FROM audit") == [(rota.me,)]
