"""What the inside asks of the outside: small protocols, one per noun. Contract tests check what the docstrings say.

A port exists where two real implementations exist or the real thing cannot be in a test (DESIGN §2, house style §1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from rota.domain.fanout import FanOut
from rota.domain.instant import Micros
from rota.domain.inventory import Host
from rota.domain.policy import Overlap, Patience
from rota.domain.reasons import Reason
from rota.domain.states import Fate
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

    def boottime(self) -> float:
        """As `monotonic`, and it goes on while the machine sleeps."""

    async def sleep(self, seconds: float, *, wake: asyncio.Event | None = None) -> bool:
        """Return after about `seconds`, or later; or True as soon as `wake` is set (it is cleared then).

        Callers cap what they ask for and look at `now()` again: nothing rests on one long sleep.
        """


class Random(Protocol):
    def hex(self, digits: int, count: int = 1) -> Sequence[str]:
        """Give `count` independent strings of `digits` lower-case hex digits, unguessable."""


class Hint(Flag):
    """What other processes on the same store hear of at once, rather than at their next look."""

    WORK = auto()  # something waits that another process could start
    JOBS = auto()  # jobs, the library, the inventory, calendars or pauses changed
    CANCELS = auto()  # the end of a run was asked for, and somebody holds targets of it
    OUTBOX = auto()  # rows wait for whoever delivers them
    ENDED = auto()  # runs ended: for those who watch them


class Tx(Protocol):
    """One transaction. Storage functions take it first and are plain and synchronous."""

    @property
    def at(self) -> Micros:
        """The store's own time, read once when the transaction began."""

    @property
    def is_exclusive(self) -> bool:
        """Whether no other write goes on while this one does (SQLite). Where not, rows are locked before what they say
        is judged (`storage.row_locks`)."""

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
        """Give `count` fresh strings of 16 hex digits, in order."""

    def tell(self, hint: Hint, ended: Sequence[int] = ()) -> None:
        """Have other processes hear of this once it is committed, where the store can (PostgreSQL). A hint, which may
        be lost: they look at the store by themselves now and then. `ended`: row ids of runs."""


