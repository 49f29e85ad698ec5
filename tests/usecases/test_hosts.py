"""Hosts: what they may be, what a save makes of them, and who stands in the way of a removal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import Rota


async def add(rota: Rota, name: str, **fields: Any) -> dict[str, Any]:
    answer = await rota.api.post("/hosts", {"name": name, **fields})
    assert answer.status == 201, answer.json
    host: dict[str, Any] = answer.json
    return host


async def versions(rota: Rota) -> int:
    ((count,),) = await rota.sql("SELECT COUNT(*) FROM host_version")
    return int(count)


async def test_the_built_in_host_is_all_while_there_is_no_other(rota: Rota) -> None:
    assert [host["name"] for host in (await rota.api.get("/hosts")).json["items"]] == ["local"]
    assert (await rota.api.get("/hosts:match", selector="all")).json["items"] == ["local"]
    await add(rota, "web-1")
    assert (await rota.api.get("/hosts:match", selector="all")).json["items"] == ["web-1"]
    assert (await rota.api.get("/hosts:match", selector="host:local")).json["items"] == ["local"]


async def test_the_built_in_host_is_always_listed_and_says_whether_all_means_it(rota: Rota) -> None:
    async def listed() -> list[tuple[str, bool]]:
        return [(host["name"], host["in_all"]) for host in (await rota.api.get("/hosts")).json["items"]]

    assert await listed() == [("local", True)]
    await add(rota, "web-1")
    await add(rota, "a-1", disabled=True)
    assert await listed() == [("a-1", False), ("local", False), ("web-1", True)]
    assert (await rota.api.get("/hosts/local")).json["in_all"] is False


async def test_a_host_can_be_read_back_with_all_that_was_said_of_it(rota: Rota) -> None:
    await rota.api.post("/groups", {"name": "web"})
    await add(rota, "bastion")
    said = {
        "connector": "ssh", "address": "fe80::1", "port": 2222, "user": "deploy", "key_file": "k",
        "passphrase_file": "p", "password_file": "w", "sudo_password_file": "s", "jump": "bastion", "os": "linux",
        "site": "hq", "tags": {"env": "prod"}, "vars": {"role": "front"}, "groups": ["web"], "disabled": True,
    }  # fmt: skip
    added = await add(rota, "web-1", **said)
    del added["warnings"]
    assert (await rota.api.get("/hosts/web-1")).json == added
    assert {key: added[key] for key in said} == said


async def test_a_host_that_is_added_is_elsewhere_unless_it_is_said(rota: Rota) -> None:
    assert (await add(rota, "web-1"))["connector"] == "ssh"
    assert (await add(rota, "here", connector="local"))["connector"] == "local"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "-rf"),
        ("connector", "shh"),
        ("connector", "winrm"),
        ("address", "-oProxyCommand=id"),
        ("address", "a b"),
        ("user", "-l"),
        ("user", "$(id)"),
        ("port", 0),
        ("port", 65_536),
        ("port", "22"),
        ("key_file", "a\nb"),
        ("password_file", ""),
        ("jump", "nosuch"),
        ("os", "linx"),
        ("site", "a b"),
        ("colour", "red"),
        ("disabled", None),
    ],
)
async def test_a_fact_that_cannot_be_is_refused_by_its_name(rota: Rota, field: str, value: object) -> None:
    answer = await rota.api.post("/hosts", {"name": "web-1", field: value})
    assert answer.status == 422
    assert [fault["field"] for fault in answer.json["errors"]] == [field]


async def test_all_faults_of_a_host_are_told_at_once(rota: Rota) -> None:
    said = {"name": "-x", "connector": "shh", "tags": {"a b": "c"}, "vars": {"a-b": "c"}, "port": "x", "site": "a b"}
    answer = await rota.api.post("/hosts", said)
    assert {fault["field"] for fault in answer.json["errors"]} == {
        "name", "connector", "tags.a b", "vars.a-b", "port", "site",
    }  # fmt: skip


async def test_this_machine_has_no_address(rota: Rota) -> None:
    answer = await rota.api.post("/hosts", {"name": "here", "connector": "local", "address": "127.0.0.1", "user": "me"})
    assert [fault["field"] for fault in answer.json["errors"]] == ["address", "user"]


async def test_a_host_in_a_group_that_is_not_there_is_not_added(rota: Rota) -> None:
    assert (await rota.api.post("/hosts", {"name": "web-1", "groups": ["web"]})).status == 404
    assert (await rota.api.get("/hosts/web-1")).status == 404


async def test_a_taken_name_is_a_conflict(rota: Rota) -> None:
    await add(rota, "web-1")
    assert (await rota.api.post("/hosts", {"name": "web-1"})).status == 409


async def test_only_what_is_sent_changes(rota: Rota) -> None:
    await rota.api.post("/groups", {"name": "web"})
    await add(rota, "web-1", tags={"env": "prod"}, groups=["web"])
    changed = (await rota.api.patch("/hosts/web-1", {"disabled": True})).json
    assert (changed["tags"], changed["groups"], changed["disabled"]) == ({"env": "prod"}, ["web"], True)


async def test_tags_and_variables_are_merged_and_null_takes_away(rota: Rota) -> None:
    await add(rota, "web-1", tags={"env": "prod", "edge": ""}, vars={"a": "1"}, user="deploy")
    said = {"tags": {"edge": None, "rack": "b7"}, "vars": {"b": "2"}, "user": None}
    changed = (await rota.api.patch("/hosts/web-1", said)).json
    assert changed["tags"] == {"env": "prod", "rack": "b7"}
    assert changed["vars"] == {"a": "1", "b": "2"}
    assert changed["user"] is None


async def test_other_facts_make_the_next_version_and_the_rest_does_not(rota: Rota) -> None:
    await rota.api.post("/groups", {"name": "web"})
    first = await add(rota, "web-1")
    rota.clock.advance(60)
    same = (await rota.api.patch("/hosts/web-1", {"disabled": True, "groups": ["web"], "user": None})).json
    assert (same["version"], same["updated_at"]) == (1, first["updated_at"])
    other = (await rota.api.patch("/hosts/web-1", {"user": "deploy"})).json
    assert other["version"] == 2
    assert other["updated_at"] > first["updated_at"]
    assert await versions(rota) == 2


async def test_a_removed_host_keeps_its_versions_and_frees_its_name(rota: Rota) -> None:
    first = await add(rota, "web-1")
    assert (await rota.api.delete("/hosts/web-1")).status == 200
    again = await add(rota, "web-1")
    assert again["id"] != first["id"]
    assert (again["version"], await versions(rota)) == (1, 2)


async def test_a_dry_run_answers_what_would_be_and_changes_nothing(rota: Rota) -> None:
    would = await rota.api.post("/hosts", {"name": "web-1", "user": "deploy"}, dry_run="true")
    assert (would.status, would.json["id"], would.json["user"]) == (200, "host_" + "0" * 16, "deploy")
    await add(rota, "web-1")
    would = await rota.api.patch("/hosts/web-1", {"user": "deploy"}, dry_run="true")
    assert (would.json["version"], would.json["user"]) == (2, "deploy")
    assert (await rota.api.request("DELETE", "/hosts/web-1", None, {"dry_run": "true"})).status == 200
    now = (await rota.api.get("/hosts/web-1")).json
    assert (now["version"], now["user"]) == (1, None)


async def test_a_jump_leads_over_another_host_and_never_in_a_circle(rota: Rota) -> None:
    await add(rota, "a")
    await add(rota, "b", jump="a")
    await add(rota, "c", jump="b")
    for host, jump, told in (
        ("a", "a", "in a circle"),
        ("a", "c", "c → b → a, in a circle"),
        ("a", "d", "no host 'd'"),
    ):
        answer = await rota.api.patch(f"/hosts/{host}", {"jump": jump})
        assert answer.status == 422
        assert told in answer.json["message"]


async def test_a_host_that_others_are_reached_over_stays_reachable(rota: Rota) -> None:
    await add(rota, "a")
    await add(rota, "b", jump="a")
    answer = await rota.api.patch("/hosts/a", {"connector": "local"})
    assert (answer.status, "host b could not be reached any more" in answer.json["message"]) == (422, True)
    answer = await rota.api.delete("/hosts/a")
    assert (answer.status, answer.json["message"]) == (409, "the way to b leads over host a")


async def test_a_way_has_an_end(rota: Rota) -> None:
    await add(rota, "h0")
    for number in range(1, 6):
        await add(rota, f"h{number}", jump=f"h{number - 1}")
    answer = await rota.api.post("/hosts", {"name": "h6", "jump": "h5"})
    assert (answer.status, "at most 5 hosts" in answer.json["message"]) == (422, True)


async def test_a_disabled_host_is_picked_by_nobody(rota: Rota) -> None:
    await add(rota, "web-1", disabled=True)
    assert (await rota.api.get("/hosts:match", selector="host:web-1")).json["items"] == []


async def test_a_host_that_a_job_names_cannot_be_removed(rota: Rota) -> None:
    await add(rota, "web-1")
    await add(rota, "web-10")
    await rota.a_job(target="host:web-10")
    assert (await rota.api.delete("/hosts/web-1")).json == {"deleted": "web-1"}
    answer = await rota.api.delete("/hosts/web-10")
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert "daily-backup" in answer.json["message"]


async def test_a_host_that_a_dynamic_group_names_cannot_be_removed(rota: Rota) -> None:
    await add(rota, "web-1")
    await rota.api.post("/groups", {"name": "one", "selector": "host:web-1"})
    answer = await rota.api.delete("/hosts/web-1")
    assert (answer.status, answer.json["message"]) == (409, "host:web-1 is named by the selector of group one")


async def test_the_built_in_host_cannot_be_changed_or_made_again(rota: Rota) -> None:
    assert (await rota.api.patch("/hosts/local", {"disabled": True})).status == 409
    assert (await rota.api.delete("/hosts/local")).status == 409
    assert (await rota.api.post("/hosts", {"name": "local"})).status == 422


async def test_a_selector_that_names_what_is_not_there_is_answered_with_near_names(rota: Rota) -> None:
    await add(rota, "web-1")
    assert (await rota.api.get("/hosts:match", selector="host:web-2,grp:x")).status == 422
    answer = await rota.api.get("/hosts:match", selector="host:web-2")
    assert (answer.status, answer.json["errors"][0]["hint"]) == (404, 'did you mean "web-1"?')


async def test_a_selector_may_be_too_long_for_a_path(rota: Rota) -> None:
    await add(rota, "web-1")
    selector = ",".join(["host:web-1"] * 5000)
    assert (await rota.api.post("/hosts:match", {"selector": selector})).json == {"items": ["web-1"]}


async def test_a_save_warns_of_files_that_will_keep_a_login_from_working(rota: Rota, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    for name, mode in (("good", 0o600), ("open", 0o644)):
        (keys / name).write_text("x")
        (keys / name).chmod(mode)
    host = await add(rota, "web-1", key_file="good", password_file="open", sudo_password_file="none")
    assert host["warnings"] == [
        f"password_file {keys}/open may be read or changed by others; type: chmod 600 {keys}/open",
        f"sudo_password_file {keys}/none is not there yet",
    ]
    assert "warnings" not in (await rota.api.get("/hosts/web-1")).json


async def test_the_planner_hears_of_changes_and_not_of_dry_runs(rota: Rota) -> None:
    await rota.api.post("/hosts", {"name": "web-1"}, dry_run="true")
    assert rota.launcher.changes == 0
    await add(rota, "web-1")
    assert rota.launcher.changes == 1


async def test_sites_are_the_names_that_hosts_are_at(rota: Rota) -> None:
    await add(rota, "b", site="hq")
    await add(rota, "a", site="hq")
    await add(rota, "c", site="lab")
    await add(rota, "d")
    assert (await rota.api.get("/sites")).json["items"] == [
        {"name": "hq", "hosts": ["a", "b"]}, {"name": "lab", "hosts": ["c"]},
    ]  # fmt: skip
