"""From an instance to a client: the daemon's socket, or the API in this process (DESIGN §4, "Instance first")."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rota.client.api import Client
from rota.client.unix import UnixTransport
from rota.domain.errors import Refused, Unavailable

if TYPE_CHECKING:
    from rota.instance import Instance

# A daemon that holds its lock but does not listen is starting, or on its way out.
_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05


@contextmanager
def connect(
    instance: Instance, *, may_create: bool, may_pretend: bool = False, say: Callable[[str], None]
) -> Iterator[Client]:
    """Give a client of the daemon, or of this process where there is none.

    In process only if the store exists and this user owns it; `may_create` makes one and says so, `may_pretend`
    makes one elsewhere and takes it away again. Raises Unavailable otherwise, with what to start.
    """
    if instance.server:
        raise Unavailable(
            f"this release does not speak to a server ({instance.server})",
            expected="an instance on this machine",
            hint="leave out --server and ROTA_SERVER, and name a folder with --home",
        )
    transport = UnixTransport(instance.socket)
    try:
        served = _is_served(instance, transport)
        exists = served or instance.exists or _names_a_database(instance)
    except Refused as error:  # somebody else's: for this user there is nothing to reach there
        raise Unavailable(error.happened, expected=error.expected, hint=error.hint) from error
    if served:
        yield Client(transport)
        return
    if not exists and may_pretend:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="rota-") as folder:
            yield from _in_process(replace(instance, home=Path(folder)))
        return
    _check_own_store(instance, exists=exists, may_create=may_create, say=say)
    yield from _in_process(instance)


def _is_served(instance: Instance, transport: UnixTransport) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not transport.answers():
        pid = instance.daemon_pid()
        if pid is None:
            return False
        if time.monotonic() > deadline:
            raise Unavailable(
                f"the daemon (PID {pid}) does not answer on {instance.socket}: it is starting or stopping",
                hint="try again in a moment, or look with: rota daemon status",
            )
        time.sleep(_PAUSE_SECONDS)
    return True


def _names_a_database(instance: Instance) -> bool:
    """Whether the store is in a database server: then nothing in the home tells of it but the settings."""
    from rota.settings import load

    return not load(instance).database.is_embedded


def _check_own_store(instance: Instance, *, exists: bool, may_create: bool, say: Callable[[str], None]) -> None:
    if not exists:
        if not may_create:
            raise Unavailable(
                f"there is no Rota instance in {instance.home}",
                expected="a running daemon, or a store of yours",
                hint="start one with: rota daemon, or see it work with: rota demo",
            )
        instance.prepare()
        say(f"Made a new instance in {instance.home}")
    elif instance.owner_uid not in {None, os.geteuid()}:
        raise Unavailable(
            f"no daemon serves {instance.home}, and its store belongs to uid {instance.owner_uid}, not to you",
            expected="a running daemon, or a store of yours",
            hint="as that user: rota daemon",
        )


def _in_process(instance: Instance) -> Iterator[Client]:
    from rota.client.inprocess import InProcessTransport
    from rota.compose import in_process

    with in_process(instance.home) as served:
        yield Client(InProcessTransport(served.app, served.loop))
