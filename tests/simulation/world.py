"""One simulated world: its loop, store, machines and processes, what it has seen, and what went wrong.

Everything that is drawn comes from the seed. The engine, its storage functions and the store are the real ones.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from contextvars import Context
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, cast

from rota.domain.errors import RotaError, Unavailable
from rota.domain.instant import SECOND, Micros
from rota.ports import Tx
from rota.storage.leases import Terms
from rota.storage.output import OutputStore
from rota.storage.sqlite import SqliteStore
from tests.simulation.clock import Wall, WorldClock
from tests.simulation.heirs import Heirs
from tests.simulation.jobs import Job
from tests.simulation.loop import VirtualLoop
from tests.simulation.machines import Machines
from tests.simulation.nature import Nature
from tests.simulation.process import Process
from tests.simulation.recorder import News, empty_store
from tests.simulation.store import Disk, Signs
from tests.simulation.witness import Label, Life, Witness

MOST_HOMES = 3
SILENT_SECONDS = 25.0  # after which a connection that does not answer is given up (storage/postgres_link.py)
MOST_TURNS, AT_ONCE = 300, 30_000  # callbacks in a second, and besides; more means that something spins


class NoOutput:
    """Nothing is printed in this world."""

    async def append(self, chunks: object) -> None: ...

    async def end_of(self, attempt_id: int) -> int:
        return 0

    async def forget(self, run_ids: object) -> None: ...


class World:
    def __init__(self, seed: int, folder: Path, nature: Nature | None = None) -> None:
        """`nature`: as a test would have it, instead of one that is drawn."""
        self.seed, self.draw = seed, random.Random(seed)
        self.loop = VirtualLoop(random.Random(self.draw.random()))
        self.nature = nature or Nature.drawn(self.draw)
        self.witness, self.machines = Witness(), Machines(self)
        self.processes: list[Process] = []
        self.by_owner: dict[str, Process] = {}
        self.jobs: list[Job] = []
        self.violations: list[str] = []
        self.trace: list[tuple[float, str]] = []
        self.wall = Wall(self.loop)  # of the machine; on a shared store, of the store's own
        skew = self.nature.skew
        self.walls = [Wall(self.loop, micros(self.draw.uniform(-skew, skew))) for _ in range(MOST_HOMES)]
        self.has_set_machines = self.is_astray = False
        self.output = cast(OutputStore, NoOutput())
        self.away_until = 0.0
        self.store_troubles: list[tuple[float, float]] = []  # when it answered nobody, or late
        lease, grace = self.draw.choice([20, 30]), self.draw.choice([30, 40])
        self.terms = Terms("", lease * SECOND, grace * SECOND)  # of a shared store
        self.heirs = Heirs(self)
        self.cap, self.site_cap = 5, cast("int | None", None)  # on runs, and on targets of one site
        self.caps: dict[str, int] = {}  # on targets: all, those of a host, a group or a job
        self.checked_until: Micros | None = None  # instants up to then must have been settled; None: as the store says
        self.closes_at = float("inf")  # when people go home …
        self.is_closed = False  # … which they have done
        self.rests_until: dict[int, float] = {}  # until when nobody starts a daemon in a home
        self.known_faults = self.nature.faults
        self.created: dict[int, float] = {}  # run id -> true time of the commit that made it
        self._last_news = self._changes = 0  # of the store, when somebody last looked
        self._own = Context()  # what the world does belongs to no process
        path = folder / "rota.db"
        path.write_bytes(empty_store())
        disk = Disk(self)
        self.store = SqliteStore(path, clock=WorldClock(self.loop, self.wall.now), executor=disk)
        self.store._writer.driver.execute("PRAGMA synchronous = OFF")  # there is no power that could be cut
        self.signs = Signs(disk)

    # Time and record

    @property
    def time(self) -> float:
        return self.loop.time()

    @property
    def has_set_clocks(self) -> bool:
        """Whether some clock was set, that of the store or of a machine."""
        return bool(self.witness.clock_steps) or self.has_set_machines

    @property
    def traits(self) -> frozenset[str]:
        """Its faults, its jobs, and whether machines share its store."""
        shared = {"shared"} if self.nature.shares_store else set()
        return self.known_faults | {job.name for job in self.jobs} | shared

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
        process = Process(self, owner, kind, home, self.walls[home] if self.nature.shares_store else self.wall)
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
        process.is_over = process.is_swept = True
        process.left = self.time
        self.note("left", process.owner)

    def gave_up(self, process: Process) -> None:
        """It has left as it found that others had taken over its work."""
        if process.is_over or process.is_dead:
            return
        process.is_dead = process.is_swept = True
        self.note("gave up", process.owner)
        if self.sql("SELECT 1 FROM owner WHERE id = ? AND ended_at IS NULL", process.owner):
            self.violate(f"I6 {process.owner} has left, and nobody had given it up")

    def crash(self, process: Process, where: str) -> None:
        """SIGKILL."""
        if process.is_dead:
            return
        process.is_dead, process.died = True, self.time
        self.note("crashed", process.owner, "at", where)
        self.witness.troubles.append((self.time - 1, self.time + 130))

    def freeze(self, process: Process, seconds: float) -> None:
        if process.is_stopped:
            return
        process.is_frozen = True
        self.note("froze", process.owner)
        self.witness.troubles.append((self.time - 1, self.time + seconds + 5))
        process.frozen.append((self.time, self.time + seconds))
        self.later(seconds, self.thaw, process)

    async def nod_off(self, process: Process, before: Literal["commit", "answer"]) -> None:
        """A place in the middle of a write, where a process may be stopped that was about to be."""
        if process.drowsy is not None and process.drowsy[0] == before:
            (_, seconds), process.drowsy = process.drowsy, None
            self.freeze(process, seconds)
            await asyncio.sleep(0)

    def thaw(self, process: Process) -> None:
        if process.is_dead or not process.is_frozen:
            return
        process.is_frozen = False
        self.note("thawed", process.owner)
        began, _ = process.frozen[-1]
        process.frozen[-1] = (began, self.time)
        if self.nature.shares_store and self.time - began >= self.terms.lease / SECOND:
            process.connectors["ssh"].cut()
        self.loop.thaw(process)

    def cut_off(self, process: Process, seconds: float) -> None:
        """It does not reach the store, the others do."""
        process.cut_off_until = self.time + seconds
        process.cut_off.append((self.time, process.cut_off_until))
        self.witness.troubles.append((self.time - 1, process.cut_off_until + 5))
        self.note("cut off", process.owner)

    def send_away(self, seconds: float) -> None:
        """Nobody reaches the store."""
        self.away_until = self.time + seconds
        self.store_troubles.append((self.time, self.away_until))
        self.witness.troubles.append((self.time - 1, self.away_until + 5))
        self.note("store away")

    def dead_of(self, process: Process, owners: Collection[str]) -> Collection[str]:
        """Owners whose lock can be taken, which is known in their home only."""
        found = [self.by_owner[owner] for owner in owners]
        return [each.owner for each in found if each.home == process.home and each.is_gone]

    def dead_in(self, home: int) -> Collection[str]:
        """Owners whose lock files are in that home, and can be taken."""
        return [each.owner for each in self.processes if each.home == home and each.is_gone and not each.is_swept]

    def swept(self, home: int, owners: Collection[str]) -> None:
        for owner in owners:
            self.by_owner[owner].is_swept = True

    def terms_of(self, home: int) -> Terms:
        return self.terms._replace(node=f"node_{home}")

    async def passing(self, process: Process, where: str) -> None:
        """A place where the process may die, and where others come first."""
        if self.nature.crashes_now():
            self.crash(process, where)
            await self.loop.create_future()
        await self.loop.pause(self.nature.latency())

    # The store

    async def reach_store(self, process: Process) -> None:
        """Return when it answers. Raises Unavailable, at once or after the patience of a connection."""
        if process.cut_off_until > self.time and self.nature.hangs:
            await asyncio.sleep(min(SILENT_SECONDS, process.cut_off_until - self.time))
        if max(self.away_until, process.cut_off_until) > self.time:
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

    def committed(self, process: Process | None) -> None:
        """Some process has written; None: the world itself."""
        driver = self.store._writer.driver
        if driver.total_changes == self._changes:
            return
        self._changes = driver.total_changes
        rows = driver.execute(
            "SELECT kind, number, words, id FROM world_news WHERE id > ? ORDER BY id", (self._last_news,)
        ).fetchall()
        if not rows:
            return
        self._last_news = rows[-1][-1]
        for kind, number, words in dict.fromkeys(row[:3] for row in sorted(rows, key=itemgetter(0))):  # each once
            match kind:
                case News.VIOLATED:
                    self.violate(words)
                case News.TAKEN_BACK:
                    self._taken_back(number)
                case News.ADMITTED:
                    self.witness.admitted[number] = self.time
                case News.FINISHED:
                    self.witness.finished.setdefault(number, self.time)
                    self.note("finished", number)
                case News.BORN:
                    self.created[number] = self.time
                case News.DEED:
                    self.heirs.look(process, words, number)

    def _taken_back(self, trigger_id: int) -> None:
        """What was settled while the clock was ahead is not settled any more: the job goes on from now."""
        (job,) = [each for each in self.jobs if each.trigger_id == trigger_id]
        self.note("taken back", job.name)
        last = job.saved[-1]
        job.saved.append(replace(last, at=self.wall.now(), when=self.time, settled=0, is_taken_back=True))

    # What the witness sees

    def holds(self, process: Process, token: str) -> bool:
        """Whether this attempt is still the process's."""
        rows = self.sql(
            "SELECT run_target.id, fence FROM attempt JOIN run_target ON run_target.id = run_target_id"
            " WHERE attempt.id = ? AND owner = ?",
            _attempt_of(token), process.owner,
        )  # fmt: skip
        return any(process.worker.fence_of(target) == fence for target, fence in rows)

    def witness_start(self, process: Process, token: str, label: Label, *, was_frozen: bool) -> Life:
        """`was_frozen`: the order was on its way meanwhile, and nobody can tell how long that was."""
        self.note("start", token, label.job, label.host, label.step, "by", process.owner)
        if token in self.witness.lives:
            self.violate(f"I1 a second start order for {token}")
        rows = self.sql(
            "SELECT attempt.state, run_target.state FROM attempt JOIN run_target ON run_target.id = run_target_id"
            " WHERE attempt.id = ?", _attempt_of(token),
        )  # fmt: skip
        life = self.witness.lives[token] = Life(token, process.owner, label, self.time)
        if rows != [("running", "running")] or not self.holds(process, token):
            life.is_late = was_frozen
            life.forsake(self.time)
            if not life.is_late:
                self.violate(f"I6 {token} was started by {process}, and its intent is {rows}")
        return life

    def witness_repeat(self, process: Process, token: str) -> None:
        self.note("repeated", token, "by", process.owner)
        if not self.nature.shares_store:
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
        if self.loop.turns > MOST_TURNS * self.time + AT_ONCE:  # a long queue that is worked off is no spinning
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
