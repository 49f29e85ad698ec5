"""Local connectors as processes have them: keepers in a folder, and what an owner notes of them in its lock file."""

from __future__ import annotations

from pathlib import Path

from rota.connectors.local.connector import LocalConnector
from rota.daemon.keeper_marks import KeeperMarks
from rota.daemon.locks import OwnerLock


def a_connector(home: Path, owner: str) -> LocalConnector:
    """The connector of a process that is called `owner`. Its lock goes with it, and its lock file stays."""
    owners = home / "owners"
    owners.mkdir(parents=True, exist_ok=True)
    lock = OwnerLock.try_acquire(owners / f"{owner}.lock", kind="owner")
    assert isinstance(lock, OwnerLock), f"there is a living {owner} already"
    return LocalConnector(home / "keeper", owner, KeeperMarks(owners, lock))
