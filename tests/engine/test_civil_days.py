"""Two years on the virtual clock: as many runs as civil days, and nothing drifts (issue 4, "Must show")."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from rota.domain.instant import MINUTE, from_micros, parse_rfc3339, to_micros
from rota.domain.trigger.spec import CalendarTrigger, TriggerSpec, Unit
from tests.contract.store_world import cron, every
from tests.support.world import World

NEW_YORK = ZoneInfo("America/New_York")
TWO_AM = (2 * 3600,)


async def ran(world: World, rule: TriggerSpec, runs: int, *, begin: str = "2026-01-01T05:00:00Z") -> list[datetime]:
    """The wall-clock times in New York at which so many runs of `rule` started."""
    world.clock.set_wall(parse_rfc3339(begin))
    daemon = await world.start()
    await world.a_job("job", rule)
    daemon.launcher.jobs_changed()
    await world.quiet()
    for _ in range(runs):
        await world.to_next_due()
    assert await world.ledger() == []
    assert await world.runs("id", "state <> 'succeeded' OR started_at <> nominal") == []
    return [from_micros(instant).astimezone(NEW_YORK) for instant in await world.runs("started_at")]


@pytest.mark.parametrize(
    "rule",
    [cron("0 2 * * *", "America/New_York"), CalendarTrigger(1, Unit.DAY, TWO_AM, "", "America/New_York")],
    ids=["cron", "calendar"],
)
async def test_daily_at_two_runs_once_on_each_civil_day_of_two_years(world: World, rule: TriggerSpec) -> None:
    days = [date(2026, 1, 1) + timedelta(days=i) for i in range(730)]
    moments = await ran(world, rule, len(days))
    assert [moment.date() for moment in moments] == days
    # The two days on which there is no 02:00 have 03:00, the end of the gap.
    assert {moment.isoformat() for moment in moments if moment.hour != 2} == {
        "2026-03-08T03:00:00-04:00",
        "2027-03-14T03:00:00-04:00",
    }


async def test_monthly_on_the_31st_never_drifts(world: World) -> None:
    rule = CalendarTrigger(1, Unit.MONTH, TWO_AM, "", "America/New_York", month_days=(31,))
    moments = await ran(world, rule, 14)
    long_months = [(year, month) for year in (2026, 2027) for month in (1, 3, 5, 7, 8, 10, 12)]
    assert [(moment.year, moment.month) for moment in moments] == long_months
    assert {(moment.day, moment.hour, moment.minute) for moment in moments} == {(31, 2, 0)}


async def test_45m_is_45_minutes_across_a_clock_change(world: World) -> None:
    moments = await ran(world, every(45 * 60), 100, begin="2026-03-07T12:00:00Z")
    assert len({moment.utcoffset() for moment in moments}) == 2
    assert {to_micros(later) - to_micros(earlier) for earlier, later in pairwise(moments)} == {45 * MINUTE}


async def test_weekly_at_nine_is_at_nine_across_both_changes(world: World) -> None:
    rule = CalendarTrigger(1, Unit.WEEK, (9 * 3600,), "", "America/New_York", weekdays=(0,))
    moments = await ran(world, rule, 104)
    assert {(moment.weekday(), moment.hour, moment.minute) for moment in moments} == {(0, 9, 0)}
    assert {later.date() - earlier.date() for earlier, later in pairwise(moments)} == {timedelta(weeks=1)}
    assert len({moment.utcoffset() for moment in moments}) == 2
