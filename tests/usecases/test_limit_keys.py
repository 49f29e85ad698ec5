"""What a limit may be of, and what is said of one that is of nothing."""

from __future__ import annotations

import pytest

from tests.support.asgi import Answer
from tests.support.builders import Rota


async def set_limit(rota: Rota, key: str, cap: int) -> Answer:
    return await rota.api.request("PUT", f"/limits/{key.replace(' ', '%20')}", {"cap": cap})


@pytest.mark.parametrize("key", ["targets", "site:berlin", "group:db", "host:web-1", "job:nightly"])
async def test_a_limit_is_of_everything_or_of_one_site_group_host_or_job(rota: Rota, key: str) -> None:
    answer = await set_limit(rota, key, 3)
    assert (answer.status, answer.json["key"], answer.json["cap"], answer.json["used"]) == (200, key, 3, 0)


@pytest.mark.parametrize("key", ["hosts:web-1", "target", "group:", "job:a b", "runs"])
async def test_other_keys_are_refused(rota: Rota, key: str) -> None:
    answer = await set_limit(rota, key, 3)
    assert answer.status == 422
    assert {fault["field"] for fault in answer.json["errors"]} == {"key"}


@pytest.mark.parametrize("key", ["host:wbe-1", "group:db", "job:nightly", "site:berlin"])
async def test_a_limit_of_what_is_not_there_stands_with_a_warning(rota: Rota, key: str) -> None:
    answer = await set_limit(rota, key, 3)
    assert key.partition(":")[2] in answer.json["warnings"][0]


async def test_a_limit_of_a_job_that_is_there_needs_no_warning(rota: Rota) -> None:
    await rota.a_job("nightly")
    assert "warnings" not in (await set_limit(rota, "job:nightly", 3)).json


async def test_why_names_the_limit_that_holds_a_run_up_and_no_other(rota: Rota) -> None:
    await rota.a_job("nightly")
    for key in ("job:nightly", "job:other", "host:elsewhere"):
        await set_limit(rota, key, 0)
    run = await rota.a_run("nightly")
    lines = (await rota.api.get(f"/why/{run['id']}")).json["lines"]
    assert [line for line in lines if "used up" in line] == [
        "the limit job:nightly is used up: 0 of 0 (rota limits list)"
    ]


async def caps(rota: Rota) -> dict[str, int]:
    return {item["key"]: item["cap"] for item in (await rota.api.get("/limits")).json["items"]}


async def test_a_job_that_is_renamed_keeps_its_limit(rota: Rota) -> None:
    await rota.a_job("nightly")
    await set_limit(rota, "job:nightly", 3)
    assert (await rota.api.request("PATCH", "/jobs/nightly", {"name": "daily"})).status == 200
    found = await caps(rota)
    assert (found.get("job:daily"), "job:nightly" in found) == (3, False)


async def test_the_limit_that_a_job_brings_along_goes_before_one_that_was_set_for_its_new_name(rota: Rota) -> None:
    await rota.a_job("nightly")
    await set_limit(rota, "job:nightly", 3)
    await set_limit(rota, "job:daily", 7)
    assert (await rota.api.request("PATCH", "/jobs/nightly", {"name": "daily"})).status == 200
    assert (await caps(rota))["job:daily"] == 3


async def test_a_job_without_a_limit_takes_the_one_that_waits_for_its_new_name(rota: Rota) -> None:
    await rota.a_job("nightly")
    await set_limit(rota, "job:daily", 7)
    assert (await rota.api.request("PATCH", "/jobs/nightly", {"name": "daily"})).status == 200
    assert (await caps(rota))["job:daily"] == 7
