from __future__ import annotations

import pytest

from tests.support.builders import Rota

CRON = [{"kind": "cron", "expression": "0 2 * * *"}]


async def test_a_created_job_can_be_read_back(rota: Rota) -> None:
    job = await rota.a_job(description="nightly", vars={"retention_days": "30"})
    answer = await rota.api.get("/jobs/daily-backup")
    assert (answer.status, answer.json) == (200, job)
    assert answer.headers["etag"] == '"1"'


async def test_a_job_shows_what_a_list_and_a_person_need(rota: Rota) -> None:
    await rota.a_playbook()
    job = await rota.a_job(playbook="backup", target="all")
    assert (job["trigger_short"], job["trigger_text"]) == ("0 2 * * *", "Every day at 02:00")
    assert (job["action_short"], job["playbook"]) == ("backup", "backup")
    assert job["triggers"] == [{"name": "main", "kind": "cron", "expression": "0 2 * * *", "timezone": "UTC"}]
    assert [run["at"] for run in job["next_runs"]] == [f"2026-03-{day:02d}T02:00:00Z" for day in range(5, 10)]
    assert (job["last_run"], job["active_runs"], job["created_at"]) == (None, 0, "2026-03-04T12:00:00Z")


async def test_next_runs_are_told_in_the_zone_of_the_trigger_too(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{**CRON[0], "timezone": "America/New_York"}])
    assert job["next_runs"][0] == {
        "at": "2026-03-05T07:00:00Z",
        "local": "2026-03-05 02:00:00 EST",
        "timezone": "America/New_York",
    }


async def test_a_long_command_is_cut_in_lists(rota: Rota) -> None:
    job = await rota.a_job(do="shell: tar czf /backups/everything.tar.gz /etc /home /var/lib")
    assert job["action_short"] == "shell: tar czf /backups/everything.tar.…"
    assert len(job["action_short"]) == 40


async def test_all_faults_of_a_body_are_told_at_once(rota: Rota) -> None:
    answer = await rota.api.post(
        "/jobs",
        {
            "nme": "x",
            "do": "shell: true",
            "playbook": "backup",
            "triggers": [{"kind": "cron", "expression": "0 25 * * *", "timezone": "Nowhere"}],
            "target": "grp:web",
            "overlap_policy": "skp",
            "grace_seconds": "5",
            "run_timeout_seconds": 0,
            "vars": {"a-b": "x"},
        },
    )
    assert (answer.status, answer.json["code"]) == (422, "invalid_input")
    assert {fault["field"] for fault in answer.json["errors"]} == {
        "nme",
        "name",
        "playbook",
        "do",
        "triggers[0].expression",
        "triggers[0].timezone",
        "target",
        "overlap_policy",
        "grace_seconds",
        "run_timeout_seconds",
        "vars.a-b",
    }


@pytest.mark.parametrize(
    ("do", "shown"),
    [
        ("shell: {argv: [ls, -l, a b], cwd: /tmp}", "shell: ls -l 'a b'"),
        ("shell: {cwd: /tmp, command: pwd}", "shell: pwd"),
        ("http: {method: POST, url: http://h/}", "http: http://h/"),
        ("fs_mkdir: {path: /tmp/x}", "fs_mkdir: /tmp/x"),
        ("noop", "noop"),
    ],
)
async def test_a_table_names_what_is_done_and_not_how(rota: Rota, do: str, shown: str) -> None:
    assert (await rota.api.post("/jobs", {"name": "x", "do": do}, dry_run="true")).json["action_short"] == shown


async def test_an_unknown_key_is_answered_with_the_one_that_was_meant(rota: Rota) -> None:
    answer = await rota.api.post("/jobs", {"name": "a", "do": "noop", "discription": "x"})
    (fault,) = answer.json["errors"]
    assert fault["field"] == "discription"
    assert fault["hint"] == 'did you mean "description"?'


async def test_an_unknown_key_within_a_trigger_is_found_too(rota: Rota) -> None:
    answer = await rota.api.post(
        "/jobs", {"name": "a", "do": "noop", "triggers": [{"kind": "cron", "expresion": "0 2 * * *"}]}
    )
    fields = {fault["field"]: fault["hint"] for fault in answer.json["errors"]}
    assert fields["triggers[0].expresion"] == 'did you mean "expression"?'


async def test_each_of_several_faults_keeps_its_own_hint(rota: Rota) -> None:
    triggers = [{"kind": "cron", "expression": "0 0 30 2 *", "timezone": "Zurich"}]
    answer = await rota.api.post("/jobs", {"name": "a", "playbook": "no", "target": "grp:web", "triggers": triggers})
    assert {fault["field"]: fault["hint"] for fault in answer.json["errors"]} == {
        "triggers[0].expression": 'try: rota jobs preview --cron "0 0 29 2 *"',
        "triggers[0].timezone": 'did you mean "Europe/Zurich"?',
        "target": 'did you mean "group"?',
        "playbook": "",
    }


