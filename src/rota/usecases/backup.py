"""Backups: make one of the running instance, and say which there are. Restoring is `rota.backup.restoring`'s."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import FieldError, InvalidInput, Refused
from rota.domain.instant import format_rfc3339
from rota.storage import audit
from rota.usecases import shapes
from rota.usecases.context import Context

if TYPE_CHECKING:
    from rota.backup.making import Backups
    from rota.backup.manifest import Manifest


async def create(
    ctx: Context, principal: Principal, *, to: str | None, faults: Sequence[FieldError] = ()
) -> shapes.BackupMade:
    """Make a backup: every write acknowledged before now is in it. `to`: an absolute path, folder or file.

    Raises InvalidInput, Refused for a path of somebody else's choosing and for a store elsewhere; Unavailable, NotFound
    and Conflict as `Backups.create` does.
    """
    authorize(principal, Verb.WRITE, "backups")
    found = list(faults)
    if to is not None and not Path(to).is_absolute():
        found.append(FieldError(field="to", message=f'"{to}" is a relative path', expected="an absolute one", got=to))
    if found:
        raise InvalidInput.of(found)
    if to is not None and principal.uid != os.geteuid():
        raise Refused(
            f"{principal.name} may not choose where the instance's account writes",
            expected="that account itself",
            hint="leave out the path: the backup is made in the instance's folder",
        )
    backups = _of(ctx)
    at = await ctx.store.read(lambda tx: tx.at)
    made = await backups.create(at=at, to=None if to is None else Path(to))
    detail = {"path": str(made.path), "bytes": made.bytes, "removed": [path.name for path in made.removed]}
    store = ctx.for_ends or ctx.store  # it may have been made because the disk is full
    await store.write(lambda tx: audit.record(tx, principal.name, "back up", "instance", detail))
    described = _described(made.path, made.bytes, made.manifest)
    return {**described, "keys": made.keys, "removed": [path.name for path in made.removed]}


async def list_all(ctx: Context, principal: Principal) -> shapes.Backups:
    """Those in the instance's folder, newest first. What is not read is said of each; nothing is verified."""
    authorize(principal, Verb.READ, "backups")
    kept = await _of(ctx).list_all()
    return {"items": [_described(one.path, one.bytes, one.manifest, one.fault) for one in kept], "next": None}


def _of(ctx: Context) -> Backups:
    if ctx.backups is None:
        raise Refused(
            "this instance keeps its store in a database server, which is not Rota's to back up",
            expected="an instance on SQLite",
            hint="pg_dump backs the database up; copy rota.yaml, playbooks and known_hosts beside it",
        )
    return ctx.backups


def _described(path: Path, size: int, manifest: Manifest | None, fault: str | None = None) -> shapes.Backup:
    return {
        "name": path.name,
        "path": str(path),
        "bytes": size,
        "made_at": None if manifest is None else format_rfc3339(manifest.made_at),
        "rota": None if manifest is None else manifest.rota,
        "schema": None if manifest is None else manifest.schema,
        "counts": {} if manifest is None else dict(manifest.counts),
        "files": [] if manifest is None else sorted(manifest.files),
        "fault": fault,
    }
