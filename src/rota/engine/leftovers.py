"""The last part of the janitor's round: what nobody refers to once old history has gone, a slice at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from rota.domain.instant import Micros
from rota.ports import Store, Tx
from rota.storage import leftovers
from rota.storage.leftovers import BETWEEN, MOST_HOSTS, SPAN, SPAN_OF_WIDE, Seen, Shared
from rota.storage.retention import MOST_ROWS

T = TypeVar("T")
MOST_ASIDE = 50_000  # of one round, so that its memory is bounded: the next takes the others


class Leftovers:
    """One round over what had no use before `before`."""

    def __init__(self, store: Store, *, before: Micros) -> None:
        self._store, self._before = store, before

    async def slices(self) -> AsyncGenerator[None, None]:
        """Each step is one short read or write."""
        for part in (
            self._versions, self._jobs, self._plans_and_target_sets, self._timetables, self._hosts, self._items
        ):  # fmt: skip
            async for _ in part():
                yield

    async def _versions(self) -> AsyncIterator[None]:
        async for old in self._spans("job", SPAN, partial(leftovers.find_old_versions, before=self._before)):
            async for _ in self._each(old, lambda tx, ids: leftovers.delete(tx, "job_version", ids)):
                yield
            yield

    async def _jobs(self) -> AsyncIterator[None]:
        async for gone in self._spans("job", SPAN, partial(leftovers.find_gone_jobs, before=self._before)):
            async for _ in self._each(gone, leftovers.forget_jobs, at_once=MOST_ROWS // 10):
                yield
            yield

    async def _timetables(self) -> AsyncIterator[None]:
        async for unused in self._spans("timetable", SPAN, leftovers.find_unused_timetables):
            async for _ in self._each(unused, leftovers.delete_timetables):
                yield
            yield

    async def _plans_and_target_sets(self) -> AsyncIterator[None]:
        last, now = await self._store.read(lambda tx: (leftovers.last_look(tx), leftovers.look_now(tx)))
        if last.at <= now.at < last.at + BETWEEN:  # earlier than that: the clock was set back meanwhile
            return
        async for _ in self._unused_since(last):
            yield
        await self._store.write(lambda tx: leftovers.looked(tx, now))

    async def _unused_since(self, last: Seen) -> AsyncIterator[None]:
        plans, target_sets = set[int](), set[int]()
        async for of_runs in self._spans("run", SPAN, leftovers.used_by_runs):
            plans |= of_runs[0]
            target_sets |= of_runs[1]
            yield
        fresh: dict[Shared, dict[str, int]] = {"plan": {}, "target_set": {}}
        async for _ in self._unused("plan", plans, last.plan, fresh["plan"]):
            yield
        async for _ in self._unused("target_set", target_sets, last.target_set, fresh["target_set"]):
            yield
        if any(fresh.values()):
            async for _ in self._spare_what_jobs_need(fresh):
                yield
        for table, by_digest in fresh.items():
            rows = [(row_id, digest) for digest, row_id in by_digest.items()]
            async for _ in self._each(rows, lambda tx, some, of=table: leftovers.set_aside(tx, of, dict(some))):  # type: ignore[misc]
                yield

    async def _unused(self, table: Shared, used: set[int], known: int, fresh: dict[str, int]) -> AsyncIterator[None]:
        """Settle those set aside in earlier rounds, and collect in `fresh` what to set aside in this one."""
        async for found in self._spans(
            table, SPAN, lambda tx, after: leftovers.find_unused(tx, table, after, used=used, known=known)
        ):
            room = MOST_ASIDE - len(fresh)
            fresh |= {digest: row_id for row_id, digest in islice(found.fresh.items(), room)}
            async for _ in self._each(found.overdue, lambda tx, ids: leftovers.delete(tx, table, ids)):
                yield
            rows = list(found.wanted.items())
            async for _ in self._each(rows, lambda tx, some: leftovers.bring_back(tx, table, dict(some))):
                yield
            yield

    async def _spare_what_jobs_need(self, fresh: dict[Shared, dict[str, int]]) -> AsyncIterator[None]:
        selectors = set[str | None]({None})  # runs that no job makes have no other
        async for needs in self._spans("job", SPAN_OF_WIDE, leftovers.needs_of_jobs):
            for digest in needs.plans:
                fresh["plan"].pop(digest, None)
            selectors |= needs.selectors
            yield
        for selector in selectors:
            needed = await self._store.read(lambda tx, text=selector: leftovers.target_set_needed(tx, text))  # type: ignore[misc]
            fresh["target_set"].pop(needed or "", None)
            yield

    async def _hosts(self) -> AsyncIterator[None]:
        """After the target sets: they hold the versions of their hosts."""
        old = set[int]()
        async for found in self._spans(
            "host_version", SPAN, partial(leftovers.find_old_host_versions, before=self._before)
        ):
            old |= set(islice(found, MOST_ASIDE - len(old)))
            yield
        if old:
            async for used in self._spans("target_set", SPAN_OF_WIDE, leftovers.host_versions_in_sets):
                old -= used
                yield
        async for _ in self._each(sorted(old), lambda tx, ids: leftovers.delete(tx, "host_version", ids)):
            yield
        gone = await self._store.read(lambda tx: leftovers.find_gone_hosts(tx, before=self._before))
        async for _ in self._each(gone, lambda tx, ids: leftovers.delete(tx, "host", ids), at_once=MOST_HOSTS):
            yield

    async def _items(self) -> AsyncIterator[None]:
        """After the plans: they name the texts that they were made of."""
        unnamed = await self._store.read(lambda tx: leftovers.find_unnamed_items(tx, before=self._before))
        yield
        if unnamed:
            async for used in self._spans("plan", SPAN_OF_WIDE, leftovers.items_of_plans):
                for digest in used:
                    unnamed.pop(digest, None)
                yield
        async for _ in self._each(list(unnamed.values()), leftovers.delete_items):
            yield

    async def _spans(self, table: leftovers.Table, span: int, look: Callable[[Tx, int], T]) -> AsyncIterator[T]:
        """Look at a table, so many ids at a time, as far as it goes now."""
        first, last = await self._store.read(lambda tx: leftovers.ids_of(tx, table))
        for after in range(first - 1, last, span):
            yield await self._store.read(lambda tx, after=after: look(tx, after))  # type: ignore[misc]

    async def _each(
        self, rows: Sequence[T], write: Callable[[Tx, list[T]], None], *, at_once: int = MOST_ROWS
    ) -> AsyncIterator[None]:
        for some in _batches(rows, at_once):
            await self._store.write(lambda tx, some=some: write(tx, some))  # type: ignore[misc]
            yield


def _batches(rows: Iterable[T], at_once: int) -> Iterator[list[T]]:
    left = iter(rows)
    while some := list(islice(left, at_once)):
        yield some