async def test_wrong_words_are_told_before_missing_things(rota: Rota) -> None:
    body = {"name": "web", "playbook": "bakup", "target": "group:web,host:a"}
    assert (await rota.api.post("/jobs", {**body, "priority": 5000})).status == 422
    answer = await rota.api.post("/jobs", body)
    assert answer.status == 404
    assert [fault["field"] for fault in answer.json["errors"]] == ["playbook", "target", "target"]


async def test_a_missing_playbook_is_told_with_its_near_name(rota: Rota) -> None:
    await rota.a_playbook()
    answer = await rota.api.post("/jobs", {"name": "web", "playbook": "bakup"})
    assert 'there is no playbook "bakup"; did you mean "backup"?' in answer.json["message"]


async def test_a_missing_variable_of_the_playbook_is_a_fault_at_save(rota: Rota) -> None:
    await rota.a_playbook("name: greet\nsteps:\n  - name: say\n    exec: echo {{ whom }}\n")
    answer = await rota.api.post("/jobs", {"name": "greet-all", "playbook": "greet"})
    assert answer.status == 422
    assert [fault["field"] for fault in answer.json["errors"]] == ["vars.whom"]
    assert (
        await rota.api.post("/jobs", {"name": "greet-all", "playbook": "greet", "vars": {"whom": "x"}})
    ).status == 201


async def test_a_missing_variable_of_a_command_is_a_fault_at_save(rota: Rota) -> None:
    answer = await rota.api.post("/jobs", {"name": "greet-all", "do": "shell: echo {{ whom }}"})
    assert [fault["field"] for fault in answer.json["errors"]] == ["vars.whom"]


async def test_a_step_may_use_what_an_earlier_one_registers_and_no_later_one(rota: Rota) -> None:
    first = {"name": "a", "action": "shell", "params": {"command": "hostname"}, "register": "found"}
    second = {"name": "b", "action": "shell", "params": {"command": "echo {{ found.stdout }}"}}
    assert (await rota.api.post("/jobs", {"name": "x", "steps": [first, second]})).status == 201
    assert (await rota.api.post("/jobs", {"name": "y", "steps": [second, first]})).status == 422


async def test_steps_without_names_are_named_after_their_action(rota: Rota) -> None:
    job = await rota.a_job(steps=[{"action": "noop"}, {"action": "noop"}, {"name": "noop-3", "action": "noop"}])
    assert [step["name"] for step in job["steps"]] == ["noop", "noop-2", "noop-3"]


async def test_a_taken_name_is_a_conflict(rota: Rota) -> None:
    await rota.a_job("web")
    answer = await rota.api.post("/jobs", {"name": "web", "do": "noop"})
    assert (answer.status, answer.json["code"]) == (409, "conflict")


async def test_a_once_in_the_past_is_refused(rota: Rota) -> None:
    answer = await rota.api.post(
        "/jobs", {"name": "a", "do": "noop", "triggers": [{"kind": "once", "at": "2026-03-04T11:00:00Z"}]}
    )
    assert [fault["field"] for fault in answer.json["errors"]] == ["triggers[0].at"]


async def test_a_local_time_is_read_in_the_zone_of_the_trigger(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"kind": "once", "at": "2026-12-01 02:00", "timezone": "America/New_York"}])
    assert job["triggers"][0]["at"] == "2026-12-01T07:00:00Z"


async def test_a_dry_run_answers_what_would_be_and_changes_nothing(rota: Rota) -> None:
    answer = await rota.api.post("/jobs", {"name": "web", "do": "noop", "triggers": CRON}, dry_run="true")
    assert (answer.status, answer.json["name"]) == (200, "web")
    assert len(answer.json["next_runs"]) == 5
    assert (await rota.api.get("/jobs")).json["items"] == []


async def test_a_target_that_picks_nobody_is_a_warning(rota: Rota) -> None:
    await rota.api.post("/groups", {"name": "web"})
    job = await rota.a_job(target="group:web")
    assert "picks no host" in job["warnings"][0]


async def test_only_the_fields_that_are_sent_change(rota: Rota) -> None:
    before = await rota.a_job(vars={"keep": "1", "drop": "2"}, description="old")
    answer = await rota.api.patch("/jobs/daily-backup", {"vars": {"drop": None, "new": "3"}, "description": "new"})
    after = answer.json["job"]
    assert after["vars"] == {"keep": "1", "new": "3"}
    assert after["version"] == 2
    same = {"name", "id", "triggers", "steps", "target", "overlap_policy", "next_runs", "created_at"}
    assert {key: after[key] for key in same} == {key: before[key] for key in same}


