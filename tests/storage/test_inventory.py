"""The inventory as it is stored: versions, the shared reading of it, and what a run freezes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rota.domain.errors import Conflict, NotFound
from rota.domain.inventory import Group, Host
from rota.domain.selector import parse
from rota.ports import Member, Tx
from rota.storage import inventory
from rota.storage.freeze import get_target_set, members_of, target_set_for
from tests.support.builders import Rota, a_rota

WEB = Host(
    name="web-1", connector="ssh", address="10.0.0.1", port=2222, user="deploy", key_file="k", passphrase_file="p",
    password_file="w", sudo_password_file="s", jump="bastion", os="linux", site="hq", tags={"env": "prod"},
    vars={"a": "1"}, groups=frozenset({"web"}), disabled=True,
)  # fmt: skip


async def test_a_host_is_read_back_as_it_was_written(rota: Rota) -> None:
    await rota.ctx.store.write(lambda tx: inventory.insert_groups(tx, [Group(name="web", description="The web")]))
    await rota.ctx.store.write(lambda tx: inventory.insert_host(tx, WEB))
    known = await rota.ctx.store.read(inventory.load)
    assert known.hosts == (WEB,)
    assert known.group_rows == (Group(name="web", description="The web"),)


async def test_a_version_of_an_earlier_release_is_read(rota: Rota) -> None:
    spec = '{"address":null,"connector":"local","os":null,"site":null,"tags":{"env":"prod"},"vars":{}}'
    await rota.sql("INSERT INTO host VALUES (1, '00000000000000aa', 'old', 1, 0, NULL)")
    await rota.sql("INSERT INTO host_version (id, host_id, spec, created_at) VALUES (1, 1, ?, 0)", spec)
    known = await rota.ctx.store.read(inventory.load)
    assert known.hosts == (Host(name="old", connector="local", tags={"env": "prod"}),)
    row = known.get("old")
    (changed,) = await rota.ctx.store.write(
        lambda tx: inventory.change_hosts(tx, [(row, replace(row.host, disabled=True))])
    )
    assert changed.version_id == row.version_id


async def test_an_inventory_is_read_once_while_it_stands(rota: Rota) -> None:
    await rota.ctx.store.write(lambda tx: inventory.insert_host(tx, Host(name="a")))
    first = await rota.ctx.store.read(inventory.load)
    assert await rota.ctx.store.read(inventory.load) is first
    await rota.ctx.store.write(lambda tx: inventory.insert_host(tx, Host(name="b")))
    assert [host.name for host in (await rota.ctx.store.read(inventory.load)).hosts] == ["a", "b"]


async def test_what_was_rolled_back_is_never_taken_for_what_is(rota: Rota) -> None:
    def add_and_fail(tx: Tx) -> None:
        inventory.insert_host(tx, Host(name="ghost"))
        assert inventory.load(tx).by_name.keys() == {"a", "ghost"}
        raise Conflict("changed my mind")

    await rota.ctx.store.write(lambda tx: inventory.insert_host(tx, Host(name="a")))
    with pytest.raises(Conflict):
        await rota.ctx.store.write(add_and_fail)
    await rota.ctx.store.write(lambda tx: inventory.insert_host(tx, Host(name="b")))
    assert (await rota.ctx.store.read(inventory.load)).by_name.keys() == {"a", "b"}


async def test_two_stores_in_one_process_have_two_inventories(rota: Rota, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async for other in a_rota(tmp_path / "other"):
        await rota.ctx.store.write(lambda tx: inventory.insert_host(tx, Host(name="here")))
        await other.ctx.store.write(lambda tx: inventory.insert_host(tx, Host(name="there")))
        assert (await rota.ctx.store.read(inventory.load)).by_name.keys() == {"here"}
        assert (await other.ctx.store.read(inventory.load)).by_name.keys() == {"there"}


async def test_of_many_hosts_all_are_saved_or_none(rota: Rota) -> None:
    await rota.ctx.store.write(lambda tx: inventory.insert_host(tx, Host(name="a")))
    with pytest.raises(Conflict):
        await rota.ctx.store.write(lambda tx: inventory.insert_hosts(tx, [Host(name="b"), Host(name="a")]))
    with pytest.raises(NotFound):
        hosts = [Host(name="c"), Host(name="d", groups=frozenset({"nosuch"}))]
        await rota.ctx.store.write(lambda tx: inventory.insert_hosts(tx, hosts))
    assert (await rota.ctx.store.read(inventory.load)).by_name.keys() == {"a"}


async def test_a_frozen_target_keeps_connector_and_site(rota: Rota) -> None:
    row = await rota.ctx.store.write(
        lambda tx: inventory.insert_host(tx, Host(name="web-1", connector="ssh", site="hq"))
    )
    frozen = await rota.ctx.store.write(lambda tx: target_set_for(tx, "all"))
    assert frozen.members == (Member("web-1", row.version_id, "ssh", "hq"),)
    assert await rota.ctx.store.read(lambda tx: get_target_set(tx, frozen.id)) == frozen


async def test_a_dynamic_group_is_frozen_as_the_hosts_that_it_picks(rota: Rota) -> None:
    await rota.api.post("/hosts:import", {
        "hosts": [{"name": "a", "tags": {"env": "prod"}}, {"name": "b"}],
        "groups": [{"name": "prod", "selector": "tag:env=prod"}],
    })  # fmt: skip
    frozen = await rota.ctx.store.write(lambda tx: target_set_for(tx, "group:prod"))
    await rota.api.patch("/hosts/b", {"tags": {"env": "prod"}})
    later = await rota.ctx.store.read(lambda tx: members_of(tx, "group:prod"))
    assert [member.host for member in frozen.members] == ["a"]
    assert [member.host for member in later] == ["a", "b"]


async def test_many_may_read_at_once(rota: Rota) -> None:
    await rota.ctx.store.write(lambda tx: inventory.insert_hosts(tx, [Host(name=f"h{n}") for n in range(50)]))
    known = await rota.ctx.store.read(inventory.load)
    found = await asyncio.gather(*(asyncio.to_thread(known.pick, parse("tag:x,os:linux,~h1")) for _ in range(8)))
    assert len(set(found)) == 1
