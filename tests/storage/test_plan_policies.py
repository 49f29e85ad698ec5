"""What the planner makes of `run_all`, `queue`, `allow` with a limit, and `start_within`."""

from __future__ import annotations

from typing import Any

import pytest

from rota.domain.fanout import Throttle
from rota.domain.instant import DAY, HOUR, MINUTE, SECOND
from rota.domain.policy import Missed, Overlap, Policies
from rota.domain.reasons import Reason
from rota.storage import planning
from tests.contract.store_world import MINUTELY, StoreWorld, cron
from tests.support.clock import NOON

FIVE_MINUTES = cron("*/5 * * * *")


async def ten_hours_down(world: StoreWorld, **fields: Any) -> None:
    """A job due every five minutes; nobody planned for ten hours, and it is two minutes after its last instant."""
    await world.a_job("poll", FIVE_MINUTES, **fields)
    world.clock.advance(10 * 3600 + 120)
    await world.plan()


async def work_off(world: StoreWorld, *, each: float = 0.0) -> list[int]:
    """Carry out whatever may start, second by second, until nothing waits. When each started, in seconds."""
    began, starts = world.clock.now(), []
    for _ in range(1000):
        await world.admit()
        for work in await world.claim():
            starts.append((world.clock.now() - began) // SECOND)
            world.clock.advance(each)
            await world.end(work)
        if not await world.runs("id", "finished_at IS NULL"):
            return starts
        world.clock.advance(1)
    raise AssertionError("something never started")


# missed instants


async def test_skip_after_ten_hours_down_makes_no_run_and_one_row(world: StoreWorld) -> None:
    await ten_hours_down(world)
    assert await world.runs() == []
    assert await world.ledger("reason, first_nominal, last_nominal, count") == [
        (Reason.MISSED, NOON + 5 * MINUTE, NOON + 10 * HOUR, 120)
    ]


async def test_run_once_after_ten_hours_down_makes_one_run(world: StoreWorld) -> None:
    await ten_hours_down(world, missed=Missed.RUN_ONCE)
    assert await world.runs("nominal") == [NOON + 10 * HOUR]
    assert await world.ledger("count") == [119]


async def test_run_all_after_ten_hours_down_makes_the_newest_five_in_order_and_one_row_of_the_rest(
    world: StoreWorld,
) -> None:
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=Policies(catch_up_max=5))
    assert await world.runs("nominal, catch_up, state, waiting_for") == [
        (NOON + 10 * HOUR - late * MINUTE, 1, "waiting", "overlap") for late in (20, 15, 10, 5, 0)
    ]
    assert await world.ledger("reason, last_nominal, count, message") == [
        (Reason.MISSED, NOON + 10 * HOUR - 25 * MINUTE, 115, "the 5 newest were caught up")
    ]


async def test_runs_that_are_caught_up_go_one_after_the_other_whatever_the_overlap_policy(world: StoreWorld) -> None:
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=Policies(catch_up_max=3), overlap=Overlap.SKIP)
    assert len(await world.admit()) == 1
    assert await world.admit() == []
    await work_off(world)
    assert await world.runs() == ["succeeded"] * 3


async def test_runs_that_are_caught_up_start_at_most_one_a_second(world: StoreWorld) -> None:
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=Policies(catch_up_max=4), overlap=Overlap.ALLOW)
    assert await work_off(world) == [0, 1, 2, 3]


async def test_a_rate_of_its_own_spaces_them(world: StoreWorld) -> None:
    policies = Policies(catch_up_max=3, catch_up_rate=Throttle(6, "m"))
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=policies)
    assert await work_off(world) == [0, 10, 20]


async def test_the_rate_holds_also_when_several_places_come_free_at_once(world: StoreWorld) -> None:
    await world.cap(0)
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=Policies(catch_up_max=3), overlap=Overlap.ALLOW)
    world.clock.advance(3600)
    await world.cap(5)
    assert len(await world.admit()) == 1