async def test_an_update_says_what_changed_from_what_to_what(rota: Rota) -> None:
    await rota.a_playbook()
    await rota.a_playbook("name: backup-v2\nsteps:\n  - name: a\n    exec: echo\n")
    await rota.a_job(playbook="backup", target="all", vars={"retention_days": "30"})
    answer = await rota.api.patch(
        "/jobs/daily-backup",
        {
            "triggers": [{"kind": "cron", "expression": "30 1 * * *", "timezone": "Asia/Tokyo"}],
            "playbook": "backup-v2",
            "vars": {"retention_days": "60"},
            "overlap_policy": "allow",
        },
    )
    changes = {change["field"]: (change["old"], change["new"]) for change in answer.json["changes"]}
    assert changes == {
        "trigger": ("0 2 * * *", "30 1 * * *"),
        "timezone": ("UTC", "Asia/Tokyo"),
        "playbook": ("backup", "backup-v2"),
        "vars.retention_days": ("30", "60"),
        "overlap_policy": ("skip", "allow"),
    }


async def test_a_new_expression_keeps_the_zone_of_the_old_one(rota: Rota) -> None:
    await rota.a_job(triggers=[{**CRON[0], "timezone": "Asia/Tokyo"}])
    answer = await rota.api.patch("/jobs/daily-backup", {"triggers": [{"kind": "cron", "expression": "30 1 * * *"}]})
    assert answer.json["job"]["triggers"][0]["timezone"] == "Asia/Tokyo"


async def test_a_timezone_alone_moves_the_clock_triggers(rota: Rota) -> None:
    await rota.a_job()
    answer = await rota.api.patch("/jobs/daily-backup", {"timezone": "Asia/Tokyo"})
    assert answer.json["job"]["next_runs"][0]["at"] == "2026-03-04T17:00:00Z"


async def test_an_interval_of_the_same_length_keeps_its_phase(rota: Rota) -> None:
    job = await rota.a_job(triggers=[{"kind": "interval", "every": "50s"}])
    rota.clock.advance(17)
    answer = await rota.api.patch("/jobs/daily-backup", {"triggers": [{"kind": "interval", "every": "50s"}]})
    assert answer.json["changes"] == []
    assert answer.json["job"]["triggers"] == job["triggers"]


async def test_an_update_that_changes_nothing_makes_no_version(rota: Rota) -> None:
    await rota.a_job(description="x")
    answer = await rota.api.patch("/jobs/daily-backup", {"description": "x"})
    assert (answer.json["changes"], answer.json["job"]["version"]) == ([], 1)


