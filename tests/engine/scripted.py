"""The second implementation of the Connector port: in memory, and the test decides how every order ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rota.domain.errors import NotFound
from rota.domain.inventory import Host
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import Fate
from rota.domain.step import Command, Exit, Order
from tests.support.clock import ManualClock


@dataclass
class Flight:
    """An order on its way, for the test to look at and to end."""

    token: str
    order: Order | None  # None: it is followed; somebody dead gave the order
    timeout: float | None
    grew: Callable[[int], None]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    result: Exit | None = None
    lost: bool = False
    stubborn: bool = False  # it takes no notice of being cancelled
    output: bytes = b""

    @property
    def command(self) -> str:
        assert isinstance(self.order, Command)
        return self.order.argv[-1]

    @property
    def environment(self) -> Mapping[str, str]:
        assert isinstance(self.order, Command)
        return self.order.env

    def prints(self, data: bytes) -> None:
        self.output += data
        self.grew(len(self.output))

    def ends(self, exit_code: int = 0, **fields: Any) -> None:
        given: dict[str, Any] = {"exit_code": exit_code, "output": self.output, "output_total": len(self.output)}
        self.end_with(Exit(**given | fields))

    def end_with(self, result: Exit) -> None:
        if self.result is None:
            self.result = result
            self.over.set()

    def loses_its_keeper(self) -> None:
        self.lost = True
        self.over.set()


class ScriptedConnector:
    """A `ports.Connector` in memory: orders end when and as the test says, or after their timeout by the clock.

    It outlives the engines of a test, as keepers outlive daemons: `fates` is what it can tell of the dead's attempts.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.flights: dict[str, Flight] = {}
        self.hosts: dict[str, Host] = {}  # by token
        self.known_later: dict[str, str] = {}  # evidence by token
        self.started: list[str] = []  # tokens of start orders, in order
        self.taken_up = asyncio.Event()  # an order was given, or somebody began to follow one
        self.forgotten: list[str] = []
        self.fates: dict[str, Fate] = {}
        self.answer: Callable[[Flight], Exit | None] = lambda flight: None  # ends an order as soon as it comes

    @property
    def live(self) -> list[Flight]:
        return [flight for flight in self.flights.values() if not flight.over.is_set()]

    async def execute(
        self,
        order: Order,
        *,
        host: Host,
        token: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
    ) -> Exit:
        self.hosts[token] = host
        assert token not in self.started, f"a second start order for {token}"
        self.started.append(token)
        return await self._fly(Flight(token, order, timeout_seconds, grew))

    async def follow(
        self,
        order: Order,
        *,
        host: Host,
        token: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
    ) -> Exit:
        known = self.flights.get(token)
        flight = Flight(token, None, known.timeout if known else None, grew)
        if known is not None:
            flight.output, flight.result = known.output, known.result
            if known.over.is_set():
                flight.over.set()
            if flight.output:
                grew(len(flight.output))
        return await self._fly(flight)

    async def _fly(self, flight: Flight) -> Exit:
        self.flights[flight.token] = flight
        self.taken_up.set()
        if (answer := self.answer(flight)) is not None:
            flight.end_with(answer)
        if flight.timeout is None:
            await flight.over.wait()
        elif flight.result is None:
            await self._clock.sleep(flight.timeout, wake=flight.over)
        flight.over.set()
        if flight.lost:
            return Exit(lost=Reason.KEEPER_LOST, failure=EXPLANATIONS[Reason.KEEPER_LOST])
        return flight.result or Exit(signal=15, cause="timeout", output_total=len(flight.output))

    def cancel(self, token: str, *, cause: str) -> None:
        flight = self.flights.get(token)
        if flight is not None and not flight.stubborn:
            flight.end_with(Exit(signal=15, cause=cause))

    async def read(self, token: str, offset: int, limit: int) -> Piece:
        if token not in self.flights:
            raise NotFound(f"no output of {token}")
        return Piece(self.flights[token].output[offset : offset + limit], offset)

    def forget(self, token: str, *, is_ours: bool = True) -> None:
        if is_ours:
            self.forgotten.append(token)

    async def open(self) -> None: ...

    async def evidence(self, host: Host, token: str) -> str | None:
        return self.known_later.get(token)

    def fate(self, token: str, *, owner: str) -> Fate | None:
        return self.fates.get(token)

    async def adopt(self, is_dead: Callable[[str], bool]) -> set[str]:
        return set()

    async def tidy(self, *, settled: bool = True) -> None: ...

    async def close(self, *, leave: bool) -> None:
        for flight in self.live if not leave else ():
            flight.end_with(Exit(signal=9, cause=Reason.SHUTDOWN))


@dataclass(frozen=True)
class Piece:
    data: bytes
    offset: int
