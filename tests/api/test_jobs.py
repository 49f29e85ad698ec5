from __future__ import annotations

from tests.support.builders import Rota


async def test_a_created_job_can_be_read_back(rota: Rota) -> None:
    job = await rota.a_job(description="nightly", vars={"retention_days": "30"})
    answer = await rota.api.get("/jobs/daily-backup")
    assert answer.status == 200
    assert answer.json == job


async def test_a_patched_job_says_what_changed(rota: Rota) -> None:
    await rota.a_job()
    answer = await rota.api.patch("/jobs/daily-backup", {"description": "new", "timezone": "Asia/Tokyo"})
    print(answer.json)
    assert answer.status == 200
