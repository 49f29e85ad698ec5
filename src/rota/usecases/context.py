"""What every use case is given besides its own arguments. Built once per process, by `rota.compose`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from rota.domain.instant import Micros
from rota.domain.job import DEFAULT_TARGETS_AT_ONCE
from rota.ports import Events, Launcher, OutputReader, Reach, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonInfo:
    """Whether a daemon runs here. `scheduling` is false where `schedule.enabled` says so."""

    running: bool = False
    pid: int | None = None
    started_at: Micros | None = None
    scheduling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceInfo:
    """`in_process`: no daemon answers here, a command does its own work. `zone` is this machine's IANA zone."""

    version: str
    home: str
    instance_id: str
    in_process: bool
    zone: str
    daemon: DaemonInfo = DaemonInfo()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`stopping` is set when the process is about to stop: streams end, nothing new is waited for."""

    store: Store
    launcher: Launcher
    output: OutputReader
    events: Events
    info: InstanceInfo
    targets_at_once: int = DEFAULT_TARGETS_AT_ONCE  # for jobs that do not say
    reach: Mapping[str, Reach] = field(default_factory=dict)  # by connector; this machine itself needs none
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
