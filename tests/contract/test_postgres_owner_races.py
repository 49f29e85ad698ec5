"""The silent and those who take over from them, where two nodes meet between two statements (`two_nodes`)."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from rota.domain.states import AttemptState
from rota.storage.leases import Terms, are_signs_ahead, bring_signs_back, renew, silent_owners, take_from
from rota.storage.rescue import Rescued, add_owner
from rota.storage.work import AttemptEnd, Report
from tests.contract.store_world import a_command
from tests.contract.two_nodes import Node, meet
from tests.support.postgres_proxy import COMMIT

LEASE, GRACE = 60_000_000, 120_000_000
TERMS = Terms("other", LEASE, GRACE)


async def a_silent_owner(node: Node) -> None:
    await node.store.write(lambda tx: add_owner(tx, "own_a", kind="daemon", pid=1, node="one"))


async def test_who_wakes_while_its_work_is_taken_changes_nothing(one: Node, other: Node, url: str) -> None:
    _, [work] = await one.make()
    taken, settled = await meet(one.proxy.hold_at(COMMIT), one.take_over("own_a", "own_b"), other.end(work), url)
    assert settled.fenced == {work.claim}
    assert await one.sql("SELECT state, owner, fence FROM run_target") == [("running", "own_b", 2)]
    assert await one.sql("SELECT state FROM attempt") == [("running",)]
    await one.end(taken[0].work)
    assert (await one.runs(), await one.used()) == (["succeeded"], 0)


@pytest.mark.parametrize("word", [b"UPDATE run_target SET cursor", b"INSERT INTO attempt", COMMIT])
async def test_what_is_taken_stands_where_its_owner_left_it_at_that_very_moment(
    one: Node, other: Node, url: str, word: bytes
) -> None:
    _, [work] = await one.make(steps=(a_command("a"), a_command("b")))
    attempt = AttemptEnd(state=AttemptState.SUCCEEDED, finished_at=one.clock.now())
    going_on = one.settle(Report(work=work, attempt=attempt, then=(1, 1)))
    _, [taken] = await meet(one.proxy.hold_at(word), going_on, other.take_over("own_a", "own_b"), url)
    cursor, attempt_id = (await one.sql("SELECT step, id FROM attempt WHERE state = 'running'"))[0]
    assert (taken.work.cursor, taken.work.attempt_id, taken.attempt_open) == (cursor, attempt_id, True)
    assert await one.sql("SELECT step, state FROM attempt ORDER BY id") == [(0, "succeeded"), (1, "running")]


async def test_what_ends_at_the_moment_it_would_be_taken_is_not_taken(one: Node, other: Node, url: str) -> None:
    _, [work] = await one.make()
    _, taken = await meet(one.proxy.hold_at(COMMIT), one.end(work), other.take_over("own_a", "own_b"), url)
    assert taken == []
    assert await one.runs() == ["succeeded"]


async def test_two_take_from_a_silent_one_and_one_gets_it(one: Node, other: Node, url: str) -> None:
    await a_silent_owner(one)
    await one.make(targets=3)
    one.clock.advance(60 + 120)

    def take(node: Node, owner: str) -> Awaitable[list[Rescued]]:
        return node.store.write(lambda tx: take_from(tx, "own_a", owner, TERMS, may_give_up=True))

    taken = await meet(one.proxy.hold_at(COMMIT), take(one, "own_b"), take(other, "own_c"), url)
    assert sorted(map(len, taken)) == [0, 3]


@pytest.mark.parametrize("word", [b"SELECT run_target.id", COMMIT])
async def test_a_sign_of_life_that_comes_too_late_is_no_sign(one: Node, other: Node, url: str, word: bytes) -> None:
    await a_silent_owner(one)
    one.clock.advance(60 + 120)
    taking = one.store.write(lambda tx: take_from(tx, "own_a", "own_b", TERMS, may_give_up=True))
    _, renewed = await meet(
        one.proxy.hold_at(word), taking, other.store.write(lambda tx: renew(tx, "own_a")), url
    )  # fmt: skip
    assert renewed is None


async def test_a_sign_of_life_that_comes_in_time_is_heard(one: Node, other: Node, url: str) -> None:
    await a_silent_owner(one)
    await one.make()
    one.clock.advance(60 + 120)
    _, taken = await meet(
        one.proxy.hold_at(COMMIT), one.store.write(lambda tx: renew(tx, "own_a")),
        other.store.write(lambda tx: take_from(tx, "own_a", "own_b", TERMS, may_give_up=True)), url,
    )  # fmt: skip
    assert taken == []


async def test_signs_of_life_from_a_clock_that_was_ahead_are_brought_back_by_one_of_two(
    one: Node, other: Node, url: str
) -> None:
    await a_silent_owner(one)
    one.clock.advance(-3600)
    assert await one.store.read(are_signs_ahead)
    await meet(one.proxy.hold_at(COMMIT), one.store.write(bring_signs_back), other.store.write(bring_signs_back), url)
    assert not await one.store.read(are_signs_ahead)
    one.clock.advance(60 + 120)
    assert await one.store.read(lambda tx: silent_owners(tx, TERMS)) == ["own_a"]
