"""Builds the objects of a process from its settings. The only module that knows adapters and faces together."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from rota.api.app import create_app, readiness
from rota.backup.making import Backups
from rota.clock import SystemClock
from rota.connectors.local.connector import LocalConnector
from rota.connectors.ways import Reaches, Ssh, Ways
from rota.daemon.keeper_marks import KeeperMarks
from rota.daemon.locks import OwnerLock, dead_here, dead_owners, sweep_owners
from rota.daemon.playbooks import PlaybookFolder
from rota.domain.clocks import Change, Kind
from rota.domain.errors import DiskFull, Unavailable
from rota.domain.instant import Micros, format_rfc3339
from rota.domain.inventory import Host
from rota.engine.clock_watch import ClockWatch
from rota.engine.engine import Engine, Overseeing
from rota.engine.events import RunEvents
from rota.engine.evidence import Evidence
from rota.engine.hosts import Hosts
from rota.engine.janitor import Janitor
from rota.engine.launcher import EngineLauncher
from rota.engine.leases import Leases, terms_of
from rota.engine.outbox import Outbox
from rota.engine.output import OutputPump
from rota.engine.planner import Planner
from rota.engine.plans import Plans
from rota.engine.rescuer import Rescuer
from rota.engine.worker import Worker
from rota.instance import Instance
from rota.localzone import local_zone_name
from rota.ports import Tx
from rota.settings import Settings, load, masked
from rota.storage import inventory
from rota.storage.bundle import Bundle, open_embedded, open_shared
from rota.storage.jobs import count_jobs, next_due
from rota.storage.rescue import add_owner
from rota.storage.reserve import Reserve
from rota.storage.unwritten import Unwritten
from rota.templating.renderer import Renderer
from rota.usecases.context import Context, DaemonInfo, InstanceInfo

if TYPE_CHECKING:
    from starlette.types import ASGIApp

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Summary:
    """What the daemon's banner says."""

    active: int
    next_job: str | None
    next_at: Micros | None


@dataclass(frozen=True, slots=True)
class App:
    asgi: ASGIApp
    engine: Engine
    context: Context
    summarised: Summary

    def summary(self) -> Summary:
        return self.summarised


@dataclass(frozen=True, slots=True)
class Served:
    """The API in this process, and the loop of another thread it runs on."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop


@asynccontextmanager
async def daemon(instance: Instance, settings: Settings, owner: OwnerLock) -> AsyncIterator[App]:
    """Everything a daemon is, with its store open. `engine.run()` is the caller's."""
    async with _parts(instance, settings, owner, kind="daemon", oversees=True) as app:
        yield app


@contextmanager
def in_process(home: Path) -> Iterator[Served]:
    """The API without a daemon: a worker that carries out the runs that are made here, and nothing else."""
    from rota.client.inprocess import loop_in_thread

    instance = Instance(home=home, kind="option")
    instance.prepare()
    settings = load(instance)
    os.umask(0o077)
    _, owner = OwnerLock.create(instance.owners_dir)
    try:
        with loop_in_thread() as loop:
            serving: Future[ASGIApp] = Future()
            stop = asyncio.Event()
            living = asyncio.run_coroutine_threadsafe(_serve(instance, settings, owner, serving, stop), loop)
            living.add_done_callback(lambda done: _fail(serving, done))
            try:
                yield Served(serving.result(), loop)
            finally:
                loop.call_soon_threadsafe(stop.set)
                living.result()
    finally:
        owner.release()


async def _serve(
    instance: Instance, settings: Settings, owner: OwnerLock, serving: Future[ASGIApp], stop: asyncio.Event
) -> None:
    """Live in one task from the open store to the closed one, so that what is opened here is closed here."""
    async with _parts(instance, settings, owner, kind="command", oversees=False) as app, asyncio.TaskGroup() as group:
        group.create_task(app.engine.run())
        await app.engine.ready.wait()
        serving.set_result(app.asgi)
        await stop.wait()
        await app.engine.stop("cancel", settings.shutdown_grace_seconds)


def _fail(serving: Future[ASGIApp], done: Future[None]) -> None:
    """What went wrong before anything was served is told to whoever waits for it."""
    if not serving.done():
        serving.set_exception(done.exception() or RuntimeError("the application ended before it served"))


