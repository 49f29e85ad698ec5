"""What every use case is given besides its own arguments. Built once per process, by `rota.compose`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rota.domain.instant import Micros
from rota.domain.job import DEFAULT_TARGETS_AT_ONCE
from rota.ports import Events, Launcher, OutputReader, Reach, Store

if TYPE_CHECKING:
    from rota.backup.making import Backups


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonInfo:
    """Whether a daemon runs here. `scheduling` is false where `schedule.enabled` says so."""

    running: bool = False
    pid: int | None = None
    started_at: Micros | None = None
    scheduling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceInfo:
    """`in_process`: no daemon answers here, a command does its own work. `zone` is this machine's IANA zone.
    `database`: its URL, without a password."""

    version: str
    home: str
    instance_id: str
    in_process: bool
    zone: str
    database: str = "sqlite"
    daemon: DaemonInfo = DaemonInfo()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`stopping` is set when the process is about to stop: streams end, nothing new is waited for.

    `for_ends` is the store for what ends things, which is written also when the disk is full; None: `store` itself.
    """

    store: Store
    launcher: Launcher
    output: OutputReader
    events: Events
    info: InstanceInfo
    targets_at_once: int = DEFAULT_TARGETS_AT_ONCE  # for jobs that do not say
    reach: Mapping[str, Reach] = field(default_factory=dict)  # by connector; this machine itself needs none
    for_ends: Store | None = None
    disk_full_since: Callable[[], Micros | None] = lambda: None
    clock_doubt: Callable[[], str | None] = lambda: None  # why nothing is begun: the clock cannot be right
    clock_ahead: Callable[[], Micros] | None = None  # of the store before this machine's; None: it is the same clock
    backups: Backups | None = None  # None: the store is not in this instance's folder
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
