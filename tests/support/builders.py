"""A whole Rota without an engine: a real store, the use cases and the API over it, and a clock moved by hand."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rota.api.app import create_app
from rota.domain.instant import Micros, parse_rfc3339
from rota.ports import OutputItem, Tx
from rota.storage.executor import InlineExecutor
from rota.storage.sqlite import SqliteStore
from rota.usecases.context import Context, DaemonInfo, InstanceInfo
from tests.support.asgi import AsgiClient
from tests.support.clock import ManualClock
from tests.support.empty_store import lay_empty_store
from tests.support.launcher import QueueingLauncher

BACKUP = """\
name: backup
description: Copies things
vars: {retention_days: "30"}
steps:
  - name: copy
    exec: echo keeping {{ vars.retention_days }}
"""


class Watched:
    """A `ports.Events` that tells at once, and counts who watches."""

    def __init__(self) -> None:
        self.watchers: list[tuple[int, asyncio.Event]] = []
        self._end_watchers: list[tuple[int, asyncio.Event]] = []

    def touched(self, run_id: int) -> None:
        _set(self.watchers, run_id)

    def ended(self, run_id: int) -> None:
        self.touched(run_id)
        _set(self._end_watchers, run_id)

    def watch(self, run_id: int) -> AbstractContextManager[asyncio.Event]:
        return _watching(self.watchers, run_id)

    def watch_end(self, run_id: int) -> AbstractContextManager[asyncio.Event]:
        return _watching(self._end_watchers, run_id)


def _set(watchers: list[tuple[int, asyncio.Event]], run_id: int) -> None:
    for watched, event in watchers:
        if watched == run_id:
            event.set()


@contextmanager
def _watching(watchers: list[tuple[int, asyncio.Event]], run_id: int) -> Iterator[asyncio.Event]:
    entry = (run_id, asyncio.Event())
    watchers.append(entry)
    try:
        yield entry[1]
    finally:
        watchers.remove(entry)


@dataclass
class WrittenOutput:
    """A `ports.OutputReader` over a list."""

    items: list[tuple[int, OutputItem]] = field(default_factory=list)

    def write(self, run_id: int, attempt_id: int, data: bytes, *, cut: int = 0) -> None:
        offset = sum(len(item.data) + item.cut for _, item in self.items if item.attempt_id == attempt_id) + cut
        self.items.append((run_id, OutputItem(len(self.items) + 1, attempt_id, offset, data, cut)))

    async def after(self, run_id: int, seq: int, limit: int) -> Sequence[OutputItem]:
        return [item for owner, item in self.items if owner == run_id and item.seq > seq][:limit]


@dataclass
class Rota:
    ctx: Context
    clock: ManualClock
    launcher: QueueingLauncher
    output: WrittenOutput
    events: Watched
    api: AsgiClient

    @property
    def me(self) -> str:
        """The account that these tests run as: who asks, in process."""
        return pwd.getpwuid(os.geteuid()).pw_name

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        def run(tx: Tx) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = tx.driver.execute(statement, values).fetchall()
            return rows

        return await self.ctx.store.write(run)

    async def a_job(self, name: str = "daily-backup", **fields: Any) -> dict[str, Any]:
        """Make a job over the API. By default it is due every day at 02:00 UTC and prints a word."""
        body: dict[str, Any] = {
            "name": name,
            "triggers": [{"kind": "cron", "expression": "0 2 * * *"}],
            **({} if fields.keys() & {"playbook", "steps"} else {"do": "shell: echo hello"}),
            **fields,
        }
        answer = await self.api.post("/jobs", body)
        assert answer.status == 201, answer.json
        job: dict[str, Any] = answer.json
        return job

    async def a_run(self, job: str = "daily-backup") -> dict[str, Any]:
        answer = await self.api.post(f"/jobs/{job}/trigger")
        assert answer.status == 201, answer.json
        run: dict[str, Any] = answer.json
        return run

    async def a_playbook(self, text: str = BACKUP) -> dict[str, Any]:
        answer = await self.api.post("/playbooks", {"text": text})
        assert answer.status == 201, answer.json
        playbook: dict[str, Any] = answer.json
        return playbook

    def at(self, text: str) -> Micros:
        """Move the clock to an instant; returns it."""
        self.clock.set_wall(parse_rfc3339(text))
        return self.clock.now()

    def with_info(self, **changes: Any) -> Rota:
        """The same store behind a process that says other things about itself."""
        ctx = replace(self.ctx, info=replace(self.ctx.info, **changes))
        return replace(self, ctx=ctx, api=AsgiClient(create_app(ctx)))


async def a_rota(folder: Path) -> AsyncIterator[Rota]:
    """For a fixture: a new store in `folder`, closed at the end."""
    path, clock = folder / "rota.db", ManualClock()
    lay_empty_store(path)
    store = SqliteStore(path, clock=clock, executor=InlineExecutor())
    await store.write(lambda tx: tx.driver.execute("INSERT INTO run_limit VALUES ('runs', 5, 0)"))
    launcher, output, events = QueueingLauncher(store), WrittenOutput(), Watched()
    ctx = Context(
        store=store,
        launcher=launcher,
        output=output,
        events=events,
        info=InstanceInfo(
            version="0.1.0",
            home=str(folder),
            instance_id="00000000000000aa",
            in_process=False,
            zone="Europe/Berlin",
            daemon=DaemonInfo(running=True, pid=48201, started_at=clock.now(), scheduling=True),
        ),
    )
    try:
        yield Rota(ctx, clock, launcher, output, events, AsgiClient(create_app(ctx)))
    finally:
        store.close()
