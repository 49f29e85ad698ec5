"""The hosts that runs froze: how they are reached, and what templates may know of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rota.domain.inventory import Host
from rota.domain.step import Json, OsName
from rota.ports import Store, Tx

_OS: dict[str, OsName] = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_HERE = _OS.get(sys.platform)


class Hosts:
    """Hosts by the version that a run froze: immutable, so kept once read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[int, Host] = {}

    async def of(self, name: str, version_id: int | None) -> Host:
        """The host at that version; this machine where there is none (`@controller`, `local`)."""
        if version_id is None:
            return Host(name=name, os=_HERE)
        if version_id not in self._known:
            self._known[version_id] = await self._store.read(lambda tx: _host(tx, name, version_id))
        return self._known[version_id]


def facts_of(host: Host) -> Mapping[str, Json]:
    """What templates may know of a host. How one logs in is none of their business."""
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
