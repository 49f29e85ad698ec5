"""Runs over named hosts with fan-out rules, and what a test asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rota.domain.fanout import read_fan_out
from rota.domain.instant import SECOND
from rota.domain.plan import Plan
from rota.domain.reasons import Reason
from rota.domain.states import AttemptState, TargetState
from rota.ports import Member, RunRequest, Tx
from rota.storage.freeze import store_plan, target_set_of
from rota.storage.launching import Draft, Launch
from rota.storage.work import Assignment, AttemptEnd, Park, Report, Settled
from tests.contract.store_world import NOOP, StoreWorld

FAILED, SUCCEEDED = TargetState.FAILED, TargetState.SUCCEEDED


def hosts(count: int, site: str | None = None) -> list[Member]:
    return [Member(f"host-{place:05}", None, "local", site) for place in range(count)]


async def a_run(world: StoreWorld, where: Sequence[Member] | int, **options: Any) -> int:
    """Make a run that nobody has claimed yet (unless its `owner` may), as `a_start` does; its row id."""
    return (await a_start(world, where, **options))[0]


async def a_start(
    world: StoreWorld,
    where: Sequence[Member] | int,
    *,
    at_once: int = 1000,
    priority: int = 0,
    run_timeout: float = 3600,
    title: str = "noop",
    owner: str | None = None,
    **rules: Any,
) -> tuple[int, list[Assignment]]:
    """Make a run with these rules; its row id, and what `owner` has claimed of it at once."""
    members = tuple(hosts(where) if isinstance(where, int) else where)
    fan_out, faults = read_fan_out(rules)
    assert faults == []

    def launch(tx: Tx) -> tuple[int, list[Assignment]]:
        request = RunRequest(
            title=title, kind="adhoc", plan_id=store_plan(tx, Plan(steps=(NOOP,), variables={}, items={})),
            target_set_id=target_set_of(tx, members).id, members=members, principal="admin", priority=priority,
            targets_at_once=at_once, fan_out=fan_out.rules, run_timeout=round(run_timeout * SECOND),
        )  # fmt: skip
        batch = Launch(tx, owner, 1000)
        batch.add(Draft(request, None, None))
        (run_id,), work = batch.flush()
        return run_id, work

    return await world.store.write(launch)


def names(work: Sequence[Assignment]) -> list[str]:
    return [one.host for one in work]


async def park(
    world: StoreWorld, work: Assignment, seconds: float, *, reason: Reason = Reason.STEP_FAILED, begun: bool = True
) -> Settled:
    """A retry in so many seconds; not `begun`: the host was away, and is looked for again then."""
    attempt = AttemptEnd(state=AttemptState.FAILED, reason=reason, finished_at=world.clock.now()) if begun else None
    waiting = Park(
        until=world.clock.now() + round(seconds * SECOND), waiting_for="retry" if begun else "host", reason=reason,
        message="it is said why", has_begun=begun,
    )  # fmt: skip
    return await world.settle(Report(work=work, attempt=attempt, park=waiting))


async def targets(world: StoreWorld, columns: str = "state", where: str = "TRUE") -> list[Any]:
    rows = await world.sql(f"SELECT {columns} FROM run_target WHERE {where} ORDER BY id")
    return [row[0] if len(row) == 1 else row for row in rows]


async def locks(world: StoreWorld) -> list[tuple[str, int]]:
    return [(host, run) for host, run in await world.sql("SELECT host, run_id FROM host_lock ORDER BY host")]
