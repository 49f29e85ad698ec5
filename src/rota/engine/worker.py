"""The worker: claimed targets go through their steps, each on its own, so that none can hold up another.

A target is a small coroutine; what can be done at once (noop) is done without one. Everything that ends is reported
through the `Reporter`, and nothing is started before its intent is committed: a claim comes with the first intent, a
report with the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from rota.actions.prepare import Instant, prepare_now
from rota.domain.errors import Unavailable
from rota.domain.plan import Plan
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState
from rota.domain.step import Json, StepContext, StepResult
from rota.engine.attempts import Attempts, Held, TakenOver
from rota.engine.claimer import Claimer
from rota.engine.events import RunEvents
from rota.engine.hosts import Hosts
from rota.engine.output import OutputPump
from rota.engine.patience import patiently
from rota.engine.plans import KEPT as PLANS_KEPT
from rota.engine.plans import Plans
from rota.engine.registered import registered_before
from rota.engine.reporter import Reporter
from rota.engine.takeover import Taken
from rota.engine.verdict import SUCCEEDED, cancelled, follow_up
from rota.failpoints import reach
from rota.ports import Clock, Connector, Store, Tx
from rota.storage.finishing import move_on
from rota.storage.rescue import mark_sought
from rota.storage.work import Assignment, AttemptEnd, Report, Settled, attempt_of, token_of
from rota.templating.renderer import Renderer

T = TypeVar("T")
# The run cap bounds what runs at once; this only bounds what one process takes on in memory.
SLOTS = 20_000


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
        self._owner, self._store, self._clock, self._plans = owner, store, clock, plans
        self._connectors, self._events = connectors, events
        self.attempts = Attempts(
            owner=owner, store=store, clock=clock, hosts=hosts, connectors=connectors, renderer=renderer, output=output
        )
        self._held: dict[int, Held] = {}
        self._instants: dict[int, StepResult | None] = {}  # by plan id
        self._sought: dict[str, bool] = {}  # by token: whether its host is looked for, until that is written
        self._group: asyncio.TaskGroup | None = None
        self._giving: set[asyncio.Future[Any]] = set()  # writes under way that may give it work
        self._closing = False
        self._nothing_held = asyncio.Event()
        self.runs_ended: Callable[[], None] = lambda: None  # called after each commit that may have ended some
        self.holds_back: Callable[[], bool] = lambda: False  # whether nothing more may be begun for now
        self.claimer = Claimer(
            store, clock, owner, slots=self.slots, only_runs=only_runs, is_apart=claims_apart, on_work=self.accept,
            on_settled=self._settled,
        )  # fmt: skip
        self.reporter = Reporter(store, clock, self.claimer, slots=self.slots, on_settled=self._settled)

    def slots(self) -> int:
        """How many more targets may be claimed for this worker now."""
        return 0 if self._closing or self.holds_back() or self.attempts.is_silent() else SLOTS - len(self._held)

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
                self.attempts.cancel(held, rescued.cancel)
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
                self.attempts.cancel(held, reason)

    def close(self) -> None:
        """Claim nothing more."""
        self._closing = True

    async def end_local(self, reason: Reason, *, seconds: float) -> None:
        """End what this machine carries out, within `seconds`. What goes on on hosts is left alone: whoever takes this
        owner's work over follows it there."""
        for held in list(self._held.values()):
            if held.work.connector == "local" and held.cancel is None:
                self.attempts.cancel(held, reason)
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

    def _begin(self, work: Assignment, *, follow: bool = False) -> Held:
        held = self._held[work.target_id] = Held(work)
        self._spawn(self._carry(held, follow=follow))
        return held

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        assert self._group is not None, "the worker takes work only while it runs"
        try:
            self._group.create_task(coroutine)
        except RuntimeError:  # the worker has ended: who follows this process carries on what it was given
            coroutine.close()

    async def _carry(self, held: Held, *, follow: bool) -> None:
        """Take a target from its cursor to its end."""
        work = held.work
        try:
            plan = await self.plan_of(work)
            registered: dict[str, dict[str, Json]] = {}
            if work.cursor:
                registered = await patiently(
                    self._clock, lambda: self._store.read(lambda tx: registered_before(tx, work.target_id, plan))
                )
            while True:
                step = plan.steps[work.cursor]
                if not work.attempt_id and not await self._intend(held, work.cursor, work.number):
                    return
                end = await self.attempts.carry_out(held, plan, step, registered, follow=follow)
                follow = False
                if not await self._after(held, plan, end):
                    return
        except TakenOver:
            return
        finally:
            self._release(held)

    async def _after(self, held: Held, plan: Plan, end: AttemptEnd) -> bool:
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

    async def _intend(self, held: Held, cursor: int, number: int) -> bool:
        """Commit the intent of the next attempt. False if the target is no longer ours."""
        work = held.work
        work.attempt_id = 0
        if held.cancel is not None:
            await self.reporter.commit(Report(work=work, attempt=None, end=cancelled(held.cancel)))
            return False
        settled = await self.reporter.commit(Report(work=work, attempt=None, then=(cursor, number)))
        return work.claim not in settled.fenced

    # Ends

    def _release(self, held: Held) -> None:
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


def _instant_result(plan: Plan) -> StepResult | None:
    """What a plan of one step that succeeds at once (noop) comes to, the same for every run; None for other plans."""
    if len(plan.steps) != 1 or plan.steps[0].register:
        return None
    prepared = prepare_now(plan.steps[0], StepContext(variables=plan.variables, registered={}, host={}, run={}))
    return prepared.result if isinstance(prepared, Instant) and prepared.result.ok else None