class Store(Protocol):
    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` whole in one atomic transaction and return its value once that is durable.

        Raises what `fn` raises, with nothing of it kept; Unavailable if the store cannot take writes. `fn` may be run
        again from its beginning where another write was in its way, so it changes nothing but rows.
        Several writes waiting at once may share one commit; each is still all or nothing by itself.
        """

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on a snapshot that cannot write. Sees every write that was acknowledged before the call."""


class Hints(Protocol):
    """What other processes on the same store tell. Contract: tests/contract/test_postgres_notify.py."""

    async def listen(self, hear: Callable[[Hint, Sequence[int]], object]) -> None:
        """Call `hear` for each hint of another process (its second argument: the runs that ended), until cancelled.

        Whenever hints may have been lost, as at the beginning, it is called with all there are: whoever then looks at
        the store has missed nothing.
        """


class Member(NamedTuple):
    """One frozen target: a host at the version it had when the run was made, or `@controller`."""

    host: str
    host_version_id: int | None
    connector: str  # local, ssh
    site: str | None = None


class Connector(Protocol):
    """How one kind of host is reached. `token` names an attempt for ever: a second order with it does nothing."""

    async def execute(
        self,
        order: Order,
        *,
        host: Host,
        token: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
    ) -> Exit:
        """Carry `order` out on `host` and say how it ended. Raises nothing: what goes wrong is in the Exit.

        After `timeout_seconds` its whole process tree is ended, cause "timeout". `grew` is told of output to read.
        """

    async def follow(
        self,
        order: Order,
        *,
        host: Host,
        token: str,
        timeout_seconds: float | None,
        grew: Callable[[int], None],
    ) -> Exit:
        """Take up an attempt that a dead owner started, or may have started, and say how it ended."""

    def cancel(self, token: str, *, cause: str) -> None:
        """End the whole process tree of that attempt; `execute` then returns with this `cause`."""

    async def read(self, token: str, offset: int, limit: int) -> OutputPiece:
        """Output so far. Raises NotFound or Unavailable when there is none to be had."""

    def forget(self, token: str, *, is_ours: bool = True) -> None:
        """The attempt's end and output are durable elsewhere: nothing of it need be kept. Not `is_ours`: another owner
        has taken it over, and needs what the host knows of it: else it would start it again."""

    async def open(self) -> None:
        """Make ready what takes time, rather than at the first order. Raises Unavailable."""

    async def adopt(self, is_dead: Callable[[str], bool]) -> set[str]:
        """Take over what owners that `is_dead` knows as dead left on this machine.

        Returns those of whose work nothing can be said yet: they are asked for again.
        """

    def fate(self, token: str, *, owner: str) -> Fate | None:
        """What became of an attempt that `owner`, now dead, had in work. None: nobody here can tell.

        LIVE and ENDED ask for `follow`. It may be asked again, and answers the same.
        """

    async def evidence(self, host: Host, token: str) -> str | None:
        """What the host knows of an attempt that ended `unknown`; None while it cannot be asked."""

    async def tidy(self, *, settled: bool = True) -> None:
        """Let go of what is not needed any more: called every few seconds.

        `settled` False: the attempts of some dead owner have yet to be asked about.
        """

    async def close(self, *, leave: bool) -> None:
        """Let go of everything. `leave`: what runs lives on for the next owner; else it is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A public key that a host shows. `line` is what a known_hosts file says of it: `ssh-ed25519 AAAA…`."""

    algorithm: str
    fingerprint: str  # SHA256:…
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """The key that a host shows now, and what is known of it. `before` are the keys known for it, when it changed."""

    shown: HostKey
    verdict: Literal["known", "unknown", "changed"]
    before: tuple[HostKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Whether commands can be run on a host now. `reason` is None when they can; `system` is what `uname` said."""

    reason: Reason | None
    message: str
    seconds: float
    system: str | None = None


class Reach(Protocol):
    """What people ask of a way to hosts outside any run. Contract: tests/contract/test_reach.py."""

    async def ping(self, host: Host) -> Ping:
        """Log in and run nothing of effect. Raises nothing: what is wrong is in the answer."""

    async def key_of(self, host: Host) -> KeyCheck:
        """Ask the host for its key, without logging in. Raises Unavailable when it cannot be reached."""

    async def trust(self, host: Host, key: HostKey) -> None:
        """From now on this is the host's key, in place of those known before. Durable when it returns."""


class OutputPiece(Protocol):
    """A slice of output: `data` at `offset`, which may be later than asked for where bytes were dropped."""

    @property
    def data(self) -> bytes: ...

    @property
    def offset(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerms:
    """What a run is made from, but for whose it is: equal jobs share one. Plan and targets are frozen before this
    exists (DESIGN §3 Frozen)."""

    kind: str  # cron interval once manual rerun adhoc
    plan_id: int
    target_set_id: int
    members: tuple[Member, ...]  # as in the target set; never empty
    principal: str
    overlap: Overlap | None = None  # None = no overlap rule (ad hoc)
    overlap_limit: int | None = None  # of `queue` and `allow`; None = their default
    patience: Patience | None = None  # None: it waits as long as it must
    priority: int = 0
    targets_at_once: int = 10
    fan_out: FanOut | None = None  # None: no rules beyond `targets_at_once`
    run_timeout: Micros = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest(RunTerms):
    """Everything a run is made from."""

    title: str  # the job's name, or the ad-hoc action's short form
    job_id: int | None = None
    job_version_id: int | None = None
    key: str | None = None  # makes the request idempotent within its job
    rerun_of: int | None = None

    @property
    def terms(self) -> RunTerms:
        return self


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

    def limits_changed(self) -> None:
        """A cap on targets was set or taken away: look at what waits."""


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

    def watch_end(self, run_id: int) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set when the run ends here, until the context ends: whoever looks at changes only so
        often need not wait for the end."""
