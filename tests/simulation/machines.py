"""The machines of the simulated world: children that outlive daemons, keepers that hold them, hosts that go away.

`Reached` is the connector of one process. What it promises is the port's (`ports.Connector`): a token is started once
for ever, a keeper that dies takes results with it, a host that is away starts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rota.domain.errors import NotFound
from rota.domain.inventory import Host
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import Fate
from rota.domain.step import Exit, Order
from rota.ports import OutputPiece
from tests.simulation.witness import Label, Life

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

LOST = Exit(lost=Reason.KEEPER_LOST, failure=EXPLANATIONS[Reason.KEEPER_LOST])


CUT = Exit(lost=Reason.CONNECTION_LOST, failure=EXPLANATIONS[Reason.CONNECTION_LOST])


@dataclass(eq=False)
class Child:
    """A process on some machine. Its keeper has `result` once it has ended."""

    life: Life
    keeper: Keeper | None  # None: it is on a host, which remembers how it ended
    over: asyncio.Event = field(default_factory=asyncio.Event)
    result: Exit | None = None
    stubborn: bool = False
    killer: asyncio.TimerHandle | None = None


@dataclass(eq=False)
class Keeper:
    """Holds the local children of one owner. `lost`: it is dead; what it had written down remains."""

    owner: str  # who it belongs to now
    home: int
    owners: list[str]  # all it has belonged to
    children: dict[str, Child] = field(default_factory=dict)
    lost: bool = False
    is_adopted: bool = False  # it takes no more orders
    silent_until: float = 0.0
    passed_on: asyncio.Event = field(default_factory=asyncio.Event)  # set when it dies or another owner adopts it


class Machines:
    """All of them. Orders on hosts leave a marker there, which every owner sees."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keepers: list[Keeper] = []
        self.marked: dict[str, Child] = {}  # children on hosts, by token
        self.offline: set[str] = set()

    @property
    def children(self) -> list[Child]:
        return [*self.marked.values(), *(child for keeper in self.keepers for child in keeper.children.values())]

    def start(
        self, process: Process, token: str, order: Order, timeout: float | None, keeper: Keeper | None = None, *,
        sent_at: float,
    ) -> Child:  # fmt: skip
        """A start order has arrived."""
        world, label = self.world, Label.of(order)
        life = world.witness_start(process, token, label, was_frozen=process.was_frozen(sent_at, world.time))
        child = Child(life, keeper)
        seconds, end = world.nature.of(label)
        child.stubborn = world.nature.is_stubborn()
        if timeout is not None and seconds > timeout:
            seconds, end = timeout, Exit(signal=15, cause="timeout")
        self._end_in(child, seconds, end)
        return child

    def kill(self, child: Child, cause: str) -> None:
        """TERM, grace, KILL."""
        if child.result is None:
            self._end_in(child, 10.0 if child.stubborn else 0.1, Exit(signal=15, cause=cause))

    def _end_in(self, child: Child, seconds: float, end: Exit) -> None:
        if child.killer is not None:
            child.killer.cancel()
        child.killer = self.world.later(seconds, self._end, child, end)

    def _end(self, child: Child, end: Exit) -> None:
        child.life.ended = self.world.time
        if child.keeper is None or not child.keeper.lost:
            child.result = end
            child.over.set()
        self.world.note("ended", child.life.token, end.cause or end.exit_code)

    def lose(self, keeper: Keeper, *, with_children: bool) -> None:
        """The keeper is killed. Its children die with it, or live on with nobody to say how they end."""
        keeper.lost = True
        self.world.note("keeper lost", keeper.owner)
        for child in keeper.children.values():
            if child.result is None and with_children and child.killer is not None:
                child.killer.cancel()
                child.life.ended = self.world.time
        keeper.passed_on.set()

    def keeper_of(self, process: Process) -> Keeper:
        """The keeper that takes a process's new orders."""
        for keeper in self.keepers:
            if keeper.owner == process.owner and not keeper.lost and not keeper.is_adopted:
                return keeper
        self.keepers.append(Keeper(process.owner, process.home, [process.owner]))
        return self.keepers[-1]


