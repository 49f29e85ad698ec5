"""The reserve: what is held back while it is spent, what is not, and how it comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rota.domain.errors import DiskFull
from rota.domain.instant import Micros
from rota.ports import Tx
from rota.storage import reserve as module
from rota.storage.reserve import RESERVE_BYTES, Reserve, ReservedStore
from rota.storage.sqlite import SqliteStore
from tests.contract.store_world import a_store
from tests.support.clock import NOON, ManualClock


class Kept:
    """A store whose file can be kept from growing, its reserve, and what was told of it."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.told = ManualClock(), list[Micros | None]()
        self.raw: SqliteStore = a_store(folder / "rota.db", self.clock)
        self.file = folder / "reserve"
        self.reserve = Reserve(self.file, clock=self.clock, keeps=True, tell=self.told.append)
        self.store = ReservedStore(self.raw, self.reserve, path=self.raw.path)

    async def fill_up(self) -> None:
        """From now on the store's file cannot grow, and the next write that needs room meets it."""
        await self.raw.write(lambda tx: tx.driver.execute("PRAGMA max_page_count = 1").fetchall())

    async def free_up(self) -> None:
        await self.raw.write(lambda tx: tx.driver.execute("PRAGMA max_page_count = 1000000").fetchall())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.raw.close()


def put_much(tx: Tx) -> None:
    tx.driver.executemany("INSERT INTO instance VALUES (?, ?)", [(f"{tx.at}-{i}", "x" * 4000) for i in range(200)])


def put_little(tx: Tx) -> None:
    tx.driver.execute("INSERT INTO instance VALUES ('a', 'b') ON CONFLICT (key) DO UPDATE SET value = value || 'b'")


async def test_a_write_that_meets_a_full_disk_gives_the_reserve_up_and_is_refused(kept: Kept) -> None:
    await kept.fill_up()
    with pytest.raises(DiskFull):
        await kept.store.write(put_much)
    assert not kept.file.exists()
    assert kept.told == [NOON]


async def test_the_end_of_something_that_meets_a_full_disk_is_tried_again_with_the_room_of_the_reserve(
    kept: Kept,
) -> None:
    await kept.fill_up()
    tries = 0

    def verdict(tx: Tx) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            put_much(tx)
        put_little(tx)

    await kept.store.for_ends.write(verdict)
    assert tries == 2
    assert not kept.file.exists()


async def test_without_a_reserve_left_the_end_is_refused_and_may_be_tried_later(kept: Kept) -> None:
    await kept.fill_up()
    for _ in range(2):
        with pytest.raises(DiskFull):
            await kept.store.for_ends.write(put_much)
    await kept.free_up()
    await kept.store.for_ends.write(put_much)


async def test_with_room_again_the_reserve_is_made_anew_and_how_long_it_was_is_in_the_audit(kept: Kept) -> None:
    kept.reserve.give_up()
    kept.clock.advance(60)
    await kept.store.write(put_little)
    assert kept.file.stat().st_size == RESERVE_BYTES
    assert kept.told == [NOON, None]
    [(detail,)] = await kept.raw.read(lambda tx: tx.driver.execute("SELECT detail FROM audit").fetchall())
    assert detail == '{"since": "2026-03-04T12:00:00Z", "until": "2026-03-04T12:01:00Z"}'


async def test_while_the_disk_is_full_the_wal_stays_short(kept: Kept) -> None:
    """Else 300 commits of a few pages each would fill the reserve with what is in the store already."""
    wal = Path(f"{kept.raw.path}-wal")

    def a_verdict(tx: Tx) -> None:
        key = tx.take_ids("run")
        tx.driver.execute("INSERT INTO instance VALUES (?, ?)", (f"{key}", "x" * 3000))

    kept.reserve.give_up()
    for _ in range(300):
        await kept.store.for_ends.write(a_verdict)
    assert wal.stat().st_size < 1_000_000


async def test_a_command_makes_no_reserve_but_gives_up_the_one_that_is_there(kept: Kept, tmp_path: Path) -> None:
    command = Reserve(kept.file, clock=kept.clock, keeps=False, tell=kept.told.append)
    assert command.give_up()
    assert not command.is_spent()  # this machine's disk has room
    assert not kept.file.exists()


def test_the_wal_is_given_blocks_ahead_of_what_is_written_to_it(kept: Kept) -> None:
    wal = Path(f"{kept.raw.path}-wal")
    kept.reserve.lengthen(wal)
    assert wal.stat().st_size >= RESERVE_BYTES
    assert wal.stat().st_blocks * 512 >= RESERVE_BYTES


async def test_what_follows_the_last_frame_of_the_wal_changes_nothing_for_who_opens_the_store_next(kept: Kept) -> None:
    await kept.store.write(put_little)
    kept.reserve.lengthen(Path(f"{kept.raw.path}-wal"))
    await kept.store.write(put_little)
    with closing(sqlite3.connect(kept.raw.path)) as other:
        assert other.execute("SELECT value FROM instance WHERE key = 'a'").fetchone() == ("bb",)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_with_next_to_nothing_free_nothing_new_is_begun_before_the_store_meets_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOW_BYTES", 1 << 60)  # more than this machine has
    with pytest.raises(DiskFull, match="nothing new is begun or saved"):
        await kept.store.write(put_little)
    await kept.store.for_ends.write(put_little)
    assert kept.file.exists()
