"""Groups: static ones and dynamic ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.builders import Rota


async def a_fleet(rota: Rota) -> None:
    for name, env in (("db-1", "prod"), ("web-1", "prod"), ("web-2", "staging")):
        assert (await rota.api.post("/hosts", {"name": name, "tags": {"env": env}})).status == 201


async def add(rota: Rota, name: str, **fields: Any) -> dict[str, Any]:
    answer = await rota.api.post("/groups", {"name": name, **fields})
    assert answer.status == 201, answer.json
    group: dict[str, Any] = answer.json
    return group


async def picked(rota: Rota, selector: str) -> list[str]:
    names: list[str] = (await rota.api.get("/hosts:match", selector=selector)).json["items"]
    return names


async def test_a_group_is_made_with_its_hosts_and_its_hosts_outlive_it(rota: Rota) -> None:
    await a_fleet(rota)
    made = await add(rota, "web", hosts=["web-1"], description="The web")
    assert made == {"name": "web", "description": "The web", "selector": None, "hosts": ["web-1"]}
    await rota.api.delete("/groups/web")
    assert (await rota.api.get("/hosts/web-1")).json["groups"] == []


async def test_a_dynamic_group_has_what_its_selector_picks_at_the_time(rota: Rota) -> None:
    await a_fleet(rota)
    assert (await add(rota, "prod", selector="tag:env=prod"))["hosts"] == ["db-1", "web-1"]
    await rota.api.patch("/hosts/web-2", {"tags": {"env": "prod"}})
    await rota.api.patch("/hosts/db-1", {"disabled": True})
    assert await picked(rota, "group:prod") == ["web-1", "web-2"]
    assert (await rota.api.get("/groups/prod")).json["hosts"] == ["db-1", "web-1", "web-2"]


async def test_hosts_join_and_leave_a_static_group_without_a_new_version(rota: Rota) -> None:
    await a_fleet(rota)
    await add(rota, "web", hosts=["web-1"])
    changed = await rota.api.patch(
        "/groups/web", {"add_hosts": ["web-2"], "remove_hosts": ["web-1"], "description": "x"}
    )
    assert (changed.json["hosts"], changed.json["description"]) == (["web-2"], "x")
    assert (await rota.api.get("/hosts/web-2")).json["version"] == 1


@pytest.mark.parametrize(
    ("selector", "circle"),
    [("group:a", "a → a"), ("group:b", "a → b → a"), ("tag:env & !(group:c)", "a → c → b → a")],
)
async def test_a_group_that_contains_itself_is_refused_with_the_circle_named(
    rota: Rota, selector: str, circle: str
) -> None:
    await add(rota, "a", selector="tag:env=prod")
    await add(rota, "b", selector="group:a,tag:x")
    await add(rota, "c", selector="group:b")
    answer = await rota.api.patch("/groups/a", {"selector": selector})
    assert answer.status == 422
    assert answer.json["message"] == f"selector: group a would contain itself: {circle} (expected no circle of groups)"


async def test_a_group_cannot_be_made_of_itself(rota: Rota) -> None:
    answer = await rota.api.post("/groups", {"name": "a", "selector": "group:a"})
    assert (answer.status, "a → a" in answer.json["message"]) == (422, True)


async def test_a_group_stays_of_its_kind(rota: Rota) -> None:
    await a_fleet(rota)
    await add(rota, "web", hosts=["web-1"])
    assert (await rota.api.patch("/groups/web", {"selector": "all"})).status == 409
    await add(rota, "prod", selector="tag:env=prod")
    assert (await rota.api.patch("/groups/prod", {"add_hosts": ["web-2"]})).status == 422
    assert (await rota.api.patch("/hosts/web-2", {"groups": ["prod"]})).status == 422


async def test_all_faults_of_a_group_are_told_at_once(rota: Rota) -> None:
    answer = await rota.api.post("/groups", {"name": "-x", "selector": "hots:a", "hosts": ["local", "nosuch"]})
    assert answer.status == 422
    assert {fault["field"] for fault in answer.json["errors"]} == {"name", "selector", "hosts"}


async def test_a_selector_that_names_what_is_not_there_is_not_saved(rota: Rota) -> None:
    answer = await rota.api.post("/groups", {"name": "x", "selector": "host:nosuch,group:nosuch"})
    assert (answer.status, len(answer.json["errors"])) == (404, 2)


async def test_a_group_that_a_job_or_a_group_names_cannot_be_removed(rota: Rota) -> None:
    await add(rota, "web")
    await add(rota, "all-web", selector="group:web")
    answer = await rota.api.delete("/groups/web")
    assert (answer.status, answer.json["message"]) == (409, "group:web is named by the selector of group all-web")
    await rota.a_job(target="group:all-web")
    assert (await rota.api.delete("/groups/all-web")).status == 409


async def test_a_group_that_a_calendar_concerns_cannot_be_removed(rota: Rota) -> None:
    await add(rota, "db")
    freeze = {"name": "freeze", "rules": ["12-24..01-01"], "applies_to": ["tag:x", "group:db:defer"]}
    assert (await rota.api.post("/calendars", freeze)).status == 201
    for dry_run in ({"dry_run": "true"}, {}):
        answer = await rota.api.request("DELETE", "/groups/db", None, dry_run)
        assert (answer.status, answer.json["message"]) == (409, "calendar freeze concerns group:db")
    assert answer.json["hint"].endswith("rota calendars update freeze --apply WHOM")
    await rota.api.patch("/calendars/freeze", {"applies_to": ["all"]})
    assert (await rota.api.delete("/groups/db")).status == 200


async def test_a_dry_run_answers_what_would_be_and_changes_nothing(rota: Rota) -> None:
    await a_fleet(rota)
    would = await rota.api.post("/groups", {"name": "prod", "selector": "tag:env=prod"}, dry_run="true")
    assert (would.status, would.json["hosts"]) == (200, ["db-1", "web-1"])
    await add(rota, "web", hosts=["web-1"])
    would = await rota.api.patch("/groups/web", {"add_hosts": ["web-2"]}, dry_run="true")
    assert would.json["hosts"] == ["web-1", "web-2"]
    assert (await rota.api.request("DELETE", "/groups/web", None, {"dry_run": "true"})).status == 200
    assert [(group["name"], group["hosts"]) for group in (await rota.api.get("/groups")).json["items"]] == [
        ("web", ["web-1"])
    ]


async def test_what_is_not_there_is_not_found(rota: Rota) -> None:
    await add(rota, "web")
    answer = await rota.api.get("/groups/wbe")
    assert (answer.status, answer.json["hint"]) == (404, 'did you mean "web"? Or see: rota groups list')
    assert (await rota.api.delete("/groups/wbe")).status == 404
    assert (await rota.api.patch("/groups/wbe", {"description": "x"})).status == 404
    assert (await rota.api.post("/groups", {"name": "web"})).status == 409