class Reached:
    """A `ports.Connector` of one process: to its own machine, or to hosts over a network."""

    def __init__(self, world: World, process: Process, name: str) -> None:
        self._world, self._process, self._name = world, process, name
        self._machines = world.machines
        self._cut = asyncio.Event()  # its connections to hosts are broken
        self._withdrawn: dict[str, str] = {}
        self._ours: dict[str, Child] = {}

    async def execute(
        self, order: Order, *, host: Host, token: str, timeout_seconds: float | None, grew: Callable[[int], None]
    ) -> Exit:
        world, sent_at = self._world, self._world.time
        await world.passing(self._process, "order")
        if token in self._withdrawn:
            return self._unstarted(token, Exit(cause=self._withdrawn.pop(token)))
        if self._name == "local":
            keeper = self._machines.keeper_of(self._process)
            child = self._machines.start(self._process, token, order, timeout_seconds, keeper, sent_at=sent_at)
            keeper.children[token] = self._ours[token] = child
            await world.passing(self._process, "was ordered")
            return await self._until_over(child, keeper)
        if not world.holds(self._process, token) and self._process.was_frozen(sent_at, world.time):
            return CUT  # its connections did not outlive its sleep
        if host.name in self._machines.offline:
            return self._unstarted(token, Exit(unreached=Reason.HOST_OFFLINE, failure="no route to host"))
        if token in self._machines.marked:  # the host knows this order: nothing is started
            world.witness_repeat(self._process, token)
        else:
            self._machines.marked[token] = self._machines.start(
                self._process, token, order, timeout_seconds, sent_at=sent_at
            )
        self._ours[token] = self._machines.marked[token]
        await world.passing(self._process, "was ordered")
        return await self._on_host(token, host)

    async def follow(
        self, order: Order, *, host: Host, token: str, timeout_seconds: float | None, grew: Callable[[int], None]
    ) -> Exit:
        if self._name == "local":
            keeper = self._adopted_with(token)
            assert keeper is not None, "followed without having asked for its fate"
            self._ours[token] = keeper.children[token]
            await self._world.passing(self._process, "follow")
            return await self._until_over(keeper.children[token], keeper)
        if token not in self._machines.marked:  # it never got there
            return await self.execute(order, host=host, token=token, timeout_seconds=timeout_seconds, grew=grew)
        return await self._on_host(token, host)

    def cancel(self, token: str, *, cause: str) -> None:
        if (child := self._ours.get(token)) is not None:
            self._machines.kill(child, cause)
        else:
            self._withdrawn[token] = cause

    async def read(self, token: str, offset: int, limit: int) -> OutputPiece:
        raise NotFound(f"{token} prints nothing")

    def forget(self, token: str, *, is_ours: bool = True) -> None:
        self._ours.pop(token, None)
        self._withdrawn.pop(token, None)

    async def open(self) -> None:
        self._machines.keeper_of(self._process)

    async def adopt(self, is_dead: Callable[[str], bool]) -> set[str]:
        silent: set[str] = set()
        if self._name != "local":
            return silent
        await self._world.passing(self._process, "adopt")
        for keeper in self._machines.keepers:
            if keeper.home != self._process.home or keeper.owner == self._process.owner or not is_dead(keeper.owner):
                continue
            if keeper.silent_until > self._world.time:
                silent.update(keeper.owners)
                continue
            self._world.witness_adoption(keeper.owner)
            keeper.owner, keeper.is_adopted = self._process.owner, True
            keeper.owners.append(keeper.owner)
            keeper.passed_on.set()
            if not keeper.lost:
                keeper.passed_on = asyncio.Event()
        return silent

    def fate(self, token: str, *, owner: str) -> Fate | None:
        if self._name != "local":
            return Fate.LIVE
        keeper = self._adopted_with(token)
        if keeper is None:
            return self._unknown_here(token, owner)
        child = keeper.children[token]
        if child.result is not None:
            return Fate.ENDED
        if not keeper.lost:
            return Fate.LIVE
        child.life.forsake(self._world.time)
        return Fate.GONE if child.life.ended <= self._world.time else Fate.STILL_RUNNING

    def _unknown_here(self, token: str, owner: str) -> Fate | None:
        """What can be said of an attempt that no adopted keeper knows, by whether the dead one worked here."""
        dead = self._world.by_owner[owner]
        if dead.home == self._process.home and not dead.is_swept:
            return Fate.NEVER_STARTED
        for keeper in self._machines.keepers:
            if token in keeper.children:
                keeper.children[token].life.forsake(self._world.time)
        return None

    async def evidence(self, host: Host, token: str) -> str | None:
        await self._world.passing(self._process, "evidence")
        if host.name in self._machines.offline or token not in self._machines.marked:
            return None
        result = self._machines.marked[token].result
        return None if result is None else f"the host says: {result.exit_code}"

    async def tidy(self, *, settled: bool = True) -> None:
        """Keepers are let go of when the world ends."""

    async def close(self, *, leave: bool) -> None:
        for child in self._ours.values() if not leave else ():
            self._machines.kill(child, Reason.SHUTDOWN)

    @property
    def _adopted(self) -> list[Keeper]:
        ours = self._process.owner
        return [keeper for keeper in self._machines.keepers if keeper.is_adopted and keeper.owner == ours]

    def _adopted_with(self, token: str) -> Keeper | None:
        return next((keeper for keeper in self._adopted if token in keeper.children), None)

    async def _until_over(self, child: Child, keeper: Keeper) -> Exit:
        """The end of a local child, or that of its keeper."""
        passed_on = keeper.passed_on
        if not child.over.is_set() and not passed_on.is_set():
            await _first_of(child.over, passed_on)
        if passed_on.is_set() and not keeper.lost:  # somebody else has adopted it: what we say has no weight
            return LOST
        if child.result is None:
            child.life.forsake(self._world.time)
            return self._told(child, LOST)
        return self._told(child, child.result)

    async def _on_host(self, token: str, host: Host) -> Exit:
        """The end of a child on a host. The connection may be lost meanwhile: then nobody can say."""
        child = self._ours[token] = self._machines.marked[token]
        lost_after = self._world.nature.connection_lost_after()
        try:
            async with asyncio.timeout(lost_after):
                await _first_of(child.over, self._cut)
        except TimeoutError:
            child.life.forsake(self._world.time)
            return self._told(child, CUT)
        if child.result is None and not self._world.holds(self._process, token):  # what we say has no weight
            return CUT
        if child.result is None:
            child.life.forsake(self._world.time)
            return self._told(child, CUT)
        return self._told(child, child.result)

    def cut(self) -> None:
        """It slept too long: its connections are gone. New ones can be made."""
        self._cut.set()
        self._cut = asyncio.Event()

    def _told(self, child: Child, end: Exit) -> Exit:
        child.life.told.append(end)
        return replace(end)

    def _unstarted(self, token: str, end: Exit) -> Exit:
        self._world.witness.unstarted.setdefault(token, []).append(end)
        return end


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