@asynccontextmanager
async def _parts(
    instance: Instance, settings: Settings, owner: OwnerLock, *, kind: str, oversees: bool
) -> AsyncIterator[App]:
    keeps_reserve = oversees and settings.database.is_embedded
    reserve = Reserve(instance.reserve, clock=SystemClock(), keeps=keeps_reserve, tell=_tell_of_the_disk)
    bundle, events = await _open(instance, settings, reserve), RunEvents()
    store, output, clock = bundle.store, bundle.output, bundle.clock
    owner_id = owner.path.stem
    renderer = Renderer()
    try:
        cap = settings.schedule.max_concurrent_schedules
        node = instance.node_name() if bundle.is_shared else None
        instance_id = await bundle.for_ends.write(lambda tx: _settle_in(tx, owner_id, kind=kind, cap=cap, node=node))
        plans, pump = Plans(store), OutputPump(output, clock, events)
        local = LocalConnector(instance.keeper_dir, owner_id, KeeperMarks(instance.owners_dir, owner))
        ssh = Ssh(
            instance, settings.ssh, clock, instance_id=instance_id, agent=os.environ.get("SSH_AUTH_SOCK"),
            hosts=lambda name: store.read(lambda tx: _host_named(tx, name)),
            is_wanted=lambda: store.read(_has_ssh_hosts),
            sought=lambda token, is_sought: worker.sought(token, is_sought=is_sought),
        )  # fmt: skip
        connectors, hosts = Ways(local, ssh), Hosts(store)
        made: set[int] | None = None if oversees else set()
        stopping = asyncio.Event()  # live views end when the engine has
        worker = Worker(
            owner=owner_id, store=bundle.for_ends, clock=clock, plans=plans, hosts=hosts, connectors=connectors,
            renderer=renderer, output=pump, events=events, only_runs=made, claims_apart=bundle.is_shared,
        )  # fmt: skip
        watch = None
        if oversees:
            watch = ClockWatch(
                store=bundle.for_ends, clock=clock, ahead=bundle.clock_ahead, machine=platform.node(),
                trusts=settings.trust_clock, tell=_tell_of_the_clock,
            )  # fmt: skip
        worker.holds_back = lambda: reserve.was_spent() or (watch is not None and watch.doubt is not None)
        planner = None
        if oversees and settings.schedule.enabled:
            planner = Planner(store=store, clock=clock, plans=plans, worker=worker, owner=owner_id)
        launcher = EngineLauncher(
            store=store, for_ends=bundle.for_ends, worker=worker, plans=plans, events=events, owner=owner_id, made=made,
            nudge=planner.nudge if planner is not None else lambda: None,
        )  # fmt: skip
        context = Context(
            store=store,
            launcher=launcher,
            output=output,
            events=events,
            reach=Reaches(ssh, connectors),
            stopping=stopping,
            targets_at_once=settings.targets_at_once,
            for_ends=bundle.for_ends,
            clock_doubt=lambda: watch.doubt if watch is not None else None,
            clock_ahead=bundle.clock_ahead,
            disk_full_since=lambda: reserve.full_since if reserve.is_spent() else None,
            backups=None if bundle.is_shared else Backups(instance, version=VERSION, keep=settings.backup.keep),
            info=InstanceInfo(
                version=VERSION, home=str(instance.home), instance_id=instance_id, in_process=not oversees,
                zone=local_zone_name(), database=masked(settings.database.url),
                daemon=DaemonInfo(
                    running=oversees, pid=os.getpid() if oversees else None,
                    started_at=clock.now() if oversees else None, scheduling=planner is not None,
                ),
            ),
        )  # fmt: skip
        overseeing, app = None, create_app(context)
        folder = PlaybookFolder(context, instance.playbooks_dir)
        chores: list[Callable[[], Awaitable[object]]] = [connectors.get_ready, readiness(app)]
        if not bundle.is_shared:
            # Of several daemons each has a folder of its own: what one has and another lacks would come and go.
            chores = [
                folder.look, partial(Unwritten(instance.store, clock).spare, connectors.get_ready), readiness(app)
            ]  # fmt: skip
            with suppress(DiskFull):  # it is looked at again with the other chores
                await folder.look()
        if oversees:
            await local.open()
            overseeing = Overseeing(
                planner=planner,
                rescuer=Rescuer(
                    store=bundle.for_ends, connectors=connectors, worker=worker, owner=owner_id,
                    dead_of=lambda ids: dead_owners(instance.owners_dir, ids),
                    dead_here=lambda: dead_here(instance.owners_dir),
                    swept=lambda owners: sweep_owners(instance.owners_dir, owners),
                    node=node,
                ),
                outbox=Outbox(
                    store, clock, events, unwritten=None if bundle.is_shared else Unwritten(instance.store, clock)
                ),
                janitor=Janitor(
                    store=store, output=output, clock=clock, retention_days=settings.schedule.retention_days
                ),
                evidence=Evidence(store=store, clock=clock, connectors=connectors, hosts=hosts, events=events),
                watch=watch,
                chores=chores,
            )  # fmt: skip
        leases = None
        if node is not None:
            terms = terms_of(
                node, lease_seconds=settings.database.lease_seconds, grace_seconds=settings.database.lost_grace_seconds
            )
            leases = Leases(
                store=store, for_signs=bundle.for_signs or store, clock=clock, worker=worker, owner=owner_id,
                terms=terms, tell=_tell_of_the_database,
            )  # fmt: skip
        engine = Engine(
            owner=owner_id, store=bundle.for_ends, clock=clock, worker=worker, connectors=connectors, pump=pump,
            oversees=overseeing, leases=leases, hints=bundle.hints if oversees else None, stopped=stopping,
        )  # fmt: skip
        if oversees:
            await renderer.start()
        yield App(app, engine, context, await store.read(_summarise))
    finally:
        await renderer.stop()
        await bundle.close()


