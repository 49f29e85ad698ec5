from __future__ import annotations

from typing import Any

import pytest

from rota.domain.instant import parse_rfc3339
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.usecases.context import DaemonInfo
from tests.support.builders import Rota

NO_DAEMON = DaemonInfo()


async def why(rota: Rota, ref: str, **query: str) -> dict[str, Any]:
    answer = await rota.api.get(f"/why/{ref}", **query)
    assert answer.status == 200, answer.json
    said: dict[str, Any] = answer.json
    return said


async def ends(rota: Rota, state: str, *, reason: Reason | None = None, message: str | None = None) -> None:
    """As if the engine had ended every run."""
    at = rota.clock.now()
    await rota.sql("UPDATE run SET state = ?, reason = ?, message = ?, started_at = created_at, finished_at = ?",
                   state, reason, message, at)  # fmt: skip
    await rota.sql("UPDATE run_target SET state = ?, reason = ?, message = ?, finished_at = ?",
                   state, reason, message, at)  # fmt: skip


async def test_a_job_whose_next_run_is_ahead(rota: Rota) -> None:
    await rota.a_job()
    said = await why(rota, "daily-backup")
    assert said["answer"] == 'Schedule "daily-backup" runs next at 2026-03-05 02:00:00 UTC (Every day at 02:00)'
    assert (said["subject"], said["state"]) == ("job daily-backup", "enabled")
    assert said["next_look_at"] == "2026-03-05T02:00:00Z"


async def test_a_job_without_a_daemon(rota: Rota) -> None:
    await rota.a_job()
    said = await why(rota.with_info(daemon=NO_DAEMON), "daily-backup")
    assert "no daemon is running" in said["answer"]
    assert "Start one: rota daemon" in said["lines"]
    assert said["next_look_at"] is None


async def test_a_job_whose_daemon_does_not_schedule(rota: Rota) -> None:
    await rota.a_job()
    said = await why(rota.with_info(daemon=DaemonInfo(running=True, pid=1, scheduling=False)), "daily-backup")
    assert "schedule.enabled is false" in said["answer"]


async def test_a_disabled_job_says_since_when_and_by_whom(rota: Rota) -> None:
    await rota.a_job()
    rota.at("2026-03-04T13:00:00Z")
    await rota.api.post("/jobs/daily-backup/disable")
    rota.at("2026-03-04T15:00:00Z")
    said = await why(rota, "daily-backup")
    assert said["state"] == "disabled"
    assert f"is disabled since 2026-03-04 13:00:00 UTC, by {rota.me}" in said["answer"]


