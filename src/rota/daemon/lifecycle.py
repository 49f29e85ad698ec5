"""The life of a daemon from its locks to its last record, and seed 1's four steps between a signal and the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import structlog

from rota.daemon.gate import Gate
from rota.daemon.server import ApiServer
from rota.domain.instant import Micros, from_micros

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from rota.daemon.locks import OwnerLock
    from rota.instance import Instance
    from rota.settings import Settings

OK = 0
INTERRUPTED = 130  # a second signal: we did not wait for what was running
INTERNAL_ERROR = 70

# Beyond the grace that running work gets: for the engine to record how it ended. Then we stop waiting.
_RECORD_SECONDS = 20

log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.daemon")


class Summary(Protocol):
    """What the banner says about the schedules."""

    @property
    def active(self) -> int: ...
    @property
    def next_job(self) -> str | None: ...
    @property
    def next_at(self) -> Micros | None: ...


class Engine(Protocol):
    @property
    def ready(self) -> asyncio.Event:
        """Set once `run` has adopted what it found and work may be given to it."""

    async def run(self) -> None:
        """Plan and carry out work until `stop`. An error that it cannot live with is raised."""

    async def stop(self, mode: Literal["cancel", "leave"], grace_seconds: float) -> None:
        """Start nothing more; cancel what runs, or leave it to the keeper; return once it has ended and is
        recorded, or after `grace_seconds`. Cancelling this coroutine ends the wait at once."""


class App(Protocol):
    """What `compose.daemon` builds."""

    @property
    def asgi(self) -> ASGIApp: ...
    @property
    def engine(self) -> Engine: ...
    def summary(self) -> Summary: ...


Compose = Callable[["Instance", "Settings", "OwnerLock"], AbstractAsyncContextManager[App]]


def _settle_collector() -> None:
    """Let the garbage collector look less often, and never again at what start-up made.

    A herd makes some ten objects a run that live until the next commit. With CPython's defaults (700, 10, 10) the
    collector walks them all again and again: the last of 10,000 starts came twice as late (0.46-0.75 s, not 0.24-0.41).
    """
    gc.freeze()  # with what little garbage there is: to look for it takes a tenth of the start
    gc.set_threshold(500_000, 20, 100)


async def live(
    instance: Instance,
    settings: Settings,
    *,
    owner: OwnerLock,
    listener: socket.socket,
    compose: Compose,
    ready: Callable[[list[str]], None],
) -> int:
    """Serve and schedule until a signal, then shut down in order. Returns the exit code.

    `ready` is called with the banner's lines once the API answers and the engine runs.
    """
    with _signals() as signals:
        async with compose(instance, settings, owner) as app:
            _settle_collector()
            server = ApiServer(Gate(app.asgi, is_stopping=signals.first.is_set), listener)
            async with asyncio.TaskGroup() as tasks:
                engine = tasks.create_task(app.engine.run(), name="engine")
                # The API takes no order before the engine can carry it out.
                code = await _first_of(app.engine.ready, engine, tasks)
                if code == OK:
                    tasks.create_task(server.run_until_stopped(), name="api")
                    await server.listening.wait()
                    ready(banner(app.summary(), settings))
                    code = await _first_of(signals.first, engine, tasks)
                if code == OK:
                    code = await _shut_down(app.engine, settings, signals, tasks)
                server.stop()
                if code != OK:
                    engine.cancel()
    log.info("stopped", step="4 of 4: final state is stored")
    return code


def banner(summary: Summary, settings: Settings) -> list[str]:
    """What the daemon says when it is up, in seed 1's words."""
    schedules = f"Schedules: {summary.active} active"
    following = "none scheduled"
    if not settings.schedule.enabled:
        schedules += " (but nothing fires: schedule.enabled is false)"
    elif summary.next_job is not None and summary.next_at is not None:
        following = f"{summary.next_job} at {from_micros(summary.next_at):%Y-%m-%d %H:%M} UTC"
    return [
        "Rota daemon started",
        f"PID: {os.getpid()}",
        schedules,
        f"Next run: {following}",
        "Dashboard sync: not signed in",
    ]


async def _first_of(event: asyncio.Event, engine: asyncio.Task[None], tasks: asyncio.TaskGroup) -> int:
    """Wait for `event`: OK. An engine that ends unasked before it gives the exit code that says so."""
    awaited = tasks.create_task(event.wait(), name="event")
    await asyncio.wait({engine, awaited}, return_when=asyncio.FIRST_COMPLETED)
    if not engine.done():
        return OK
    awaited.cancel()
    if not engine.cancelled() and engine.exception() is None:  # an error ends the task group, and is told there
        log.error("the engine ended without being asked to")
    return INTERNAL_ERROR


async def _shut_down(engine: Engine, settings: Settings, signals: _Signals, tasks: asyncio.TaskGroup) -> int:
    mode, grace = settings.on_shutdown, settings.shutdown_grace_seconds
    log.info("stopping", step="1 of 4: no new runs are accepted", signal=signals.name)
    ending = "running work is cancelled" if mode == "cancel" else "running work is left to go on"
    log.info("stopping", step=f"2 of 4: {ending}")
    log.info("stopping", step=f"3 of 4: waiting up to {grace} s; a second signal stops the wait")
    stop = tasks.create_task(engine.stop(mode, grace), name="stop")
    again = tasks.create_task(signals.second.wait(), name="second signal")
    await asyncio.wait({stop, again}, timeout=grace + _RECORD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if stop.done():
        return OK
    stop.cancel()
    if signals.second.is_set():
        log.warning("no longer waiting: a second signal came")
        return INTERRUPTED
    log.error(f"no longer waiting: the engine did not stop within {grace + _RECORD_SECONDS} s")
    return INTERNAL_ERROR


class _Signals:
    """The signals that end a daemon: the first politely, the second at once."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        self.name = ""

    def receive(self, number: signal.Signals) -> None:
        if self.first.is_set():
            self.second.set()
        else:
            self.name = number.name
            self.first.set()


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Take SIGINT, SIGTERM and SIGHUP (a closed terminal, unless nohup asked to ignore it) until the context ends.

    SIGUSR1 and SIGUSR2 mean nothing here, and would end us: they are told and ignored.
    """
    received = _Signals()
    loop = asyncio.get_running_loop()
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    for number in wanted:
        loop.add_signal_handler(number, received.receive, number)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(
            number, partial(log.warning, "ignored a signal that means nothing here", signal=number.name)
        )
    wanted += [signal.SIGUSR1, signal.SIGUSR2]
    try:
        yield received
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)
