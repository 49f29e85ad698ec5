"""What people do in a world: trigger, run, cancel, edit, enable, pause; and those who start daemons again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from rota.domain.calendars import Scope
from rota.domain.fanout import PLAIN
from rota.domain.instant import SECOND
from rota.domain.inventory import Group
from rota.domain.job import NamedTrigger
from rota.domain.reasons import Reason
from rota.ports import RunRequest, Tx
from rota.storage.freeze import plan_for, target_set_for
from rota.storage.inventory import insert_groups, insert_hosts
from rota.storage.jobs import get_job_by_id, insert_job, save_version
from rota.storage.limits import set_limit
from rota.storage.pauses import end_pause, insert_pause
from tests.simulation.instants import Cron, Every
from tests.simulation.jobs import GROUP, HOSTS, TRIGGER, Job, Saved, next_version
from tests.simulation.process import Process
from tests.simulation.weather import one_that_lives
from tests.simulation.world import World

Act = Callable[[World, Process], Coroutine[Any, Any, None]]
MEAN_SECONDS = 4.0  # between two acts
SITE = "hq"


def settle_in(world: World) -> None:
    """An inventory, the caps, and the first version of each job."""
    draw = world.draw

    def begin(tx: Tx) -> None:
        insert_groups(tx, [Group(name=GROUP)])
        insert_hosts(tx, HOSTS)
        set_limit(tx, "runs", world.cap)
        if world.site_cap is not None:
            set_limit(tx, f"site:{SITE}", world.site_cap)
        for job in world.jobs:
            row = insert_job(tx, job.spec, "someone")
            job.job_id = row.id
            _note_saved(world, tx, job, version=1)
        for key, cap in world.caps.items():
            set_limit(tx, key, cap)

    world.cap = draw.choice([2, 3, 5])
    world.site_cap = draw.choice([None, 1, 2])
    keys = ["targets", "host:h0", "host:h4", f"group:{GROUP}", *(f"job:{job.name}" for job in world.jobs)]
    for key in draw.sample(keys, draw.choice([0, 0, 1, 2, 3])):
        world.caps[key] = draw.choice([3, 4]) if key == "targets" else draw.choice([1, 2])
    world.write(begin)


async def operators(world: World) -> None:
    """Daemons are started again when they died, as systemd does: one in a home, up to three homes on a shared store."""
    homes = world.draw.choice([2, 3]) if world.nature.shares_store else 1
    while True:
        alive = {
            each.home for each in world.processes if each.kind == "daemon" and not each.is_dead and not each.is_over
        }
        for home in range(homes):
            if home not in alive and world.rests_until.get(home, 0.0) <= world.time:
                world.start("daemon", home)
        quick = not world.nature.faults or not world.processes
        await asyncio.sleep(1.0 if quick or world.draw.random() < 0.8 else world.draw.uniform(1, 60))


async def people(world: World) -> None:
    """Acts until cancelled."""
    while True:
        await asyncio.sleep(world.draw.expovariate(1 / MEAN_SECONDS))
        act = world.draw.choice(AFTER_SET_BACK if _was_just_set_back(world) else ACTS)
        process = one_that_lives(world, "daemon")
        if process is not None and process.engine.ready.is_set() and process.cut_off_until <= world.time:
            world.note("act", act.__name__.strip("_"), process.owner)
            process.act(act(world, process))


async def _trigger(world: World, process: Process) -> None:
    job = world.draw.choice(world.jobs)
    request = await process.world.store.write(lambda tx: request_of(tx, job))
    world.launched(process, await process.launcher.launch(request))


async def _trigger_twice(world: World, process: Process) -> None:
    """The same request comes again, as clients repeat what was not answered."""
    job, key = world.draw.choice(world.jobs), f"key-{world.draw.random()}"
    request = await process.world.store.write(lambda tx: request_of(tx, job, key=key))
    first = await process.launcher.launch(request)
    again = await process.launcher.launch(request)
    world.launched(process, first)
    if first != again:
        world.violate(f"I2 two runs for one key: {first} and {again}")


async def _cancel(world: World, process: Process) -> None:
    rows = world.sql("SELECT id FROM run WHERE finished_at IS NULL ORDER BY id")
    if rows:
        (run_id,) = world.draw.choice(rows)
        if await process.launcher.cancel(run_id, reason=Reason.USER_CANCELLED):
            world.note("cancelled", run_id)
            world.witness.cancelled.append((run_id, world.time))


async def _edit(world: World, process: Process) -> None:
    job = world.draw.choice(world.jobs)
    rhythm = job.rhythm
    if rhythm is not None and world.draw.random() < 0.5:
        rhythm = Cron("* * * * *") if world.draw.random() < 0.2 else Every(world.draw.choice([15, 20, 30, 45]))
    await save(world, job, rhythm=rhythm)
    process.launcher.jobs_changed()


async def _toggle(world: World, process: Process) -> None:
    job = world.draw.choice(world.jobs)
    await save(world, job, enabled=not job.spec.enabled)
    process.launcher.jobs_changed()
    if not job.spec.enabled:
        await process.clock.sleep(world.draw.uniform(1, 30))
    if not (job.spec.enabled or world.is_closed):
        await save(world, job, enabled=True)
        process.launcher.jobs_changed()


async def _pause(world: World, process: Process) -> None:
    def begin(tx: Tx) -> tuple[str, int]:
        pause = insert_pause(tx, scope=Scope.ALL, key="", job_id=None, until=None, reason="x", by="someone")
        world.witness.pauses.append((pause.since, 1 << 62, world.time))
        return pause.public_id, len(world.witness.pauses) - 1

    public_id, place = await world.store.write(begin)
    await process.clock.sleep(world.draw.uniform(1, 40))

    def resume(tx: Tx) -> None:
        end_pause(tx, public_id, by="someone")
        since, until, when = world.witness.pauses[place]
        world.witness.pauses[place] = (since, min(until, tx.at), when)

    await world.store.write(resume)
    process.launcher.jobs_changed()


async def _run(world: World, process: Process) -> None:
    """`rota run` in another terminal."""
    job = world.draw.choice(world.jobs)
    request = await process.world.store.write(lambda tx: request_of(tx, job))
    command = world.start("command", process.home)
    command.act(command.carry_out(request))


async def _restart(world: World, process: Process) -> None:
    await process.stop("leave" if world.draw.random() < 0.5 else "cancel")


async def _maintain(world: World, process: Process) -> None:
    """The machine is worked on: there is no daemon for a while."""
    until = min(world.time + world.draw.uniform(40, 90), world.closes_at - 15)
    if until > world.time + 20:
        world.rests_until[process.home] = until
        await process.stop("cancel")


ACTS: tuple[Act, ...] = (
    _trigger, _trigger, _trigger_twice, _cancel, _cancel, _edit, _toggle, _pause, _run, _run, _restart, _maintain,
)  # fmt: skip


AFTER_SET_BACK: tuple[Act, ...] = (_edit, _toggle, _toggle, _trigger)  # they look at their schedules then


def _was_just_set_back(world: World) -> bool:
    steps = world.witness.clock_steps
    return bool(steps) and steps[-1][1] < 0 and world.time - steps[-1][0] < 20


def request_of(tx: Tx, job: Job, *, key: str | None = None) -> RunRequest:
    """What a manual run of the job is made from, as it stands."""
    row = get_job_by_id(tx, job.job_id)
    spec, frozen = row.spec, target_set_for(tx, row.spec.target)
    return RunRequest(
        title=spec.name, kind="manual", plan_id=plan_for(tx, spec), target_set_id=frozen.id, members=frozen.members,
        principal="someone", job_id=row.id, job_version_id=row.version_id, overlap=spec.overlap, key=key,
        overlap_limit=spec.policies.overlap_limit, patience=spec.policies.patience,
        priority=spec.priority, targets_at_once=spec.targets_at_once,
        fan_out=None if spec.fan_out == PLAIN else spec.fan_out, run_timeout=round(spec.run_timeout_seconds * SECOND),
    )  # fmt: skip


async def save(world: World, job: Job, *, rhythm: Cron | Every | None = None, enabled: bool | None = None) -> None:
    """Save the job's next version. What the world knows of it is noted with the commit."""

    def change(tx: Tx) -> None:
        row = get_job_by_id(tx, job.job_id)
        spec = row.spec.but(steps=next_version(job, row.version + 1))
        if enabled is not None:
            spec = spec.but(enabled=enabled)
        if rhythm is not None:
            spec = spec.but(triggers=(NamedTrigger(name=TRIGGER, rule=rhythm.rule),))
        (settled,) = tx.driver.execute("SELECT high_water FROM due WHERE trigger_id = ?", (job.trigger_id,)).fetchone()
        save_version(tx, row, spec, "someone", why="it was edited")
        job.spec, job.rhythm = spec, rhythm or job.rhythm
        _note_saved(world, tx, job, version=row.version + 1, settled=settled)

    await world.store.write(change)


def _note_saved(world: World, tx: Tx, job: Job, *, version: int, settled: int = 0) -> None:
    if not job.trigger_id:
        (job.trigger_id,) = tx.driver.execute("SELECT id FROM trigger WHERE job_id = ?", (job.job_id,)).fetchone()
    rhythm = job.rhythm if job.spec.enabled else None
    job.saved.append(Saved(tx.at, world.time, version, rhythm, settled, job.spec.enabled))
    world.note("saved", job.name, version, rhythm)
