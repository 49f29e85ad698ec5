"""The planner under calendars, pauses, spread and jitter, on the virtual clock."""

from __future__ import annotations

from typing import Any

from rota.domain.calendar_spec import CalendarSpec, CalendarUse, JobWindow, read_attachment
from rota.domain.calendars import Effect, OnHit, Scope
from rota.domain.instant import HOUR, MINUTE, Micros, parse_rfc3339
from rota.domain.inventory import Group, Host
from rota.domain.reasons import Reason
from rota.domain.spreading import Spreading
from rota.ports import Tx
from rota.storage import inventory, pauses, windows
from rota.storage.jobs import JobRow
from rota.storage.windows import CalendarRow
from tests.contract.store_world import cron, every
from tests.support.clock import NOON
from tests.support.world import Process, World

HOURLY = cron("0 * * * *")
DEFER, SKIP = OnHit.DEFER, OnHit.SKIP


async def a_calendar(
    world: World, *rules: str, name: str = "change", effect: Effect = Effect.BLACKOUT, applies_to: tuple[str, ...] = ()
) -> CalendarRow:
    spec, faults = CalendarSpec(
        name=name, effect=effect, rules=rules, applies_to=tuple(map(read_attachment, applies_to))
    ).tidied()
    assert faults == []
    return await world.store.write(lambda tx: windows.insert_calendar(tx, spec, "admin"))


async def a_pause(
    world: World, *, until: Micros | None = None, scope: Scope = Scope.ALL, key: str = "", job: JobRow | None = None
) -> str:
    def begin(tx: Tx) -> str:
        job_id = None if job is None else job.id
        made = pauses.insert_pause(tx, scope=scope, key=key, job_id=job_id, until=until, reason="moving", by="ada")
        return made.public_id

    return await world.store.write(begin)


async def start(world: World, daemon: Process, *names: str, **fields: Any) -> None:
    """Make jobs that are due every hour, and let the planner see them."""
    rule = fields.pop("rule", HOURLY)
    for name in names or ("job",):
        await world.a_job(name, rule, **fields)
    daemon.launcher.jobs_changed()
    await world.quiet()


async def hours(world: World, count: int) -> None:
    for _ in range(count):
        await world.advance(3600)


async def test_a_blackout_that_skips_leaves_a_ledger_row_with_its_name(world: World, daemon: Process) -> None:
    await a_calendar(world, "2026-03-04 13:30..2026-03-04 15:30", applies_to=("all",))
    await start(world, daemon)
    await hours(world, 4)
    assert await world.runs("nominal") == [NOON + HOUR, NOON + 4 * HOUR]
    assert await world.ledger("reason, message, first_nominal, last_nominal, count") == [
        (Reason.BLACKOUT, 'calendar "change"', NOON + 2 * HOUR, NOON + 3 * HOUR, 2)
    ]


async def test_a_blackout_that_defers_makes_one_run_at_its_end_which_says_so(world: World, daemon: Process) -> None:
    await a_calendar(world, "2026-03-04 13:30..2026-03-04 16:30")
    await start(world, daemon, calendars=(CalendarUse("change", DEFER),))
    await hours(world, 4)
    assert await world.runs("nominal") == [NOON + HOUR]
    await world.advance(1800)
    assert await world.runs("nominal, due_at, deferred_by, state") == [
        (NOON + HOUR, NOON + HOUR, None, "succeeded"),
        (NOON + 2 * HOUR, NOON + 4 * HOUR + 30 * MINUTE, 'calendar "change"', "succeeded"),
    ]
    assert await world.ledger("reason, count") == [(Reason.BLACKOUT, 2)]
    await world.advance(1800)
    assert await world.runs("nominal", "nominal > 0 AND deferred_by IS NULL") == [NOON + HOUR, NOON + 5 * HOUR]


async def test_a_herd_that_was_put_off_starts_once_each(world: World, daemon: Process) -> None:
    await world.cap(100)
    await a_calendar(world, "2026-03-04 12:30..2026-03-04 16:30", applies_to=("all:defer",))
    await start(world, daemon, *(f"job-{number}" for number in range(20)))
    await hours(world, 4)
    await world.advance(1800)
    assert len(await world.runs("id", f"due_at = {NOON + 4 * HOUR + 30 * MINUTE}")) == 20
    assert await world.ledger("reason, count") == [(Reason.BLACKOUT, 3)] * 20


