"""One process of the simulated world: a daemon, or a command that carries out the runs it makes.

It is built from the real engine. It may be killed, frozen and thawed at every yield; its children are the machines'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import copy_context
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from rota.domain.errors import Conflict
from rota.domain.instant import Micros
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
from rota.ports import Clock, RunRequest
from rota.storage.database_clock import DatabaseClock
from rota.storage.rescue import add_owner
from rota.templating.renderer import Renderer
from tests.simulation.clock import Wall, WorldClock
from tests.simulation.loop import PROCESS
from tests.simulation.machines import Reached

if TYPE_CHECKING:
    from tests.simulation.world import World


class Process:
    """`owner` is its name in the store. Dead or frozen, nothing of it runs."""

    def __init__(self, world: World, owner: str, kind: Literal["daemon", "command"], home: int, wall: Wall) -> None:
        machine = WorldClock(world.loop, wall.now)
        self.database_clock = DatabaseClock(machine) if world.nature.shares_store else None
        clock: Clock = self.database_clock or machine
        self.world, self.owner, self.kind, self.clock = world, owner, kind, clock
        self.home, self.wall = home, wall  # whose keepers it can adopt; what its machine believes the time is
        self.is_dead = self.is_frozen = self.is_over = False
        self.began, self.left = world.time, float("inf")  # when it was started, and when it had ended in order
        self.died = float("inf")  # when it was killed
        self.is_swept = False  # its lock file is gone, and with it what was known of it in its home
        self.cut_off_until = 0.0  # from the store, and only it
        self.drowsy: tuple[Literal["commit", "answer"], float] | None = None  # before which of its next write it sleeps
        self.frozen: list[tuple[float, float]] = []  # when, from and to
        self.cut_off: list[tuple[float, float]] = []
        self._is_stopping = False
        self._context = copy_context()
        self._context.run(PROCESS.set, self)
        store, events = world.store, RunEvents()
        oversees = kind == "daemon"
        plans, pump = Plans(store), OutputPump(world.output, clock, events)
        self.connectors = {name: Reached(world, self, name) for name in ("local", "ssh")}
        made: set[int] | None = None if oversees else set()
        self.worker = Worker(
            owner=owner, store=store, clock=clock, plans=plans, hosts=Hosts(store), connectors=self.connectors,
            renderer=Renderer(), output=pump, events=events, only_runs=made, claims_apart=world.nature.shares_store,
        )  # fmt: skip
        planner = None
        if oversees:
            planner = Planner(store=store, clock=clock, plans=plans, worker=self.worker, owner=owner)
        self.launcher = EngineLauncher(
            store=store, worker=self.worker, plans=plans, events=events, owner=owner, made=made,
            nudge=planner.nudge if planner is not None else lambda: None,
        )  # fmt: skip
        self.watch = ClockWatch(
            store=store, clock=clock, ahead=self._ahead if world.nature.shares_store else None, machine=f"m{home}",
            trusts=bool(world.witness.astray), tell=lambda _, said: world.note("clock", said, owner),
        )  # fmt: skip  # who has set the clock right has written `trust_clock: true`, lest they wait ten minutes for it
        if oversees:
            self.worker.holds_back = lambda: self.watch.doubt is not None
        overseeing = Overseeing(
            watch=self.watch, planner=planner,
            rescuer=Rescuer(
                store=store, connectors=self.connectors, worker=self.worker, owner=owner,
                dead_of=lambda owners: world.dead_of(self, owners), dead_here=lambda: world.dead_in(home),
                swept=lambda owners: world.swept(home, owners), node=self.node,
            ),
            outbox=Outbox(store, clock, events),
            janitor=Janitor(store=store, output=world.output, clock=clock, retention_days=0),
            evidence=Evidence(
                store=store, clock=clock, connectors=self.connectors, hosts=Hosts(store), events=events
            ),
        )  # fmt: skip
        leases = None
        if self.node is not None:
            leases = Leases(
                store=store, for_signs=world.signs, clock=clock, worker=self.worker, owner=owner,
                terms=world.terms_of(home),
            )  # fmt: skip
        self.engine = Engine(
            owner=owner, store=store, clock=clock, worker=self.worker, connectors=self.connectors, pump=pump,
            oversees=overseeing if oversees else None, leases=leases,
        )  # fmt: skip

    def __repr__(self) -> str:
        return self.owner

    @property
    def node(self) -> str | None:
        """The name of its home in a store that several share."""
        return f"node_{self.home}" if self.world.nature.shares_store else None

    @property
    def is_stopped(self) -> bool:
        return self.is_dead or self.is_frozen

    @property
    def is_gone(self) -> bool:
        """Its lock can be taken."""
        return self.is_dead or self.is_over

    @property
    def is_well(self) -> bool:
        return not self.is_stopped and not self.is_over

    def _ahead(self) -> Micros:
        return 0 if self.database_clock is None else self.database_clock.ahead

    def was_hindered(self, since: float, until: float) -> bool:
        """Whether something kept it from giving a sign of life at some moment between."""
        found = chain(self.frozen, self.cut_off, self.world.store_troubles)
        return any(begin < until and end > since for begin, end in found)

    def was_frozen(self, since: float, until: float) -> bool:
        return any(begin < until and end > since for begin, end in self.frozen)

    def observe(self, at: Micros) -> None:
        """The store has told it the time: it hears of it in a moment, or when it is thawed."""
        if self.database_clock is not None:
            delay = self.world.nature.quick()
            self.world.loop.call_later(delay, self.database_clock.observe, at, context=self._context)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it as code of this process."""
        return asyncio.get_running_loop().create_task(coroutine, context=self._context.copy())

    def begin(self) -> None:
        """Start the engine; a command then makes its run, and leaves when that is over."""
        self.world.look_after(self, self.spawn(self._live()), is_life=True)

    def act(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Do what a person asked this process for. It dies with it."""
        self.world.look_after(self, self.spawn(coroutine), is_life=False)

    async def _live(self) -> None:
        store = self.world.store
        await store.write(lambda tx: add_owner(tx, self.owner, kind=self.kind, pid=1, node=self.node))
        if self.kind == "daemon":
            await self.connectors["local"].open()
        try:
            await self.engine.run()
        except* Conflict:  # others have taken over its work: it leaves, and is started anew
            self.world.gave_up(self)
        else:
            self.world.ended(self)

    async def stop(self, mode: Literal["cancel", "leave"]) -> None:
        """End in order, as SIGTERM has it. Only the first one counts."""
        if self._is_stopping:
            return
        self._is_stopping = True
        await self.engine.stop(mode, 20.0)

    async def carry_out(self, request: RunRequest) -> None:
        """What `rota run` does: make a run, work until it is over, leave."""
        await self.engine.ready.wait()
        run_id = await self.launcher.launch(request)
        self.world.launched(self, run_id)
        while not await self._is_final(run_id):
            await self.clock.sleep(1.0)
        await self.stop("cancel")

    async def _is_final(self, run_id: int) -> bool:
        row = await self.world.store.read(
            lambda tx: tx.driver.execute("SELECT state FROM run WHERE id = ?", (run_id,)).fetchone()
        )
        return row[0] not in {RunState.WAITING, RunState.QUEUED, RunState.RUNNING}
