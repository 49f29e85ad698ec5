"""Pinging hosts and trusting their keys. The way to them does here what the test says; the real one has its contract in
tests/contract/test_reach.py."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rota.api.app import create_app
from rota.domain.errors import Unavailable
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.ports import HostKey, KeyCheck, Ping
from tests.support.asgi import AsgiClient
from tests.support.builders import Rota, a_rota


def a_key(word: str) -> HostKey:
    return HostKey(algorithm="ssh-ed25519", fingerprint=f"SHA256:{word}", line=f"ssh-ed25519 {word}")


@dataclass
class ScriptedReach:
    """A `ports.Reach` over a dictionary: the key that each host shows, None where nobody answers."""

    shows: dict[str, str | None] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)

    async def ping(self, host: Host) -> Ping:
        if self.shows[host.name] is None:
            return Ping(reason=Reason.CONNECT_REFUSED, message=f"{host.name} refuses", seconds=0.01)
        return Ping(reason=None, message="", seconds=0.1234, system="Linux")

    async def key_of(self, host: Host) -> KeyCheck:
        shown, known = self.shows[host.name], self.known.get(host.name)
        if shown is None:
            raise Unavailable(f"{host.name} refuses")
        if known is None:
            return KeyCheck(shown=a_key(shown), verdict="unknown")
        if known == shown:
            return KeyCheck(shown=a_key(shown), verdict="known")
        return KeyCheck(shown=a_key(shown), verdict="changed", before=(a_key(known),))

    async def trust(self, host: Host, key: HostKey) -> None:
        self.known[host.name] = key.fingerprint.removeprefix("SHA256:")


@dataclass
class World:
    rota: Rota
    reach: ScriptedReach
    api: AsgiClient


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async for rota in a_rota(tmp_path):
        reach = ScriptedReach(shows={"web-1": "one", "gone": None})
        ctx = replace(rota.ctx, reach={"ssh": reach})
        api = AsgiClient(create_app(ctx))
        await api.post("/hosts:import", {"hosts": [{"name": "web-1"}, {"name": "gone"}]})
        yield World(rota, reach, api)


async def test_a_ping_says_what_the_host_says(world: World) -> None:
    assert (await world.api.post("/hosts/web-1:ping")).json == {
        "host": "web-1", "ok": True, "reason": None, "message": "", "seconds": 0.123, "system": "Linux",
    }  # fmt: skip


async def test_a_host_that_does_not_answer_is_an_answer_too(world: World) -> None:
    answer = await world.api.post("/hosts/gone:ping")
    assert (answer.status, answer.json["ok"], answer.json["reason"]) == (200, False, "connect_refused")


async def test_this_machine_answers_and_shows_no_key(world: World) -> None:
    assert (await world.api.post("/hosts/local:ping")).json["ok"] is True
    assert (await world.api.get("/hosts/local/key")).status == 409


async def test_a_host_that_is_not_there_is_not_found(world: World) -> None:
    assert (await world.api.post("/hosts/web-2:ping")).status == 404
    assert (await world.api.get("/hosts/web-2/key")).status == 404


async def test_a_name_may_be_an_address(world: World) -> None:
    await world.api.post("/hosts", {"name": "fe80::1"})
    world.reach.shows["fe80::1"] = "six"
    assert (await world.api.post("/hosts/fe80::1:ping")).json["host"] == "fe80::1"


async def test_a_key_is_trusted_by_its_fingerprint_and_the_audit_says_by_whom(world: World) -> None:
    check = (await world.api.get("/hosts/web-1/key")).json
    assert (check["verdict"], check["shown"]["fingerprint"]) == ("unknown", "SHA256:one")
    assert (await world.api.post("/hosts/web-1:trust", {"fingerprint": "SHA256:one"})).status == 200
    assert (await world.api.get("/hosts/web-1/key")).json["verdict"] == "known"
    rows = await world.rota.sql("SELECT principal, subject, detail FROM audit WHERE verb = 'trust'")
    ((principal, subject, detail),) = rows
    assert (principal, subject.startswith("host host_")) == (world.rota.me, True)
    assert json.loads(detail) == {"name": "web-1", "fingerprint": "SHA256:one", "before": []}


async def test_a_host_that_shows_another_key_by_then_is_not_trusted(world: World) -> None:
    world.reach.shows["web-1"] = "evil"
    answer = await world.api.post("/hosts/web-1:trust", {"fingerprint": "SHA256:one"})
    assert (answer.status, answer.json["message"]) == (409, "host web-1 shows the key SHA256:evil")
    assert world.reach.known == {}


async def test_a_changed_key_is_told_with_the_old_one_and_needs_to_be_replaced_on_purpose(world: World) -> None:
    world.reach.known["web-1"] = "old"
    answer = await world.api.post("/hosts/web-1:trust", {"fingerprint": "SHA256:one"})
    assert answer.status == 409
    assert "SHA256:old" in answer.json["message"]
    assert "--replace" in answer.json["hint"]
    assert world.reach.known["web-1"] == "old"
    answer = await world.api.post("/hosts/web-1:trust", {"fingerprint": "SHA256:one", "replace": True})
    assert [key["fingerprint"] for key in answer.json["before"]] == ["SHA256:old"]
    assert world.reach.known["web-1"] == "one"


async def test_a_host_that_cannot_be_asked_is_unavailable(world: World) -> None:
    assert (await world.api.get("/hosts/gone/key")).status == 503
    assert (await world.api.post("/hosts/gone:trust", {"fingerprint": "SHA256:one"})).status == 503


async def test_a_process_without_a_way_says_so(world: World) -> None:
    assert (await world.rota.api.post("/hosts/web-1:ping")).status == 503


async def test_trust_needs_a_fingerprint(world: World) -> None:
    answer = await world.api.post("/hosts/web-1:trust", {})
    assert [fault["field"] for fault in answer.json["errors"]] == ["fingerprint"]
