"""What is learnt of an attempt after it had ended `unknown` is kept beside it, and moves nothing."""

from __future__ import annotations

from rota.domain.instant import DAY, SECOND
from rota.domain.reasons import Reason
from rota.domain.states import TargetState
from rota.ports import Member
from rota.storage.evidence import open_questions, record_evidence
from rota.storage.runs import targets_of
from rota.storage.work import Assignment
from tests.contract.store_world import StoreWorld
from tests.storage.fleet import a_run


async def lost(world: StoreWorld, hosts: int = 1, *, connector: str = "ssh") -> list[Assignment]:
    await a_run(world, [Member(f"web{place}", None, connector) for place in range(hosts)])
    work = await world.claim()
    await world.end(*work, state=TargetState.UNKNOWN, reason=Reason.CONNECTION_LOST)
    return work


async def questions(world: StoreWorld) -> list[tuple[int, str]]:
    return [(question.attempt_id, question.host) for question in await world.store.read(open_questions)]


async def test_an_attempt_that_ended_unknown_is_a_question_to_its_host(world: StoreWorld) -> None:
    first, second = await lost(world, 2)
    assert await questions(world) == [(second.attempt_id, "web1"), (first.attempt_id, "web0")]


async def test_this_machine_is_asked_nothing(world: StoreWorld) -> None:
    await lost(world, connector="local")
    assert await questions(world) == []


async def test_an_answer_is_kept_beside_the_attempt_and_moves_nothing(world: StoreWorld) -> None:
    [work] = await lost(world)
    before = await world.runs("state, reason, ok"), await world.sql("SELECT state, reason FROM run_target")
    assert await world.store.write(lambda tx: record_evidence(tx, work.attempt_id, "exit code 0"))
    assert (await world.runs("state, reason, ok"), await world.sql("SELECT state, reason FROM run_target")) == before
    [target] = await world.store.read(lambda tx: targets_of(tx, work.run_id))
    assert [attempt.evidence for attempt in target.attempts] == ["exit code 0"]
    assert await questions(world) == []


async def test_the_first_answer_stands(world: StoreWorld) -> None:
    [work] = await lost(world)
    assert await world.store.write(lambda tx: record_evidence(tx, work.attempt_id, "exit code 0"))
    assert not await world.store.write(lambda tx: record_evidence(tx, work.attempt_id, "exit code 1"))


async def test_nothing_is_learnt_of_an_attempt_whose_end_is_known(world: StoreWorld) -> None:
    await a_run(world, 1)
    [work] = await world.claim()
    await world.end(work)
    assert not await world.store.write(lambda tx: record_evidence(tx, work.attempt_id, "exit code 0"))


async def test_after_a_week_nobody_asks_any_more(world: StoreWorld) -> None:
    await lost(world)
    world.clock.advance(7 * DAY / SECOND + 1)
    assert await questions(world) == []