async def _open(instance: Instance, settings: Settings, reserve: Reserve) -> Bundle:
    if settings.database.is_embedded:
        return await open_embedded(
            instance.store,
            instance.output_store,
            clock=SystemClock(),
            on_fatal=_stop_rather_than_guess,
            reserve=reserve,
        )
    return await open_shared(settings.database.url, clock=SystemClock())


def _settle_in(tx: Tx, owner: str, *, kind: str, cap: int, node: str | None) -> str:
    """Make this owner known and the settings' cap the store's. Returns the instance id, made at the first start."""
    add_owner(tx, owner, kind=kind, pid=os.getpid(), node=node)
    if kind == "daemon":
        tx.driver.execute(
            "INSERT INTO run_limit (key, cap, used) VALUES ('runs', ?, 0) ON CONFLICT (key) DO UPDATE SET cap = ?",
            (cap, cap),
        )
    else:
        tx.driver.execute("INSERT INTO run_limit (key, cap, used) VALUES ('runs', ?, 0) ON CONFLICT DO NOTHING", (cap,))
    (new,) = tx.new_public_ids(1)
    tx.driver.execute("INSERT INTO instance (key, value) VALUES ('id', ?) ON CONFLICT DO NOTHING", (new,))
    (instance_id,) = tx.driver.execute("SELECT value FROM instance WHERE key = 'id'").fetchone()
    return str(instance_id)


def _host_named(tx: Tx, name: str) -> Host | None:
    row = inventory.load(tx).by_name.get(name)
    return None if row is None else row.host


def _has_ssh_hosts(tx: Tx) -> bool:
    return any(host.connector == "ssh" for host in inventory.load(tx).hosts)


def _summarise(tx: Tx) -> Summary:
    _, enabled = count_jobs(tx)
    soonest = next_due(tx)
    return Summary(enabled, *(soonest or (None, None)))


def _tell_of_the_disk(full_since: Micros | None) -> None:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.store")
    if full_since is not None:
        log.error("the disk is full: nothing new is begun or saved, what runs goes on; free some space")
    else:
        log.warning("the disk has room again: everything goes on")


def _tell_of_the_database(error: Unavailable | None) -> None:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.database")
    if error is not None:
        log.error(f"{error.happened}; nothing is begun until it is back")
    else:
        log.warning("the database is back: everything goes on")


def _tell_of_the_clock(change: Change, said: str) -> None:
    log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.clock")
    if change.kind is Kind.BELIEVED:
        log.info(said)
    else:
        log.warning(said, now=format_rfc3339(change.at))


def _stop_rather_than_guess(error: BaseException) -> None:
    """After a failed fsync nobody knows what is on the disk (DESIGN §3 Durable)."""
    os.write(2, f"rota: the disk failed under the store ({error}); stopping rather than guess\n".encode())
    os._exit(70)
