"""A whole store from one database to another: every row as it is, all or nothing, and read back before it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rota.database.sides import AT_ONCE, Row, Side, TableOf, tables
from rota.domain.errors import Conflict, Unavailable


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows of each table, and the digest over all of them, which both sides gave."""

    rows: dict[str, int]
    digest: str


def copy(
    source: Side, target: Side, *, tell: Callable[[str, int], None], underway: Callable[[str, int], None] | None = None
) -> Copied:
    """Copy every table and the output, a few thousand rows in memory at a time. Ids stay, public and inner ones.

    `tell` hears of each table (name, rows) when it is done; `underway` every few thousand rows of what is being done
    ("run written", rows).

    Raises Conflict where work is going on in the source or the target holds anything; Unavailable where what is read
    back differs from what was written: then nothing was kept.
    """
    all_tables = tables()
    _require_rest(source)
    _require_empty(target, all_tables)
    counts: dict[str, int] = {}
    digests = hashlib.sha256()
    for table in all_tables:
        written = _Digest(f"{table.name} written", underway)
        target.write(table, written.over(source.rows(table)))
        read = _Digest(f"{table.name} read back", underway)
        for _ in read.over(target.rows(table)):
            pass
        if (read.rows, read.digest) != (written.rows, written.digest):
            raise Unavailable(
                f"{table.name} was read back otherwise than it was written: {read.rows} rows of {written.rows}",
                hint="nothing was kept; check the disk of the target",
            )
        counts[table.name] = written.rows
        digests.update(written.digest.encode())
        tell(table.name, written.rows)
    target.keep()
    return Copied(counts, digests.hexdigest())


def _require_rest(source: Side) -> None:
    if who := source.in_use():
        raise Conflict(
            f"{who} at work in the {source.shown}",
            expected="a store at rest",
            hint="stop its daemons (rota daemon stop), and wait for what runs: rota runs list --state running",
        )


def _require_empty(target: Side, all_tables: Iterable[TableOf]) -> None:
    full = {table.name: count for table in all_tables if (count := target.count(table))}
    if full:
        told = ", ".join(f"{count} of {name}" for name, count in full.items())
        raise Conflict(
            f"the {target.shown} was used already: it holds {told}",
            expected="one that no daemon has opened",
            hint="name another database (CREATE DATABASE rota), or move the file away",
        )


class _Digest:
    """Counts the rows that pass, and digests them; tells `underway` of it now and then."""

    def __init__(self, doing: str, underway: Callable[[str, int], None] | None) -> None:
        self.rows = 0
        self._sum = hashlib.sha256()
        self._doing, self._underway = doing, underway

    def over(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.rows += 1
            self._sum.update(repr(row).encode())
            if self._underway is not None and self.rows % AT_ONCE == 0:
                self._underway(self._doing, self.rows)
            yield row

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()
