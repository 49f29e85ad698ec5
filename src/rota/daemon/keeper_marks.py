"""Which keepers an owner holds, written in its lock file: so a keeper's folder that is gone is not one that never was.

A keeper's own folder says that it was begun (decision 24). Somebody may remove it by hand, and the children live on.
A line behind the record of the lock, `+NAME` or `-NAME`, is synced before the keeper gets its first order, and taken
back before its folder is removed.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rota.daemon.locks import OwnerLock, notes_of


class KeeperMarks:
    """See `connectors.local.connector.Marks`. `lock` is this process's own."""

    def __init__(self, owners_dir: Path, lock: OwnerLock) -> None:
        self._owners_dir, self._lock = owners_dir, lock

    def hold(self, keeper: str) -> None:
        self._lock.note(f"+{keeper}", sync=True)

    def let_go(self, keeper: str) -> None:
        self._lock.note(f"-{keeper}", sync=False)  # if it is lost the keeper is missed for nothing: no harm is done

    def held_by(self, owner: str) -> Collection[str] | None:
        notes = notes_of(self._owners_dir, owner)
        if notes is None:
            return None
        held: set[str] = set()
        for note in notes:
            (held.add if note.startswith("+") else held.discard)(note[1:])
        return held