async def test_an_allow_calendar_lets_nothing_start_outside_it(world: World, daemon: Process) -> None:
    await a_calendar(world, "daily 13:30-15:30", effect=Effect.ALLOW, applies_to=("all",))
    await start(world, daemon)
    await hours(world, 5)
    assert await world.runs("nominal") == [NOON + 2 * HOUR, NOON + 3 * HOUR]
    assert await world.ledger("count") == [1, 2]


async def test_a_calendar_concerns_the_jobs_of_its_tag(world: World, daemon: Process) -> None:
    await a_calendar(world, "daily", applies_to=("tag:env=prod",))
    await start(world, daemon, "prod", tags={"env": "prod"})
    await start(world, daemon, "test", tags={"env": "test"})
    await hours(world, 1)
    assert await world.runs("title") == ["test"]
    assert await world.ledger("job_name") == ["prod"]


async def test_a_calendar_concerns_the_jobs_with_a_host_of_its_group(world: World, daemon: Process) -> None:
    await a_calendar(world, "daily", applies_to=("group:db",))
    await world.store.write(lambda tx: inventory.insert_groups(tx, [Group(name="db")]))
    await world.store.write(lambda tx: inventory.insert_host(tx, Host(name="db-1", groups=frozenset({"db"}))))
    await world.store.write(lambda tx: inventory.insert_host(tx, Host(name="web-1")))
    await start(world, daemon, "all", target="all")
    await start(world, daemon, "web", target="host:web-1")
    await hours(world, 1)
    assert await world.runs("title") == ["web"]


async def test_a_jobs_own_windows_hold_it_alone(world: World, daemon: Process) -> None:
    own = (JobWindow("daily 13:30-14:30", "UTC"), JobWindow("daily 15:30-16:30", "UTC"))
    await start(world, daemon, "held", windows=own)
    await start(world, daemon, "free")
    await hours(world, 4)
    assert await world.runs("nominal", "title = 'held'") == [NOON + 2 * HOUR, NOON + 4 * HOUR]
    assert len(await world.runs("nominal", "title = 'free'")) == 4
    assert await world.ledger("message") == ["the job's own windows"] * 2


async def test_a_calendar_that_is_taken_away_lets_go_of_what_it_put_off(world: World, daemon: Process) -> None:
    row = await a_calendar(world, "daily 12:30-20:00", applies_to=("all:defer",))
    await start(world, daemon)
    await hours(world, 2)
    assert await world.runs() == []
    await world.advance(60)
    await world.store.write(lambda tx: windows.delete_calendar(tx, row))
    daemon.launcher.jobs_changed()
    await world.quiet()
    assert await world.runs("nominal, deferred_by") == [(NOON + HOUR, 'calendar "change"')]
    assert await world.ledger("reason, count") == [(Reason.BLACKOUT, 1)]


async def test_what_was_put_off_survives_the_death_of_the_daemon(world: World, daemon: Process) -> None:
    await a_calendar(world, "daily 12:30-14:30", applies_to=("all:defer",))
    await start(world, daemon)
    await hours(world, 1)
    await world.kill(daemon)
    await world.start("own_b")
    await world.advance(5400)
    assert await world.runs("nominal, due_at") == [(NOON + HOUR, NOON + 2 * HOUR + 30 * MINUTE)]


async def test_a_pause_of_everything_keeps_every_job_from_starting_and_leaves_it_enabled(
    world: World, daemon: Process
) -> None:
    await start(world, daemon, "a", "b")
    await a_pause(world, until=NOON + 3 * HOUR + 30 * MINUTE)
    await hours(world, 4)
    assert await world.runs("nominal") == [NOON + 4 * HOUR] * 2
    said = "everything is paused by ada until 2026-03-04T15:30:00Z: moving"
    assert await world.ledger("reason, message, count") == [(Reason.PAUSED, said, 3)] * 2
    assert await world.sql("SELECT enabled FROM job") == [(1,), (1,)]


async def test_what_a_pause_drops_is_one_span_for_each_trigger(world: World, daemon: Process) -> None:
    await world.a_job("job", HOURLY, every(1800))
    daemon.launcher.jobs_changed()
    await a_pause(world)
    for _ in range(20):
        await world.advance(1800)
    assert await world.ledger("count") == [20, 10]


async def test_a_pause_ends_with_its_time_and_nobody_has_to_do_anything(world: World, daemon: Process) -> None:
    await start(world, daemon)
    await a_pause(world, until=NOON + 90 * MINUTE)
    await hours(world, 2)
    assert await world.runs("nominal") == [NOON + 2 * HOUR]


