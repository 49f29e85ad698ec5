"""What of another owner's work is lost gets its verdict in the very commit that takes it over.

Not in a later one: whoever rescues *this* owner in between would take the attempt for one that this owner had intended,
hear from its keeper that it was never started, and start it a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rota.domain.errors import Unavailable
from rota.domain.instant import SECOND
from rota.domain.plan import Plan
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import AttemptState
from rota.engine.registered import step_began_at
from rota.engine.verdict import follow_up
from rota.ports import Tx
from rota.storage import turns
from rota.storage.finishing import settle
from rota.storage.rescue import Rescued
from rota.storage.row_locks import hold_ends
from rota.storage.work import AttemptEnd, Report, Settled


class Judged(NamedTuple):
    """What became of a target's open attempt. `lost`: it has no result and never will have, for this reason; else
    `follow` tells whether it runs or ended where it can be followed, or was never started."""

    run_id: int
    plan: Plan
    lost: Reason | None = None
    follow: bool = False


class Taken(NamedTuple):
    """`going_on` are to be gone on with; `lost` are the verdicts written on the others, and what followed from them."""

    going_on: list[tuple[Rescued, bool]]  # and whether to follow its attempt: else that, if there is one, never began
    lost: list[Report]
    settled: Settled


def take_and_settle(tx: Tx, take: Callable[[Tx], Sequence[Rescued]], judged: Mapping[int, Judged]) -> Taken:
    """Take over, and write the verdicts on what is lost. `judged`: by the id of the open attempt.

    Raises Unavailable where an attempt was begun since it was judged: nothing is taken over then, and it is asked anew.
    """
    if not tx.is_exclusive:  # runs before targets, as everywhere
        hold_ends(tx, {one.run_id for one in judged.values() if one.lost is not None})
    going_on, lost = [], []
    for one in take(tx):
        if not one.attempt_open:
            going_on.append((one, False))
        elif (known := judged.get(one.work.attempt_id)) is None:
            raise Unavailable(f"run_{one.work.run_public} went on while its owner was taken for dead")
        elif known.lost is None:
            going_on.append((one, known.follow))
        else:
            lost.append(_report(tx, one, known.plan, known.lost))
    settled = settle(tx, lost) if lost else Settled({}, set(), [])
    turns.forget(tx, settled.finished_runs)
    return Taken(going_on, lost, settled)


def _report(tx: Tx, rescued: Rescued, plan: Plan, reason: Reason) -> Report:
    """Cancelled, it is not tried again."""
    work, over_at = rescued.work, None
    step = plan.steps[work.cursor]
    if step.total_timeout_seconds is not None:
        began = step_began_at(tx, work.target_id, work.cursor)
        assert began is not None, "its attempt is open"
        over_at = began + round(step.total_timeout_seconds * SECOND)
    end = AttemptEnd(state=AttemptState.UNKNOWN, reason=reason, message=EXPLANATIONS[reason], finished_at=tx.at)
    return follow_up(work, plan, end, cancel=rescued.cancel, now=tx.at, step_over_at=over_at)