async def test_of_what_waits_to_be_caught_up_as_many_go_beside_each_other_as_allow_lets(world: StoreWorld) -> None:
    policies = Policies(catch_up_max=4, overlap_limit=2)
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=policies, overlap=Overlap.ALLOW)
    for _ in range(4):
        await world.admit()
        world.clock.advance(1)
    assert await world.runs() == ["queued", "queued", "waiting", "waiting"]


async def test_paced_runs_of_one_job_leave_the_slots_to_others(world: StoreWorld) -> None:
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=Policies(catch_up_max=5), overlap=Overlap.ALLOW)
    await world.cap(0)
    other = await world.a_job("other")
    await world.make(other)
    await world.cap(5)
    assert len(await world.admit()) == 2
    assert await world.runs("state", "title = 'other'") == ["queued"]


async def test_what_is_older_than_the_window_is_not_caught_up(world: StoreWorld) -> None:
    await ten_hours_down(world, missed=Missed.RUN_ALL, policies=Policies(catch_up_window_seconds=13 * 60.0))
    assert await world.runs("nominal") == [NOON + 10 * HOUR - late * MINUTE for late in (10, 5, 0)]
    assert await world.ledger("count") == [117]


async def test_what_is_in_time_follows_those_that_are_caught_up(world: StoreWorld) -> None:
    await world.a_job("poll", FIVE_MINUTES, missed=Missed.RUN_ALL)
    world.clock.advance(15 * 60 + 30)
    await world.plan()
    assert await world.runs("nominal, catch_up") == [
        (NOON + 5 * MINUTE, 1), (NOON + 10 * MINUTE, 1), (NOON + 15 * MINUTE, 0),
    ]  # fmt: skip
    await work_off(world)
    assert await world.runs() == ["succeeded"] * 3
    assert await world.ledger() == []


async def test_run_all_that_missed_less_than_it_may_catch_up_leaves_no_row(world: StoreWorld) -> None:
    await world.a_job("poll", FIVE_MINUTES, missed=Missed.RUN_ALL)
    world.clock.advance(10 * 60 + 120)
    await world.plan()
    assert len(await world.runs()) == 2
    assert await world.ledger() == []


async def test_max_runs_counts_those_that_are_caught_up(world: StoreWorld) -> None:
    await ten_hours_down(world, missed=Missed.RUN_ALL, max_runs=2)
    assert len(await world.runs()) == 2
    assert await world.next_due() is None


async def test_a_year_down_is_settled_by_a_few_rows_whatever_the_policy(world: StoreWorld) -> None:
    policies = {"all": Missed.RUN_ALL, "once": Missed.RUN_ONCE, "none": Missed.SKIP}
    for name, missed in policies.items():
        most = Policies(catch_up_max=5) if missed is Missed.RUN_ALL else Policies()
        await world.a_job(name, MINUTELY, missed=missed, policies=most, grace_seconds=1.0)
    await world.plan()
    world.clock.advance(365 * 86_400 + 30)
    planned = await world.plan()
    assert planned.handled == 3
    assert {name: len(await world.runs("id", f"title = '{name}'")) for name in policies} == {
        "all": 5, "once": 1, "none": 0,
    }  # fmt: skip
    year = DAY // MINUTE * 365
    assert await world.ledger("job_name, count") == [("all", year - 5), ("once", year - 1), ("none", year)]


