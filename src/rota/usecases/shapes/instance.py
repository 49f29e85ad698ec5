"""The instance: daemons, clocks, limits, backups."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class Daemon(TypedDict):
    running: bool
    pid: int | None
    started_at: str | None
    scheduling: bool


class NextJob(TypedDict):
    job: str
    at: str


class JobCounts(TypedDict):
    total: int
    enabled: int


class ClockChange(TypedDict):
    """`kind`: set_back, set_forward, slept, skew, doubted, believed. `before` and `at`: what the clock said."""

    kind: str
    before: str
    at: str
    message: str


class ClockNow(TypedDict):
    """`doubt`: why nothing is begun, while the clock cannot be right. `ahead_seconds`: how far the database's clock is
    ahead of this machine's, where there are two. `last_change`: the newest that was noticed, whenever that was."""

    doubt: str | None
    ahead_seconds: float | None
    last_change: ClockChange | None


class Instance(TypedDict):
    version: str
    home: str
    database: str  # `sqlite`: a file in `home`; else the URL, without a password
    instance_id: str
    in_process: bool
    daemon: Daemon
    jobs: JobCounts
    next: NextJob | None
    clock: ClockNow
    disk_full_since: str | None  # since when nothing new is begun or saved, for want of room
    zone: str
    zone_data: str  # the release of the time zone database in use, and where it comes from: `2026b (system)`


class Limit(TypedDict):
    """`used`: of `runs` those that hold a slot, of the others the targets at work now."""

    key: str
    cap: int
    used: int
    # only in the answer to a change
    warnings: NotRequired[list[str]]


class Limits(TypedDict):
    items: list[Limit]
    next: None


class Backup(TypedDict):
    """`counts`: rows of the store by table. A file that is no backup has a `fault` and none of the rest."""

    name: str
    path: str
    bytes: int
    made_at: str | None
    rota: str | None
    schema: int | None
    counts: dict[str, int]
    files: list[str]
    fault: str | None


class BackupMade(Backup):
    """`keys`: files in the instance's `keys`, which are not in it. `removed`: older backups that went."""

    keys: int
    removed: list[str]


class Backups(TypedDict):
    items: list[Backup]
    next: None
