"""One attempt of a claimed target: its step is prepared, carried out within its time, and judged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TypeVar

from rota.actions.commands import leftovers
from rota.actions.prepare import SKIPPED, Instant, Ordered, Perform, Prepared, Skip, prepare, ready_now
from rota.domain.authorize import Principal, Verb, authorize
from rota.domain.errors import RotaError
from rota.domain.instant import SECOND, Micros, format_rfc3339
from rota.domain.inventory import Host
from rota.domain.job import DEFAULT_STEP_TIMEOUT_SECONDS
from rota.domain.plan import Plan
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import AttemptState
from rota.domain.step import Command, Exit, Json, Order, Step, StepContext, StepResult
from rota.engine.hosts import Hosts
from rota.engine.output import OutputPump
from rota.engine.patience import patiently
from rota.engine.plans import KEPT as PLANS_KEPT
from rota.engine.registered import step_began_at
from rota.engine.verdict import state_of
from rota.ports import Clock, Connector, Store, Tx
from rota.storage.leases import still_holds
from rota.storage.work import Assignment, AttemptEnd, token_of
from rota.templating.renderer import Renderer

T = TypeVar("T")
_HEARD_SECONDS = 0.05


class TakenOver(Exception):  # the house's names say what happened
    """The target is another owner's."""


@dataclass(eq=False, slots=True)
class Held:
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


class Attempts:
    def __init__(
        self,
        *,
        owner: str,
        store: Store,
        clock: Clock,
        hosts: Hosts,
        connectors: Mapping[str, Connector],
        renderer: Renderer,
        output: OutputPump,
    ) -> None:
        self._owner, self._store, self._clock, self._hosts = owner, store, clock, hosts
        self._connectors, self._renderer, self._output = connectors, renderer, output
        self._ready_steps: dict[tuple[int, int], Callable[[StepContext], Prepared] | None] = {}
        self._silences = 0  # after which this owner was heard again
        # Whether this owner has given no sign of life for so long that its work may be another's (`engine/leases.py`).
        self.is_silent: Callable[[], bool] = lambda: False

    def heard_again(self) -> None:
        """This owner has given a sign of life, and was silent before: what it had claimed by then may be another's."""
        self._silences += 1

    async def carry_out(
        self, held: Held, plan: Plan, step: Step, registered: dict[str, dict[str, Json]], *, follow: bool
    ) -> AttemptEnd:
        """Carry out the attempt that `held` is at, or `follow` it where it was begun. What it registers is added to
        `registered`. Raises TakenOver where the target turns out to be another owner's."""
        work = held.work
        started_at = self._clock.now()
        frozen = await patiently(self._clock, lambda: self._hosts.of(work.host, work.host_version_id))
        held.step_over_at = await self._over_at(work, step)
        context = StepContext(variables=plan.variables, registered=registered, host=frozen.facts, run=_run_facts(work))
        exit_: Exit | None = None
        result: StepResult | Skip
        try:
            authorize(Principal(name="schedule"), Verb.RUN, f"run {work.run_public}")
            ready = self._ready(work, step)
            prepared = ready(context) if ready is not None else await prepare(step, context, self._renderer)
            if not (follow and work.connector == "local"):  # what never got to a host is ordered by following it
                await self._be_heard(held)  # last: until a start order nothing more is waited for
            if held.cancel is not None and not follow:
                exit_, result = Exit(cause=held.cancel), StepResult(ok=False)
            else:
                exit_, result = await self._do(held, frozen.host, step, prepared, follow=follow)
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
        return _end_of(work, step, result, exit_, started_at=started_at, finished_at=finished_at)

    def cancel(self, held: Held, reason: Reason) -> None:
        """End it; before its order, or between two attempts, it is never begun."""
        held.cancel = reason
        if held.token is not None:
            self._connectors[held.work.connector].cancel(held.token, cause=reason)
        elif held.performing is not None:
            held.performing.cancel()

    async def _be_heard(self, held: Held) -> None:
        """Wait until this owner has given a sign of life after which the target is still its own, or its end is asked
        for. Raises TakenOver where that came too late: a process that was stopped between an intent and its order must
        not start what others carry on, even if it was heard again meanwhile."""
        work = held.work
        while self.is_silent() or held.silences != self._silences:
            if self.is_silent():
                if held.cancel is not None:
                    return
                await self._clock.sleep(_HEARD_SECONDS)
                continue
            silences = self._silences
            if not await self._read(lambda tx: still_holds(tx, self._owner, work.target_id, work.fence)):
                raise TakenOver
            held.silences = silences

    def _ready(self, work: Assignment, step: Step) -> Callable[[StepContext], Prepared] | None:
        """How to prepare the step at the cursor without rendering, found once for all runs of a plan."""
        key = work.plan_id, work.cursor
        if key not in self._ready_steps:
            if len(self._ready_steps) > PLANS_KEPT:
                self._ready_steps.clear()
            self._ready_steps[key] = ready_now(step)
        return self._ready_steps[key]

    async def _do(
        self, held: Held, host: Host, step: Step, prepared: Prepared, *, follow: bool
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

    async def _order(self, held: Held, host: Host, step: Step, order: Order, *, follow: bool) -> Exit:
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
                asyncio.get_running_loop().call_soon(self.cancel, held, held.cancel)
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
        self, held: Held, step: Step, perform: Callable[[], Awaitable[StepResult]]
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

    def _limit(self, held: Held, step: Step) -> tuple[float, Reason]:
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
            raise TakenOver
        return began + round(step.total_timeout_seconds * SECOND)

    async def _read(self, fn: Callable[[Tx], T]) -> T:
        return await patiently(self._clock, lambda: self._store.read(fn))


def _end_of(
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
