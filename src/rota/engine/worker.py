"""The worker: claimed targets go through their steps, each on its own, so that none can hold up another.

A target is a small coroutine; what can be done at once (noop) is done without one. Everything that ends is reported
through the `Reporter`, and nothing is started before its intent is committed: a claim comes with the first intent, a
report with the next.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, TypeVar

from rota.actions.commands import leftovers
from rota.actions.prepare import SKIPPED, Instant, Ordered, Perform, Prepared, Skip, prepare, prepare_now, ready_now
from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import RotaError, Unavailable
from rota.domain.instant import SECOND, Micros, format_rfc3339
from rota.domain.inventory import Host
from rota.domain.job import DEFAULT_STEP_TIMEOUT_SECONDS
from rota.domain.plan import Plan
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import AttemptState
from rota.domain.step import Command, Exit, Json, Order, Step, StepContext, StepResult
from rota.engine.claimer import Claimer
from rota.engine.events import RunEvents
from rota.engine.hosts import Hosts
from rota.engine.output import OutputPump
from rota.engine.patience import patiently
from rota.engine.plans import KEPT as PLANS_KEPT
from rota.engine.plans import Plans
from rota.engine.registered import registered_before, step_began_at
from rota.engine.reporter import Reporter
from rota.engine.takeover import Taken
from rota.engine.verdict import SUCCEEDED, cancelled, follow_up, state_of
from rota.failpoints import reach
from rota.ports import Clock, Connector, Store, Tx
from rota.storage.finishing import move_on
from rota.storage.leases import still_holds
from rota.storage.rescue import mark_sought
from rota.storage.work import Assignment, AttemptEnd, Report, Settled, attempt_of, token_of
from rota.templating.renderer import Renderer

T = TypeVar("T")
# The run cap bounds what runs at once; this only bounds what one process takes on in memory.
SLOTS = 20_000
_HEARD_SECONDS = 0.05


class _Taken(Exception):
    """The target is another owner's."""


@dataclass(eq=False, slots=True)
class _Held:
    """A target in work. `cancel` says why it should end; `token` is set while a connector carries out an attempt.

    `silences`: of so many of its owner's it is known that they took nothing of it. Of none at first: its claim may have
    been committed before any of them, and told after.
    """

    work: Assignment
    silences: int = 0
    step_over_at: Micros | None = None  # when the time of the step at its cursor is over, which all its attempts share
    cancel: Reason | None = None
    token: str | None = None
    performing: asyncio.Task[StepResult] | None = None


