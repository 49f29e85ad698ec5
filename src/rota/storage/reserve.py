"""A reserve of disk space, so that how things ended can still be written when the disk is full.

Two things are kept. The WAL is given blocks ahead of what is written to it, which nobody else can take: not even a
command that eats each byte as it becomes free. And a file of nothing lies beside the store; it is given up when the
store itself must grow and cannot.

When next to nothing is free, nothing new is begun or saved any more, and the reserve is for verdicts alone. As soon as
there is room again, everything goes on by itself.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from rota.domain.errors import DiskFull
from rota.domain.instant import Micros, format_rfc3339
from rota.ports import Clock, Store, Tx
from rota.storage import audit

T = TypeVar("T")

RESERVE_BYTES = 4 * 1024 * 1024  # of each; thousands of verdicts, as the WAL is kept short meanwhile
LOW_BYTES = 1024 * 1024  # with less than this free nothing new is begun
_LOOK_EVERY_SECONDS = 0.05  # at the disk; with each commit it was a fiftieth of what a start costs
_WAL_PAGES, _WAL_PAGES_IN_NEED = 16_384, 64  # when the WAL is copied into the store and begun anew
_PLENTY = 1 << 62
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ACTOR = "rota"


class Outage(NamedTuple):
    """How long nothing new was begun."""

    since: Micros
    until: Micros


class Reserve:
    """`keeps`: whether this process makes the file; one that does not (a command) may still give it up.

    `tell` hears of each change: since when the disk is full, or None.
    """

    def __init__(self, path: Path, *, clock: Clock, keeps: bool, tell: Callable[[Micros | None], None]) -> None:
        self._path, self._clock, self._keeps, self._tell = path, clock, keeps, tell
        self._look_at = -math.inf  # by the monotonic clock
        self.full_since: Micros | None = None
        self.over: Outage | None = None  # one that has ended and is not written down yet
        if keeps and not self._make():
            self._hold_back()

    def is_spent(self) -> bool:
        """Whether nothing new may be begun: there is next to no room, or too little to go on after there was none."""
        if self.full_since is None:
            if self._free() >= LOW_BYTES:
                return False
            self._hold_back()
            return True
        if not self._has_room() or (self._keeps and not self._make()):
            return True
        self.over, self.full_since = Outage(self.full_since, self._clock.now()), None
        self._tell(None)
        return False

    def was_spent(self) -> bool:
        """`is_spent`, as it was a moment ago: for those who ask at every turn."""
        now = self._clock.monotonic()
        if self.full_since is None and now < self._look_at:
            return False
        self._look_at = now + _LOOK_EVERY_SECONDS
        return self.is_spent()

    def give_up(self) -> bool:
        """The disk is full. True if this made room: what met it may be tried again."""
        had_some = self._path.is_file()
        if had_some:
            self._path.unlink(missing_ok=True)
        self._hold_back()
        return had_some

    def _hold_back(self) -> None:
        if self.full_since is None:
            self.full_since = self._clock.now()
            self._tell(self.full_since)

    def lengthen(self, wal: Path) -> None:
        """Give the WAL its blocks. SQLite takes what follows its last frame for nothing, as it does with old frames."""
        if not self._keeps or not wal.exists():
            return
        with suppress(OSError):  # then the file alone has to do
            descriptor = os.open(wal, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.posix_fallocate(descriptor, 0, max(RESERVE_BYTES, os.fstat(descriptor).st_size))
            finally:
                os.close(descriptor)

    def _has_room(self) -> bool:
        return self._free() >= (RESERVE_BYTES if self._path.is_file() else 2 * RESERVE_BYTES)

    def _free(self) -> int:
        return _free_beside(self._path)

    def _make(self) -> bool:
        """False where there is no room for it. What else keeps it from being made (a folder of that name, a file system
        that cannot) is no reason to hold anything back: then there is none."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                return True
            self._path.unlink(missing_ok=True)
            return False
        return True


def make_room_to_start(reserve: Path) -> None:
    """A daemon's locks and its keeper's first files need some room too: on a full disk the reserve is for them."""
    if _free_beside(reserve) < LOW_BYTES and reserve.is_file():
        reserve.unlink(missing_ok=True)


def _free_beside(path: Path) -> int:
    """Bytes that this account may still take. What a file system keeps for root is root's to take."""
    disk = os.statvfs(path.parent)
    if not disk.f_blocks:  # some network file systems do not tell
        return _PLENTY
    return (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail) * disk.f_frsize


class ReservedStore:
    """A `ports.Store` on SQLite over another one, of which nothing new is written while the reserve is spent.

    `for_ends` is the same store for what may use the reserve: verdicts, cancels, the end of owners.
    """

    def __init__(self, store: Store, reserve: Reserve, *, path: Path) -> None:
        self._store, self._reserve = store, reserve
        self.for_ends: Store = _ForEnds(store, reserve, path)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._store.read(fn)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        reserve = self._reserve
        if reserve.was_spent():
            raise DiskFull(
                "the disk is full: nothing new is begun or saved", hint="free some space: it goes on by itself"
            )
        if (outage := reserve.over) is not None:
            await self._store.write(lambda tx: _end(tx, outage))
            reserve.over = None
        try:
            return await self._store.write(fn)
        except DiskFull:
            reserve.give_up()
            raise


class _ForEnds:
    """See `ReservedStore.for_ends`."""

    def __init__(self, store: Store, reserve: Reserve, path: Path) -> None:
        self._store, self._reserve, self._path = store, reserve, path

    async def read(self, fn: Callable[[Tx], T]) -> T:
        return await self._store.read(fn)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        if self._reserve.full_since is not None:  # from now on every page counts
            await self._store.write(_keep_wal_short)
        try:
            return await self._store.write(fn)
        except DiskFull:
            self._reserve.give_up()
            await self._store.write(_keep_wal_short)
            await asyncio.to_thread(_begin_wal_anew, self._path)
            return await self._store.write(fn)


def _keep_wal_short(tx: Tx) -> None:
    """The writer copies the WAL into the store every few commits, and writes it from its beginning again."""
    tx.driver.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES_IN_NEED}")


def _begin_wal_anew(path: Path) -> None:
    """Copy what is in the WAL into the store, so that its blocks can be written again. Blocking; as far as it goes."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _end(tx: Tx, outage: Outage) -> None:
    """There is room again: back to the usual, and a line in the audit for those who ask why nothing started."""
    tx.driver.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    detail = {"since": format_rfc3339(outage.since), "until": format_rfc3339(outage.until)}
    audit.record(tx, _ACTOR, "hold back", "instance: the disk was full", detail)
