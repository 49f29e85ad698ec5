"""Whole engines over one store, with a clock moved by hand and a connector that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rota.domain.clocks import Kind as ClockKind
from rota.domain.instant import SECOND, Micros
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.engine.clock_watch import ClockWatch
from rota.engine.engine import Engine, Overseeing
from rota.engine.events import RunEvents
from rota.engine.evidence import Evidence
from rota.engine.hosts import Hosts
from rota.engine.janitor import Janitor
from rota.engine.launcher import EngineLauncher
from rota.engine.leases import Leases
from rota.engine.outbox import Outbox
from rota.engine.output import OutputPump
from rota.engine.planner import Planner
from rota.engine.plans import Plans
from rota.engine.rescuer import Rescuer
from rota.engine.worker import Worker
from rota.ports import Hints
from rota.storage.jobs import JobRow
from rota.storage.leases import Terms
from rota.storage.output import OutputStore
from rota.storage.postgres import PostgresStore
from rota.storage.rescue import add_owner
from rota.storage.sqlite import SqliteStore
from rota.templating.renderer import Renderer
from tests.contract.store_world import StoreWorld, a_store
from tests.engine.scripted import Flight, ScriptedConnector
from tests.support.clock import ManualClock


@dataclass
class Process:
    """One engine: a daemon's, or a command's that carries out only what it made."""

    owner: str
    engine: Engine
    worker: Worker
    launcher: EngineLauncher
    events: RunEvents
    task: asyncio.Task[None]
    watch: ClockWatch

    async def die(self) -> None:
        """End as by SIGKILL: nothing more is written."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@dataclass
