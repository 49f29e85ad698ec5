"""When a job is due, as saving it leaves the `due` rows; and what an edit must not lose."""

from __future__ import annotations

from typing import Any

import pytest

from rota.domain.instant import Micros, parse_rfc3339
from tests.support.builders import Rota

EVERY_MINUTE = [{"kind": "interval", "every": "1m"}]


async def due(rota: Rota, job: str = "daily-backup", trigger: str = "main") -> dict[str, Any]:
    rows = await rota.sql(
        """
        SELECT due.trigger_id, due.nominal, due.fire_at, due.high_water, due.generation
        FROM due JOIN trigger ON trigger.id = due.trigger_id JOIN job ON job.id = trigger.job_id
        WHERE job.name = ? AND trigger.name = ?
        """,
        job,
        trigger,
    )
    return dict(zip(("trigger_id", "nominal", "fire_at", "high_water", "generation"), rows[0], strict=True))


async def planned(rota: Rota, instant: Micros) -> None:
    """As if the planner had settled everything up to `instant`."""
    await rota.sql("UPDATE due SET high_water = ?, nominal = ?, fire_at = ?", instant, instant + 1, instant + 1)


async def test_a_new_job_is_due_at_the_next_instant_after_now(rota: Rota) -> None:
    await rota.a_job()
    row = await due(rota)
    assert row["nominal"] == row["fire_at"] == parse_rfc3339("2026-03-05T02:00:00Z")
    assert row["high_water"] == rota.clock.now()


async def test_an_instant_is_not_after_itself(rota: Rota) -> None:
    rota.at("2026-03-05T02:00:00Z")
    await rota.a_job()
    assert (await due(rota))["nominal"] == parse_rfc3339("2026-03-06T02:00:00Z")


async def test_a_job_that_is_made_disabled_is_not_due(rota: Rota) -> None:
    await rota.a_job(enabled=False)
    assert (await due(rota))["fire_at"] is None


async def test_equal_triggers_share_one_timetable(rota: Rota) -> None:
    for name in ("a-1", "b-2", "c-3"):
        await rota.a_job(name)
    await rota.a_job("other", triggers=EVERY_MINUTE)
    assert await rota.sql("SELECT count(*) FROM timetable") == [(2,)]


async def test_a_trigger_keeps_its_id_when_its_rule_changes(rota: Rota) -> None:
    await rota.a_job()
    before = await due(rota)
    await rota.api.patch("/jobs/daily-backup", {"triggers": EVERY_MINUTE})
    after = await due(rota)
    assert after["trigger_id"] == before["trigger_id"]
    assert after["generation"] == before["generation"] + 1


async def test_a_trigger_that_comes_back_is_the_same_trigger(rota: Rota) -> None:
    nightly = {"name": "nightly", "kind": "cron", "expression": "0 2 * * *"}
    await rota.a_job(triggers=[nightly])
    before = await due(rota, trigger="nightly")
    await rota.api.patch("/jobs/daily-backup", {"triggers": EVERY_MINUTE})
    assert (await due(rota, trigger="nightly"))["fire_at"] is None
    await rota.api.patch("/jobs/daily-backup", {"triggers": [nightly]})
    assert (await due(rota, trigger="nightly"))["trigger_id"] == before["trigger_id"]


async def test_an_edit_after_the_clock_was_set_back_names_no_instant_twice(rota: Rota) -> None:
    await rota.a_job()
    settled = parse_rfc3339("2026-03-06T02:00:00Z")
    await planned(rota, settled)
    rota.at("2026-03-05T00:00:00Z")
    await rota.api.patch("/jobs/daily-backup", {"triggers": [{"kind": "cron", "expression": "0 2,3 * * *"}]})
    row = await due(rota)
    assert row["high_water"] == settled
    assert row["nominal"] == parse_rfc3339("2026-03-06T03:00:00Z")


async def test_an_edit_of_other_fields_does_not_lose_windows_that_nobody_has_planned(rota: Rota) -> None:
    await rota.a_job()
    before = await due(rota)
    rota.at("2026-03-08T12:00:00Z")
    await rota.api.patch("/jobs/daily-backup", {"description": "a better word"})
    assert await due(rota) == {**before, "generation": before["generation"] + 1}
    assert await rota.sql("SELECT count(*) FROM ledger") == [(0,)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/jobs/daily-backup", {"triggers": EVERY_MINUTE}),
        ("POST", "/jobs/daily-backup/disable", None),
        ("DELETE", "/jobs/daily-backup", None),
    ],
)
async def test_windows_that_passed_unplanned_are_in_the_ledger_before_their_rule_goes(
    rota: Rota, method: str, path: str, body: object
) -> None:
    await rota.a_job()
    rota.at("2026-03-08T12:00:00Z")
    assert (await rota.api.request(method, path, body)).status == 200
    rows = await rota.sql("SELECT reason, kind, first_nominal, last_nominal, count FROM ledger")
    first, last = parse_rfc3339("2026-03-05T02:00:00Z"), parse_rfc3339("2026-03-08T02:00:00Z")
    assert rows == [("missed", "cron", first, last, 4)]


async def test_windows_that_pass_while_disabled_are_not_missed(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.post("/jobs/daily-backup/disable")
    rota.at("2026-03-08T12:00:00Z")
    await rota.api.post("/jobs/daily-backup/enable")
    row = await due(rota)
    assert row["nominal"] == parse_rfc3339("2026-03-09T02:00:00Z")
    assert row["high_water"] == rota.clock.now()
    assert await rota.sql("SELECT count(*) FROM ledger") == [(0,)]


async def test_a_once_that_has_fired_does_not_stand_in_the_way_of_other_edits(rota: Rota) -> None:
    await rota.a_job(triggers=[{"kind": "once", "at": "2026-03-05T00:00:00Z"}])
    rota.at("2026-03-06T00:00:00Z")
    assert (await rota.api.patch("/jobs/daily-backup", {"description": "done"})).status == 200


async def test_the_version_that_is_due_is_the_one_saved_last(rota: Rota) -> None:
    await rota.a_job()
    await rota.api.patch("/jobs/daily-backup", {"description": "two"})
    assert await rota.sql("SELECT v.number FROM job JOIN job_version AS v ON v.id = job.version_id") == [(2,)]
    assert await rota.sql("SELECT count(*) FROM job_version") == [(2,)]
