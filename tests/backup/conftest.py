"""A store with something in it, a home around it, and backups of that."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from rota.backup.making import Backups, Made
from rota.instance import Instance
from rota.storage.output import Chunk
from tests.support.world import World, a_world


@dataclass
class Original:
    """An instance to be backed up, with one job, one run and what it wrote."""

    world: World
    instance: Instance

    def backups(self, *, keep: int = 7) -> Backups:
        return Backups(self.instance, version="0.1.0", keep=keep)

    async def backup(self, *, at: int | None = None, to: Path | None = None, keep: int = 7) -> Made:
        return await self.backups(keep=keep).create(at=self.world.clock.now() if at is None else at, to=to)


@asynccontextmanager
async def an_original(folder: Path) -> AsyncIterator[Original]:
    """With a job that has run once, settings, a playbook in a folder, known hosts, and a key."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    async with a_world(home) as world:
        instance = Instance(home=home, kind="option")
        instance.prepare()
        (home / "rota.yaml").write_text("targets_at_once: 20\n")
        (home / "known_hosts").write_text("web-1 ssh-ed25519 AAAA\n")
        (home / "playbooks" / "nightly").mkdir()
        (home / "playbooks" / "nightly" / "copy.yaml").write_text("name: copy\nsteps: [{noop: true}]\n")
        (home / "keys" / "id_ed25519").write_text("PRIVATE KEY")
        await world.sql("INSERT INTO instance VALUES ('id', '00000000000000aa')")
        run_id, work = await world.make(await world.a_job("daily"))
        await world.end(*work)
        await world.output.append([Chunk(run_id, 1, 0, b"hello\n")])
        yield Original(world, instance)


@pytest.fixture
async def original(tmp_path: Path) -> AsyncIterator[Original]:
    async with an_original(tmp_path) as made:
        yield made


def ask(store: Path, query: str) -> list[tuple[object, ...]]:
    """Ask a store that nobody has open."""
    with closing(sqlite3.connect(store)) as driver:
        return driver.execute(query).fetchall()
