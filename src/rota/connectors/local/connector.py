"""The local connector: orders become children of this owner's keeper, and ends of children become exits.

One keeper takes new orders. Keepers that dead owners left are adopted beside it until all they held is settled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rota.connectors.local.fileops import command_for
from rota.domain.errors import NotFound, RotaError, Unavailable
from rota.domain.inventory import Host
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import Fate
from rota.domain.step import Command, Exit, FileOp, Order
from rota.failpoints import reach
from rota.keeper.client import Keeper
from rota.keeper.orders import Ended, Event, OutputGrew, OutputSlice, RunAs, StartFailed, StartOrder
from rota.keeper.remains import Remains

OWNER_FILE = "owner"  # in a keeper's folder: whose it has been, one a line; the last has it now
GRACE_SECONDS = 10.0
READ_BYTES = 65_536  # of the output, what an action may look at
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")  # nothing else of the daemon's environment reaches a child
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class _Flight:
    """An attempt on its way. `end` becomes its Ended or StartFailed; if its keeper died with it GONE, or NEVER_STARTED
    where the journal proves that."""

    end: asyncio.Future[Ended | StartFailed | Fate]
    grew: Callable[[int], None]
    keeper: Keeper | Remains | None = None  # None: the order has not left yet
    withdrawn: str | None = None


class Marks(Protocol):
    """What an owner leaves in a place of its own, apart from the keepers' folders: the names of those it holds."""

    def hold(self, keeper: str) -> None:
        """Write down durably, before it gets an order, that this owner has this keeper now. Raises OSError."""

    def let_go(self, keeper: str) -> None:
        """All is settled that this keeper could be asked about, and its folder is about to be removed."""

    def held_by(self, owner: str) -> Collection[str] | None:
        """The keepers that an owner held when it died. None: nothing is known of it here."""