class World(StoreWorld):
    """Engines over one store and one connector. Names in `dead` are owners whose lock can be taken."""

    store: SqliteStore
    output: OutputStore = field(kw_only=True)
    renderer: Renderer = field(kw_only=True)
    connector: ScriptedConnector = field(kw_only=True)
    hints: Hints | None = None
    dead: set[str] = field(default_factory=set)
    processes: list[Process] = field(default_factory=list)
    told: list[tuple[ClockKind, str]] = field(default_factory=list)  # what watches have said of the clock
    clock_ahead: Callable[[], Micros] | None = None  # of the store before the machine; None: it is the same clock

    async def start(
        self,
        owner: str = "own_a",
        *,
        oversees: bool = True,
        plans: bool = True,
        terms: Terms | None = None,
        trusts_clock: bool = False,
    ) -> Process:
        """Start an engine. `oversees` False: a command's. `terms`: on a store that it shares with other machines."""
        store, clock, events = self.store, self.clock, RunEvents()
        node = None if terms is None else terms.node
        await store.write(lambda tx: add_owner(tx, owner, kind="daemon", pid=1, node=node))
        plans_, pump = Plans(store), OutputPump(self.output, clock, events)
        connectors = {"local": self.connector, "ssh": self.connector}
        made: set[int] | None = None if oversees else set()
        worker = Worker(
            owner=owner, store=store, clock=clock, plans=plans_, hosts=Hosts(store), connectors=connectors,
            renderer=self.renderer, output=pump, events=events, only_runs=made, claims_apart=terms is not None,
        )  # fmt: skip
        planner = Planner(store=store, clock=clock, plans=plans_, worker=worker, owner=owner) if plans else None
        launcher = EngineLauncher(
            store=store, worker=worker, plans=plans_, events=events, owner=owner, made=made,
            nudge=planner.nudge if planner is not None else lambda: None,
        )  # fmt: skip
        rescuer = Rescuer(
            store=store, connectors=connectors, worker=worker, owner=owner, dead_of=self._dead_of,
            dead_here=lambda: self.dead, swept=lambda owners: None, node=node,
        )  # fmt: skip
        watch = ClockWatch(
            store=store, clock=clock, ahead=self.clock_ahead, machine="here", trusts=trusts_clock,
            tell=lambda change, said: self.told.append((change.kind, said)),
        )  # fmt: skip
        worker.holds_back = lambda: watch.doubt is not None
        overseeing = Overseeing(
            planner=planner, rescuer=rescuer, outbox=Outbox(store, clock, events),
            evidence=Evidence(
                store=store, clock=clock, connectors=connectors, hosts=Hosts(store), events=events
            ),
            janitor=Janitor(store=store, output=self.output, clock=clock, retention_days=0),
            watch=watch,
        )  # fmt: skip
        leases = None
        if terms is not None:
            leases = Leases(store=store, for_signs=store, clock=clock, worker=worker, owner=owner, terms=terms)
        engine = Engine(
            owner=owner, store=store, clock=clock, worker=worker, connectors=connectors, pump=pump,
            oversees=overseeing if oversees else None, leases=leases,
            hints=self.hints,
        )  # fmt: skip
        process = Process(owner, engine, worker, launcher, events, asyncio.create_task(engine.run()), watch)
        self.processes.append(process)
        await engine.ready.wait()
        await self.quiet()
        return process

    def _dead_of(self, owners: Collection[str]) -> Collection[str]:
        return [owner for owner in owners if owner in self.dead]

    async def kill(self, process: Process) -> None:
        """The process dies with everything it knew; its lock can be taken from now on. Children live on."""
        await process.die()
        self.dead.add(process.owner)

    async def quiet(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.quiet()

    async def to_next_due(self) -> None:
        """Let time pass until just what is due next is due."""
        due = await self.next_due()
        assert due is not None, "nothing is due"
        await self.advance((due - self.clock.now()) / SECOND)

    async def trigger(self, process: Process, job: JobRow | None = None, **fields: Any) -> int:
        """Ask for a run and let it begin."""
        run_id = await process.launcher.launch(await self.request(job, **fields))
        await self.quiet()
        return run_id

    async def until_started(self, orders: int) -> None:
        """Wait until so many orders were given. For what has to be rendered first, in a child process."""
        await self._until_taken_up(lambda: len(self.connector.started) >= orders)

    async def followed(self, token: str) -> Flight:
        """Wait until a rescued attempt is followed. Where its output has to go on is asked for in a thread."""
        await self._until_taken_up(lambda: self.connector.flights[token].order is None)
        return self.connector.flights[token]

    async def _until_taken_up(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            await self.connector.taken_up.wait()
            self.connector.taken_up.clear()
        await self.quiet()

    async def over(self, process: Process, run_id: int) -> tuple[RunState, Reason | None, str | None]:
        """Wait until a run is final; its state, reason and message. For what needs a thread or a child process."""
        with process.events.watch(run_id) as changed:
            while await self.one("SELECT finished_at IS NULL FROM run WHERE id = ?", run_id):
                await changed.wait()
                changed.clear()
        await self.quiet()
        return await self.verdict(run_id)

    async def verdict(self, run_id: int) -> tuple[RunState, Reason | None, str | None]:
        ((state, reason, message),) = await self.sql("SELECT state, reason, message FROM run WHERE id = ?", run_id)
        return RunState(state), Reason(reason) if reason else None, message

    async def attempts(self, columns: str = "step, number, state, reason") -> list[Any]:
        rows = await self.sql(f"SELECT {columns} FROM attempt ORDER BY id")
        return [row[0] if len(row) == 1 else row for row in rows]


@asynccontextmanager
async def a_world(
    folder: Path, shared: PostgresStore | None = None, clock: ManualClock | None = None
) -> AsyncIterator[World]:
    """A world on a new SQLite store, or on one that it shares with others, with that one's `clock`."""
    clock = clock or ManualClock()
    store = shared or a_store(folder / "rota.db", clock)
    world = World(
        store,  # type: ignore[arg-type]  # most tests look into the file of the first kind
        clock, output=OutputStore(folder / "output.db"), renderer=Renderer(), connector=ScriptedConnector(clock),
        hints=None if shared is None else shared.hints,
    )  # fmt: skip
    try:
        yield world
    finally:
        for process in world.processes:
            if process.task.done() and not process.task.cancelled():
                process.task.result()  # an engine that fell over fails the test
            await process.die()
        await world.renderer.stop()
        world.output.close()
        store.close()
