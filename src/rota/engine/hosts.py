"""The hosts that runs froze: how they are reached, and what templates may know of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from rota.domain.inventory import Host
from rota.domain.step import Json, OsName
from rota.ports import Store, Tx

_OS: dict[str, OsName] = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_HERE = _OS.get(sys.platform)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A host as a run froze it. `facts`: what templates may know of it; how one logs in is none of their business."""

    host: Host
    facts: Mapping[str, Json]


class Hosts:
    """Hosts by the version that a run froze: immutable, so kept once read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, int | None], Frozen] = {}

    async def of(self, name: str, version_id: int | None) -> Frozen:
        """The host at that version; this machine where there is none (`@controller`, `local`)."""
        known = self._known.get((name, version_id))
        if known is None:
            host = Host(name=name, os=_HERE)
            if version_id is not None:
                host = await self._store.read(lambda tx: _host(tx, name, version_id))
            known = self._known[name, version_id] = Frozen(host, _facts_of(host))
        return known


def _facts_of(host: Host) -> Mapping[str, Json]:
    return {
        "name": host.name, "address": host.address, "os": host.os, "site": host.site,
        "tags": dict(host.tags), "vars": dict(host.vars),
    }  # fmt: skip


def _host(tx: Tx, name: str, version_id: int) -> Host:
    row = tx.driver.execute("SELECT spec FROM host_version WHERE id = ?", (version_id,)).fetchone()
    spec = json.loads(row[0]) if row else {}
    if spec.get("connector", "local") == "local" and not spec.get("os"):
        spec["os"] = _HERE
    return Host(name=name, **spec)
