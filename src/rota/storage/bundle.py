"""Which store: the database's URL chooses the whole bundle of store, output and clock (DESIGN §2, "Two stores")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rota.domain.errors import Unavailable
from rota.domain.instant import Micros
from rota.ports import Clock, Hints, Store
from rota.storage.executor import ThreadExecutor
from rota.storage.output import Outputs, OutputStore
from rota.storage.reserve import Reserve, ReservedStore
from rota.storage.schema import prepare
from rota.storage.sqlite import SqliteStore

_SMALLEST_PAGE = 512  # of SQLite, in bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """`clock` is the store's time, which everything that waits for something due goes by. `is_shared`: other machines
    may work on the same store.

    `for_ends` is the store for how things end, which is written also when the disk is full (`storage.reserve`). `hints`
    is what other processes tell, where the store carries it. `clock_ahead`: how far the store's clock is ahead of this
    machine's, where it is another one. `for_signs`: the shared store over a line of its own, where a sign of life waits
    behind no other write.
    """

    store: Store
    for_ends: Store
    output: Outputs
    clock: Clock
    is_shared: bool
    close_store: Callable[[], None]
    hints: Hints | None = None
    clock_ahead: Callable[[], Micros] | None = None
    for_signs: Store | None = None

    async def close(self) -> None:
        """Finish what was begun, then let go of everything."""
        self.output.close()
        await asyncio.to_thread(self.close_store)


async def open_embedded(
    store: Path, output: Path, *, clock: Clock, on_fatal: Callable[[BaseException], None], reserve: Reserve
) -> Bundle:
    """SQLite files, made where there are none. Raises Unavailable."""
    _refuse_to_begin_anew(store, output)
    _refuse_cut_off(store)
    await asyncio.to_thread(prepare, store, create=True)
    opened = SqliteStore(store, clock=clock, on_fatal=on_fatal)
    await opened.read(lambda tx: tx.driver.execute("SELECT 1 FROM instance").fetchone())  # which opens the WAL
    reserve.lengthen(Path(f"{store}-wal"))
    guarded = ReservedStore(opened, reserve, path=store)
    outputs = OutputStore(output, may_grow=lambda: not reserve.was_spent())
    return Bundle(guarded, guarded.for_ends, outputs, clock, is_shared=False, close_store=opened.close)


def _refuse_to_begin_anew(store: Path, output: Path) -> None:
    """Output of runs without a store that knows them: that store was lost. A new one would use their numbers again."""
    is_lost = not store.exists() or store.stat().st_size == 0
    if is_lost and output.exists() and output.stat().st_size > 0:
        what = "is empty" if store.exists() else "is not there"
        raise Unavailable(
            f"the store {store} {what}, and output of its runs is: it has been lost",
            hint="rota backup restore FILE --home FOLDER makes an instance of a backup; to begin anew here, move"
            f" {output.name} away",
        )


def _refuse_cut_off(store: Path) -> None:
    """A last page that is cut in two: SQLite would read its missing half as zeros. While there is a WAL it may be so
    after a crash, and is written whole from there."""
    wal = Path(f"{store}-wal")
    has_wal = wal.exists() and wal.stat().st_size > 0
    if store.exists() and store.stat().st_size % _SMALLEST_PAGE and not has_wal:
        raise Unavailable(f"the store is damaged: {store} is cut off", hint="stop the daemon and restore a backup")


async def open_shared(url: str, *, clock: Clock) -> Bundle:
    """A PostgreSQL database; in an empty one the tables are made. `clock` is this machine's.

    Raises Unavailable, also for an older schema: who brings it up to date decides so for all daemons that use it.
    """
    need_psycopg()
    from rota.storage import postgres_schema
    from rota.storage.database_clock import DatabaseClock
    from rota.storage.postgres import PostgresStore
    from rota.storage.postgres_output import PostgresOutput

    await asyncio.to_thread(postgres_schema.prepare, url, create=True, upgrade=False)
    time = DatabaseClock(clock)
    opened = PostgresStore(url, clock=time)
    signs = PostgresStore(url, clock=time, executor=ThreadExecutor(readers=1, writers=1, group=1))
    output = PostgresOutput(url, clock=time)

    def close() -> None:
        signs.close()
        opened.close()

    return Bundle(opened, opened, output, time, is_shared=True, close_store=close, hints=opened.hints,
                  clock_ahead=lambda: time.ahead, for_signs=signs)  # fmt: skip


def need_psycopg() -> None:
    """Raise Unavailable where the extra `postgres` is not installed."""
    try:
        import psycopg  # noqa: F401  # is it there?
    except ImportError as error:
        raise Unavailable(
            "the database is PostgreSQL, and its driver is not installed", hint='pip install "rota[postgres]"'
        ) from error