class Worker:
    def __init__(
        self,
        *,
        owner: str,
        store: Store,
        clock: Clock,
        plans: Plans,
        hosts: Hosts,
        connectors: Mapping[str, Connector],
        renderer: Renderer,
        output: OutputPump,
        events: RunEvents,
        only_runs: set[int] | None = None,
        claims_apart: bool = False,
    ) -> None:
        """`claims_apart`: on a store where writes go on beside each other (`engine/claimer.py`)."""
        self._owner, self._store, self._clock, self._plans, self._hosts = owner, store, clock, plans, hosts
        self._connectors, self._renderer, self._output, self._events = connectors, renderer, output, events
        self._held: dict[int, _Held] = {}
        self._ready_steps: dict[tuple[int, int], Callable[[StepContext], Prepared] | None] = {}
        self._instants: dict[int, StepResult | None] = {}  # by plan id
        self._sought: dict[str, bool] = {}  # by token: whether its host is looked for, until that is written
        self._group: asyncio.TaskGroup | None = None
        self._giving: set[asyncio.Future[Any]] = set()  # writes under way that may give it work
        self._closing = False
        self._silences = 0  # after which this owner was heard again
        self._nothing_held = asyncio.Event()
        self.runs_ended: Callable[[], None] = lambda: None  # called after each commit that may have ended some
        self.holds_back: Callable[[], bool] = lambda: False  # whether nothing more may be begun for now
        # Whether this owner has given no sign of life for so long that its work may be another's (`engine/leases.py`).
        self.is_silent: Callable[[], bool] = lambda: False
        self.claimer = Claimer(
            store, clock, owner, slots=self.slots, only_runs=only_runs, is_apart=claims_apart, on_work=self.accept,
            on_settled=self._settled,
        )  # fmt: skip
        self.reporter = Reporter(store, clock, self.claimer, slots=self.slots, on_settled=self._settled)

    def slots(self) -> int:
        """How many more targets may be claimed for this worker now."""
        return 0 if self._closing or self.holds_back() or self.is_silent() else SLOTS - len(self._held)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.reporter.run())
            group.create_task(self.claimer.run())

    # What comes in

    def accept(self, work: Sequence[Assignment]) -> None:
        """Take on claimed targets, whose intents are committed."""
        done = []
        for assignment in work:
            if (report := self._at_once(assignment)) is not None:
                done.append(report)
            else:
                self._begin(assignment)
        self.reporter.add(done)

    async def given_by(self, store: Store, write: Callable[[Tx], T], take: Callable[[T], object]) -> T:
        """Carry out a write that may give this owner work, and `take` what it gave, also when whoever waits for it goes
        away: what is ours by the store, and nobody here knows of, would wait for ever.

        Raises Unavailable once nothing more is taken on.
        """
        if self._closing:
            raise Unavailable("this process is ending, and takes on nothing more")
        giving = asyncio.ensure_future(_give(store, write, take))
        self._giving.add(giving)
        giving.add_done_callback(self._given)
        return await asyncio.shield(giving)

    def _given(self, giving: asyncio.Future[Any]) -> None:
        self._giving.discard(giving)
        if not giving.cancelled():
            giving.exception()  # it is heard of where somebody waits for it

    def carry_on(self, taken: Taken) -> None:
        """Go on with what another owner held, and with what follows from the verdicts on what of it is lost."""
        reach("rescue.committed")
        for rescued, follow in taken.going_on:
            held = self._begin(rescued.work, follow=follow)
            if rescued.cancel is not None:
                self._cancel(held, rescued.cancel)
        move_on(taken.lost, taken.settled)
        if taken.lost:
            self._settled(taken.lost, taken.settled)
        for report in taken.lost:
            if report.then is not None:
                self._begin(report.work)

    def sought(self, token: str, *, is_sought: bool) -> None:
        """The host of an attempt gives no answer and is looked for, or that is over. Its row says so."""
        is_being_written = token in self._sought
        self._sought[token] = is_sought
        if not is_being_written:
            self._spawn(self._mark_sought(token))

    async def _mark_sought(self, token: str) -> None:
        written: bool | None = None
        while written is not (is_sought := self._sought[token]):
            mark = partial(mark_sought, attempt_id=attempt_of(token), owner=self._owner, is_sought=is_sought)
            await patiently(self._clock, lambda: self._store.write(mark))  # noqa: B023  # awaited here
            written = is_sought
        del self._sought[token]

    async def plan_of(self, work: Assignment) -> Plan:
        """The plan of a target that is held, as soon as the store can be read."""
        if (plan := self._plans.peek(work.plan_id)) is not None:
            return plan
        return await patiently(self._clock, lambda: self._plans.get(work.plan_id))

    def cancel(self, run_id: int, reason: Reason) -> None:
        """End whatever of this run is in work here."""
        for held in list(self._held.values()):
            if held.work.run_id == run_id and held.cancel is None:
                self._cancel(held, reason)

    def heard_again(self) -> None:
        """This owner has given a sign of life, and was silent before: what it had claimed by then may be another's."""
        self._silences += 1

    def close(self) -> None:
        """Claim nothing more."""
        self._closing = True

    async def end_local(self, reason: Reason, *, seconds: float) -> None:
        """End what this machine carries out, within `seconds`. What goes on on hosts is left alone: whoever takes this
        owner's work over follows it there."""
        for held in list(self._held.values()):
            if held.work.connector == "local" and held.cancel is None:
                self._cancel(held, reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(held.work.connector == "local" for held in self._held.values()):
                    await self._clock.sleep(0.1)

    async def nearly_idle(self) -> None:
        """Return when nothing is held, or in a moment."""
        self._nothing_held.clear()
        await self._clock.sleep(0.1, wake=self._nothing_held)

    @property
    def is_idle(self) -> bool:
        """Nothing is held or about to be, and every report is committed."""
        return not self._held and not self._giving and self.reporter.is_idle and self.claimer.is_idle

    def fence_of(self, target_id: int) -> int | None:
        """The fence under which a target is held here; None if it is not."""
        held = self._held.get(target_id)
        return None if held is None else held.work.fence

    @property
    def held_runs(self) -> set[int]:
        return {held.work.run_id for held in self._held.values()}

    @property
    def runs_going_on(self) -> set[int]:
        """Of those held here, the runs that nobody has asked to end."""
        return {held.work.run_id for held in self._held.values() if held.cancel is None}

    # One target

    def _at_once(self, work: Assignment) -> Report | None:
        """Do a run of one instantaneous step here and now; None if it needs a coroutine."""
        if work.plan_id not in self._instants:
            if (plan := self._plans.peek(work.plan_id)) is None:
                return None
            if len(self._instants) > PLANS_KEPT:
                self._instants.clear()
            self._instants[work.plan_id] = _instant_result(plan)
        result = self._instants[work.plan_id]
        if result is None or work.cursor:
            return None
        now = self._clock.now()
        end = AttemptEnd(state=AttemptState.SUCCEEDED, changed=result.changed, started_at=now, finished_at=now)
        work.changed = result.changed
        return Report(work=work, attempt=end, end=SUCCEEDED)

    def _begin(self, work: Assignment, *, follow: bool = False) -> _Held:
        held = self._held[work.target_id] = _Held(work)
        self._spawn(self._carry(held, follow=follow))
        return held

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        assert self._group is not None, "the worker takes work only while it runs"
        try:
            self._group.create_task(coroutine)
        except RuntimeError:  # the worker has ended: who follows this process carries on what it was given
            coroutine.close()

    async def _carry(self, held: _Held, *, follow: bool) -> None:
        """Take a target from its cursor to its end."""
        work = held.work
        try:
            plan = await self.plan_of(work)
            registered: dict[str, dict[str, Json]] = {}
            if work.cursor:
                registered = await self._read(lambda tx: registered_before(tx, work.target_id, plan))
            while True:
                step = plan.steps[work.cursor]
                if not work.attempt_id and not await self._intend(held, work.cursor, work.number):
                    return
                end = await self._attempt(held, plan, step, registered, follow=follow)
                follow = False
                if not await self._after(held, plan, end):
                    return
        except _Taken:
            return
        finally:
            self._release(held)

    async def _after(self, held: _Held, plan: Plan, end: AttemptEnd) -> bool:
        """Report an ended attempt with what follows from it. True if the target goes on here and now."""
        work = held.work
        work.changed = work.changed or end.changed
        connector, token = self._connectors[work.connector], token_of(work.attempt_id)
        now = self._clock.now()
        report = follow_up(work, plan, end, cancel=held.cancel, now=now, step_over_at=held.step_over_at)
        if report.then is None:
            self._release(held)  # its slot is free for what this very commit claims
        settled = await self.reporter.commit(report)
        is_ours = work.claim not in settled.fenced
        connector.forget(token, is_ours=is_ours)
        return report.then is not None and is_ours

    async def _intend(self, held: _Held, cursor: int, number: int) -> bool:
        """Commit the intent of the next attempt. False if the target is no longer ours."""
        work = held.work
        work.attempt_id = 0
        if held.cancel is not None:
            await self.reporter.commit(Report(work=work, attempt=None, end=cancelled(held.cancel)))
            return False
        settled = await self.reporter.commit(Report(work=work, attempt=None, then=(cursor, number)))
        return work.claim not in settled.fenced

    # One attempt

    async def _read(self, fn: Callable[[Tx], T]) -> T:
        return await patiently(self._clock, lambda: self._store.read(fn))

    async def _attempt(
        self, held: _Held, plan: Plan, step: Step, registered: dict[str, dict[str, Json]], *, follow: bool
    ) -> AttemptEnd:
        work = held.work
        started_at = self._clock.now()
        frozen = await patiently(self._clock, lambda: self._hosts.of(work.host, work.host_version_id))
        held.step_over_at = await self._over_at(work, step)
        context = StepContext(variables=plan.variables, registered=registered, host=frozen.facts, run=_run_facts(work))
        exit_: Exit | None = None
        result: StepResult | Skip
        try:
            authorize(Principal(name="schedule"), Verb.RUN, f"run {work.run_public}")
            ready = self._ready(work)
            prepared = ready(context) if ready is not None else await prepare(step, context, self._renderer)
            if not (follow and work.connector == "local"):  # what never got to a host is ordered by following it
                await self._be_heard(held)  # last: until a start order nothing more is waited for
            if held.cancel is not None and not follow:
                exit_, result = Exit(cause=held.cancel), StepResult(ok=False)
            else:
                exit_, result = await self._carry_out(held, frozen.host, step, prepared, follow=follow)
        except RotaError as error:
            result = StepResult(ok=False, message=str(error))
        finished_at = self._clock.now()
        value = dict(SKIPPED) if isinstance(result, Skip) else dict(result.registered)
        if step.register:
            registered[step.register] = value
        if isinstance(result, Skip):
            return AttemptEnd(
                state=AttemptState.SKIPPED, message=result.reason, started_at=started_at, finished_at=finished_at,
                registered=json.dumps(value) if step.register else None,
            )  # fmt: skip
        return self._attempt_end(work, step, result, exit_, started_at=started_at, finished_at=finished_at)

    async def _be_heard(self, held: _Held) -> None:
        """Wait until this owner has given a sign of life after which the target is still its own, or its end is asked
        for. Raises _Taken where that came too late: a process that was stopped between an intent and its order must not
        start what others carry on, even if it was heard again meanwhile."""
        work = held.work
        while self.is_silent() or held.silences != self._silences:
            if self.is_silent():
                if held.cancel is not None:
                    return
                await self._clock.sleep(_HEARD_SECONDS)
                continue
            silences = self._silences
            if not await self._read(lambda tx: still_holds(tx, self._owner, work.target_id, work.fence)):
                raise _Taken
            held.silences = silences

    def _ready(self, work: Assignment) -> Callable[[StepContext], Prepared] | None:
        """How to prepare the step at the cursor without rendering, found once for all runs of a plan."""
        key = work.plan_id, work.cursor
        if key not in self._ready_steps:
            if len(self._ready_steps) > PLANS_KEPT:
                self._ready_steps.clear()
            plan = self._plans.peek(work.plan_id)
            self._ready_steps[key] = ready_now(plan.steps[work.cursor]) if plan is not None else None
        return self._ready_steps[key]

    async def _carry_out(
        self, held: _Held, host: Host, step: Step, prepared: Prepared, *, follow: bool
    ) -> tuple[Exit | None, StepResult | Skip]:
        match prepared:
            case Skip():
                return None, prepared
            case Instant(result):
                return None, result
            case Perform(perform):
                return await self._perform(held, step, perform)
            case Ordered(order, read):
                exit_ = await self._order(held, host, step, order, follow=follow)
                if exit_.unreached or exit_.lost:  # there is nothing for the action to judge
                    return exit_, StepResult(ok=False, message=exit_.failure or "")
                return exit_, read(exit_)

    async def _order(self, held: _Held, host: Host, step: Step, order: Order, *, follow: bool) -> Exit:
        work, token = held.work, token_of(held.work.attempt_id)
        connector = self._connectors[work.connector]
        timeout, reason = self._limit(held, step)
        if timeout <= 0 and not follow:
            return Exit(cause=reason)
        tap = self._output.open(
            work.run_id, work.attempt_id, lambda offset, limit: connector.read(token, offset, limit),
            offset=await self._output.stored(work.attempt_id) if follow else 0,
        )  # fmt: skip
        # What a file step prints is its answer to us; people see it as the attempt's message.
        grew = tap.grew if isinstance(order, Command) else _ignore
        held.token = token
        try:
            begin = connector.follow if follow else connector.execute
            going = begin(order, host=host, token=token, timeout_seconds=max(timeout, 0.0), grew=grew)
            if held.cancel is not None:  # it was cancelled between its claim and now
                asyncio.get_running_loop().call_soon(self._cancel, held, held.cancel)
            elif timeout <= 0:  # it was taken over when its time was over already: it must not run on
                asyncio.get_running_loop().call_soon(partial(connector.cancel, token, cause=reason))
            exit_ = await going
            await tap.drain()
        finally:
            held.token = None
        if exit_.cause == "timeout":
            return replace(exit_, cause=reason)
        if exit_.cause == "taken_back":  # it was cancelled before its start
            return replace(exit_, cause=held.cancel or Reason.USER_CANCELLED)
        return exit_

    async def _perform(
        self, held: _Held, step: Step, perform: Callable[[], Awaitable[StepResult]]
    ) -> tuple[Exit | None, StepResult]:
        timeout, reason = self._limit(held, step)
        held.performing = task = asyncio.ensure_future(perform())
        try:
            async with asyncio.timeout(timeout):
                return None, await task
        except TimeoutError:
            return Exit(cause=reason), StepResult(ok=False, message=EXPLANATIONS[reason])
        except asyncio.CancelledError:
            if held.cancel is None:
                raise
            return Exit(cause=held.cancel), StepResult(ok=False, message=EXPLANATIONS[held.cancel])
        finally:
            held.performing = None

    def _limit(self, held: _Held, step: Step) -> tuple[float, Reason]:
        """Seconds this attempt may take, and the reason if it takes longer."""
        work, now = held.work, self._clock.now()
        left = (work.run_started_at + work.run_timeout - now) / SECOND
        limit = step.timeout_seconds or DEFAULT_STEP_TIMEOUT_SECONDS
        if held.step_over_at is not None:
            limit = min(limit, (held.step_over_at - now) / SECOND)
        return (limit, Reason.STEP_TIMEOUT) if limit <= left else (left, Reason.RUN_TIMEOUT)

    async def _over_at(self, work: Assignment, step: Step) -> Micros | None:
        """When the time of the step at the cursor is over; None where it has no end."""
        if step.total_timeout_seconds is None:
            return None
        if (began := await self._read(lambda tx: step_began_at(tx, work.target_id, work.cursor))) is None:
            raise _Taken
        return began + round(step.total_timeout_seconds * SECOND)

    def _attempt_end(
        self,
        work: Assignment,
        step: Step,
        result: StepResult,
        exit_: Exit | None,
        *,
        started_at: int,
        finished_at: int,
    ) -> AttemptEnd:
        state, reason = state_of(exit_, result)
        message = result.message or None
        if state is not AttemptState.FAILED and reason is not None and not (exit_ and exit_.failure):
            message = EXPLANATIONS[reason]
        if exit_ is not None:
            where = "" if work.connector == "local" else f" on {work.host}"
            left = f"{words}{where}" if (words := leftovers(exit_)) else None
            message = "; ".join(part for part in (message, left, exit_.note) if part) or None
        return AttemptEnd(
            state=state, reason=reason, message=message, exit_code=result.exit_code,
            signal=exit_.signal if exit_ else None, changed=result.changed,
            registered=json.dumps(dict(result.registered)) if step.register else None,
            output_bytes=exit_.output_total if exit_ else None, started_at=started_at, finished_at=finished_at,
        )  # fmt: skip

    # Ends

    def _cancel(self, held: _Held, reason: Reason) -> None:
        held.cancel = reason
        if held.token is not None:
            self._connectors[held.work.connector].cancel(held.token, cause=reason)
        elif held.performing is not None:
            held.performing.cancel()

    def _release(self, held: _Held) -> None:
        if self._held.get(held.work.target_id) is held:  # parked, it may have been claimed again meanwhile
            del self._held[held.work.target_id]
        if not self._held:
            self._nothing_held.set()

    def _settled(self, reports: Sequence[Report], settled: Settled) -> None:
        self._events.touched_all(report.work.run_id for report in reports)
        self._events.ended_all(settled.finished_runs)
        if settled.finished_runs or not reports:  # without reports: somebody ended runs elsewhere, and had us look
            self.runs_ended()


async def _give(store: Store, write: Callable[[Tx], T], take: Callable[[T], object]) -> T:
    given = await store.write(write)
    take(given)
    return given


def _ignore(_total: int) -> None:
    """Nobody reads this output."""


def _run_facts(work: Assignment) -> dict[str, Json]:
    return {
        "id": f"run_{work.run_public}", "job": work.title, "due_at": _due_text(work.due_at),
        "trigger": work.kind, "attempt": work.number, "token": token_of(work.attempt_id),
    }  # fmt: skip


@lru_cache(maxsize=64)
def _due_text(at: Micros) -> str:
    return format_rfc3339(at)  # a herd is due at one instant


def _instant_result(plan: Plan) -> StepResult | None:
    """What a plan of one step that succeeds at once (noop) comes to, the same for every run; None for other plans."""
    if len(plan.steps) != 1 or plan.steps[0].register:
        return None
    prepared = prepare_now(plan.steps[0], StepContext(variables=plan.variables, registered={}, host={}, run={}))
    return prepared.result if isinstance(prepared, Instant) and prepared.result.ok else None
