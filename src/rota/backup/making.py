"""Making a backup of an instance in use, and keeping the newest few of them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rota.backup import archive
from rota.backup.manifest import CONFIG, KNOWN_HOSTS, OUTPUT, PLAYBOOKS, STORE, Manifest
from rota.backup.staging import staging_in
from rota.domain.errors import Conflict, NotFound, RotaError, Unavailable
from rota.domain.instant import Micros, from_micros
from rota.failpoints import reach
from rota.instance import Instance
from rota.storage import backup as databases

_STAGING = ".rota-backup-"
_ROOM = 16 * 1024 * 1024  # bytes that a backup leaves free, for the store to go on
_SUFFIX = ".tar"
_PREFIX = "rota-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was made. `keys`: files in the instance's `keys` that are not in it; `removed`: older backups."""

    path: Path
    bytes: int
    manifest: Manifest
    keys: int = 0
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file among the backups. `manifest` None: it cannot be read, and `fault` says why."""

    path: Path
    bytes: int
    manifest: Manifest | None
    fault: str | None = None


class Backups:
    """The backups of one instance on SQLite; made by `rota.compose`. `keep`: how many stay in its folder; 0 = all."""

    def __init__(self, instance: Instance, *, version: str, keep: int) -> None:
        self._instance, self._version, self._keep = instance, version, keep
        self._one_at_a_time = asyncio.Lock()

    async def create(self, *, at: Micros, to: Path | None) -> Made:
        """Make one as of now, in the instance's folder or where `to` (an absolute path) says; all or nothing.

        Every write acknowledged before the call is in it. Only what lies in the instance's own folder is ever removed,
        and only after a newer one was read back without a fault. Raises Unavailable, NotFound, Conflict.
        """
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._create, at, to)

    async def list_all(self) -> list[Kept]:
        """Those in the instance's folder, newest first."""
        return await asyncio.to_thread(lambda: [kept for path in self._paths() if (kept := _look_at(path)) is not None])

    def _create(self, at: Micros, to: Path | None) -> Made:
        folder, path = self._place(at, to)
        try:
            with staging_in(folder, _STAGING) as staging:
                self._require_room(folder)
                partial = staging / "partial"
                manifest = self._write(partial, staging, at)
                reach("backup.written")
                _name(partial, path)
                sync_folder(folder)
                reach("backup.named")
        except FileExistsError as error:
            raise _in_the_way(path) from error
        except OSError as error:
            raise Unavailable(
                f"no backup was made: {error.strerror or error}: {error.filename or folder}",
                hint="make room, or name another place with --to",
            ) from error
        keys = sum(1 for key in _files_below(self._instance.keys_dir))
        removed = self._remove_old(path) if to is None else ()
        return Made(path=path, bytes=path.stat().st_size, manifest=manifest, keys=keys, removed=removed)

    def _place(self, at: Micros, to: Path | None) -> tuple[Path, Path]:
        """The folder to work in and the file to make."""
        name = f"{_PREFIX}{from_micros(at):%Y%m%dT%H%M%S.%fZ}{_SUFFIX}"
        if to is None:
            folder = self._instance.backups_dir
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder, folder / name
        path = to / name if to.is_dir() else to
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {path.parent}", hint=f"mkdir -p {path.parent}")
        if path.exists():
            raise _in_the_way(path)
        return path.parent, path

    def _require_room(self, folder: Path) -> None:
        """Twice its size for a moment: the copies, then the archive. Refused early rather than fill the disk."""
        store, output = self._instance.store, self._instance.output_store
        sizes = [path.stat().st_size for path in (store, output, Path(f"{store}-wal")) if path.exists()]
        needed, free = 2 * sum(sizes) + _ROOM, shutil.disk_usage(folder).free
        if free < needed:
            raise Unavailable(
                f"no backup was made: {folder} has {free // 1_000_000} MB free",
                expected=f"{needed // 1_000_000} MB",
                hint="make room, or name another place with --to",
            )

    def _write(self, partial: Path, staging: Path, at: Micros) -> Manifest:
        """Write the archive and read it back. Raises OSError, Unavailable."""
        sources = dict(self._small_files(staging))
        # Output first: what it then holds belongs to attempts that the store, copied after it, knows.
        if self._instance.output_store.exists():
            sources[OUTPUT] = staging / OUTPUT
            databases.snapshot(self._instance.output_store, sources[OUTPUT])
        sources[STORE] = store = staging / STORE
        databases.snapshot(self._instance.store, store)
        reach("backup.copied")
        if faults := databases.faults_in(store):
            raise Unavailable(
                f"no backup was made: the store is damaged: {'; '.join(faults)}",
                hint="keep what you have, and see the newest good one: rota backup list",
            )
        manifest = Manifest(
            made_at=at, rota=self._version, schema=databases.schema_of(store),
            instance_id=databases.instance_of(store), counts=databases.counts_in(store),
            files={name: archive.entry_of(source) for name, source in sources.items()},
        )  # fmt: skip
        archive.write(partial, manifest, sources)
        _, differences = archive.check(partial)
        if differences:
            raise Unavailable(f"no backup was made: what was written reads back otherwise: {'; '.join(differences)}",
                              hint="check the disk and the system log")  # fmt: skip
        return manifest

    def _small_files(self, staging: Path) -> Iterator[tuple[str, Path]]:
        """Settings, known hosts and playbooks, copied so that what is digested is what is archived. No secrets."""
        instance = self._instance
        wanted = [(CONFIG, instance.config), (KNOWN_HOSTS, instance.known_hosts)]
        for file in _files_below(instance.playbooks_dir):
            wanted.append((f"{PLAYBOOKS}/{file.relative_to(instance.playbooks_dir).as_posix()}", file))
        for number, (name, source) in enumerate(wanted):
            try:
                copy = Path(shutil.copyfile(source, staging / f"file-{number}"))
            except FileNotFoundError:  # there is none, or it went while we looked
                continue
            yield name, copy

    def _paths(self) -> list[Path]:
        return sorted(self._instance.backups_dir.glob(f"{_PREFIX}*{_SUFFIX}"), reverse=True)  # their names are times

    def _remove_old(self, made: Path) -> tuple[Path, ...]:
        """`made` was read back a moment ago: the newest good one, which stays also where a clock that was set back has
        given others later names."""
        others = [path for path in self._paths() if path != made]
        old = others[self._keep - 1 :] if self._keep else []
        for path in old:
            path.unlink(missing_ok=True)
        return tuple(old)


def _look_at(path: Path) -> Kept | None:
    """None if it went while we looked."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    try:
        return Kept(path=path, bytes=size, manifest=archive.manifest_of(path))
    except RotaError as error:
        return Kept(path=path, bytes=size, manifest=None, fault=error.happened)


def _files_below(folder: Path) -> Iterator[Path]:
    """Regular files (or links to them) below `folder`, without following linked folders."""
    for root, _, names in os.walk(folder):
        yield from (path for name in sorted(names) if (path := Path(root, name)).is_file())


def _in_the_way(path: Path) -> Conflict:
    return Conflict(f"{path} exists already", expected="a new file: a backup replaces none", hint="choose another --to")


def _name(partial: Path, path: Path) -> None:
    """Give a whole backup its name, at once, and take nobody else's. Raises FileExistsError."""
    try:
        path.hardlink_to(partial)  # unlike a rename it replaces no file
    except FileExistsError:
        raise
    except OSError:  # some network disks have no links: there the name is taken first, for a moment, by an empty file
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        partial.rename(path)


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
