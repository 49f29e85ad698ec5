"""One simulated world: its loop, store, machines and processes, what it has seen, and what went wrong.

Everything that is drawn comes from the seed. The engine, its storage functions and the store are the real ones.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from rota.domain.errors import RotaError, Unavailable
from rota.domain.instant import Micros
from rota.ports import Tx
from rota.storage.output import OutputStore
from rota.storage.sqlite import SqliteStore
from tests.simulation.clock import Wall, WorldClock
from tests.simulation.jobs import Job
from tests.simulation.loop import VirtualLoop
from tests.simulation.machines import Machines
from tests.simulation.nature import Nature
from tests.simulation.process import Process
from tests.simulation.recorder import empty_store
from tests.simulation.store import Disk
from tests.simulation.witness import Label, Life, Witness

LEASE_SECONDS = 60.0  # DESIGN §5
MOST_TURNS = 200_000  # callbacks; more means that something spins


class NoOutput:
    """Nothing is printed in this world."""

    async def append(self, chunks: object) -> None: ...

    async def end_of(self, attempt_id: int) -> int:
        return 0

    async def forget(self, run_ids: object) -> None: ...


class World:
    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.draw = seed, random.Random(seed)
        self.loop = VirtualLoop(random.Random(self.draw.random()))
        self.nature = Nature.drawn(self.draw)
        self.witness, self.machines = Witness(), Machines(self)
        self.processes: list[Process] = []
        self.by_owner: dict[str, Process] = {}
        self.noticed_at: dict[str, float] = {}  # owner -> from when on others take it for dead
        self.jobs: list[Job] = []
        self.violations: list[str] = []
        self.trace: list[tuple[float, str]] = []
        self.wall = Wall(self.loop)  # of the machine; on a shared store, of the store's own
        self.output = cast(OutputStore, NoOutput())
        self.away_until = 0.0
        self.cap, self.site_cap = 5, cast("int | None", None)  # on runs, and on targets of one site
        self.checked_until: Micros | None = None  # instants up to then must have been settled; None: as the store says
        self.is_closed = False  # people have gone home
        self.known_faults = self.nature.faults
        self.created: dict[int, float] = {}  # run id -> true time of the commit that made it
        self._last_outbox = 0
        self._own = Context()  # what the world does belongs to no process
        path = folder / "rota.db"
        path.write_bytes(empty_store())
        self.store = SqliteStore(path, clock=WorldClock(self.loop, self.wall.now), executor=Disk(self))

    # Time and record

    @property
    def time(self) -> float:
        return self.loop.time()

    def note(self, *words: object) -> None:
        self.trace.append((self.loop.time(), " ".join(map(str, words))))

    def violate(self, what: str) -> None:
        self.note("VIOLATED", what)
        self.violations.append(what)

    def later(self, seconds: float, call: Callable[..., None], *args: object) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, call, *args, context=self._own)

    # Processes

    def start(self, kind: Literal["daemon", "command"], home: int) -> Process:
        owner = f"own_{len(self.processes):03}"
        wall = self.wall
        if self.nature.shares_store:
            wall = Wall(self.loop, micros(self.draw.uniform(-0.05, 0.0)))  # what is left of asking the store
        process = Process(self, owner, kind, home, wall)
        self.processes.append(process)
        self.by_owner[owner] = process
        self.note("started", owner, kind)
        process.begin()
        return process

    def look_after(self, process: Process, task: asyncio.Task[Any], *, is_life: bool) -> None:
        """Hear how a task of a process ends. `is_life`: the process ends with it, which may be because the store was
        away when it began; whatever else an engine cannot live with is a violation."""
        task.add_done_callback(partial(self._see_off, process, is_life), context=self._own)

    def _see_off(self, process: Process, is_life: bool, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        is_told = isinstance(error, RotaError)
        if is_told and is_life and not process.engine.ready.is_set():
            self.crash(process, "start")
        elif is_life or not is_told:
            self.violate(f"I0 {process.owner} fell over: {error!r}")

    def ended(self, process: Process) -> None:
        """It has left in order: its lock is free."""
        process.is_over = True
        self.noticed_at[process.owner] = self.time
        self.note("left", process.owner)
        if process.was_disowned:
            self._sign_on(process)

    def crash(self, process: Process, where: str) -> None:
        """SIGKILL."""
        if process.is_dead:
            return
        process.is_dead = True
        self.note("crashed", process.owner, "at", where)
        self.noticed_at[process.owner] = self.time
        self.witness.troubles.append((self.time - 1, self.time + 130))
        if process.was_disowned:
            self._sign_on(process)

    def freeze(self, process: Process, seconds: float) -> None:
        if process.is_stopped:
            return
        process.is_frozen = True
        self.note("froze", process.owner)
        self.witness.troubles.append((self.time - 1, self.time + seconds + 5))
        self.later(seconds, self.thaw, process)

    def disown(self, process: Process, seconds: float) -> None:
        """It is frozen for so long that the others take it for dead; then it wakes."""
        self.freeze(process, seconds + 8)
        self.noticed_at[process.owner] = self.time + seconds
        process.was_disowned = True
        self.note("disowned", process.owner)

    def thaw(self, process: Process) -> None:
        if process.is_dead or not process.is_frozen:
            return
        process.is_frozen = False
        self.note("thawed", process.owner)
        if process.was_disowned:
            self.noticed_at.pop(process.owner, None)
            self._sign_on(process)
            process.connectors["ssh"].cut()
        self.loop.thaw(process)

    def _sign_on(self, process: Process) -> None:
        """As a heartbeat does: an owner that lives, or that others have not buried for good, is known to the store."""
        self.sql("UPDATE owner SET ended_at = NULL WHERE id = ?", process.owner)

    def is_noticed(self, owner: str) -> bool:
        return self.noticed_at.get(owner, float("inf")) <= self.time

    def dead_of(self, process: Process, owners: Collection[str]) -> Collection[str]:
        """Owners whose lock can be taken, which is known in their home; and those that all have given up."""
        return [
            owner
            for owner in owners
            if self.is_noticed(owner)
            and (self.by_owner[owner].home == process.home or self.by_owner[owner].was_disowned)
        ]

    def has_dead(self) -> bool:
        return any(map(self.is_noticed, self.noticed_at))

    async def passing(self, process: Process, where: str) -> None:
        """A place where the process may die, and where others come first."""
        if self.nature.crashes_now():
            self.crash(process, where)
            await self.loop.create_future()
        await asyncio.sleep(self.nature.latency())

    # The store

    def require_store(self) -> None:
        if self.away_until > self.time:
            raise Unavailable("the store is away")

    def write(self, fn: Callable[[Tx], None]) -> None:
        """The world's own hand: at once."""
        (result,) = self.store._write_group([fn])
        if isinstance(result, BaseException):
            raise result

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The world's own look into the store, at once."""
        rows: list[tuple[Any, ...]] = self.store._writer.driver.execute(statement, values).fetchall()
        return rows

    def committed(self) -> None:
        """Some process has written."""
        driver = self.store._writer.driver
        for (what,) in driver.execute("SELECT what FROM world_seen").fetchall():
            self.violate(what)
        for row_id, run_id in driver.execute("SELECT id, run_id FROM outbox WHERE id > ?", (self._last_outbox,)):
            self._last_outbox = row_id
            self.witness.finished.setdefault(run_id, self.time)
            self.note("finished", run_id)
        for (run_id,) in driver.execute("SELECT id FROM run WHERE id > ?", (len(self.created),)):
            self.created[run_id] = self.time

    # What the witness sees

    def holds(self, process: Process, token: str) -> bool:
        """Whether this attempt is still the process's. Keepers and hosts take no orders from one whose work others
        have taken over."""
        if not process.was_disowned:
            return True
        rows = self.sql(
            "SELECT 1 FROM attempt JOIN run_target ON run_target.id = run_target_id WHERE attempt.id = ? AND owner = ?",
            _attempt_of(token), process.owner,
        )  # fmt: skip
        return bool(rows)

    def witness_start(self, process: Process, token: str, label: Label) -> Life:
        self.note("start", token, label.job, label.host, label.step, "by", process.owner)
        if token in self.witness.lives:
            self.violate(f"I1 a second start order for {token}")
        rows = self.sql(
            "SELECT attempt.state, run_target.state FROM attempt JOIN run_target ON run_target.id = run_target_id"
            " WHERE attempt.id = ?", _attempt_of(token),
        )  # fmt: skip
        if rows != [("running", "running")]:
            self.violate(f"I6 {token} was started, and its intent is {rows}")
        life = self.witness.lives[token] = Life(token, label, self.time)
        return life

    def witness_repeat(self, process: Process, token: str) -> None:
        self.note("repeated", token, "by", process.owner)
        if not process.was_disowned:
            self.violate(f"I1 a second start order for {token}")

    def witness_adoption(self, owner: str) -> None:
        self.note("adopted", owner)
        if self.by_owner[owner].is_well:
            self.violate(f"I6 the keeper of {owner} was taken away from it, and it lives")

    @property
    def last_work(self) -> float:
        """When a child was started or ended last."""
        lives = self.witness.lives.values()
        return max((life.ended if life.ended < self.time else life.began for life in lives), default=0.0)

    def launched(self, process: Process, run_id: int) -> None:
        self.note("launched", run_id, "by", process.owner)
        self.witness.launched.append((run_id, self.time))

    def look_for_spinning(self) -> None:
        if self.loop.turns > MOST_TURNS:
            self.violate("I14 somebody spins")

    # The end

    def end(self) -> None:
        """Let go of everything. The dead are raised for it, so that their tasks end and none is left pending."""
        self.away_until = float("inf")
        self.nature.heal()
        for process in self.processes:
            process.is_dead = process.is_frozen = False
            self.loop.thaw(process)
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=1000))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self.store.close()


def _attempt_of(token: str) -> int:
    return int(token.removeprefix("att-"))


def micros(seconds: float) -> Micros:
    return round(seconds * 1_000_000)
