"""Caps on targets at work at one time: over all runs (`targets`), of a site, a host, a group of hosts, a job.

They are rows that may be changed at any moment. How much is used is counted from the targets themselves, in the
transaction that claims, so no count can go wrong; where there is no cap nothing is counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rota.domain.errors import RotaError
from rota.domain.selector import parse
from rota.ports import Hint, Member, Tx
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


@dataclass(slots=True, eq=False)
class _Cap:
    """A cap that is not over all runs. What is left of it is counted when it is first asked about: most work that is
    looked at is under none of them."""

    tx: Tx
    key: str
    cap: int
    spoken_for: int
    counted: int | None = None
    taken: int = 0

    @property
    def left(self) -> int:
        if self.counted is None:
            self.counted = self.cap - self.spoken_for - at_work(self.tx, self.key)
        return self.counted - self.taken


@dataclass(slots=True)
class Room:
    """How many targets more may start in this transaction: `total` of them, and under each of the caps by itself.

    `jobs` are by their ids, `groups` with the hosts that are in them now.
    """

    total: int = _UNLIMITED
    sites: dict[str, _Cap] = field(default_factory=dict)
    hosts: dict[str, _Cap] = field(default_factory=dict)
    jobs: dict[int, _Cap] = field(default_factory=dict)
    groups: list[tuple[frozenset[str], _Cap]] = field(default_factory=list)

    @classmethod
    def now(cls, tx: Tx) -> Room:
        """What is free. Nobody else starts what is under a cap until this transaction ends."""
        return cls._of(tx, tx.driver.execute(_LIMITS.caps).fetchall())

    @classmethod
    def beside_queue(cls, tx: Tx, *, hold: bool) -> Room | None:
        """What would be free if all that may be claimed now were at work: whoever takes of that is in nobody's way who
        waits already. None: there are no caps on targets.

        `hold`: as `now`. Otherwise others may be taking of it too: whoever has done so asks `is_overshot` at the end.
        """
        caps = tx.driver.execute(_LIMITS.caps if hold else _LIMITS.caps_seen).fetchall()
        if not caps:
            return None
        (waiting,) = tx.driver.execute(_LIMITS.may_be_claimed, (max(cap for _, cap in caps),)).fetchone()
        return cls._of(tx, caps, waiting)

    @classmethod
    def _of(cls, tx: Tx, caps: Sequence[tuple[str, int]], spoken_for: int = 0) -> Room:
        room = cls()
        for key, cap in caps:
            kind, name = split(key)
            one = _Cap(tx, key, cap, spoken_for)
            match kind:
                case "targets":
                    room.total = one.left
                case "site:":
                    room.sites[name] = one
                case "host:":
                    room.hosts[name] = one
                case "group:":
                    room.groups.append((hosts_of(tx, name), one))
        if any(key.startswith(JOB) for key, _ in caps):
            rows = tx.driver.execute(_LIMITS.capped_jobs).fetchall()
            room.jobs = {job_id: _Cap(tx, key, cap, spoken_for) for job_id, key, cap in rows}
        return room

    def has(self, site: str | None, host: str, job_id: int | None) -> bool:
        return self.total > 0 and all(cap.left > 0 for cap in self._over(site, host, job_id))

    def take(self, site: str | None, host: str, job_id: int | None) -> None:
        self.total -= 1
        for cap in self._over(site, host, job_id):
            cap.taken += 1

    def take_first(self, members: Sequence[Member], job_id: int | None) -> int:
        """Take room for these targets of one job up to the first that finds none. Returns for how many."""
        if not (self.sites or self.hosts or self.groups or job_id in self.jobs):
            taken = max(0, min(len(members), self.total))
            self.total -= taken
            return taken
        for taken, member in enumerate(members):
            if not self.has(member.site, member.host, job_id):
                return taken
            self.take(member.site, member.host, job_id)
        return len(members)

    def is_overshot(self, tx: Tx) -> bool:
        """Whether more is at work under a cap that was taken of than it allows, now that what was started is written.
        Nobody else starts what is under a cap from here on until this transaction ends."""
        taken_of = {TARGETS} | {cap.key for cap in self._all() if cap.taken}
        caps = tx.driver.execute(_LIMITS.caps).fetchall()
        return any(at_work(tx, key) > cap for key, cap in caps if key in taken_of)

    def of_job(self, job_id: int | None) -> int:
        """How many targets more of a job may start."""
        return self.jobs[job_id].left if job_id in self.jobs else _UNLIMITED

    @property
    def full_sites(self) -> str:
        """Sites where nothing more may start, as a JSON list."""
        return json.dumps([site for site, cap in self.sites.items() if cap.left <= 0])

    def _all(self) -> Iterable[_Cap]:
        return [*self.sites.values(), *self.hosts.values(), *self.jobs.values(), *(cap for _, cap in self.groups)]

    def _over(self, site: str | None, host: str, job_id: int | None) -> list[_Cap]:
        """The caps that such a target is under, but for the one over all runs."""
        caps = [cap for hosts, cap in self.groups if host in hosts] if self.groups else []
        if site in self.sites:
            caps.append(self.sites[site])
        if host in self.hosts:
            caps.append(self.hosts[host])
        if job_id in self.jobs:
            caps.append(self.jobs[job_id])
        return caps


def hold_caps(tx: Tx) -> None:
    """Hold the caps on targets, as whoever is about to hold the cap on runs and to claim must: that one is the last."""
    tx.driver.execute(_LIMITS.caps)


def split(key: str) -> tuple[str, str]:
    """The kind of a cap, and the name of what it is of: `targets` and nothing, `site:` and `berlin`."""
    kind, colon, name = key.partition(":")
    return kind + colon, name


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