async def test_a_pause_that_is_ended_early_ends_at_once(world: World, daemon: Process) -> None:
    await start(world, daemon)
    pause = await a_pause(world, until=NOON + 9 * HOUR)
    await hours(world, 1)
    await world.store.write(lambda tx: pauses.end_pause(tx, pause, by="bob"))
    await hours(world, 1)
    assert await world.runs("nominal") == [NOON + 2 * HOUR]
    assert await world.ledger("count") == [1]


async def test_a_pause_of_a_tag_or_a_job_concerns_nobody_else(world: World, daemon: Process) -> None:
    await start(world, daemon, "tagged", tags={"env": "prod"})
    await start(world, daemon, "free")
    job = await world.a_job("alone", HOURLY)
    daemon.launcher.jobs_changed()
    await a_pause(world, scope=Scope.TAG, key="env")
    await a_pause(world, scope=Scope.JOB, key="alone", job=job)
    await hours(world, 1)
    assert await world.runs("title") == ["free"]
    assert sorted(await world.ledger("job_name, reason")) == [("alone", Reason.PAUSED), ("tagged", Reason.PAUSED)]


async def test_what_was_due_while_paused_and_nobody_planned_counts_as_paused(world: World) -> None:
    await world.a_job("job", HOURLY)
    await a_pause(world, until=NOON + 150 * MINUTE)
    world.clock.advance(4 * 3600 + 1800)
    await world.start()
    assert await world.ledger("reason, count") == [(Reason.PAUSED, 2), (Reason.MISSED, 2)]


async def test_a_spread_job_starts_every_time_later_by_the_same_length(world: World, daemon: Process) -> None:
    moved = Spreading("job", HOUR // 2).fixed
    await start(world, daemon, spread_seconds=1800)
    for _ in range(6):
        await world.to_next_due()
    assert await world.runs("nominal, due_at, created_at") == [
        (NOON + hour * HOUR, NOON + hour * HOUR + moved, NOON + hour * HOUR + moved) for hour in range(1, 7)
    ]
    assert await world.ledger() == []


async def test_a_spread_longer_than_the_grace_is_not_missed(world: World, daemon: Process) -> None:
    await start(world, daemon, spread_seconds=3000, grace_seconds=1)
    await world.to_next_due()
    assert len(await world.runs()) == 1


async def test_jitter_is_the_same_before_and_after_a_restart(world: World, daemon: Process) -> None:
    jitter = Spreading("job", jitter=HOUR // 2)
    await start(world, daemon, jitter_seconds=1800)
    await world.to_next_due()
    await world.kill(daemon)
    await world.start("own_b")
    await world.to_next_due()
    instants = [NOON + HOUR, NOON + 2 * HOUR]
    assert await world.runs("nominal, due_at") == [(one, one + jitter.offset(one)) for one in instants]


async def test_a_job_that_is_spread_less_by_an_edit_is_not_late_by_it(world: World, daemon: Process) -> None:
    job = await world.a_job("job", HOURLY, spread_seconds=3500)
    daemon.launcher.jobs_changed()
    await world.advance(3600)
    assert await world.runs() == [], "the hash of this name is later"
    await world.change(job, spread_seconds=0.0)
    daemon.launcher.jobs_changed()
    await world.quiet()
    assert await world.runs("nominal, due_at") == [(NOON + HOUR, NOON + HOUR)]


async def test_a_daily_job_on_business_days_runs_64_times_in_the_first_quarter_of_2026(world: World) -> None:
    world.clock.set_wall(parse_rfc3339("2026-01-01T00:00:00Z"))
    daemon = await world.start()
    await a_calendar(world, "business-days", effect=Effect.ALLOW, applies_to=("all",))
    await start(world, daemon, rule=cron("0 2 * * *"))
    for _ in range(90):
        await world.to_next_due()
    assert len(await world.runs("id")) + sum(await world.ledger("count")) == 90
    assert len(await world.runs("id")) == 64


async def test_jobs_without_any_rule_are_planned_as_ever(world: World, daemon: Process) -> None:
    await start(world, daemon)
    await hours(world, 3)
    assert await world.runs("nominal, due_at, deferred_by") == [
        (NOON + hour * HOUR, NOON + hour * HOUR, None) for hour in (1, 2, 3)
    ]