async def test_one_transaction_makes_a_bounded_number_of_runs_and_the_rest_stays_due(
    world: StoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_DRAFTS", 50)
    for name in "abc":
        await world.a_job(name, FIVE_MINUTES, missed=Missed.RUN_ALL, policies=Policies(catch_up_max=30))
    world.clock.advance(10 * 3600 + 120)
    assert (await world.plan()).handled == 2
    assert (await world.plan()).handled == 1
    assert len(await world.runs()) == 90


# overlap


async def test_queue_lets_one_run_wait_and_says_of_the_next_that_the_queue_is_full(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.QUEUE)
    for _ in range(3):
        world.clock.advance(60)
        await world.plan()
    assert await world.runs("state, waiting_for") == [("running", None), ("waiting", "overlap")]
    [(reason, message)] = await world.ledger("reason, message")
    assert reason == Reason.OVERLAP_SKIP
    assert "the queue behind the running one was full" in message


async def test_queued_runs_start_oldest_first_and_one_at_a_time(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.QUEUE, policies=Policies(overlap_limit=3))
    works = []
    for _ in range(4):
        world.clock.advance(60)
        works += (await world.plan()).work
    order = []
    while works:
        order += [work.run_id for work in works]
        await world.end(*works)
        await world.admit()
        works = await world.claim()
        assert len(works) <= 1
    assert order == [1, 2, 3, 4]


async def test_those_due_at_once_queue_behind_each_other(world: StoreWorld) -> None:
    await world.a_job("twice", MINUTELY, MINUTELY, MINUTELY, overlap=Overlap.QUEUE)
    world.clock.advance(60)
    await world.plan()
    assert await world.runs("state, waiting_for") == [("running", None), ("waiting", "overlap")]
    assert await world.ledger("reason, blocked_by") == [(Reason.OVERLAP_SKIP, 2)]


async def test_a_twenty_minute_run_on_a_fifteen_minute_cron_queues_the_next_and_never_expires_it(
    world: StoreWorld,
) -> None:
    """Seed 4: "the next execution will queue while the current one finishes"."""
    await world.a_job("backup", cron("*/15 * * * *"), overlap=Overlap.QUEUE)
    starts: list[int] = []
    works: list[Any] = []
    for minute in range(1, 6 * 60):
        world.clock.advance(60)
        works = [(work, ends) for work, ends in works if ends > minute or not await world.end(work)]
        await world.admit()
        begun = [*(await world.plan()).work, *await world.claim()]
        works += [(work, minute + 20) for work in begun]
        starts += [minute] * len(begun)
        assert len(works) <= 1
    assert starts[:5] == [15, 35, 55, 75, 95]
    ended = await world.runs("state", "state <> 'succeeded'")
    assert set(ended) <= {"running", "waiting"}
    assert set(await world.ledger("reason")) == {Reason.OVERLAP_SKIP}


async def test_allow_with_a_limit_lets_so_many_run_beside_each_other(world: StoreWorld) -> None:
    await world.a_job(overlap=Overlap.ALLOW, policies=Policies(overlap_limit=5))
    for _ in range(7):
        world.clock.advance(60)
        await world.plan()
    assert len(await world.runs()) == 5
    assert await world.ledger("message, count") == [
        ("as many of its runs were unfinished as overlap policy allow lets: 5", 2)
    ]


# patience


async def test_an_instant_that_is_planned_later_than_it_may_start_is_past_its_deadline(world: StoreWorld) -> None:
    await world.a_job("late", cron("0 * * * *"), policies=Policies(start_within_seconds=20.0))
    world.clock.advance(3600 + 20)
    await world.plan()
    assert await world.runs() == []
    assert await world.ledger("reason, first_nominal") == [(Reason.PAST_DEADLINE, NOON + HOUR)]


async def test_a_missed_run_is_caught_up_only_while_it_may_still_start(world: StoreWorld) -> None:
    for name, seconds in (("soon", 600.0), ("patient", 7200.0)):
        policies = Policies(start_within_seconds=seconds)
        await world.a_job(name, cron("0 * * * *"), missed=Missed.RUN_ONCE, policies=policies)
    world.clock.advance(3600 + 1800)
    await world.plan()
    assert await world.runs("title") == ["patient"]
    assert await world.ledger("job_name, reason") == [("soon", Reason.PAST_DEADLINE)]


async def test_a_run_that_starts_at_once_leaves_nothing_to_look_at_later(world: StoreWorld) -> None:
    await world.a_job(policies=Policies(start_within_seconds=20.0, queue_timeout_seconds=20.0))
    world.clock.advance(60)
    assert len((await world.plan()).work) == 1
    assert await world.sql("SELECT * FROM run_turn") == []
