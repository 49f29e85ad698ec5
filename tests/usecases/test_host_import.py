"""Many hosts and groups at once: all or none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.asgi import Answer
from tests.support.builders import Rota


async def imported(rota: Rota, hosts: list[Any], groups: list[Any] | None = None, **fields: Any) -> Answer:
    return await rota.api.post("/hosts:import", {"hosts": hosts, "groups": groups or [], **fields})


async def test_what_is_new_is_added_with_the_groups_that_it_names(rota: Rota) -> None:
    hosts = [{"name": "web-1", "groups": ["web"], "jump": "bastion"}, {"name": "bastion", "address": "10.0.0.1"}]
    groups = [{"name": "edge", "hosts": ["bastion"]}, {"name": "both", "selector": "group:web,group:edge"}]
    answer = await imported(rota, hosts, groups)
    assert answer.json == {
        "hosts_added": ["bastion", "web-1"], "hosts_updated": [], "hosts_unchanged": [],
        "groups_added": ["both", "edge", "web"], "groups_updated": [], "warnings": [],
    }  # fmt: skip
    assert (await rota.api.get("/hosts:match", selector="group:both")).json["items"] == ["bastion", "web-1"]


async def test_the_same_file_twice_changes_nothing(rota: Rota) -> None:
    hosts = [{"name": "web-1", "tags": {"env": "prod"}, "groups": ["web"]}]
    await imported(rota, hosts)
    changes = rota.launcher.changes
    again = (await imported(rota, hosts)).json
    assert (again["hosts_unchanged"], again["hosts_added"], again["groups_added"]) == (["web-1"], [], [])
    assert (await rota.api.get("/hosts/web-1")).json["version"] == 1
    assert rota.launcher.changes == changes + 1


async def test_what_differs_is_a_fault_or_on_wish_an_update(rota: Rota) -> None:
    await imported(rota, [{"name": "web-1", "user": "root", "tags": {"env": "prod"}}, {"name": "web-2"}])
    other = [{"name": "web-1", "user": "deploy", "tags": {"rack": "b7"}}, {"name": "web-2"}]
    refused = await imported(rota, other)
    assert refused.status == 422
    assert [(fault["field"], fault["message"], fault["hint"]) for fault in refused.json["errors"]] == [
        ("hosts[0].name", "host web-1 exists and differs (user, tags)", "to change it add --update")
    ]
    told = (await imported(rota, other, update=True)).json
    assert (told["hosts_updated"], told["hosts_unchanged"]) == (["web-1"], ["web-2"])
    host = (await rota.api.get("/hosts/web-1")).json
    assert (host["user"], host["tags"], host["version"]) == ("deploy", {"env": "prod", "rack": "b7"}, 2)


async def test_one_fault_keeps_everything_out_and_all_are_told_by_their_place(rota: Rota) -> None:
    hosts = [
        {"name": "good"}, {"name": "-rf", "port": 0}, {"name": "good"}, {"name": "web", "jump": "nosuch"},
        {"name": "local"}, {"name": "in", "groups": ["dynamic"]},
    ]  # fmt: skip
    groups = [{"name": "dynamic", "selector": "all", "hosts": ["good"]}, {"name": "web", "hosts": ["none"]}]
    answer = await imported(rota, hosts, groups)
    assert answer.status == 422
    assert sorted(fault["field"] for fault in answer.json["errors"]) == [
        "groups[0].hosts", "groups[1].hosts", "hosts[1].name", "hosts[1].port", "hosts[2].name", "hosts[3].jump",
        "hosts[4].name", "hosts[5].groups",
    ]  # fmt: skip
    assert len((await rota.api.get("/hosts")).json["items"]) == 1
    assert (await rota.api.get("/groups")).json["items"] == []


async def test_ways_and_groups_in_circles_are_seen_within_one_file(rota: Rota) -> None:
    hosts = [{"name": "a", "jump": "b"}, {"name": "b", "jump": "a"}]
    groups = [{"name": "x", "selector": "group:y"}, {"name": "y", "selector": "group:x"}]
    answer = await imported(rota, hosts, groups)
    assert [fault["field"] for fault in answer.json["errors"]] == [
        "groups[0].selector", "groups[1].selector", "hosts[0].jump", "hosts[1].jump",
    ]  # fmt: skip


async def test_a_dry_run_tells_and_changes_nothing(rota: Rota) -> None:
    answer = await rota.api.post("/hosts:import", {"hosts": [{"name": "web-1"}]}, dry_run="true")
    assert answer.json["hosts_added"] == ["web-1"]
    assert (await rota.api.get("/hosts/web-1")).status == 404


async def test_nothing_at_all_is_a_fault(rota: Rota) -> None:
    assert (await imported(rota, [])).status == 422


async def test_the_audit_has_one_row_for_it(rota: Rota) -> None:
    await imported(rota, [{"name": "web-1"}, {"name": "web-2"}])
    ((verb, subject, detail),) = await rota.sql("SELECT verb, subject, detail FROM audit")
    assert (verb, subject, json.loads(detail)["names"]) == ("import", "hosts", ["web-1", "web-2"])


async def test_of_very_many_faults_the_first_are_told(rota: Rota) -> None:
    answer = await imported(rota, [{"name": f"h{number}", "jump": "nosuch"} for number in range(5000)])
    assert len(answer.json["errors"]) == 101
    assert answer.json["errors"][-1]["message"] == "these are the first 100 faults; there may be more"


@pytest.mark.timeout(120)
async def test_ten_thousand_hosts_are_imported_in_seconds(rota: Rota) -> None:
    hosts = [
        {"name": f"h{number:05}", "address": f"10.0.{number >> 8}.{number & 255}", "tags": {"n": str(number % 50)}}
        for number in range(10_000)
    ]
    answer = await imported(rota, hosts, [{"name": "big", "hosts": [host["name"] for host in hosts]}])
    assert (answer.status, len(answer.json["hosts_added"])) == (200, 10_000)
    assert len((await rota.api.get("/hosts:match", selector="group:big & tag:n=7")).json["items"]) == 200