async def test_a_job_disabled_by_an_update_says_so_too(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.patch("/jobs/daily-backup", {"enabled": False, "description": "off for now"})
    assert f"is disabled since 2026-03-04 12:00:00 UTC, by {rota.me}" in (await why(rota, "daily-backup"))["answer"]


async def test_a_manual_job(rota: Rota) -> None:
    await rota.a_job(triggers=[{"kind": "manual"}])
    assert "runs only when it is triggered" in (await why(rota, "daily-backup"))["answer"]


async def test_a_deleted_job(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.delete("/jobs/daily-backup")
    assert f"was deleted at 2026-03-04 12:00:00 UTC by {rota.me}" in (await why(rota, "daily-backup"))["answer"]


async def test_an_overlap_skip_names_what_was_in_the_way(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    await rota.api.post("/jobs/daily-backup/trigger")
    said = await why(rota, "daily-backup", at="2026-03-04T12:00:00Z")
    assert said["state"] == "overlap_skip"
    assert "the previous run was still unfinished" in said["answer"]
    assert f"In the way: {run['id'][:12]}" in said["lines"]


async def test_an_instant_within_a_missed_span(rota: Rota) -> None:
    await rota.a_job()
    rota.at("2026-03-08T12:00:00Z")
    await rota.api.post("/jobs/daily-backup/disable")
    said = await why(rota, "daily-backup", at="2026-03-06T02:00:00Z")
    assert said["state"] == "missed"
    assert "4 occurrences from 2026-03-05 02:00:00 UTC to 2026-03-08 02:00:00 UTC were refused" in said["answer"]


async def test_an_instant_that_has_passed_with_no_daemon(rota: Rota) -> None:
    await rota.a_job()
    rota.at("2026-03-05T02:30:00Z")
    said = await why(rota.with_info(daemon=NO_DAEMON), "daily-backup", at="2026-03-05T02:00:00Z")
    assert "no daemon is running" in said["answer"]


async def test_an_instant_at_which_nothing_was_due(rota: Rota) -> None:
    await rota.a_job()
    rota.at("2026-03-04T18:00:00Z")
    said = await why(rota, "daily-backup", at="2026-03-04T13:00:00Z")
    assert said["answer"] == 'Schedule "daily-backup" was not due at 2026-03-04 13:00:00 UTC'


async def test_an_instant_before_the_job_was_made(rota: Rota) -> None:
    await rota.a_job()
    said = await why(rota, "daily-backup", at="2026-03-01T02:00:00Z")
    assert "did not exist at 2026-03-01 02:00:00 UTC" in said["answer"]


async def test_a_run_that_goes_on_is_named_once_and_as_it_is_typed(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    lines = (await why(rota, "daily-backup"))["lines"]
    assert [line for line in lines if run["id"][:12] in line] == [f"Going on: {run['id'][:12]} (queued)"]


async def test_a_run_that_waits_for_a_worker(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    said = await why(rota, run["id"])
    assert said["subject"] == f"run {run['id']}"
    assert "waits for a worker" in said["answer"]
    assert said["next_look_at"] is not None


async def test_a_run_that_waits_for_a_slot_says_how_many_are_before_it(rota: Rota) -> None:
    for number in range(7):
        await rota.a_job(f"job-{number}")
        run = await rota.a_run(f"job-{number}")
    said = await why(rota, run["id"])
    assert said["state"] == "waiting"
    assert "waits for a slot" in said["answer"]
    assert "behind 1 others" in said["answer"]


async def test_a_failed_run_says_on_which_host_and_why(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    rota.clock.advance(3)
    await ends(rota, "failed", reason=Reason.STEP_FAILED, message="exit 1")
    said = await why(rota, run["id"])
    assert said["answer"] == f"Run {run['id'][4:12]} of daily-backup failed: a step failed; exit 1"
    assert "@controller: failed (a step failed; exit 1)" in said["lines"]


async def test_a_run_whose_daemon_died(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    await ends(rota, "cancelled", reason=Reason.DAEMON_CRASHED, message="daemon crashed during execution")
    said = await why(rota, run["id"])
    assert said["answer"].endswith("was cancelled: daemon crashed during execution")


async def test_an_instant_at_which_a_run_was_going_on(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    rota.clock.advance(60)
    await ends(rota, "succeeded")
    said = await why(rota, "daily-backup", at="2026-03-04T12:00:30Z")
    assert said["subject"] == f"run {run['id']}"


async def test_what_nobody_knows_is_answered_with_near_names(rota: Rota) -> None:
    await rota.a_job()
    answer = await rota.api.get("/why/daly-backup")
    assert answer.status == 404
    assert 'did you mean "daily-backup"?' in answer.json["hint"]


async def test_an_instant_that_is_none_is_a_fault_of_at(rota: Rota) -> None:
    await rota.a_job()
    answer = await rota.api.get("/why/daily-backup", at="yesterday")
    assert [fault["field"] for fault in answer.json["errors"]] == ["at"]


@pytest.mark.parametrize("reason", list(Reason))
async def test_every_reason_is_explained_in_words(rota: Rota, reason: Reason) -> None:
    await rota.a_job()
    run = await rota.a_run()
    await ends(rota, "failed", reason=reason)
    assert EXPLANATIONS[reason] in (await why(rota, run["id"]))["answer"]


async def test_the_instant_of_a_run_is_found_by_its_nominal_instant(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    nominal = parse_rfc3339("2026-03-05T02:00:00Z")
    rota.at("2026-03-05T02:00:05Z")
    await rota.sql(
        "UPDATE run SET trigger_id = 1, nominal = ?, kind = 'cron', created_at = ?", nominal, rota.clock.now()
    )
    await ends(rota, "succeeded")
    said = await why(rota, "daily-backup", at="2026-03-05T02:00:00Z")
    assert said["subject"] == f"run {run['id']}"


async def test_a_run_of_the_clock_names_the_time_zone_release_it_was_computed_with(rota: Rota) -> None:
    await rota.a_job()
    run = await rota.a_run()
    at = rota.clock.now()
    await rota.sql("INSERT INTO zone_data (id, version, since) VALUES (1, '2026b', ?)", at)
    line = "That instant is by release 2026b of the time zone database"
    assert line not in (await why(rota, run["id"]))["lines"]
    await rota.sql("UPDATE run SET kind = 'cron', nominal = ?, due_at = ?", at, at)
    assert line in (await why(rota, run["id"]))["lines"]


async def test_a_run_that_waits_behind_an_older_one_names_it_and_says_when_it_is_given_up(rota: Rota) -> None:
    await rota.a_job(overlap_policy="queue", queue_timeout_seconds=600)
    first, second = await rota.a_run(), await rota.a_run()
    said = await why(rota, second["id"])
    assert f"waits until the run before it has really ended ({first['id'][:12]})" in said["answer"]
    assert "Expires at 2026-03-04 12:10:00 UTC unless it has started by then (queue_expired)" in said["lines"]


async def test_a_refusal_by_a_full_queue_says_so(rota: Rota) -> None:
    await rota.a_job(overlap_policy="queue")
    await rota.a_run()
    await rota.a_run()
    assert (await rota.api.post("/jobs/daily-backup/trigger")).status == 409
    said = await why(rota, "daily-backup")
    full = "the queue behind the running one was full: overlap policy queue, 1 at most"
    assert any(line.startswith("Last refusal") and line.endswith(full) for line in said["lines"])


async def test_an_expired_run_says_how_long_it_was_allowed_to_wait(rota: Rota) -> None:
    await rota.a_job(start_within_seconds=600)
    run = await rota.a_run()
    await rota.sql("UPDATE run SET state = 'expired', reason = ?, finished_at = ?", Reason.PAST_DEADLINE,
                   rota.clock.now())  # fmt: skip
    said = await why(rota, run["id"])
    assert said["answer"].endswith(f"was never started: {EXPLANATIONS[Reason.PAST_DEADLINE]}")


async def test_of_missed_instants_it_is_said_what_was_caught_up(rota: Rota) -> None:
    job = await rota.a_job()
    await rota.sql(
        "INSERT INTO ledger (id, job_id, job_name, trigger_id, kind, reason, message, first_nominal, last_nominal,"
        " count, at) VALUES (1, 1, ?, 1, 'cron', 'missed', 'the 5 newest were caught up', ?, ?, 7, ?)",
        job["name"], rota.clock.now(), rota.clock.now(), rota.clock.now(),
    )  # fmt: skip
    said = await why(rota, "daily-backup")
    assert any("no daemon was planning at that time, and the 5 newest were caught up" in line for line in said["lines"])
