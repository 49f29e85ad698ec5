"""`/backups`: who may have one made where, and what is written down of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rota.api.app import create_app
from rota.backup.making import Backups
from rota.instance import Instance
from tests.support.asgi import AsgiClient
from tests.support.builders import Rota, a_rota


@pytest.fixture
async def rota(tmp_path: Path) -> AsyncIterator[Rota]:
    """An instance that has backups, and one job."""
    async for made in a_rota(tmp_path):
        await made.sql("INSERT INTO instance VALUES ('id', '00000000000000aa')")
        backups = Backups(Instance(home=tmp_path, kind="option"), version="0.1.0", keep=1)
        ctx = replace(made.ctx, backups=backups)
        able = replace(made, ctx=ctx, api=AsgiClient(create_app(ctx)))
        await able.a_job()
        yield able


async def test_one_is_made_and_described(rota: Rota) -> None:
    answer = await rota.api.post("/backups", {})
    assert answer.status == 201
    made = answer.json
    assert Path(made["path"]).stat().st_size == made["bytes"]
    assert made["made_at"] == "2026-03-04T12:00:00Z"
    assert made["counts"]["job"] == 1
    assert made["files"] == ["rota.db"]


async def test_those_that_are_there_are_listed_newest_first(rota: Rota) -> None:
    first = (await rota.api.post("/backups", {})).json
    rota.clock.advance(60)
    second = (await rota.api.post("/backups", {})).json
    listed = (await rota.api.get("/backups")).json["items"]
    assert second["removed"] == [first["name"]]
    assert [item["name"] for item in listed] == [second["name"]]


async def test_who_had_one_made_is_in_the_audit(rota: Rota) -> None:
    await rota.api.post("/backups", {})
    assert await rota.sql("SELECT principal, subject FROM audit WHERE verb = 'back up'") == [(rota.me, "instance")]


async def test_a_relative_path_is_refused(rota: Rota) -> None:
    answer = await rota.api.post("/backups", {"to": "somewhere"})
    assert answer.status == 422
    assert "is a relative path" in answer.json["message"]


async def test_nobody_else_may_choose_where_the_instances_account_writes(rota: Rota, tmp_path: Path) -> None:
    other = AsgiClient(create_app(rota.ctx), client=(f"uid:{os.geteuid() + 1}", 0))
    answer = await other.post("/backups", {"to": str(tmp_path / "x.tar")})
    assert answer.status == 403
    assert not (tmp_path / "x.tar").exists()


async def test_a_store_in_a_database_server_is_not_rotas_to_back_up(rota: Rota) -> None:
    shared = AsgiClient(create_app(replace(rota.ctx, backups=None)))
    answer = await shared.post("/backups", {})
    assert answer.status == 403
    assert "pg_dump" in answer.json["hint"]
