"""While a herd starts, verdicts that nobody waits for stand back, and come in slices if it lasts (decision 13)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from rota.domain.states import AttemptState, RunState
from rota.domain.step import Step
from rota.engine import reporter as module
from rota.engine.claimer import Claimer
from rota.engine.reporter import HELD_SECONDS, Reporter
from rota.engine.verdict import SUCCEEDED
from rota.storage.work import Assignment, AttemptEnd, Report, Settled
from tests.contract.store_world import a_command, a_store
from tests.support.clock import NOON, ManualClock
from tests.support.world import Process, World

NOOP = Step(name="main", action="noop")


async def test_a_verdict_that_nobody_waits_for_lets_starts_go_first_for_two_seconds(
    world: World, daemon: Process
) -> None:
    daemon.worker.reporter.starts_first(True)
    run_id = await world.trigger(daemon, steps=[NOOP])
    await world.advance(HELD_SECONDS - 0.1)
    assert (await world.verdict(run_id))[0] is RunState.RUNNING
    await world.advance(0.1)
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED


async def test_when_all_have_started_verdicts_come_at_once(world: World, daemon: Process) -> None:
    daemon.worker.reporter.starts_first(True)
    run_id = await world.trigger(daemon, steps=[NOOP])
    daemon.worker.reporter.starts_first(False)
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED


async def test_where_starts_wait_for_a_place_the_verdicts_that_give_one_come_at_once(
    world: World, daemon: Process
) -> None:
    daemon.worker.reporter.starts_first(True)
    daemon.worker.reporter.starts_first(True, ends_make_room=True)
    run_id = await world.trigger(daemon, steps=[NOOP])
    await world.quiet()
    assert (await world.verdict(run_id))[0] is RunState.SUCCEEDED


async def test_a_step_of_a_longer_run_is_not_held_up(world: World, daemon: Process) -> None:
    run_id = await world.trigger(daemon, steps=[a_command("a"), a_command("b")])
    daemon.worker.reporter.starts_first(True)
    world.connector.live[0].ends()
    await world.until_started(2)
    assert (await world.verdict(run_id))[0] is RunState.RUNNING


@pytest.mark.parametrize(
    ("held", "commits"), [(True, [2, 2, 1]), (False, [4, 1])], ids=["while starts go first", "otherwise"]
)
async def test_no_commit_has_more_verdicts_than_lets_others_in_between(
    held: bool, commits: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_SLICE", 2)
    monkeypatch.setattr(module, "LARGEST_COMMIT", 4)
    clock, sizes = ManualClock(), list[int]()
    store = a_store(tmp_path / "rota.db", clock)
    everything = asyncio.Event()

    def on_settled(reports: Sequence[Report], _: Settled) -> None:
        sizes.append(len(reports))
        if sum(sizes) == sum(commits):
            everything.set()

    claimer = Claimer(
        store, clock, "own", slots=lambda: 0, only_runs=None, is_apart=False, on_work=lambda _: None,
        on_settled=on_settled,
    )  # fmt: skip
    reporter = Reporter(store, clock, claimer, slots=lambda: 0, on_settled=on_settled)
    reporter.starts_first(held)
    clock.advance(HELD_SECONDS)
    for number in range(5):
        reporter.add([a_verdict(number)])
    async with asyncio.timeout(30):
        reporting = asyncio.create_task(reporter.run())
        await everything.wait()
    reporting.cancel()
    store.close()
    assert sizes == commits


def a_verdict(target_id: int) -> Report:
    """On a target that no store knows: what is looked at here is only when it goes."""
    work = Assignment(
        target_id=target_id, run_id=target_id, run_public="", job_id=None, title="", kind="adhoc", plan_id=1, total=1,
        host="@controller", host_version_id=None, connector="local", fence=1, cursor=0, attempt_id=target_id, number=1,
        due_at=NOON, run_started_at=NOON, run_timeout=1,
    )  # fmt: skip
    return Report(work=work, attempt=AttemptEnd(state=AttemptState.SUCCEEDED, finished_at=NOON), end=SUCCEEDED)
