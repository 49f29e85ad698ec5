"""What the mutants do in place of the real code: each function here is wrong on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rota.domain.policy import Missed
from rota.domain.reasons import Reason
from rota.domain.reckoning import Refused, Start
from rota.domain.run import RunEnd
from rota.domain.states import AttemptState, Fate, RunState
from rota.ports import Tx
from rota.storage import rescue
from rota.storage.launching import Draft, Launch
from rota.storage.planning import Planned
from rota.storage.windows import EMPTY_BOOK, Book
from rota.storage.work import Report, Settled


def nothing(*_: object, **__: object) -> None: ...


def none_found(*_: object, **__: object) -> list[Any]:
    return []


# Planning


class Deferred(Launch):
    """Inserts nothing now: what was drafted is inserted by a transaction of its own."""

    drafted: list[list[Draft]] = []  # noqa: RUF012  # shared on purpose: the planner picks it up

    def flush(self) -> tuple[list[int], list[Any]]:
        if self.drafts:
            self.drafted.append(list(self.drafts))
        return [], []


def plan_in_two(right: Callable[..., Any]) -> object:
    async def plan(self: Any, batch: int) -> Planned:
        planned: Planned = await right(self, batch)
        while Deferred.drafted:
            drafts = Deferred.drafted.pop(0)
            work = await self._store.write(lambda tx: insert(tx, self._owner, drafts))  # noqa: B023  # run at once
            self._worker.accept(work)
        return planned

    return plan


def insert(tx: Tx, owner: str, drafts: list[Draft]) -> Any:
    launch = Launch(tx, owner, 100)
    for draft in drafts:
        launch.add(draft)
    return launch.flush()[1]


class Undone(Exception):  # a signal
    def __init__(self, planned: Planned) -> None:
        self.planned = planned


def start_first(right: Callable[..., Planned]) -> object:
    """What was planned is started while its transaction is still open."""

    def plan_due(tx: Tx, cards: Any, **given: Any) -> Planned:
        planned = right(tx, cards, **given)
        if planned.work:
            raise Undone(planned)
        return planned

    return plan_due


def accept_undone(right: Callable[..., Any]) -> object:
    async def plan(self: Any, batch: int) -> Planned:
        try:
            planned: Planned = await right(self, batch)
        except Undone as undone:
            self._worker.accept(undone.planned.work)
            return undone.planned
        return planned

    return plan


def overlook_missed(right: Callable[..., None]) -> object:
    def write_down(tx: Tx, card: Any, trigger_id: int, refused: Refused, *rest: Any) -> None:
        if refused.reason is not Reason.MISSED:
            right(tx, card, trigger_id, refused, *rest)

    return write_down


def catch_up_twice(right: Callable[..., Any]) -> object:
    def reckon(course: Any, pending: Any, *, now: int, missed: Missed, **given: Any) -> Any:
        found = right(course, pending, now=now, missed=missed, **given)
        for outcome in list(found.outcomes):
            if isinstance(outcome, Start) and outcome.catch_up:
                before = course.timetable.prev(outcome.nominal)
                found.outcomes.append(Start(before, now, catch_up=True))
        return found

    return reckon


def forget_high_water(right: Callable[..., None]) -> object:
    def set_due(tx: Tx, trigger_id: int, rule: Any, high_water: int, spec: Any, *, enabled: bool) -> None:
        right(tx, trigger_id, rule, 0, spec, enabled=enabled)

    return set_due


def count_one_less(right: Callable[..., Any]) -> object:
    return lambda policy, unfinished, *limit: right(policy, max(0, unfinished - 1), *limit)


def without_waiting_for_older(right: Callable[..., Any]) -> object:
    def flush(self: Any) -> Any:
        for draft in self.drafts:
            draft.waits_for_overlap = False
        return right(self)

    return flush


def ignore_pauses(*_: object, **__: object) -> Book:
    return EMPTY_BOOK


# Claiming


def one_more(right: Callable[..., Any]) -> object:
    def opened(self: Any, queued: Any) -> Any:
        gate = right(self, queued)
        gate.room += gate.room > 0
        return gate

    return opened


def one_more_run(right: Callable[..., Any]) -> object:
    """The cap counts one slot less than is used."""

    def take(self: Any) -> Any:
        self.tx.driver.execute("UPDATE run_limit SET cap = cap + 1 WHERE key = 'runs'")
        try:
            return right(self)
        finally:
            self.tx.driver.execute("UPDATE run_limit SET cap = cap - 1 WHERE key = 'runs'")

    return take


# Attempts


def try_unknown_again(right: Callable[..., bool]) -> object:
    def may(step: Any, state: AttemptState, *rest: Any) -> bool:
        if state is AttemptState.UNKNOWN:
            return True
        return right(step, state, *rest)

    return may


def lost_is_failed(right: Callable[..., Any]) -> object:
    def state_of(exit_: Any, result: Any) -> Any:
        state, reason = right(exit_, result)
        return (AttemptState.FAILED, Reason.STEP_FAILED) if state is AttemptState.UNKNOWN else (state, reason)

    return state_of


def believe_evidence(right: Callable[..., bool]) -> object:
    def record(tx: Tx, attempt_id: int, text: str) -> bool:
        done = right(tx, attempt_id, text)
        tx.driver.execute("UPDATE attempt SET state = 'succeeded', reason = NULL WHERE id = ?", (attempt_id,))
        return done

    return record


def without_waiting(right: Callable[..., Any]) -> object:
    """The next attempt begins before its intent is durable."""

    async def commit(self: Any, report: Report) -> Settled:
        if report.then is None:
            settled: Settled = await right(self, report)
            return settled
        self.add(report)
        await asyncio.sleep(0.001)
        report.work.cursor, report.work.number = report.then
        report.work.attempt_id += 1
        return Settled({}, set(), [])

    return commit


# Ends


def close(extra: int) -> Callable[[Callable[..., None]], object]:
    def wrap(right: Callable[..., None]) -> object:
        def close(tx: Tx, run_id: int, closing: Any, settled: Settled) -> None:
            if closing.closed == 1:
                closing.closed += extra
            right(tx, run_id, closing, settled)

        return close

    return wrap


def without_outbox(right: Callable[..., None]) -> object:
    def finish(tx: Tx, ends: Sequence[tuple[int, int | None, RunEnd]], *rest: Any, **given: Any) -> None:
        right(tx, ends, *rest, **given)
        for run_id, _, end in ends:
            if end.state is not RunState.SUCCEEDED:
                tx.driver.execute("DELETE FROM outbox WHERE run_id = ?", (run_id,))

    return finish


def keep_slot(right: Callable[..., None]) -> object:
    def finish(tx: Tx, ends: Any, settled: Any = None, *, held_slots: bool = True) -> None:
        failed = any(end.state is RunState.FAILED for _, _, end in ends)
        right(tx, ends, settled, held_slots=held_slots and not failed)

    return finish


def free_slot_twice(right: Callable[..., None]) -> object:
    def finish(tx: Tx, ends: Any, settled: Any = None, *, held_slots: bool = True) -> None:
        right(tx, ends, settled, held_slots=True)

    return finish


# Rescue


def all_are_dead(right: Callable[..., Any]) -> object:
    async def sweep(self: Any) -> int:
        with_truth = self._dead_of
        self._dead_of = list
        try:
            count: int = await right(self)
            return count
        finally:
            self._dead_of = with_truth

    return sweep


def order_again(right: Callable[..., Any]) -> object:
    def fate(self: Any, token: str, *, owner: str) -> Fate | None:
        known: Fate | None = right(self, token, owner=owner)
        return Fate.NEVER_STARTED if known is Fate.LIVE else known

    return fate


def from_the_first_step(right: Callable[..., Any]) -> object:
    def take_over(*given: Any, **rest: Any) -> Any:
        rescued = right(*given, **rest)
        for one in rescued:
            one.work.cursor = 0
        return rescued

    return take_over


def bury_first(right: Callable[..., Any]) -> object:
    async def sweep(self: Any) -> int:
        owners = [owner for owner in await self._store.read(rescue.living_owners) if owner != self._owner]
        for owner in self._dead_of(owners):
            await self._store.write(partial(bury, owner=owner))
        count: int = await right(self)
        return count

    return sweep


def bury(tx: Tx, *, owner: str) -> None:
    rescue.end_owner(tx, owner)
