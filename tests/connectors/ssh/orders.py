"""Orders to a real sshd, and what is left of them on its side."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rota.clock import SystemClock
from rota.connectors.ssh.connector import SshConnector
from rota.connectors.ssh.credentials import Credentials
from rota.connectors.ssh.pool import Pool
from rota.domain.inventory import Host
from rota.domain.step import Command, Exit, Order
from tests.support.sshd import Sshd, host_of

PATIENCE = 20.0  # seconds, for what happens at once
_numbers = itertools.count(1)


@dataclass
class Ssh:
    """A connector to one server, and every attempt's output as the pump sees it."""

    connector: SshConnector
    sshd: Sshd
    noticed: list[str] = field(default_factory=list)
    grown: dict[str, int] = field(default_factory=dict)
    _waiters: list[tuple[str, int, asyncio.Event]] = field(default_factory=list)

    @property
    def host(self) -> Host:
        return host_of(self.sshd)

    @property
    def home(self) -> Path:
        """The account's home, which we see too."""
        return self.sshd.server.home

    def marker(self, token: str) -> Path:
        return self.home / ".rota" / f"test-{token}_"

    async def run(
        self, order: Order | str, *, token: str | None = None, timeout: float | None = 60.0, host: Host | None = None
    ) -> Exit:
        """Carry out an order, or a line for /bin/sh."""
        token = token or new_token()
        return await self.connector.execute(
            a_command(order) if isinstance(order, str) else order,
            host=host or self.host, token=token, timeout_seconds=timeout, grew=lambda total: self._grew(token, total),
        )  # fmt: skip

    async def follow(self, order: Order | str, token: str, *, timeout: float | None = 60.0) -> Exit:
        return await self.connector.follow(
            a_command(order) if isinstance(order, str) else order,
            host=self.host, token=token, timeout_seconds=timeout, grew=lambda total: self._grew(token, total),
        )  # fmt: skip

    async def printed(self, token: str, size: int) -> None:
        """Return when the attempt has printed that many bytes."""
        if self.grown.get(token, 0) < size:
            event = asyncio.Event()
            self._waiters.append((token, size, event))
            async with asyncio.timeout(PATIENCE):
                await event.wait()

    def _grew(self, token: str, total: int) -> None:
        self.grown[token] = total
        for waited, size, event in self._waiters:
            if waited == token and total >= size:
                event.set()

    async def output(self, token: str) -> bytes:
        """All that is still kept of an attempt's output."""
        data, offset = b"", 0
        while (piece := await self.connector.read(token, offset, 1 << 20)).data:
            data += piece.data
            offset = piece.offset + len(piece.data)
        return data

    def cut(self) -> None:
        """Kill what serves the connections: they are lost at once, and the commands stay."""
        for pid in self.sshd.server.connections():
            for session in [pid, *children_of(pid)]:
                if name_of(session).startswith("sshd"):
                    os.kill(session, signal.SIGKILL)

    def processes(self, token: str) -> set[int]:
        """The living processes that carry the token of an attempt."""
        mark = f"ROTA_ATTEMPT_TOKEN=test-{token}_".encode()
        return {
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path).split(b"\0")
        }


def new_token() -> str:
    """Never the same twice on this server, which keeps its markers for the whole session."""
    return f"att-{os.getpid()}-{next(_numbers)}"


def a_command(line: str, *, env: Mapping[str, str] | None = None, **fields: object) -> Command:
    return Command(argv=("/bin/sh", "-c", line), env=env or {}, **fields)  # type: ignore[arg-type]


def children_of(pid: int) -> list[int]:
    return [int(word) for word in _read(Path(f"/proc/{pid}/task/{pid}/children")).split()]


def name_of(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/comm")).decode().strip()


def command_line_of(pid: int) -> bytes:
    return _read(Path(f"/proc/{pid}/cmdline"))


async def gone(pid: int) -> None:
    """Return when there is no such process, or only its zombie."""
    async with asyncio.timeout(PATIENCE):
        while (stat := _read(Path(f"/proc/{pid}/stat"))) and stat.rpartition(b")")[2].split()[0] != b"Z":
            await asyncio.sleep(0.02)


async def until_there(path: Path) -> bytes:
    """Return what is in a file once something is."""
    async with asyncio.timeout(PATIENCE):
        while not (path.exists() and path.read_bytes()):
            await asyncio.sleep(0.02)
    return path.read_bytes()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def connect(pool: Pool, credentials: Credentials, sshd: Sshd, *, lost_grace: float = 20, kill_grace: float = 10) -> Ssh:
    noticed: list[str] = []
    connector = SshConnector(
        pool, credentials, SystemClock(), instance="test", lost_grace_seconds=lost_grace,
        kill_grace_seconds=kill_grace, noticed=lambda _token, text: noticed.append(text),
    )  # fmt: skip
    return Ssh(connector, sshd, noticed)


@pytest.fixture
async def ssh(pool: Pool, credentials: Credentials, sshd: Sshd) -> AsyncIterator[Ssh]:
    made = connect(pool, credentials, sshd)
    yield made
    await made.connector.close(leave=True)
