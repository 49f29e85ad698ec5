"""A store, its clock, and the hot functions under short names; a planner, a worker and a launcher played by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from rota.domain.instant import SECOND, Micros
from rota.domain.job import JobSpec, NamedTrigger, canonical, digest
from rota.domain.plan import Plan
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState, TargetState
from rota.domain.step import Step
from rota.domain.trigger.spec import CronTrigger, IntervalTrigger, ManualTrigger, TriggerSpec
from rota.ports import Member, RunRequest, Tx
from rota.storage.admission import admit
from rota.storage.cards import Card, load_cards, upcoming
from rota.storage.claiming import claim
from rota.storage.executor import Executor, InlineExecutor
from rota.storage.finishing import cancel_run, move_on, settle
from rota.storage.freeze import plan_for, store_plan, target_set_for
from rota.storage.jobs import JobRow, get_job_by_id, insert_job, save_version
from rota.storage.launching import Draft, Launch
from rota.storage.planning import Planned, plan_due
from rota.storage.postgres import PostgresStore
from rota.storage.sqlite import SqliteStore
from rota.storage.work import Assignment, AttemptEnd, Report, Settled, TargetEnd
from tests.support.clock import ManualClock
from tests.support.empty_store import lay_empty_store

AnyStore = SqliteStore | PostgresStore
NOOP = Step(name="main", action="noop")


def a_command(name: str = "main", text: str = "true", **fields: Any) -> Step:
    """A step that a connector carries out."""
    return Step(name=name, action="exec", params={"command": text}, **fields)


def cron(expression: str, zone: str = "UTC") -> CronTrigger:
    return CronTrigger(expression, zone)


def every(seconds: float, anchor: Micros = 0) -> IntervalTrigger:
    return IntervalTrigger(round(seconds * SECOND), anchor, "UTC")


MINUTELY, MANUAL = cron("* * * * *"), ManualTrigger()


def a_spec(name: str = "job", *rules: TriggerSpec, steps: Sequence[Step] = (NOOP,), **fields: Any) -> JobSpec:
    """A job that is due every minute, unless `rules` say otherwise."""
    triggers = tuple(NamedTrigger(name=f"t{i}", rule=rule) for i, rule in enumerate(rules or (MINUTELY,)))
    return JobSpec(name=name, triggers=triggers, steps=tuple(steps), **fields)


@dataclass
class StoreWorld:
    """A store, its clock, and the hot functions under short names. `cards` are what a planner would hold."""

    store: AnyStore
    clock: ManualClock
    cards: dict[int, Card] = field(default_factory=dict)

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own."""

        def run(tx: Tx) -> list[tuple[Any, ...]]:
            cursor = tx.driver.execute(statement, values)
            return [] if cursor.description is None else cursor.fetchall()  # psycopg refuses to fetch what is not there

        return await self.store.write(run)

    async def one(self, statement: str, *values: object) -> Any:
        """The only column of the only row."""
        ((value,),) = await self.sql(statement, *values)
        return value

    async def cap(self, runs: int) -> None:
        await self.sql("UPDATE run_limit SET cap = ? WHERE key = 'runs'", runs)

    async def used(self) -> int:
        return int(await self.one("SELECT used FROM run_limit WHERE key = 'runs'"))

    async def a_job(self, name: str = "job", *rules: TriggerSpec, **fields: Any) -> JobRow:
        spec = a_spec(name, *rules, **fields)
        return await self.store.write(lambda tx: insert_job(tx, spec, "admin"))

    async def change(self, job: JobRow, **fields: Any) -> JobRow:
        def save(tx: Tx) -> JobRow:
            current = get_job_by_id(tx, job.id)
            return save_version(tx, current, current.spec.but(**fields), "admin", why="it was edited")

        return await self.store.write(save)

    async def plan(self, *, limit: int = 1000, slots: int = 1000, owner: str | None = "own_a") -> Planned:
        """Plan one batch as a planner does: load what cards are missing, and come again."""
        handled, work = 0, list[Assignment]()
        while True:
            planned = await self.store.write(lambda tx: plan_due(tx, self.cards, limit=limit, owner=owner, slots=slots))
            handled, work = handled + planned.handled, work + planned.work
            if not planned.missing:
                return replace(planned, handled=handled, work=work)
            self.cards |= await self.store.write(lambda tx, ids=planned.missing: load_cards(tx, ids))  # type: ignore[misc]

    async def load_ahead(self, seconds: float) -> None:
        """Have the cards of what is due soon, as things stand now."""
        until = self.clock.now() + round(seconds * SECOND)
        ids = await self.store.read(lambda tx: upcoming(tx, until=until, limit=100_000))
        self.cards |= await self.store.write(lambda tx: load_cards(tx, ids))

    async def request(self, job: JobRow | None = None, *, targets: int = 1, **fields: Any) -> RunRequest:
        """What a manual run of the job is made from, or an ad-hoc run of a noop on so many (unnamed) hosts."""
        spec = job.spec if job is not None else a_spec(steps=fields.pop("steps", (NOOP,)))
        members = tuple(Member(f"host-{i}", None, "local") for i in range(targets))

        def freeze(tx: Tx) -> tuple[int, int]:
            if targets == 1:
                return plan_for(tx, spec), target_set_for(tx, None).id
            rows = [list(member) for member in members]
            text = canonical(rows)  # type: ignore[arg-type]  # a list of lists is JSON
            known = tx.driver.execute("SELECT id FROM target_set WHERE members = ?", (text,)).fetchone()
            set_id = known[0] if known else tx.take_ids("target_set")
            if not known:
                values = (set_id, digest(text), targets, text)
                tx.driver.execute("INSERT INTO target_set (id, digest, size, members) VALUES (?, ?, ?, ?)", values)
            return store_plan(tx, Plan(steps=spec.steps, variables={}, items={})), set_id

        plan_id, set_id = await self.store.write(freeze)
        given: dict[str, Any] = {
            "title": spec.name, "kind": "manual" if job else "adhoc", "plan_id": plan_id, "target_set_id": set_id,
            "members": members if targets > 1 else (Member("@controller", None, "local"),), "principal": "admin",
            "job_id": job.id if job else None, "job_version_id": job.version_id if job else None,
            "overlap": spec.overlap if job else None, "priority": spec.priority,
            "targets_at_once": spec.targets_at_once,
        }  # fmt: skip
        return RunRequest(**given | fields)

    async def make(
        self, job: JobRow | None = None, *, owner: str | None = "own_a", slots: int = 1000, **fields: Any
    ) -> tuple[int, list[Assignment]]:
        """Make a run as a launcher does where no overlap policy speaks; its id, and what `owner` claimed of it."""
        request = await self.request(job, **fields)

        def launch(tx: Tx) -> tuple[int, list[Assignment]]:
            batch = Launch(tx, owner, slots)
            batch.add(Draft(request, None, None))
            (run_id,), work = batch.flush()
            return run_id, work

        return await self.store.write(launch)

    async def admit(self, **options: Any) -> list[int]:
        return await self.store.write(lambda tx: admit(tx, **options))

    async def claim(self, owner: str = "own_a", *, slots: int = 1000, **options: Any) -> list[Assignment]:
        return await self.store.write(lambda tx: claim(tx, owner, slots=slots, **options))

    async def settle(self, *reports: Report) -> Settled:
        settled = await self.store.write(lambda tx: settle(tx, reports))
        move_on(reports, settled)
        return settled

    async def end(
        self, *work: Assignment, state: TargetState = TargetState.SUCCEEDED, reason: Reason | None = None
    ) -> Settled:
        """Settle these targets, each with its open attempt."""
        return await self.settle(*(self.report(one, state, reason) for one in work))

    def report(
        self, work: Assignment, state: TargetState = TargetState.SUCCEEDED, reason: Reason | None = None
    ) -> Report:
        attempt = AttemptEnd(state=AttemptState(state), reason=reason, finished_at=self.clock.now())
        return Report(work=work, attempt=attempt, end=TargetEnd(state=state, reason=reason))

    async def cancel(self, run_id: int, reason: Reason = Reason.USER_CANCELLED) -> object:
        return await self.store.write(lambda tx: cancel_run(tx, run_id, reason))

    async def runs(self, columns: str = "state", where: str = "TRUE") -> list[Any]:
        """These columns of all runs by id; bare values where it is one column."""
        rows = await self.sql(f"SELECT {columns} FROM run WHERE {where} ORDER BY id")
        return [row[0] if len(row) == 1 else row for row in rows]

    async def ledger(self, columns: str = "reason, count") -> list[Any]:
        rows = await self.sql(f"SELECT {columns} FROM ledger ORDER BY id")
        return [row[0] if len(row) == 1 else row for row in rows]

    async def active(self, job: JobRow) -> int:
        return int(await self.one("SELECT active FROM job_state WHERE job_id = ?", job.id))

    async def next_due(self) -> Micros | None:
        due: Micros | None = await self.one("SELECT min(fire_at) FROM due")
        return due


REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
"""What a store raises for rows that its constraints refuse."""


def outside(store: AnyStore, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement as another process does, and commit it."""
    if isinstance(store, PostgresStore):
        with psycopg.connect(store.server.conninfo) as other:
            cursor = other.execute(statement)
            return [] if cursor.description is None else cursor.fetchall()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as file:
        return file.execute(statement).fetchall()


_FIVE_RUNS = "INSERT INTO run_limit (key, cap, used) VALUES ('runs', 5, 0)"


def a_store(path: Path, clock: ManualClock, executor: Executor | None = None) -> SqliteStore:
    """A new store with the default cap of five runs, transactions inline unless told otherwise."""
    lay_empty_store(path)
    store = SqliteStore(path, clock=clock, executor=executor or InlineExecutor())
    store._write_group([lambda tx: tx.driver.execute(_FIVE_RUNS)])
    return store


def a_postgres_store(url: str, clock: ManualClock) -> PostgresStore:
    """The store in an empty database of this program's schema, with the default cap of five runs."""
    store = PostgresStore(url, clock=clock)
    store._write_group([lambda tx: tx.driver.execute(_FIVE_RUNS)])
    return store
