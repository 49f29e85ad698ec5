"""What the planner knows of triggers: jobs that differ in their names alone share all but who they are."""

from __future__ import annotations

from rota.domain.instant import MINUTE
from rota.domain.policy import Overlap
from rota.domain.reasons import Reason
from rota.domain.step import Step
from rota.storage.jobs import JobRow
from tests.contract.store_world import NOOP, StoreWorld, a_command, cron
from tests.support.clock import NOON

DUE = NOON + MINUTE  # when a job of this file is first due


async def cards_of(world: StoreWorld) -> list[tuple[int, int, str]]:
    """Load what is due soon; (job id, version id, title) of each card."""
    await world.load_ahead(60)
    return [(card.job_id, card.job_version_id, card.title) for card in world.cards.values()]


def how_many_terms(world: StoreWorld) -> int:
    return len({id(card.terms) for card in world.cards.values()})


async def test_jobs_that_differ_in_their_names_share_their_terms(world: StoreWorld) -> None:
    jobs = [await world.a_job(f"job-{number}", overlap=Overlap.QUEUE) for number in range(3)]
    assert await cards_of(world) == [(job.id, job.version_id, job.name) for job in jobs]
    assert how_many_terms(world) == 1


async def test_jobs_that_differ_in_anything_else_share_nothing(world: StoreWorld) -> None:
    await world.a_job("noop")
    await world.a_job("command", steps=(a_command(),))
    await world.a_job("queued", overlap=Overlap.QUEUE)
    await world.a_job("later", cron("1 * * * *"))
    await cards_of(world)
    assert how_many_terms(world) == 4


async def test_a_step_that_is_called_as_its_job_is_keeps_its_name(world: StoreWorld) -> None:
    for name in ("build", "check"):
        await world.a_job(name, steps=(Step(name=name, action="noop"),))
    await cards_of(world)
    assert how_many_terms(world) == 2
    plans = [card.terms.plan_id for card in world.cards.values()]
    for plan_id, name in zip(plans, ("build", "check"), strict=True):
        assert f'"name":"{name}"' in await world.one("SELECT content FROM plan WHERE id = ?", plan_id)


async def test_runs_of_jobs_that_share_their_terms_are_each_of_their_own_job(world: StoreWorld) -> None:
    jobs = [await world.a_job(f"job-{number}") for number in range(3)]
    world.clock.advance(60)
    planned = await world.plan()
    assert how_many_terms(world) == 1
    assert await world.runs("job_id, job_version_id, title, trigger_id, nominal") == [
        (job.id, job.version_id, job.name, 1 + place, DUE) for place, job in enumerate(jobs)
    ]
    assert [(work.job_id, work.title) for work in planned.work] == [(job.id, job.name) for job in jobs]


async def test_what_is_refused_of_a_job_is_written_under_its_own_name(world: StoreWorld) -> None:
    for number in range(2):
        await world.a_job(f"job-{number}", target="host:gone")
    world.clock.advance(60)
    await world.plan()
    assert how_many_terms(world) == 1
    assert await world.ledger("job_name, reason") == [
        ("job-0", Reason.NO_TARGETS),
        ("job-1", Reason.NO_TARGETS),
    ]


async def test_a_spread_start_is_moved_by_its_own_jobs_length(world: StoreWorld) -> None:
    for name in ("one", "other"):
        await world.a_job(name, cron("0 * * * *"), spread_seconds=1800.0)
    await world.load_ahead(7200)
    assert how_many_terms(world) == 1
    offsets = {card.spreading.offset(NOON) for card in world.cards.values() if card.spreading is not None}
    assert len(offsets) == 2


async def herd(world: StoreWorld, size: int = 4, **fields: object) -> list[JobRow]:
    """Jobs that are due together."""
    jobs = [await world.a_job(f"job-{number}", **fields) for number in range(size)]
    world.clock.advance(60)
    return jobs


_ATTEMPTS = """
SELECT run.id, run_target.host, run_target.connector, run_target.owner, run_target.fence, run_target.state, attempt.id,
       step, number, attempt.state, run_target.started_at = run.started_at, intended_at = run.started_at
FROM run JOIN run_target ON run_target.run_id = run.id JOIN attempt ON attempt.run_target_id = run_target.id
ORDER BY run.id
"""


async def test_a_herd_at_one_place_has_for_each_run_one_target_and_its_intent(world: StoreWorld) -> None:
    await herd(world)
    planned = await world.plan()
    assert await world.sql(_ATTEMPTS) == [
        (work.run_id, "@controller", "local", "own_a", 1, "running", work.attempt_id, 0, 1, "running", True, True)
        for work in planned.work
    ]
    assert len({work.attempt_id for work in planned.work}) == 4


_STATES = """
SELECT job_state.job_id, active, last_run_id, last_state, last_reason, last_kind, last_started_at, last_finished_at
FROM job_state ORDER BY job_id
"""


async def test_a_herd_says_of_each_job_which_run_it_began(world: StoreWorld) -> None:
    jobs = await herd(world)
    runs = [work.run_id for work in (await world.plan()).work]
    assert await world.sql(_STATES) == [
        (job.id, 1, run_id, "running", None, "cron", DUE, None) for job, run_id in zip(jobs, runs, strict=True)
    ]
    assert await world.sql("SELECT nominal, fire_at, high_water FROM due") == [(DUE + MINUTE, DUE + MINUTE, DUE)] * 4


async def test_a_job_that_is_twice_in_a_herd_has_both_runs_and_the_newer_is_its_last(world: StoreWorld) -> None:
    job = await world.a_job("twice", cron("* * * * *"), cron("*/1 * * * *"), overlap=Overlap.ALLOW)
    world.clock.advance(60)
    older, newer = [work.run_id for work in (await world.plan()).work]
    assert older < newer
    assert [row[:4] for row in await world.sql(_STATES)] == [(job.id, 2, newer, "running")]


async def test_a_herd_of_which_only_some_may_begin_has_targets_for_those(world: StoreWorld) -> None:
    await world.cap(runs=3)
    await herd(world)
    planned = await world.plan()
    assert [row[0] for row in await world.sql(_ATTEMPTS)] == [work.run_id for work in planned.work]
    assert await world.runs("state, waiting_for") == [("running", None)] * 3 + [("waiting", "slot")]


async def test_the_targets_of_a_herd_come_to_their_ends(world: StoreWorld) -> None:
    await herd(world, steps=(NOOP,))
    planned = await world.plan()
    await world.end(*planned.work)
    assert await world.runs("state") == ["succeeded"] * 4
    assert await world.used() == 0
