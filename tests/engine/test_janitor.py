"""The janitor's daily round: what is older than its keep goes, and nothing that is still needed."""

from __future__ import annotations

import pytest

from rota.domain.calendars import Scope
from rota.domain.instant import DAY, HOUR, Micros
from rota.engine.janitor import Janitor
from rota.storage import pauses
from tests.contract.store_world import cron
from tests.support.clock import NOON
from tests.support.world import World


def a_janitor(world: World, *, days: int = 90) -> Janitor:
    return Janitor(store=world.store, output=world.output, clock=world.clock, retention_days=days)


async def a_pause(world: World, *, until: Micros | None = None) -> str:
    made = await world.store.write(
        lambda tx: pauses.insert_pause(tx, scope=Scope.ALL, key="", job_id=None, until=until, reason="", by="ada")
    )
    return made.public_id


async def kept(world: World) -> list[str]:
    return [public_id for (public_id,) in await world.sql("SELECT public_id FROM pause ORDER BY id")]


async def test_pauses_go_once_they_have_been_over_for_the_retention_days(world: World) -> None:
    timed, resumed = await a_pause(world, until=NOON + HOUR), await a_pause(world, until=NOON + 400 * DAY)
    await world.store.write(lambda tx: pauses.end_pause(tx, resumed, by="bob"))
    lasting, long = await a_pause(world), await a_pause(world, until=NOON + 400 * DAY)
    janitor = a_janitor(world)
    world.clock.advance(90 * 86_400)
    await janitor.sweep_if_due()
    assert await kept(world) == [timed, resumed, lasting, long]
    world.clock.advance(86_400)
    await janitor.sweep_if_due()
    assert await kept(world) == [lasting, long]


async def test_a_pause_that_still_says_why_something_did_not_start_stays(world: World) -> None:
    """A daemon that was away for longer than the keep finds the pause that its first look back needs."""
    await world.a_job("hourly", cron("0 * * * *"))
    await a_pause(world, until=NOON + 5 * HOUR)
    world.clock.advance(200 * 86_400)
    janitor = a_janitor(world)
    await janitor.sweep_if_due()
    assert len(await kept(world)) == 1
    await world.start()
    assert [reason for (reason,) in await world.sql("SELECT reason FROM ledger ORDER BY id")] == ["paused", "missed"]
    world.clock.advance(86_400)
    await janitor.sweep_if_due()
    assert await kept(world) == []


@pytest.mark.parametrize("days", [0, 1])
async def test_it_goes_round_once_a_day_and_not_at_all_where_everything_is_kept(world: World, days: int) -> None:
    janitor = a_janitor(world, days=days)
    await janitor.sweep_if_due()
    await a_pause(world, until=NOON + HOUR)
    world.clock.advance(3 * 86_400 if days == 0 else 86_399)
    await janitor.sweep_if_due()
    assert len(await kept(world)) == 1
    world.clock.advance(3 * 86_400)
    await janitor.sweep_if_due()
    assert len(await kept(world)) == (1 if days == 0 else 0)
