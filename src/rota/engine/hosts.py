"""The hosts that runs froze: how they are reached, and what templates may know of them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from rota.domain.inventory import Host
from rota.domain.step import Json, OsName
from rota.ports import Store, Tx

_OS: dict[str, OsName] = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_HERE = _OS.get(sys.platform)

KEPT = 20_000  # versions; two for each host of a large fleet

_Key = tuple[str, int | None]  # name, id of the version


@dataclass(frozen=True, slots=True)
class Frozen:
    """A host as a run froze it. `facts`: what templates may know of it; how one logs in is none of their business."""

    host: Host
    facts: Mapping[str, Json]


class Hosts:
    """Hosts by the version that a run froze: immutable, so kept once read, up to KEPT of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[_Key, Frozen] = {}
        self._wanted: set[_Key] = set()
        self._reading = asyncio.Lock()

    async def of(self, name: str, version_id: int | None) -> Frozen:
        """The host at that version; this machine where there is none (`@controller`, `local`)."""
        key = name, version_id
        known = self._known.get(key)
        if known is None:
            self._wanted.add(key)
            async with self._reading:  # a fleet's targets come together: whoever is next reads for all who wait
                if key not in self._known:
                    wanted, self._wanted = self._wanted | {key}, set()
                    hosts = await self._store.read(lambda tx: [_host(tx, *each) for each in wanted])
                    if len(self._known) >= KEPT:
                        self._known.clear()
                    self._known |= {
                        each: Frozen(host, _facts_of(host)) for each, host in zip(wanted, hosts, strict=True)
                    }
                return self._known[key]
        return known


def _facts_of(host: Host) -> Mapping[str, Json]:
    return {
        "name": host.name, "address": host.address, "os": host.os, "site": host.site,
        "tags": dict(host.tags), "vars": dict(host.vars),
    }  # fmt: skip


def _host(tx: Tx, name: str, version_id: int | None) -> Host:
    if version_id is None:
        return Host(name=name, os=_HERE)
    row = tx.driver.execute("SELECT spec FROM host_version WHERE id = ?", (version_id,)).fetchone()
    spec = json.loads(row[0]) if row else {}
    if spec.get("connector", "local") == "local" and not spec.get("os"):
        spec["os"] = _HERE
    return Host(name=name, **spec)
