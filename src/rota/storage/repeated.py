"""Verdicts that are told a second time, because the answer to their commit was lost: known again, and no error.

Asked only after a commit that failed, so that what is told once pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rota.ports import Tx
from rota.storage.finishing import settle
from rota.storage.statements import Statements
from rota.storage.work import Report, Settled

_FINISH = Statements("finish")


def settle_again(tx: Tx, reports: Sequence[Report]) -> Settled:
    """As `settle`, for reports that may have been recorded. What either commit did is returned."""
    fresh, known = _set_apart(tx, reports)
    settled = settle(tx, fresh)
    return Settled(
        known.next_attempts | settled.next_attempts,
        settled.fenced,
        [*dict.fromkeys([*known.finished_runs, *settled.finished_runs])],
    )


def _set_apart(tx: Tx, reports: Sequence[Report]) -> tuple[list[Report], Settled]:
    """Those that have not been recorded, and what was done for the others.

    Recorded is what has its trace under the same fence: an end of the attempt, or of the target; the next intent.
    """
    fresh, known = list[Report](), Settled({}, set(), [])
    for report in reports:
        work, then = report.work, report.then
        row = tx.driver.execute(_FINISH.told_already, (work.attempt_id, *(then or (0, 0)), work.target_id)).fetchone()
        if row is None or row[0] != work.fence:
            fresh.append(report)  # somebody else's by now: the fence refuses it
            continue
        _, target_is_over, attempt_is_over, next_attempt, run_is_over = row
        if then is not None and next_attempt is not None:
            known.next_attempts[work.claim] = next_attempt
        elif then is not None or not (target_is_over if report.attempt is None else attempt_is_over):
            fresh.append(report)
        elif run_is_over:
            known.finished_runs.append(work.run_id)
    return fresh, known
