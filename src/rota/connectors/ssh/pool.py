"""Connections that are kept and shared: a command costs a channel, not a login.

One pool serves a process. A host has as many connections as its channels need; who waits for room is served by
whatever comes first, a new connection or a channel that ends. A way over a jump host is a channel on a connection
to that host, which the pool keeps like any other.
"""

from __future__ import annotations

import asyncio
import resource
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncssh

from rota.connectors.ssh.connection import Dialer, endpoint
from rota.connectors.ssh.unreached import Unreached
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.ports import Clock

CHANNELS = 8  # on one connection: sshd allows 10 sessions by default (MaxSessions)
TUNNELS = 32  # on one to a jump host: they are no sessions, and all of them share one stream
CONNECTS = 100  # logins under way at once: more of them, and each takes so long that some would time out
CONNECTS_PER_JUMP = 8  # sshd refuses at random from 10 unfinished logins on (MaxStartups)
MOST_JUMPS = 5
_GOODBYE_SECONDS = 2.0

HostLookup = Callable[[str], Awaitable[Host | None]]


class Pool:
    def __init__(
        self, dialer: Dialer, clock: Clock, *, hosts: HostLookup, idle_seconds: float = 60, most_open: int | None = None
    ) -> None:
        """`dialer` makes connections; `hosts` finds the host that a jump names, None where there is none.

        A connection that nobody has used for `idle_seconds` is closed by `tidy`, and earlier where more than
        `most_open` are open (None: half of what this process may open, see ulimit -n).
        """
        self._dialer, self._clock, self._hosts = dialer, clock, hosts
        self._idle_seconds = idle_seconds
        self._most_open = most_open or resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self._trunks: dict[_Way, _Trunk] = {}
        self._connecting = asyncio.Semaphore(CONNECTS)
        self._through: dict[str, asyncio.Semaphore] = {}
        self._dials: set[asyncio.Task[None]] = set()
        self._retired: set[_Line] = set()
        self._open_now = 0  # connections
        self._is_closed = False

    @asynccontextmanager
    async def channel_slot(self, host: Host) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Give a logged-in connection to `host`, with the right to have one channel on it until the context ends.

        Connects where no connection has room; those who wait for the same host share the connects under way.
        Raises Unreached, within the connect timeout of each host on the way (longer only while other hosts' logins
        take all the room there is).

        A kept connection may turn out dead at the first call: opening a channel starts nothing, so ask again. An
        asyncssh.ChannelOpenError that passes through says that the server allows fewer channels than we thought: that
        is remembered, and whoever asks again is given room elsewhere.
        """
        line = await self._take(_Way.to(host, CHANNELS), host, (host.name,))
        try:
            yield line.connection
        except asyncssh.ChannelOpenError:
            line.room = max(1, line.used - 1)
            raise
        finally:
            self._give_back(line)

    def distrust(self, connection: asyncssh.SSHClientConnection) -> None:
        """Give this connection to nobody any more (it does not answer). Who has a channel on it keeps that."""
        for line in self._lines():
            if line.connection is connection:
                self._retire(line)

    async def tidy(self) -> None:
        """Close what was idle too long. Called every few seconds."""
        now = self._clock.monotonic()
        for line in list(self._lines()):
            if line.used == 0 and now - line.idle_since >= self._idle_seconds:
                self._retire(line)
        for way in [way for way, trunk in self._trunks.items() if trunk.is_unused]:
            del self._trunks[way]

    async def close(self) -> None:
        """End every connection and connect under way. Who waits gets Unreached; nothing is opened later."""
        self._is_closed = True
        for trunk in self._trunks.values():
            trunk.fail(_closed(trunk.host))
        for dial in self._dials:
            dial.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        open_now = [line.connection for line in self._lines()]
        for connection in reversed(open_now):  # those over jump hosts were opened after these
            connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                for connection in open_now:
                    await connection.wait_closed()
        for connection in open_now:
            connection.abort()
        self._dialer.close()

    @asynccontextmanager
    async def way_to(self, host: Host) -> AsyncIterator[asyncssh.SSHClientConnection | None]:
        """Give the connection to the jump host that leads to `host`, for one tunnel; None where the way is direct.

        Raises Unreached.
        """
        line = await self._take_tunnel(host, (host.name,)) if host.jump is not None else None
        try:
            yield line.connection if line is not None else None
        finally:
            if line is not None:
                self._give_back(line)

    # Taking and giving back

    async def _take(self, way: _Way, host: Host, before: tuple[str, ...]) -> _Line:
        """Take one channel's room on a connection that goes this way. `before`: who is reached over this host, first
        the one that is meant."""
        if self._is_closed:
            raise _closed(host)
        trunk = self._trunks.get(way)
        if trunk is None:
            trunk = self._trunks[way] = _Trunk(way, host, before)
        line = trunk.with_room()
        if line is not None:
            line.used += 1
            return line
        waiter: asyncio.Future[_Line] = asyncio.get_running_loop().create_future()
        trunk.waiters.append(waiter)
        self._dial_as_needed(trunk)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):  # it may have been passed over already
                    trunk.waiters.remove(waiter)
                trunk.cancel_needless_dials()
            elif waiter.exception() is None:  # it was served in the same instant
                self._give_back(waiter.result())
            raise

    def _give_back(self, line: _Line) -> None:
        line.used -= 1
        line.idle_since = self._clock.monotonic()
        if not line.is_retired:
            line.trunk.serve(line)
        elif line.used == 0:
            line.connection.abort()

    def _retire(self, line: _Line) -> None:
        """Give it to nobody any more; it is closed when the last channel on it has ended."""
        if line.is_retired:
            return
        line.is_retired = True
        line.trunk.lines.remove(line)
        self._retired.add(line)
        if line.used == 0:
            line.connection.close()

    def _ended(self, line: _Line) -> None:
        """The connection is no more: closed by us, by the host, or lost."""
        if line.is_open:
            self._open_now -= 1
        line.is_open, line.has_ended, line.is_retired = False, True, True
        self._retired.discard(line)
        if line in line.trunk.lines:
            line.trunk.lines.remove(line)
            self._dial_as_needed(line.trunk)
        over, line.over = line.over, None
        if over is not None:
            self._give_back(over)

    def _lines(self) -> Iterator[_Line]:
        """All open connections, oldest first."""
        for trunk in self._trunks.values():
            yield from trunk.lines
        yield from self._retired

    # Connecting

    def _dial_as_needed(self, trunk: _Trunk) -> None:
        while not self._is_closed and len(trunk.dials) * trunk.way.channels < len(trunk.waiters):
            dial = asyncio.get_running_loop().create_task(self._dial(trunk))
            trunk.dials.add(dial)
            self._dials.add(dial)
            dial.add_done_callback(self._dials.discard)

    async def _dial(self, trunk: _Trunk) -> None:
        """Open one more connection, for those who wait. Where that fails and nothing else is open, tell them."""
        dial = asyncio.current_task()
        assert dial is not None
        made: _Line | Exception
        try:
            made = await self._open(trunk)
        except Exception as error:
            made = error
        finally:
            trunk.dials.discard(dial)
        if isinstance(made, Exception):
            if not (trunk.dials or trunk.lines) or not isinstance(made, Unreached):
                trunk.fail(made)
        elif made.is_open:
            trunk.lines.append(made)
            trunk.serve(made)
        else:  # it ended in the instant it was made
            trunk.fail(Unreached(Reason.CONNECT_REFUSED, f"{trunk.host.name} closed the connection after the login"))

    async def _open(self, trunk: _Trunk) -> _Line:
        host = trunk.host
        line = _Line(trunk, idle_since=self._clock.monotonic())
        if host.jump is None:
            return await self._log_in(host, line)
        async with self._through.setdefault(host.jump, asyncio.Semaphore(CONNECTS_PER_JUMP)):
            over = await self._take_tunnel(host, trunk.before)
            try:
                await self._log_in(host, line, over.connection)
            except BaseException:
                self._give_back(over)
                raise
            if line.is_open:
                line.over = over
            else:
                self._give_back(over)
            return line

    async def _log_in(self, host: Host, line: _Line, tunnel: asyncssh.SSHClientConnection | None = None) -> _Line:
        async with self._connecting:
            self._make_room()
            line.connection = await self._dialer.dial(host, tunnel=tunnel, lost=lambda: self._ended(line))
            if not line.has_ended:
                line.is_open = True
                self._open_now += 1
            return line

    async def _take_tunnel(self, host: Host, before: tuple[str, ...]) -> _Line:
        """Take room for a tunnel to `host` on a connection to its jump host. Raises Unreached."""
        assert host.jump is not None
        if host.jump in before:
            raise _astray(f"the way leads in a circle: {' over '.join((*before, host.jump))}", host)
        if len(before) > MOST_JUMPS:
            raise _astray(f"the way has more than {MOST_JUMPS} jump hosts: {' over '.join(before)} and on", host)
        jump = await self._hosts(host.jump)
        if jump is None:
            raise _astray(f"{host.name} is reached over {host.jump}, and there is no host of that name", host)
        if jump.connector != "ssh":
            raise _astray(f"{host.name} is reached over {jump.name}, which is not a host over SSH", host)
        try:
            return await self._take(_Way.to(jump, TUNNELS), jump, (*before, jump.name))
        except Unreached as error:
            raise Unreached(error.reason, f"{host.name} is reached over {jump.name}: {error.message}") from error

    def _make_room(self) -> None:
        """Close connections that nobody uses, the longest idle first, until there is room for one more."""
        surplus = self._open_now + 1 - self._most_open
        if surplus > 0:
            idle = sorted((line for line in self._lines() if line.used == 0), key=lambda line: line.idle_since)
            for line in idle[:surplus]:
                self._retire(line)


@dataclass(frozen=True, slots=True)
class _Way:
    """What makes the connections of two hosts one: where they lead, as whom, over whom, and for how many channels."""

    name: str
    address: str
    port: int
    login: tuple[str | None, ...]
    jump: str | None
    channels: int

    @classmethod
    def to(cls, host: Host, channels: int) -> _Way:
        login = (host.user, host.key_file, host.passphrase_file, host.password_file)
        return cls(host.name, *endpoint(host), login, host.jump, channels)


@dataclass(slots=True, eq=False)
class _Line:
    """One connection, from before it is made until after it has ended."""

    trunk: _Trunk
    idle_since: float  # by the clock's monotonic time
    connection: asyncssh.SSHClientConnection = field(init=False)
    room: int = field(init=False)
    used: int = 0
    over: _Line | None = None  # the connection to a jump host that this one is a tunnel through
    is_open: bool = False  # from its login to its end
    has_ended: bool = False
    is_retired: bool = False  # nobody else is given it

    def __post_init__(self) -> None:
        self.room = self.trunk.way.channels


@dataclass(slots=True, eq=False)
class _Trunk:
    """All connections that go one way, and who waits for room on them."""

    way: _Way
    host: Host
    before: tuple[str, ...]
    lines: list[_Line] = field(default_factory=list)
    dials: set[asyncio.Task[None]] = field(default_factory=set)
    waiters: deque[asyncio.Future[_Line]] = field(default_factory=deque)

    @property
    def is_unused(self) -> bool:
        return not (self.lines or self.dials or self.waiters)

    def with_room(self) -> _Line | None:
        """A connection for one more channel; the fullest, so that others fall idle. None while somebody waits."""
        free = [line for line in self.lines if line.used < line.room] if not self.waiters else []
        return max(free, key=lambda line: line.used, default=None)

    def serve(self, line: _Line) -> None:
        """Give the line's room to those who wait, first come first served."""
        while self.waiters and line.used < line.room:
            waiter = self.waiters.popleft()
            if not waiter.done():
                line.used += 1
                waiter.set_result(line)
        self.cancel_needless_dials()

    def fail(self, error: Exception) -> None:
        """Tell all who wait. Each gets an exception of its own: they are raised in different places."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                told = Unreached(error.reason, error.message) if isinstance(error, Unreached) else error
                waiter.set_exception(told)

    def cancel_needless_dials(self) -> None:
        """Where nobody waits any more, nobody need connect."""
        if not self.waiters:
            for dial in self.dials:
                dial.cancel()
            self.dials.clear()  # whoever comes next must not count on them


def _closed(host: Host) -> Unreached:
    return Unreached(Reason.HOST_OFFLINE, f"{host.name} was not connected to: this process is shutting down")


def _astray(happened: str, host: Host) -> Unreached:
    return Unreached(Reason.HOST_OFFLINE, f"{happened}; type: rota hosts update {host.name} --jump HOST")
