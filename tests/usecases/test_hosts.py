from __future__ import annotations

from tests.support.builders import Rota


async def test_the_built_in_host_is_all_while_there_is_no_other(rota: Rota) -> None:
    assert [host["name"] for host in (await rota.api.get("/hosts")).json["items"]] == ["local"]
    assert (await rota.api.get("/hosts:match", selector="all")).json["items"] == ["local"]
    await rota.api.post("/hosts", {"name": "web-1"})
    assert (await rota.api.get("/hosts:match", selector="all")).json["items"] == ["web-1"]
    assert (await rota.api.get("/hosts:match", selector="host:local")).json["items"] == ["local"]


async def test_the_built_in_host_is_always_listed_and_says_whether_all_means_it(rota: Rota) -> None:
    async def listed() -> list[tuple[str, bool]]:
        return [(host["name"], host["in_all"]) for host in (await rota.api.get("/hosts")).json["items"]]

    assert await listed() == [("local", True)]
    await rota.api.post("/hosts", {"name": "web-1"})
    await rota.api.post("/hosts", {"name": "a-1", "disabled": True})
    assert await listed() == [("a-1", False), ("local", False), ("web-1", True)]
    assert (await rota.api.get("/hosts/local")).json["in_all"] is False


async def test_a_host_can_be_read_back(rota: Rota) -> None:
    await rota.api.post("/groups", {"name": "web"})
    added = await rota.api.post(
        "/hosts", {"name": "web-1", "connector": "local", "tags": {"env": "prod"}, "groups": ["web"]}
    )
    assert added.status == 201
    assert (await rota.api.get("/hosts/web-1")).json == added.json
    assert added.json["tags"] == {"env": "prod"}


async def test_another_connector_is_refused_saying_when_it_comes(rota: Rota) -> None:
    answer = await rota.api.post("/hosts", {"name": "web-1", "connector": "ssh"})
    assert answer.status == 422
    assert "fleet release" in answer.json["message"]


async def test_all_faults_of_a_host_are_told_at_once(rota: Rota) -> None:
    answer = await rota.api.post("/hosts", {"name": "-x", "connector": "shh", "tags": {"a b": "c"}, "port": 22})
    assert {fault["field"] for fault in answer.json["errors"]} == {"name", "connector", "tags.a b", "port"}


async def test_a_host_in_a_group_that_is_not_there_is_not_added(rota: Rota) -> None:
    assert (await rota.api.post("/hosts", {"name": "web-1", "groups": ["web"]})).status == 404
    assert (await rota.api.get("/hosts/web-1")).status == 404


async def test_only_what_is_sent_changes(rota: Rota) -> None:
    await rota.api.post("/groups", {"name": "web"})
    await rota.api.post("/hosts", {"name": "web-1", "tags": {"env": "prod"}, "groups": ["web"]})
    changed = (await rota.api.patch("/hosts/web-1", {"disabled": True})).json
    assert (changed["tags"], changed["groups"], changed["disabled"]) == ({"env": "prod"}, ["web"], True)


async def test_a_disabled_host_is_picked_by_nobody(rota: Rota) -> None:
    await rota.api.post("/hosts", {"name": "web-1", "disabled": True})
    assert (await rota.api.get("/hosts:match", selector="host:web-1")).json["items"] == []


async def test_a_host_that_a_job_names_cannot_be_removed(rota: Rota) -> None:
    await rota.api.post("/hosts", {"name": "web-1"})
    await rota.api.post("/hosts", {"name": "web-10"})
    await rota.a_job(target="host:web-10")
    assert (await rota.api.delete("/hosts/web-1")).json == {"deleted": "web-1"}
    answer = await rota.api.delete("/hosts/web-10")
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert "daily-backup" in answer.json["message"]


async def test_a_group_that_a_job_names_cannot_be_removed(rota: Rota) -> None:
    await rota.api.post("/groups", {"name": "web"})
    await rota.a_job(target="group:web")
    assert (await rota.api.delete("/groups/web")).status == 409


async def test_a_group_is_made_with_its_hosts_and_its_hosts_outlive_it(rota: Rota) -> None:
    await rota.api.post("/hosts", {"name": "web-1"})
    made = await rota.api.post("/groups", {"name": "web", "hosts": ["web-1"]})
    assert made.json == {"name": "web", "hosts": ["web-1"]}
    await rota.api.delete("/groups/web")
    assert (await rota.api.get("/hosts/web-1")).json["groups"] == []


async def test_the_built_in_host_cannot_be_changed_or_made_again(rota: Rota) -> None:
    assert (await rota.api.patch("/hosts/local", {"disabled": True})).status == 409
    assert (await rota.api.post("/hosts", {"name": "local"})).status == 422


async def test_a_selector_that_names_what_is_not_there_is_answered_with_near_names(rota: Rota) -> None:
    await rota.api.post("/hosts", {"name": "web-1"})
    answer = await rota.api.get("/hosts:match", selector="host:web-2,grp:x")
    assert answer.status == 422
    answer = await rota.api.get("/hosts:match", selector="host:web-2")
    assert answer.status == 404
