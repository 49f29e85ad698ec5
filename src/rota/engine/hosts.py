"""What templates may know of a host, from the version that was frozen into the run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rota.domain.step import Json
from rota.ports import Store, Tx

_OS = {"linux": "linux", "darwin": "macos", "win32": "windows"}


class HostFacts:
    """Facts by host version: immutable, so kept once read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._facts: dict[int, dict[str, Json]] = {}

    async def of(self, name: str, version_id: int | None) -> Mapping[str, Json]:
        """Name, os, tags and vars of a host; of this machine where there is no version (`@controller`, `local`)."""
        if version_id is None:
            return {"name": name, "os": _OS.get(sys.platform, sys.platform), "tags": {}, "vars": {}}
        if version_id not in self._facts:
            self._facts[version_id] = await self._store.read(lambda tx: _spec(tx, version_id))
        return {"name": name, **self._facts[version_id]}


def _spec(tx: Tx, version_id: int) -> dict[str, Json]:
    row = tx.driver.execute("SELECT spec FROM host_version WHERE id = ?", (version_id,)).fetchone()
    spec: dict[str, Json] = json.loads(row[0]) if row else {}
    if spec.get("connector") == "local" and not spec.get("os"):
        spec["os"] = _OS.get(sys.platform, sys.platform)
    return spec