async def test_a_change_for_another_version_is_refused(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.patch("/jobs/daily-backup", {"description": "first"})
    answer = await rota.api.request(
        "PATCH", "/jobs/daily-backup", {"description": "second"}, headers={"If-Match": '"1"'}
    )
    assert (answer.status, answer.json["code"]) == (412, "precondition")
    good = await rota.api.request("PATCH", "/jobs/daily-backup", {"description": "2"}, headers={"If-Match": '"2"'})
    assert good.status == 200


async def test_null_means_something_only_where_a_field_may_be_without_a_value(rota: Rota) -> None:
    await rota.a_job(target="all")
    answer = await rota.api.patch("/jobs/daily-backup", {"target": None})
    assert answer.json["job"]["target"] is None
    answer = await rota.api.patch("/jobs/daily-backup", {"description": None, "name": None})
    assert [fault["field"] for fault in answer.json["errors"]] == ["description", "name"]


async def test_a_renamed_job_keeps_its_id(rota: Rota) -> None:
    job = await rota.a_job("old")
    await rota.api.patch("/jobs/old", {"name": "new"})
    assert (await rota.api.get("/jobs/new")).json["id"] == job["id"]
    assert (await rota.api.get("/jobs/old")).status == 404


async def test_disabling_and_enabling_show_in_the_job(rota: Rota) -> None:
    await rota.a_job()
    disabled = (await rota.api.post("/jobs/daily-backup/disable")).json
    assert (disabled["enabled"], disabled["next_runs"]) == (False, [])
    assert (await rota.api.post("/jobs/daily-backup/disable")).json["version"] == disabled["version"]
    assert (await rota.api.post("/jobs/daily-backup/enable")).json["enabled"] is True


async def test_deleting_frees_the_name_and_keeps_the_runs(rota: Rota) -> None:
    job = await rota.a_job()
    await rota.a_run()
    answer = await rota.api.delete("/jobs/daily-backup")
    assert answer.json == {"deleted": "daily-backup", "id": job["id"], "runs_kept": 1, "active_runs": 1}
    assert (await rota.api.get("/jobs/daily-backup")).status == 404
    assert len((await rota.api.get("/runs", job="daily-backup")).json["items"]) == 1
    assert (await rota.a_job())["id"] != job["id"]


@pytest.mark.parametrize("ref", ["daily-backup", "sched_{}", "{}", "{:.8}", "sched_{:.4}"])
async def test_a_job_goes_by_its_name_its_id_and_any_unique_prefix(rota: Rota, ref: str) -> None:
    job = await rota.a_job()
    digits = job["id"].removeprefix("sched_")
    assert (await rota.api.get(f"/jobs/{ref.format(digits)}")).json["id"] == job["id"]


async def test_an_unknown_job_is_answered_with_a_near_name(rota: Rota) -> None:
    await rota.a_job()
    answer = await rota.api.get("/jobs/dayly-backup")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert 'did you mean "daily-backup"?' in answer.json["hint"]


async def test_jobs_are_listed_by_name_in_pages(rota: Rota) -> None:
    for name in ("web", "api", "backup"):
        await rota.a_job(name)
    first = (await rota.api.get("/jobs", limit=2, fields="list")).json
    assert [job["name"] for job in first["items"]] == ["api", "backup"]
    second = (await rota.api.get("/jobs", limit=2, fields="list", after=first["next"])).json
    assert ([job["name"] for job in second["items"]], second["next"]) == (["web"], None)


async def test_a_short_list_leaves_out_the_long_fields_and_tells_of_the_daemon(rota: Rota) -> None:
    await rota.a_job()
    page = (await rota.api.get("/jobs", fields="list")).json
    assert not page["items"][0].keys() & {"steps", "vars", "next_runs"}
    assert (page["daemon"]["running"], page["daemon"]["pid"]) == (True, 48201)


async def test_a_trigger_makes_a_run_of_the_saved_definition(rota: Rota) -> None:
    await rota.a_job(priority=7)
    run = await rota.a_run()
    assert (run["trigger"], run["job"], run["job_version"], run["priority"]) == ("manual", "daily-backup", 1, 7)


async def test_a_disabled_job_can_be_triggered(rota: Rota) -> None:
    await rota.a_job(enabled=False)
    assert (await rota.api.post("/jobs/daily-backup/trigger")).status == 201


async def test_an_overlap_skip_is_a_409_with_its_reason(rota: Rota) -> None:
    await rota.a_job()
    await rota.a_run()
    answer = await rota.api.post("/jobs/daily-backup/trigger")
    assert (answer.status, answer.json["code"], answer.json["reason"]) == (409, "skipped", "overlap_skip")


async def test_the_same_idempotency_key_is_answered_with_the_same_run(rota: Rota) -> None:
    await rota.a_job()
    key = {"Idempotency-Key": "deploy-42"}
    first = await rota.api.request("POST", "/jobs/daily-backup/trigger", headers=key)
    second = await rota.api.request("POST", "/jobs/daily-backup/trigger", headers=key)
    assert first.json["id"] == second.json["id"]


async def test_variables_given_to_a_trigger_lie_over_those_of_the_job(rota: Rota) -> None:
    await rota.a_job(do="shell: echo {{ word }}", vars={"word": "old"})
    run = (await rota.api.post("/jobs/daily-backup/trigger", {"vars": {"word": "new"}})).json
    detail = (await rota.api.get(f"/runs/{run['id']}")).json
    assert detail["plan"]["vars"] == {"word": "new"}
    assert (await rota.api.get("/jobs/daily-backup")).json["vars"] == {"word": "old"}


async def test_a_preview_shows_the_next_runs_of_a_trigger_that_is_not_saved(rota: Rota) -> None:
    answer = await rota.api.get("/preview", cron="0 2 * * *", timezone="America/New_York", count=2)
    assert answer.json["trigger_text"] == "Every day at 02:00"
    assert [run["local"] for run in answer.json["next_runs"]] == ["2026-03-05 02:00:00 EST", "2026-03-06 02:00:00 EST"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "cron"),
        ({"cron": "0 2 * * *", "every": "5m"}, "every"),
        ({"every": "5x"}, "every"),
        ({"cron": "x"}, "cron"),
    ],
)
async def test_a_faulty_preview_names_the_parameter(rota: Rota, query: dict[str, str], field: str) -> None:
    answer = await rota.api.get("/preview", **query)
    assert answer.status == 422
    assert field in {fault["field"] for fault in answer.json["errors"]}