class LocalConnector:
    def __init__(self, root: Path, owner: str, marks: Marks) -> None:
        """`root` is the instance's keeper folder. `owner` is who this process is, for those who come after it."""
        self._root, self._owner, self._marks = root, owner, marks
        self._keeper: Keeper | None = None
        self._starting = asyncio.Lock()
        self._letting_go = asyncio.Lock()  # a keeper is stopped by one at a time
        self._closing = False
        self._generation = 0
        self._flights: dict[str, _Flight] = {}
        self._orders: list[StartOrder] = []
        self._acks: dict[Keeper, list[str]] = {}
        self._adopted: dict[Keeper | Remains, frozenset[str]] = {}  # whose each has been before
        self._early: dict[str, Ended | StartFailed] = {}  # results of adopted attempts nobody has asked for yet
        self._watchers: set[asyncio.Task[None]] = set()
        self._account = _own_account()
        self._inherited = {"PATH": _PATH} | {name: os.environ[name] for name in _INHERITED if name in os.environ}

    # Carrying out

    async def open(self) -> None:
        """Start the keeper now rather than at the first order. Raises Unavailable."""
        async with self._starting:
            if self._keeper is None or self._keeper.lost.is_set():
                self._generation += 1
                folder = self._root / f"{self._owner}-{self._generation}"
                keeper = await Keeper.start(folder, on_events=self._take)
                self._sign(folder)
                self._keeper = keeper
                self._watch(keeper)

    async def execute(
        self,
        order: Order,
        *,
        host: Host,  # there is one machine here
        token: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
    ) -> Exit:
        """Carry `order` out and say how it ended. `token` names the attempt for ever: a second order with it does
        nothing."""
        command = command_for(order) if isinstance(order, FileOp) else order
        flight = self._flights[token] = _Flight(asyncio.get_running_loop().create_future(), grew)
        while True:
            try:
                start = await self._start_order(command, token, timeout_seconds)
                if self._keeper is None or self._keeper.lost.is_set():
                    await self.open()
            except RotaError as error:
                return Exit(failure=str(error))
            if flight.withdrawn is not None:
                return Exit(cause=flight.withdrawn)
            flight.keeper = self._keeper
            if not self._orders:
                asyncio.get_running_loop().call_soon(self._send)
            self._orders.append(start)
            end = await flight.end
            if end is not Fate.NEVER_STARTED:
                return await self._exit_of(token, flight, end)
            flight.keeper, flight.end = None, asyncio.get_running_loop().create_future()

    async def follow(
        self,
        order: Order,  # the keeper has it
        *,
        host: Host,
        token: str,
        timeout_seconds: float | None,  # the keeper counts, unless it dies before the start
        grew: Callable[[int], None],
    ) -> Exit:
        """Wait for the end of an attempt that a dead owner started, from the keeper that `fate` found."""
        flight = self._flights[token]
        flight.grew = grew
        end = await flight.end
        if end is Fate.NEVER_STARTED:
            return await self.execute(order, host=host, token=token, timeout_seconds=timeout_seconds, grew=grew)
        return await self._exit_of(token, flight, end)

    def cancel(self, token: str, *, cause: str, grace: float = GRACE_SECONDS) -> None:
        """End the whole process tree of that attempt; `execute` then returns with this `cause`."""
        flight = self._flights.get(token)
        if flight is not None and flight.keeper is None:
            flight.withdrawn = cause  # it has not left yet, and will not
        elif flight is not None and isinstance(flight.keeper, Keeper):
            if self._orders:
                self._send()  # an order that is still here must arrive before its end is asked for
            flight.keeper.kill(token, cause=cause, grace_seconds=grace)

    async def read(self, token: str, offset: int, limit: int) -> OutputSlice:
        """Output so far. Raises NotFound or Unavailable when there is none to be had."""
        flight = self._flights.get(token)
        if flight is None or flight.keeper is None:
            raise NotFound(f"no output of attempt {token}")
        return await flight.keeper.read(token, offset, limit)

    def forget(self, token: str, *, is_ours: bool = True) -> None:
        """The attempt's end and output are durable elsewhere: its keeper need not keep them. Nor where it is not
        `is_ours`: no other machine can follow it."""
        flight = self._flights.pop(token, None)
        if flight is None or not isinstance(flight.keeper, Keeper):
            return
        if not self._acks:
            asyncio.get_running_loop().call_soon(self._acknowledge)
        self._acks.setdefault(flight.keeper, []).append(token)

    # After the dead

    async def adopt(self, is_dead: Callable[[str], bool]) -> set[str]:
        """Connect to the keepers of dead owners, or read what dead keepers left.

        Returns the owners of keepers that live and do not answer: of theirs, nothing can be said yet. Also those they
        had before: whoever adopted one may have died before it had taken over what the keeper held.
        """
        silent: set[str] = set()
        for folder in sorted(self._root.iterdir()) if self._root.is_dir() else ():
            if any(keeper.directory == folder for keeper in self._all()):
                continue
            if folder.name.startswith("."):  # being made, so that no keeper was begun there; or being removed
                if is_dead(folder.name[1:].rpartition("-")[0]):
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            owners = _owners_of(folder)
            if owners[-1] == self._owner or not is_dead(owners[-1]):
                continue
            try:
                found = await Keeper.adopt(folder, on_events=self._take)
                self._sign(folder)
            except Unavailable:
                silent.update(owners)
                continue
            self._adopted[found] = frozenset(owners)
            if isinstance(found, Keeper):
                self._watch(found)
            else:
                self._early.update({end.id: end for end in found.results})
        return silent

    def fate(self, token: str, *, owner: str) -> Fate | None:
        """What became of an attempt of a dead owner, by the word of the keepers that it had. None: nobody can tell.

        One that runs or has a result is held from now on, until `forget`: its keeper is not let go before. An owner
        that had no keeper started nothing: each has its folder before it has its process (`keeper.generation.spawn`).
        Where the folder of one that it did have is gone, what that ran may still run.
        """
        flight = self._flights.get(token)
        if flight is not None and flight.keeper in self._adopted:  # asked again
            return Fate.ENDED if flight.end.done() else Fate.LIVE
        fates = {keeper.fate(token): keeper for keeper, owners in self._adopted.items() if owner in owners}
        for known in (Fate.ENDED, Fate.LIVE):
            if (keeper := fates.get(known)) is not None:
                flight = _Flight(asyncio.get_running_loop().create_future(), _nobody_listens, keeper)
                if (early := self._early.pop(token, None)) is not None:
                    flight.end.set_result(early)
                self._flights[token] = flight
                return known
        for known in (Fate.STILL_RUNNING, Fate.GONE):
            if known in fates:
                return known
        held = self._marks.held_by(owner)
        if held is None:
            return Fate.NEVER_STARTED if fates else None
        there = {keeper.directory.name for keeper, owners in self._adopted.items() if owner in owners}
        return Fate.NEVER_STARTED if there.issuperset(held) else Fate.GONE

    async def evidence(self, host: Host, token: str) -> str | None:
        """What keepers left was read when it was adopted: there is nothing more to learn."""
        return None

    async def tidy(self, *, settled: bool = True) -> None:
        """Let go of adopted keepers that hold nothing more, and remove what they left on disk."""
        for keeper in list(self._adopted) if settled else ():
            async with self._letting_go:
                if not self._closing and keeper in self._adopted and not self._is_needed(keeper):
                    del self._adopted[keeper]
                    await self._let_go(keeper)
        if not self._adopted:
            self._early.clear()

    def _is_needed(self, keeper: Keeper | Remains) -> bool:
        return any(flight.keeper is keeper for flight in self._flights.values())

    async def _let_go(self, keeper: Keeper | Remains) -> None:
        if isinstance(keeper, Keeper):
            keeper.ack(self._early)  # results whose verdicts had been committed already: nobody asked for them
            await keeper.stop(grace_seconds=0)
        await self._remove(keeper.directory)

    async def close(self, *, leave: bool) -> None:
        """Let go of all keepers. `leave`: children live on for the next owner; else whatever still runs is ended."""
        self._closing = True
        for task in self._watchers:
            task.cancel()
        async with self._letting_go:
            for keeper in self._all():
                if leave:
                    if isinstance(keeper, Keeper):
                        await keeper.detach()
                    continue
                if isinstance(keeper, Keeper) and not keeper.lost.is_set():
                    await keeper.stop(grace_seconds=1.0)
                if not self._is_needed(keeper):
                    await self._remove(keeper.directory)

    # Inside

    def _sign(self, folder: Path) -> None:
        """Say in the keeper's folder whose it is, and in our own place that we have it. Raises Unavailable."""
        try:
            with (folder / OWNER_FILE).open("a") as file:
                file.write(f"{self._owner}\n")
            self._marks.hold(folder.name)
        except OSError as error:
            raise Unavailable(
                f"nobody can be told whose the keeper in {folder} is: {error.strerror}",
                hint="is the disk full, or the folder gone? it is tried again",
            ) from error

    async def _remove(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            self._marks.let_go(folder.name)
        await asyncio.to_thread(_remove, folder)

    def _all(self) -> Iterable[Keeper | Remains]:
        return [*self._adopted, *([self._keeper] if self._keeper is not None else [])]

    async def _start_order(self, command: Command, token: str, timeout_seconds: float | None) -> StartOrder:
        # A name service may take its time, so that is looked up in a thread; without `run_as` nothing is.
        run_as = await asyncio.to_thread(RunAs.resolve, command.run_as) if command.run_as else None
        account = run_as.environment() if run_as else self._account
        return StartOrder(
            id=token,
            argv=command.argv,
            env={**self._inherited, **account, **command.env},
            cwd=command.cwd or account["HOME"],
            run_as=run_as,
            stdin=command.stdin,
            timeout_seconds=timeout_seconds,
            grace_seconds=GRACE_SECONDS,
        )

    def _send(self) -> None:
        orders, self._orders = self._orders, []
        by_keeper: dict[Keeper, list[StartOrder]] = {}
        for order in orders:
            flight = self._flights.get(order.id)
            if flight is not None and isinstance(flight.keeper, Keeper):
                by_keeper.setdefault(flight.keeper, []).append(order)
        for keeper, batch in by_keeper.items():
            reach("order.ready")
            keeper.order(batch)
            reach("order.sent")

    def _acknowledge(self) -> None:
        acks, self._acks = self._acks, {}
        for keeper, tokens in acks.items():
            if not keeper.lost.is_set():
                keeper.ack(tokens)
                reach("ack.sent")

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            flight = self._flights.get(event.id)
            if isinstance(event, OutputGrew):
                if flight is not None:
                    flight.grew(event.total)
            elif isinstance(event, Ended | StartFailed):
                if flight is None:
                    self._early[event.id] = event
                elif not flight.end.done():
                    flight.end.set_result(event)

    async def _exit_of(self, token: str, flight: _Flight, end: Ended | StartFailed | Fate) -> Exit:
        if isinstance(end, Fate):
            return Exit(lost=Reason.KEEPER_LOST, failure=EXPLANATIONS[Reason.KEEPER_LOST])
        if isinstance(end, StartFailed):
            return Exit(cause="taken_back" if end.stage == "cancelled" else None, failure=end.message)
        output = b""
        if end.output_total:
            flight.grew(end.output_total)
            output = await self._tail(token, end.output_total)
        return Exit(
            exit_code=end.exit_code, signal=end.signal, cause=end.cause, output=output,
            output_total=end.output_total, left_running=len(end.left_running),
        )  # fmt: skip

    async def _tail(self, token: str, total: int) -> bytes:
        offset, pieces = max(0, total - READ_BYTES), []
        try:
            while offset < total:
                piece = await self.read(token, offset, READ_BYTES)
                if not piece.data:
                    break
                pieces.append(piece.data)
                offset = piece.offset + len(piece.data)
        except (NotFound, Unavailable):
            pass  # the end is known all the same; the output is what is lost
        return b"".join(pieces)

    def _watch(self, keeper: Keeper) -> None:
        task = asyncio.get_running_loop().create_task(self._until_lost(keeper))
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _until_lost(self, keeper: Keeper) -> None:
        """When a keeper dies, what it wrote down still counts; everything else it held is lost."""
        await keeper.lost.wait()
        owners = self._adopted.pop(keeper, frozenset({self._owner}))
        results: dict[str, Ended] = {}
        remains: Remains | None = None
        if not keeper.superseded:
            with contextlib.suppress(Unavailable):
                found = await Keeper.adopt(keeper.directory, on_events=self._take)
                if isinstance(found, Remains):
                    remains = found
                    self._adopted[remains] = owners
                    results = {end.id: end for end in remains.results}
        for token, flight in self._flights.items():
            if flight.keeper is keeper and not flight.end.done():
                flight.keeper = remains
                was_started = remains is None or remains.fate(token) is not Fate.NEVER_STARTED
                flight.end.set_result(results.get(token) or (Fate.GONE if was_started else Fate.NEVER_STARTED))


def _owners_of(folder: Path) -> list[str]:
    """Whose a keeper has been, never empty."""
    try:
        owners = (folder / OWNER_FILE).read_text().split()
    except OSError:
        owners = []
    return owners or [folder.name.rpartition("-")[0]]  # its first owner died before it could sign


def _remove(folder: Path) -> None:
    """Under another name first: whoever dies in between leaves no half a journal, which would speak of what it knew."""
    gone = folder.with_name(f".{folder.name}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _nobody_listens(_total: int) -> None:
    """For output that grows before anybody follows it; `follow` reads it from the start."""


def _own_account() -> dict[str, str]:
    import pwd

    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:  # an account known only by number, as in some containers
        return {"HOME": "/", "USER": str(os.getuid()), "LOGNAME": str(os.getuid()), "SHELL": "/bin/sh"}
    return {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "SHELL": user.pw_shell or "/bin/sh"}
