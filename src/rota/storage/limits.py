"""Caps on targets at work at one time: over all runs (`targets`), of a site, a host, a group of hosts, a job.

They are rows that may be changed at any moment. How much is used is counted from the targets themselves, in the
transaction that claims, so no count can go wrong; where there is no cap nothing is counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.domain.errors import RotaError
from rota.domain.selector import parse
from rota.ports import Hint, Tx
from rota.storage import inventory
from rota.storage.statements import Statements

_LIMITS = Statements("limits")
RUNS, TARGETS = "runs", "targets"
SITE, HOST, GROUP, JOB = "site:", "host:", "group:", "job:"
OF_ONE = (SITE, HOST, GROUP, JOB)  # a name follows
_UNLIMITED = 1 << 60


class LimitRow(NamedTuple):
    """`used`: of `runs` those that hold a slot; of the others the targets at work."""

    key: str
    cap: int
    used: int


@dataclass(slots=True)
class _Several:
    """The hosts of a group, and how many of them more may be at work."""

    hosts: frozenset[str]
    left: int


@dataclass(slots=True)
class Room:
    """How many targets more may start in this transaction. All but `total` have only what has a cap."""

    total: int = _UNLIMITED
    sites: dict[str, int] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)
    groups: list[_Several] = field(default_factory=list)
    jobs: dict[int, int] = field(default_factory=dict)
    is_narrow: bool = False  # there are caps of hosts, groups or jobs

    @classmethod
    def now(cls, tx: Tx) -> Room:
        room = cls()
        for key, cap in tx.driver.execute(_LIMITS.caps).fetchall():
            kind, name = split(key)
            left = cap - at_work(tx, key)
            match kind:
                case "targets":
                    room.total = left
                case "site:":
                    room.sites[name] = left
                case "host:":
                    room.hosts[name] = left
                case "group:":
                    room.groups.append(_Several(hosts_of(tx, name), left))
                case "job:":
                    if (job_id := _job_id(tx, name)) is not None:
                        room.jobs[job_id] = left
            room.is_narrow = room.is_narrow or kind in {HOST, GROUP, JOB}
        return room

    def has(self, site: str | None, host: str, job_id: int | None) -> bool:
        if self.total <= 0 or (site is not None and self.sites.get(site, 1) <= 0):
            return False
        if not self.is_narrow:
            return True
        of_job = self.of_job(job_id)
        return (
            of_job > 0 and self.hosts.get(host, 1) > 0 and all(one.left > 0 for one in self.groups if host in one.hosts)
        )

    def of_job(self, job_id: int | None) -> int:
        """How many targets more of a job may start."""
        return _UNLIMITED if job_id is None else self.jobs.get(job_id, _UNLIMITED)

    def take(self, site: str | None, host: str, job_id: int | None) -> None:
        self.total -= 1
        if site in self.sites:
            self.sites[site] -= 1
        if self.is_narrow:
            if host in self.hosts:
                self.hosts[host] -= 1
            if job_id in self.jobs:
                self.jobs[job_id] -= 1
            for one in self.groups:
                one.left -= host in one.hosts

    @property
    def full_sites(self) -> str:
        """Sites where nothing more may start, as a JSON list."""
        return json.dumps([site for site, left in self.sites.items() if left <= 0])


def split(key: str) -> tuple[str, str]:
    """The kind of a cap, and the name of what it is of: `targets` and nothing, `site:` and `berlin`."""
    kind, colon, name = key.partition(":")
    return kind + colon, name


def any_on_targets(tx: Tx) -> bool:
    """Whether there is any cap on targets at all."""
    return bool(tx.driver.execute(_LIMITS.any).fetchone()[0])


def all_limits(tx: Tx) -> list[LimitRow]:
    """All caps by key, with what is used of them now."""
    rows = [LimitRow._make(row) for row in tx.driver.execute(_LIMITS.all).fetchall()]
    return [row if row.key == RUNS else row._replace(used=at_work(tx, row.key)) for row in rows]


def set_limit(tx: Tx, key: str, cap: int) -> None:
    """From the next claim on. What is at work beyond it goes on."""
    tx.driver.execute(_LIMITS.set, (key, cap))
    tx.tell(Hint.WORK)


def remove_limit(tx: Tx, key: str) -> None:
    tx.driver.execute(_LIMITS.remove, (key,))
    tx.tell(Hint.WORK)


def move_limit(tx: Tx, key: str, to: str) -> None:
    """What is capped has another name now. One that was set under that name before it was anybody's gives way."""
    if tx.driver.execute(_LIMITS.of, (key,)).fetchone() is not None:
        tx.driver.execute(_LIMITS.remove, (to,))
        tx.driver.execute(_LIMITS.move, (to, key))


def at_work(tx: Tx, key: str) -> int:
    """How many targets that a cap of this key counts are at work now."""
    kind, name = split(key)
    match kind:
        case "site:":
            (count,) = tx.driver.execute(_LIMITS.at_work_in, (name,)).fetchone()
        case "host:":
            (count,) = tx.driver.execute(_LIMITS.at_work_on, (name,)).fetchone()
        case "job:":
            (count,) = tx.driver.execute(_LIMITS.at_work_of, (_job_id(tx, name),)).fetchone()
        case "group:":
            hosts = hosts_of(tx, name)
            count = sum(many for host, many in tx.driver.execute(_LIMITS.at_work_by_host).fetchall() if host in hosts)
        case _:
            (count,) = tx.driver.execute(_LIMITS.at_work).fetchone()
    return int(count)


def covers(tx: Tx, key: str, *, job: str | None, hosts: frozenset[str]) -> bool:
    """Whether a cap concerns targets of that job on any of those hosts."""
    kind, name = split(key)
    if kind == JOB:
        return name == job
    if kind == HOST:
        return name in hosts
    return kind != GROUP or not hosts.isdisjoint(hosts_of(tx, name))


def hosts_of(tx: Tx, group: str) -> frozenset[str]:
    """The hosts that are in a group now; none where there is no such group."""
    try:
        return frozenset(inventory.load(tx).pick(parse(f"group:{group}")))
    except RotaError:
        return frozenset()


def _job_id(tx: Tx, name: str) -> int | None:
    row = tx.driver.execute("SELECT id FROM job WHERE name = ? AND deleted_at IS NULL", (name,)).fetchone()
    return None if row is None else int(row[0])
