"""What people ask of hosts over SSH outside any run: are you there, what is your key. See `ports.Reach`."""

from __future__ import annotations

import asyncio
import re

import asyncssh

from rota.connectors.ssh.connection import Dialer, endpoint
from rota.connectors.ssh.known_hosts import host_key
from rota.connectors.ssh.pool import Pool
from rota.connectors.ssh.unreached import Unreached
from rota.domain.errors import Unavailable
from rota.domain.inventory import Host
from rota.domain.reasons import Reason
from rota.ports import Clock, HostKey, KeyCheck, Ping

_ANSWER_SECONDS = 10.0
_ANSWER_BYTES = 256  # of what `uname -s` says; the rest is not ours to store
_SYSTEM = re.compile(r"[A-Za-z0-9._/-]{1,40}")


class SshReach:
    def __init__(self, pool: Pool, dialer: Dialer, clock: Clock) -> None:
        """`pool` makes its connections with the same `dialer`."""
        self._pool, self._dialer, self._clock = pool, dialer, clock

    async def ping(self, host: Host) -> Ping:
        began = self._clock.monotonic()
        reason, message, system = await self._asked(host)
        return Ping(reason=reason, message=message, seconds=self._clock.monotonic() - began, system=system)

    async def key_of(self, host: Host) -> KeyCheck:
        try:
            async with self._pool.way_to(host) as tunnel:
                shown = await self._dialer.show_key(host, tunnel=tunnel)
                known = self._dialer.known_hosts.of(*endpoint(host))
                verdict = known.verdict(shown)
                if (
                    verdict == "unknown"
                    and known.authorities
                    and await self._dialer.has_certificate(host, tunnel=tunnel)
                ):
                    verdict = "known"
        except Unreached as error:
            raise Unavailable(error.message) from error
        return KeyCheck(
            shown=host_key(shown),
            verdict="changed" if verdict == "revoked" else verdict,
            before=tuple(map(host_key, known.keys)) if verdict in ("changed", "revoked") else (),
        )

    async def trust(self, host: Host, key: HostKey) -> None:
        await self._dialer.known_hosts.trust(*endpoint(host), key.line)

    async def _asked(self, host: Host) -> tuple[Reason | None, str, str | None]:
        for is_last in (False, True):
            try:
                async with self._pool.channel_slot(host) as connection:
                    try:
                        async with asyncio.timeout(_ANSWER_SECONDS):
                            system = await _uname(connection)
                    except (TimeoutError, OSError, asyncssh.Error) as error:
                        self._pool.distrust(connection)  # one that was kept may have died since: once more
                        if is_last:
                            return _unanswered(host, error)
                        continue
            except Unreached as error:
                return error.reason, error.message, None
            return None, f"{host.name} answers", system
        raise AssertionError("unreachable")


async def _uname(connection: asyncssh.SSHClientConnection) -> str | None:
    """What `uname -s` says in one plain word; None where the host has no such command."""
    async with connection.create_process("uname -s", stdin=asyncssh.DEVNULL, encoding=None) as process:
        said = await process.stdout.read(_ANSWER_BYTES)
        process.close()
    word = said.decode(errors="replace").strip()
    return word if _SYSTEM.fullmatch(word) else None


def _unanswered(host: Host, error: Exception) -> tuple[Reason, str, None]:
    if isinstance(error, TimeoutError):
        message = f"{host.name} let us in, but did not run a command within {_ANSWER_SECONDS:g} s"
        return Reason.CONNECT_TIMEOUT, message, None
    return Reason.CONNECT_REFUSED, f"{host.name} let us in, but would not run a command", None
