"""Owners on other machines live as long as they say so: on a store that several share nobody can try their locks.

Each renews its lease by the database's clock. One that has been silent for a lease is dead to what others can carry on
(work on hosts); what its own machine carries out it may come back to, for a grace longer. Then that is unknown.
"""

from __future__ import annotations

from typing import NamedTuple

from rota.domain.instant import Micros
from rota.ports import Tx
from rota.storage.rescue import Rescued, end_owner, take_over
from rota.storage.statements import Statements

_LEASES = Statements("leases")


class Terms(NamedTuple):
    """`node` is this home's name in the store. An owner is silent after `lease`, and given up `grace` later."""

    node: str
    lease: Micros
    grace: Micros


def renew(tx: Tx, owner: str) -> Micros | None:
    """A sign of life; when it was given. None: this owner was given up, and holds nothing any more."""
    return tx.at if tx.driver.execute(_LEASES.renew, (tx.at, owner)).rowcount else None


def are_signs_ahead(tx: Tx) -> bool:
    """Whether an owner's last sign of life is yet to come by the store's clock, which was set back since."""
    return tx.driver.execute(_LEASES.ahead, (tx.at,)).fetchone() is not None


def bring_signs_back(tx: Tx) -> None:
    """Count such signs as given now: they would hide that their owner is dead until the clock is there again."""
    tx.driver.execute(_LEASES.bring_back, (tx.at, tx.at))


def silent_owners(tx: Tx, terms: Terms) -> list[str]:
    """Owners of other homes whose lease is over, and those of any home that were given up and hold something yet: one
    that was stopped in the middle of a claim wrote it when it went on, before it had heard that it was given up."""
    over = tx.at - terms.lease
    return [owner for (owner,) in tx.driver.execute(_LEASES.silent, (terms.node, over, over))]


def still_holds(tx: Tx, owner: str, target_id: int, fence: int) -> bool:
    """Whether nobody has taken this target from `owner`, who was silent for a while."""
    return tx.driver.execute(_LEASES.holder, (target_id, fence, owner)).fetchone() is not None


def take_from(tx: Tx, silent: str, owner: str, terms: Terms, *, may_give_up: bool) -> list[Rescued]:
    """Give `owner` what a silent owner held and may be carried on by now. Nothing, if it has said a word since.

    `may_give_up`: the database's clock went as time does for a lease and the grace, so that by it they are over.
    """
    seen_at, has_ended = tx.driver.execute(_LEASES.last_word, (silent,)).fetchone()
    if seen_at > tx.at - terms.lease:
        return []
    is_given_up = has_ended or (may_give_up and seen_at <= tx.at - terms.lease - terms.grace)
    rescued = take_over(tx, silent, owner, remote_only=not is_given_up)
    if is_given_up:
        end_owner(tx, silent)
    else:
        tx.driver.execute(_LEASES.lost, (tx.at, silent))
    return rescued
