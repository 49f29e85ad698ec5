"""Owners and what they held: a dead owner's claims pass to a living one, cursor and all.

Who is dead is never judged by time on one machine: its lock file can be taken (DESIGN §2 Who executes).
"""

from __future__ import annotations

from dataclasses import dataclass

from rota.domain.fanout import OnOffline
from rota.domain.reasons import Reason
from rota.ports import Tx
from rota.storage.row_locks import hold_targets
from rota.storage.statements import Statements
from rota.storage.work import Assignment

_CLAIM, _RENEW, _RESCUE = Statements("claim"), Statements("renew"), Statements("rescue")


@dataclass(frozen=True, slots=True)
class Rescued:
    """A target taken over. `attempt_open`: its attempt was intended and has no end; `work` says which.

    `cancel`: somebody had asked for the run's end.
    """

    work: Assignment
    attempt_open: bool
    cancel: Reason | None


def add_owner(tx: Tx, owner: str, *, kind: str, pid: int, node: str | None = None) -> None:
    """`node`: the home it works in, where several share the store; it shows signs of life from now on (`leases`)."""
    tx.driver.execute(
        "INSERT INTO owner (id, kind, pid, started_at, node, seen_at) VALUES (?, ?, ?, ?, ?, ?)",
        (owner, kind, pid, tx.at, node, None if node is None else tx.at),
    )


def living_owners(tx: Tx, node: str | None = None) -> list[str]:
    """The ids of owners of this home that are not known to have ended."""
    return [owner for (owner,) in tx.driver.execute(_RESCUE.owners, (node,))]


def end_owner(tx: Tx, owner: str) -> None:
    tx.driver.execute(_RESCUE.owner_ended, (tx.at, owner))


def held_by(tx: Tx, owner: str) -> list[Rescued]:
    """Everything `owner` has in work, by id; nothing is changed. `work.fence` is the one it has now."""
    found = []
    for (target_id, run_id, host, version_id, connector, fence, cursor, public_id, job_id, title, kind, plan_id, total,
         _at_once, run_timeout, due_at, started_at, cancel, attempt_id, last_number, changed,
         on_offline) in tx.driver.execute(
        _RESCUE.held, (owner,)
    ).fetchall():  # fmt: skip
        number = last_number
        if attempt_id is None:  # it stands between two attempts
            number = tx.driver.execute(_CLAIM.last_number, (target_id, cursor)).fetchone()[0] + 1
        work = Assignment(
            target_id=target_id, run_id=run_id, run_public=public_id, job_id=job_id, title=title, kind=kind,
            plan_id=plan_id, total=total, host=host, host_version_id=version_id, connector=connector, fence=fence,
            cursor=cursor, attempt_id=attempt_id or 0, number=number, due_at=due_at,
            run_started_at=started_at or tx.at, run_timeout=run_timeout,
            changed=None if changed is None else bool(changed),
            on_offline=None if on_offline is None else OnOffline(on_offline),
        )  # fmt: skip
        found.append(Rescued(work, attempt_id is not None, Reason(cancel) if cancel else None))
    return found


def fence_off(tx: Tx, dead: str) -> list[Rescued]:
    """Whatever `dead` may still say, should it only seem so, changes nothing from now on. Returns all that it holds."""
    tx.driver.execute(_RESCUE.fence_off, (dead,))
    return held_by(tx, dead)


def take_over(tx: Tx, dead: str, owner: str, *, remote_only: bool = False) -> list[Rescued]:
    """Give `owner` everything `dead` held. The fence grows, so the dead one could change nothing even if it woke.

    `remote_only`: what its own machine carries out stays with it.
    """
    taken = []
    hold_targets(tx, dead)  # before they are read: one that only seems dead may be moving them on at this moment
    for rescued in held_by(tx, dead):
        work = rescued.work
        if remote_only and work.connector == "local":
            continue
        if tx.driver.execute(_RESCUE.take_over, (owner, work.target_id, work.fence)).rowcount:
            work.fence += 1
            taken.append(rescued)
    return taken


def mark_sought(tx: Tx, attempt_id: int, owner: str, *, is_sought: bool) -> None:
    """Mark the target of an attempt as lost since now, while its host is looked for; or take that back."""
    if is_sought:
        tx.driver.execute(_RESCUE.sought, (tx.at, attempt_id, owner))
    else:
        tx.driver.execute(_RESCUE.found, (attempt_id, owner))


def cancels_for(tx: Tx, owner: str) -> list[tuple[int, Reason]]:
    """Runs that `owner` has in work and whose end was asked for, possibly by another process."""
    return [(run_id, Reason(reason)) for run_id, reason in tx.driver.execute(_RENEW.cancels, (owner,))]
