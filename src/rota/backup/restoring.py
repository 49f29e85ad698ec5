"""Checking a backup, and making an instance of it: all or nothing, and paused until somebody says otherwise."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rota.backup import archive
from rota.backup.making import sync_folder
from rota.backup.manifest import CONFIG, OUTPUT, STORE, Manifest
from rota.backup.staging import staging_in
from rota.domain.errors import Conflict, Unavailable
from rota.failpoints import reach
from rota.instance import Instance
from rota.ports import Clock
from rota.storage import backup as databases
from rota.storage.executor import InlineExecutor
from rota.storage.schema import prepare
from rota.storage.sqlite import SCHEMA_VERSION, SqliteStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """`open_runs`: runs that were going on when the backup was made. `unread_config`: this instance's settings are
    read from there, not from the `rota.yaml` that was restored."""

    home: Path
    manifest: Manifest
    open_runs: int
    unread_config: Path | None = None


def verify(path: Path) -> Manifest:
    """Read all of a backup: every digest, the databases page by page, the schema, the counts.

    Raises NotFound, Unavailable with everything that is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="rota-verify-") as folder:
        return _unpack(path, Path(folder))


def restore(path: Path, instance: Instance, *, clock: Clock, principal: str) -> Restored:
    """Make the instance in its home, which must not be there or be empty.

    It is built beside the home and renamed to it, so that a home is either whole or untouched. Raises NotFound,
    Unavailable for a backup that is damaged, or of a newer Rota, or where there is no room; Conflict for a home that is
    in use.
    """
    home = instance.home
    try:
        _require_empty(home)
        home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with staging_in(home.parent, f".{home.name}.restoring-") as staging:
            manifest = _unpack(path, staging)
            reach("restore.unpacked")
            open_runs = _wake(staging / STORE, manifest, clock, principal)
            reach("restore.woken")
            for file in staging.rglob("*"):
                _sync(file)
            sync_folder(staging)
            staging.rename(home)  # over an empty folder, if there is one
            reach("restore.renamed")
            sync_folder(home.parent)
    except OSError as error:
        raise Unavailable(
            f"nothing was restored to {home}: {error.strerror or error}",
            expected="a folder that can be made, on a disk with room; it cannot be a mount point itself",
            hint="choose another folder with --home",
        ) from error
    unread = instance.config if CONFIG in manifest.files and instance.config != home / CONFIG else None
    return Restored(home=home, manifest=manifest, open_runs=open_runs, unread_config=unread)


def _unpack(path: Path, folder: Path) -> Manifest:
    """Bring the files of a sound backup into an empty folder. Raises NotFound, Unavailable."""
    declared = archive.manifest_of(path)
    if declared.schema > SCHEMA_VERSION:
        raise Unavailable(
            f"{path} is a backup of schema {declared.schema}, made by a newer Rota ({declared.rota})",
            expected=f"schema {SCHEMA_VERSION} or older",
            hint="upgrade this program first",
        )
    manifest, faults = archive.check(path, into=folder)
    if not faults:
        for name in (STORE, OUTPUT):
            if name in manifest.files:
                faults += [f"{name} is damaged: {told}" for told in databases.faults_in(folder / name)]
    if not faults:
        faults += _differences(manifest, folder / STORE)
    if faults:
        raise Unavailable(f"{path} is damaged: {'; '.join(faults)}", hint="see the others: rota backup list")
    return manifest


def _differences(manifest: Manifest, store: Path) -> list[str]:
    """What the manifest says of the store and is not so."""
    found = databases.schema_of(store)
    if found != manifest.schema:
        return [f"the store is of schema {found}, expected {manifest.schema}"]
    counts = databases.counts_in(store)
    return [
        f"{table} has {counts.get(table)} rows, expected {count}"
        for table, count in manifest.counts.items()
        if counts.get(table) != count
    ]


def _wake(path: Path, manifest: Manifest, clock: Clock, principal: str) -> int:
    """Bring the store to this program's schema, and make it one that starts nothing by itself."""
    prepare(path, create=False)
    store = SqliteStore(path, clock=clock, executor=InlineExecutor())
    try:
        return asyncio.run(
            store.write(lambda tx: databases.hold_still(tx, made_at=manifest.made_at, principal=principal))
        )
    finally:
        store.close()


def _require_empty(home: Path) -> None:
    try:
        is_empty = not any(home.iterdir())
    except FileNotFoundError:
        return
    if not is_empty:
        raise Conflict(
            f"{home} is not empty",
            expected="a folder that is empty or not there yet: a restore replaces nothing",
            hint="choose another one with --home, or move this one away",
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
