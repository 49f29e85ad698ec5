"""What the inside asks of the outside: small protocols, one per noun. Contract tests check what the docstrings say.

A port exists where two real implementations exist or the real thing cannot be in a test (DESIGN §2, house style §1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from rota.domain.instant import Micros
from rota.domain.policy import Overlap
from rota.domain.reasons import Reason
from rota.domain.step import Exit, Order

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.engine import CursorResult

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> Micros:
        """Wall-clock time. For what is stored or shown. May jump (NTP, suspend)."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never backwards. For durations and timeouts."""

    async def sleep(self, seconds: float, *, wake: asyncio.Event | None = None) -> bool:
        """Return after about `seconds`, or later; or True as soon as `wake` is set (it is cleared then).

        Callers cap what they ask for and look at `now()` again: nothing rests on one long sleep.
        """


class Random(Protocol):
    def hex(self, digits: int, count: int = 1) -> Sequence[str]:
        """Give `count` independent strings of `digits` lower-case hex digits, unguessable."""


class Tx(Protocol):
    """One transaction. Storage functions take it first and are plain and synchronous."""

    @property
    def at(self) -> Micros:
        """The store's own time, read once when the transaction began."""

    @property
    def driver(self) -> Any:
        """The DB-API connection of this transaction, for the hot statements in `storage/sql/`."""

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a SQLAlchemy Core statement. Many parameter sets are one executemany."""

    def take_ids(self, table: str, count: int = 1) -> int:
        """Reserve `count` consecutive row ids of `table` and return the first. Never handed out twice."""

    def new_public_ids(self, count: int) -> Sequence[str]:
        """Give `count` fresh strings of 16 hex digits."""


class Store(Protocol):
    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` whole in one atomic transaction and return its value once that is durable.

        Raises what `fn` raises, with nothing of it kept; Unavailable if the store cannot take writes.
        Several writes waiting at once may share one commit; each is still all or nothing by itself.
        """

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot that cannot write. Sees every write that was acknowledged before the call."""


class Member(NamedTuple):
    """One frozen target: a host at the version it had when the run was made, or `@controller`."""

    host: str
    host_version_id: int | None
    connector: str  # local


class Connector(Protocol):
    """How one kind of host is reached. `token` names an attempt for ever: a second order with it does nothing."""

    async def execute(
        self,
        order: Order,
        *,
        token: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
    ) -> Exit:
        """Carry `order` out and say how it ended.

        After `timeout_seconds` its whole process tree is ended, cause "timeout". `grew` is told of output to read.
        """

    async def follow(self, token: str, *, grew: Callable[[int], None]) -> Exit:
        """Wait for the end of an attempt that a dead owner started."""

    def cancel(self, token: str, *, cause: str) -> None:
        """End the whole process tree of that attempt; `execute` then returns with this `cause`."""

    async def read(self, token: str, offset: int, limit: int) -> OutputPiece:
        """Output so far. Raises NotFound or Unavailable when there is none to be had."""

    def forget(self, token: str) -> None:
        """The attempt's end and output are durable elsewhere: nothing of it need be kept."""


class OutputPiece(Protocol):
    """A slice of output: `data` at `offset`, which may be later than asked for where bytes were dropped."""

    @property
    def data(self) -> bytes: ...

    @property
    def offset(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything a run is made from. Plan and targets are frozen before this exists (DESIGN §3 Frozen)."""

    title: str  # the job's name, or the ad-hoc action's short form
    kind: str  # cron interval once manual rerun adhoc
    plan_id: int
    target_set_id: int
    members: tuple[Member, ...]  # as in the target set; never empty
    principal: str
    job_id: int | None = None
    job_version_id: int | None = None
    overlap: Overlap | None = None  # None = no overlap rule (ad hoc)
    key: str | None = None  # makes the request idempotent within its job
    priority: int = 0
    targets_at_once: int = 10
    run_timeout: Micros = 3_600_000_000
    rerun_of: int | None = None


class Launcher(Protocol):
    """Makes runs that people ask for, and has them carried out by this process or by the daemon's engine."""

    async def launch(self, request: RunRequest) -> int:
        """Commit the run and return its row id; work that may start at once has then been handed to the worker.

        Raises Skipped (reason overlap_skip, the refusal is in the ledger) if the job's overlap policy says no. A second
        request with the same job and `key` returns the first one's run.
        """

    async def cancel(self, run_id: int, *, reason: Reason) -> bool:
        """Ask for the end of a run, durably. False if it was already final. Targets that never started end at once."""

    def jobs_changed(self) -> None:
        """A job was saved, enabled, deleted, or the library or inventory changed: look at what is due next."""


@dataclass(frozen=True, slots=True)
class OutputItem:
    """A piece of output in order. `cut` counts the bytes that were dropped just before `data`."""

    seq: int
    attempt_id: int
    offset: int
    data: bytes
    cut: int


class OutputReader(Protocol):
    async def after(self, run_id: int, seq: int, limit: int) -> Sequence[OutputItem]:
        """The run's output items with a larger seq, in order, at most `limit`."""


class Events(Protocol):
    """Tells whoever watches in this process that something changed. A hint: watchers look at the store."""

    def touched(self, run_id: int) -> None:
        """The run with this row id, its targets, attempts or output changed."""

    def watch(self, run_id: int) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set at each change of that run until the context ends."""
