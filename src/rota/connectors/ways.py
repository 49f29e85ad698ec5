"""The ways to hosts, by the name of the connector. SSH is made ready when the first host asks for it.

Importing an SSH library takes a third of a second and 20 MB, and most processes reach this machine alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from rota.domain.inventory import Host
from rota.instance import Instance
from rota.ports import Clock, Connector, Reach
from rota.settings import SshSettings

if TYPE_CHECKING:
    from rota.connectors.ssh.connector import SshConnector
    from rota.connectors.ssh.reach import SshReach

_OPEN_FILES = 65_536  # for a connection to each of ten thousand hosts, and whatever else is open

HostLookup = Callable[[str], Awaitable[Host | None]]


class Ways(dict[str, Connector]):
    """Connectors by name; one that is not there yet is made when it is asked for. `values` are those that are."""

    def __init__(self, local: Connector, ssh: Ssh) -> None:
        super().__init__(local=local)
        self._ssh = ssh

    def __missing__(self, name: str) -> Connector:
        if name != "ssh":
            raise KeyError(name)
        self[name] = connector = self._ssh.connector
        return connector

    async def get_ready(self) -> None:
        """Where there are hosts to be reached by SSH, import what that takes now, in a thread, and not in a run."""
        if "ssh" not in self and await self._ssh.is_wanted():
            await asyncio.to_thread(import_module, "rota.connectors.ssh.connector")
            self["ssh"]  # made, and so looked after from now on


class Reaches(dict[str, Reach]):
    """What people ask of hosts, by connector; made when it is asked for, as the connector is."""

    def __init__(self, ssh: Ssh, ways: Ways) -> None:
        super().__init__()
        self._ssh, self._ways = ssh, ways

    def __missing__(self, name: str) -> Reach:
        if name != "ssh":
            raise KeyError(name)
        self._ways[name]  # its connections are looked after with the connector's
        self[name] = reach = self._ssh.reach
        return reach

    def get(self, name: str, default: Reach | None = None) -> Reach | None:  # type: ignore[override]  # no other default is asked for
        return self[name] if name == "ssh" else default


class Ssh:
    """All that SSH is made of, around one pool of connections."""

    def __init__(
        self,
        instance: Instance,
        settings: SshSettings,
        clock: Clock,
        *,
        instance_id: str,
        hosts: HostLookup,
        is_wanted: Callable[[], Awaitable[bool]],
        agent: str | None,
        sought: Callable[[str, bool], None],
    ) -> None:
        """`hosts` finds the host that a jump names; `is_wanted` whether any host is reached by SSH. `agent`: the
        socket of an ssh-agent. `sought` is told of an attempt whether its host is looked for."""
        self.is_wanted, self._sought = is_wanted, sought
        self._instance, self._settings, self._clock = instance, settings, clock
        self._instance_id, self._hosts, self._agent = instance_id, hosts, agent

    @cached_property
    def connector(self) -> SshConnector:
        return self._parts[0]

    @cached_property
    def reach(self) -> SshReach:
        return self._parts[1]

    @cached_property
    def _parts(self) -> tuple[SshConnector, SshReach]:
        from pathlib import Path

        import structlog

        from rota.connectors.ssh.connection import Dialer
        from rota.connectors.ssh.connector import SshConnector
        from rota.connectors.ssh.credentials import Credentials
        from rota.connectors.ssh.known_hosts import KnownHosts
        from rota.connectors.ssh.pool import Pool
        from rota.connectors.ssh.reach import SshReach

        log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.ssh")
        _allow_open_files(_OPEN_FILES)
        settings, clock = self._settings, self._clock
        credentials = Credentials(self._instance.keys_dir, agent=self._agent)
        dialer = Dialer(
            credentials=credentials,
            known_hosts=KnownHosts(
                self._instance.known_hosts, [Path(path).expanduser() for path in settings.known_hosts]
            ),
            connect_timeout_seconds=settings.connect_timeout_seconds,
            keepalive_seconds=settings.keepalive_seconds,
        )
        pool = Pool(dialer, clock, hosts=self._hosts, idle_seconds=settings.idle_seconds)
        connector = SshConnector(
            pool,
            credentials,
            clock,
            instance=self._instance_id,
            lost_grace_seconds=settings.lost_grace_seconds,
            kill_grace_seconds=settings.kill_grace_seconds,
            noticed=lambda token, text: log.warning(text, attempt=token),
            sought=self._sought,
        )
        return connector, SshReach(pool, dialer, clock)


def _allow_open_files(wanted: int) -> None:
    """Raise what this process may open as far as the system lets it; the usual 1,024 are 500 hosts."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
