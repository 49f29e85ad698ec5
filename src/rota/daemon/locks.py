"""Locks that live exactly as long as a process: `flock` on a file, released by the kernel however it dies.

Two kinds (DESIGN §2, "Who executes"): `engine.lock` for whoever plans, `owners/<id>.lock` for every process
that claims work. A claim is void when its owner's lock can be taken, and only then; no time is involved.

Standard library only: the command line reads these without loading the rest.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rota.domain.errors import InvalidInput, Unavailable
from rota.domain.instant import Micros, format_rfc3339, parse_rfc3339

OWNER_PREFIX = "own_"

# Whoever tests a lock shares it for some microseconds. Who wants to keep it asks again, so that a command
# which only looks never makes a starting daemon give up.
_TRIES = 10
_PAUSE_SECONDS = 0.005

# One write of one size, so that a reader never sees half of it, nor the tail of a longer predecessor.
_RECORD_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lock. `kind` is what the process is for ("daemon", "shell", "owner")."""

    pid: int
    kind: str
    started_at: Micros


class FileLock:
    """A lock held by this process until `release` or its end. The file stays; only its lock matters."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def try_acquire(cls, path: Path, *, kind: str) -> FileLock | None:
        """Take the lock, or return None where another process (or another descriptor of this one) has it.

        Blocks for at most 50 ms. The descriptor is not inherited by programs started later.
        """
        descriptor = _open(path)
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE_SECONDS)
            if _try_flock(descriptor):
                _sign(descriptor, kind)
                return cls(path, descriptor)
        os.close(descriptor)
        return None

    def release(self) -> None:
        """Give the lock back. Calling it again does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class OwnerLock(FileLock):
    """The life of one owner of claims. Ids are never used twice, so a freed lock stays free."""

    @classmethod
    def create(cls, owners_dir: Path) -> tuple[str, OwnerLock]:
        """Return a new owner id (`own_` + 16 hex) and its lock, held."""
        owner_id = OWNER_PREFIX + secrets.token_hex(8)
        # Locked under another name first: at no instant is there an `own_….lock` that is free but about to be
        # taken, so a sweep that meets a free one may delete it.
        draft = owners_dir / f".{owner_id}"
        descriptor = _open(draft)
        if not _try_flock(descriptor):  # nobody else knows the name
            raise AssertionError(f"{draft} is locked by someone else")
        _sign(descriptor, "owner")
        path = _lock_of(owners_dir, owner_id)
        draft.rename(path)
        return owner_id, cls(path, descriptor)

    def note(self, line: str, *, sync: bool) -> None:
        """Add a line behind the record: what those who come after this owner must know of it. Raises OSError, and when
        the lock was given back already does nothing: nobody will ask about it."""
        if self._descriptor is not None:
            end = max(_RECORD_BYTES, os.fstat(self._descriptor).st_size)
            os.pwrite(self._descriptor, f"{line}\n".encode(), end)
            if sync:
                os.fdatasync(self._descriptor)

    def release(self) -> None:
        """Give the lock back and take its file away."""
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
        super().release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at `path` now. A file that is not there is not held."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who look at a free lock at once do not take each other for its holder.
        return not _try_flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path`, or None where nobody does.

    Raises PermissionError for another user's lock, Unavailable where the holder's record cannot be read.
    """
    for attempt in range(_TRIES):
        if attempt:  # it was taken a moment ago and is not signed yet
            time.sleep(_PAUSE_SECONDS)
        if not is_held(path):
            return None
        try:
            record = json.loads(path.read_bytes()[:_RECORD_BYTES])
            return Holder(
                pid=int(record["pid"]),
                kind=str(record["kind"]),
                started_at=parse_rfc3339(record["started_at"]),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError, InvalidInput):
            continue
    raise Unavailable(
        f"{path} is held by a process that it does not name",
        expected="a record with pid, kind and started_at",
        hint=f"fuser {path} names the process",
    )


def dead_owners(owners_dir: Path, ids: Iterable[str]) -> list[str]:
    """Return those of `ids` (owners of this machine) that live no more, in the order given."""
    return [owner_id for owner_id in ids if not is_held(_lock_of(owners_dir, owner_id))]


def dead_here(owners_dir: Path) -> list[str]:
    """The owners of this machine that died without taking their files away: a look at the folder, no more."""
    return [path.stem for path in owners_dir.glob(f"{OWNER_PREFIX}*.lock") if not is_held(path)]


def notes_of(owners_dir: Path, owner_id: str) -> list[str] | None:
    """What an owner that has worked in this home noted behind its lock's record; of one that is settled nothing is
    known any more (None)."""
    try:
        notes = _lock_of(owners_dir, owner_id).read_bytes()[_RECORD_BYTES:]
    except FileNotFoundError:
        return None
    return notes.decode(errors="replace").split()


def sweep_owners(owners_dir: Path, settled: Iterable[str]) -> None:
    """Delete the files of dead owners that hold nothing any more. Only the engine's holder calls it."""
    for owner_id in settled:
        _lock_of(owners_dir, owner_id).unlink(missing_ok=True)


def _lock_of(owners_dir: Path, owner_id: str) -> Path:
    return owners_dir / f"{owner_id}.lock"


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_flock(descriptor: int, mode: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, kind: str) -> None:
    """Write who we are. The instant is the kernel's own stamp, so that nobody here reads a clock."""
    os.utime(descriptor)
    started_at = format_rfc3339(os.fstat(descriptor).st_mtime_ns // 1000)
    record = json.dumps({"pid": os.getpid(), "kind": kind, "started_at": started_at})
    os.pwrite(descriptor, record.ljust(_RECORD_BYTES).encode(), 0)
