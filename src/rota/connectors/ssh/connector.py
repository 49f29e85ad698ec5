"""Hosts over SSH, as `ports.Connector`: attempts by token, markers that have served, what hosts know of old ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rota.connectors.ssh import marker
from rota.connectors.ssh.answers import Wrong, failed
from rota.connectors.ssh.attempt import Attempt
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.files import FileAttempt
from rota.connectors.ssh.means import Means, NoAnswer, Noticed, Sought
from rota.connectors.ssh.output import Piece
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.posix_files import command_for
from rota.connectors.ssh.sudo import as_asked
from rota.connectors.ssh.unreached import Unreached
from rota.domain.errors import NotFound
from rota.domain.inventory import Host
from rota.domain.states import Fate
from rota.domain.step import Exit, FileOp, Order
from rota.ports import Clock

ANSWER_SECONDS: Final = 15.0
CLEAN_AFTER_SECONDS: Final = 20.0  # markers go together, once nothing was forgotten on a host for so long, …
MOST_SPENT: Final = 100  # … or so many wait
_CLEANERS: Final = 10  # hosts at a time
_LAST_CLEANING_SECONDS: Final = 3.0
_LET_GO_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Spent:
    """Markers on one host that nobody needs any more."""

    host: Host
    since: float
    marks: list[str] = field(default_factory=list)


class SshConnector:
    def __init__(
        self,
        pool: Pool,
        credentials: Credentials,
        clock: Clock,
        *,
        instance: str,
        lost_grace_seconds: float = 120,
        kill_grace_seconds: float = 10,
        noticed: Noticed | None = None,
        sought: Sought | None = None,
    ) -> None:
        """`instance` makes the engine's tokens unique among all that give orders to a host. `noticed` is told what
        people should know of an attempt while it goes on, `sought` whether its host is looked for. The pool is closed
        with the connector."""
        self._pool, self._clock, self._instance = pool, clock, instance
        self._means = Means(
            pool=pool, credentials=credentials, clock=clock, lost_grace_seconds=lost_grace_seconds,
            kill_grace_seconds=kill_grace_seconds, noticed=noticed or _nobody_listens, sought=sought or _nobody_listens,
        )  # fmt: skip
        self._attempts: dict[str, Attempt | FileAttempt] = {}
        self._hosts: dict[str, Host] = {}  # of attempts that left a marker, by token
        self._no_sftp: set[str] = set()  # names of hosts that serve none
        self._spent: dict[tuple[str, str | None], _Spent] = {}
        self._cleaning = asyncio.Semaphore(_CLEANERS)
        self._cleaners: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._under_way = 0

    async def execute(
        self, order: Order, *, host: Host, token: str, timeout_seconds: float | None, grew: Callable[[int], None]
    ) -> Exit:
        """See `ports.Connector`. A file step goes by SFTP where it can, else as a command."""
        return await self._run(order, host, token, timeout_seconds, grew, follow=False)

    async def follow(
        self, order: Order, *, host: Host, token: str, timeout_seconds: float | None, grew: Callable[[int], None]
    ) -> Exit:
        """Ask the host what became of it, for as long as it runs. A file step is carried out again: it looks first."""
        return await self._run(order, host, token, timeout_seconds, grew, follow=True)

    def cancel(self, token: str, *, cause: str, grace: float | None = None) -> None:
        """See `ports.Connector`. `grace` in seconds; None = that of the settings."""
        if (attempt := self._attempts.get(token)) is not None:
            attempt.cancel(cause, grace=grace)

    async def read(self, token: str, offset: int, limit: int) -> Piece:
        """See `ports.Connector`. Whoever reads from an offset has what lies before it: that need not be kept."""
        attempt = self._attempts.get(token)
        if attempt is None:
            raise NotFound(f"no output of attempt {token}")
        return attempt.output.read(offset, limit)

    def forget(self, token: str, *, is_ours: bool = True) -> None:
        """See `ports.Connector`. The marker on the host goes with others, at the next occasion."""
        self._attempts.pop(token, None)
        host = self._hosts.pop(token, None)
        if host is None or not is_ours:
            return
        key = (host.name, host.user)
        spent = self._spent.setdefault(key, _Spent(host, 0.0))
        spent.host, spent.since = host, self._clock.monotonic()
        spent.marks.append(self._mark(token))

    async def open(self) -> None:
        """Nothing to make ready: connections are made when they are needed."""

    async def adopt(self, is_dead: Callable[[str], bool]) -> set[str]:
        """See `ports.Connector`. Nothing of it lies on this machine."""
        return set()

    def fate(self, token: str, *, owner: str) -> Fate | None:
        """See `ports.Connector`. Only the host can tell, and `follow` asks it."""
        return Fate.LIVE

    async def evidence(self, host: Host, token: str) -> str | None:
        """What the host knows of an attempt that ended `unknown`, in words; None while it cannot be asked, or while the
        command still runs there: the first answer stands, and how it ends is worth more."""
        try:
            said = await self._means.ask(marker.look_command(self._mark(token)), host, seconds=ANSWER_SECONDS)
        except (Unreached, NoAnswer):
            return None
        found = marker.found(said)
        return None if found is None or found.trace is marker.Trace.RUNNING else found.evidence

    async def tidy(self, *, settled: bool = True) -> None:
        """Close idle connections; have markers removed that have served."""
        now = self._clock.monotonic()
        for key, spent in list(self._spent.items()):
            if now - spent.since >= CLEAN_AFTER_SECONDS or len(spent.marks) >= MOST_SPENT:
                del self._spent[key]
                self._clean_soon(spent)
        await self._pool.tidy()

    async def close(self, *, leave: bool) -> None:
        """See `ports.Connector`. `leave`: commands go on as long as they can without a connection; the next owner
        asks the hosts."""
        for attempt in self._attempts.values():
            if leave:
                attempt.leave()
            else:
                attempt.cancel("shutdown", grace=1.0)
        if not leave:
            await self._until_idle(_LET_GO_SECONDS)
        for spent in self._spent.values():
            self._clean_soon(spent)
        self._spent.clear()
        if self._cleaners:
            await asyncio.wait(self._cleaners, timeout=_LAST_CLEANING_SECONDS)
            for cleaner in self._cleaners:
                cleaner.cancel()
        await self._pool.close()

    # Inside

    async def _run(
        self,
        order: Order,
        host: Host,
        token: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
        *,
        follow: bool,
    ) -> Exit:
        try:
            attempt = self._attempt(order, host, token, timeout_seconds, grew)
        except Wrong as error:
            return failed(str(error))
        self._attempts[token], self._hosts[token] = attempt, host
        self._under_way += 1
        try:
            exit_ = await (attempt.take_up() if follow else attempt.carry_out())
            if exit_.lost is not None:
                self._hosts.pop(token, None)  # its marker stays: it may yet tell how it ended (`evidence`)
            return exit_
        finally:
            self._under_way -= 1
            self._idle.set()

    def _attempt(
        self, order: Order, host: Host, token: str, timeout_seconds: float | None, grew: Callable[[int], None]
    ) -> Attempt | FileAttempt:
        """Raises Wrong for a file step that no host could carry out."""
        is_file = isinstance(order, FileOp)
        command = command_for(order) if isinstance(order, FileOp) else as_asked(order)
        attempt = Attempt(
            command, host=host, token=token, mark=self._mark(token), timeout_seconds=timeout_seconds,
            grew=grew, means=self._means, needs_output=is_file,
        )  # fmt: skip
        if isinstance(order, FileOp):
            return FileAttempt(order, host, timeout_seconds, means=self._means, else_=attempt, denied=self._no_sftp)
        return attempt

    def _mark(self, token: str) -> str:
        """The token as hosts know it. Its last letter keeps `att-1` from being found in `att-12`."""
        return f"{self._instance}-{token}_"

    async def _until_idle(self, seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        while self._under_way and (left := deadline - self._clock.monotonic()) > 0:
            await self._clock.sleep(left, wake=self._idle)

    def _clean_soon(self, spent: _Spent) -> None:
        cleaner = asyncio.get_running_loop().create_task(self._clean(spent))
        self._cleaners.add(cleaner)
        cleaner.add_done_callback(self._cleaners.discard)

    async def _clean(self, spent: _Spent) -> None:
        """Where the host cannot be asked now they stay; whoever comes there in a week takes them along."""
        async with self._cleaning:
            try:
                await self._means.ask(marker.clean_command(spent.marks), spent.host, seconds=ANSWER_SECONDS)
            except (Unreached, NoAnswer):
                return


def _nobody_listens(_token: str, _what: object) -> None:
    """For a connector that nobody asked to tell."""
