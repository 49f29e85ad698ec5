"""`rota daemon run`: take the instance, or say who has it; then live."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import structlog

from rota.daemon import sockets
from rota.daemon.lifecycle import INTERNAL_ERROR, Compose, live
from rota.daemon.locks import FileLock, OwnerLock
from rota.daemon.logs import logging_to
from rota.domain.errors import RotaError, Unavailable
from rota.instance import Instance
from rota.settings import load
from rota.storage.reserve import make_room_to_start

log: structlog.stdlib.BoundLogger = structlog.get_logger("rota.daemon")


def run(instance: Instance, *, ready: Callable[[], None] | None = None, compose: Compose | None = None) -> int:
    """Be the daemon of `instance` until a signal; return the exit code.

    `ready` is called once the banner is printed. `compose` builds what the daemon runs (default:
    `rota.compose.daemon`). Raises InvalidInput for a faulty `rota.yaml`, Refused for a home that is not safe,
    Unavailable where another daemon (or shell) has the instance or the store cannot be opened.
    """
    settings = load(instance)
    instance.prepare()
    # All we write is ours alone. Children get the usual umask from their keeper.
    os.umask(0o077)
    with (
        _take(instance),
        logging_to(instance.logs_dir / "daemon.log", level=settings.log.level, form=settings.log.format),
    ):
        make_room_to_start(instance.reserve)
        _, owner = OwnerLock.create(instance.owners_dir)
        listener = sockets.bind(instance.socket)
        try:
            life = live(
                instance,
                settings,
                owner=owner,
                listener=listener,
                compose=compose or _compose(),
                ready=lambda lines: _announce(lines, ready),
            )
            return asyncio.run(life)
        except BaseExceptionGroup as group:
            return _end_badly(group)
        finally:
            sockets.remove(instance.socket, listener)
            owner.release()


def _compose() -> Compose:
    from rota.compose import daemon

    return daemon


def _take(instance: Instance) -> FileLock:
    """Take the instance's engine lock. Raises Unavailable naming who has it."""
    lock = FileLock.try_acquire(instance.engine_lock, kind="daemon")
    if lock is not None:
        return lock
    holder = instance.engine_holder()
    who = f"a {holder.kind} (PID {holder.pid})" if holder else "another process"
    stop = f"kill {holder.pid}" if holder else "try again"
    raise Unavailable(
        f"{who} already runs the instance in {instance.home}",
        expected="one daemon for each instance",
        hint=f"to stop it: {stop}; for an instance of its own choose another --home",
    )


def _announce(lines: list[str], ready: Callable[[], None] | None) -> None:
    try:
        print("\n".join(lines), flush=True)  # noqa: T201 - the banner is this command's output
    except OSError:  # whoever read our output has left; the daemon has not
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - so that the last flush does not fail either
    log.info("started", pid=os.getpid())
    if ready is not None:
        ready()


def _end_badly(group: BaseExceptionGroup[BaseException]) -> int:
    """Raise the one error that people can act on; anything else is a bug of ours, told in full."""
    leaves = list(_leaves(group))
    if len(leaves) == 1 and isinstance(leaves[0], RotaError):
        raise leaves[0] from group
    log.critical("the daemon failed", exc_info=group)
    return INTERNAL_ERROR


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
