"""What is learnt of attempts after they had ended `unknown`. It is kept beside them and moves nothing (DESIGN §2)."""

from __future__ import annotations

from typing import NamedTuple

from rota.domain.instant import DAY
from rota.ports import Tx

KEPT = 7 * DAY  # markers on hosts are no older (docs/ssh.md)
MOST = 1000

_OPEN = """
SELECT attempt.id, run_target.run_id, run_target.host, run_target.host_version_id, run_target.connector
FROM run_target
JOIN attempt ON attempt.run_target_id = run_target.id
WHERE run_target.state = 'unknown' AND attempt.state = 'unknown' AND attempt.evidence IS NULL
  AND run_target.connector <> 'local' AND attempt.finished_at >= ?
ORDER BY attempt.id DESC
LIMIT ?
"""


class Question(NamedTuple):
    """An attempt whose end nobody knows, and the host that might tell."""

    attempt_id: int
    run_id: int
    host: str
    host_version_id: int | None
    connector: str


def open_questions(tx: Tx) -> list[Question]:
    """Attempts of the last days that ended `unknown` and of which nothing was learnt yet, newest first."""
    return [Question._make(row) for row in tx.driver.execute(_OPEN, (tx.at - KEPT, MOST)).fetchall()]


def record_evidence(tx: Tx, attempt_id: int, text: str) -> bool:
    """Keep what was learnt. The first word stands; False if there is one, or the attempt did not end `unknown`."""
    row = (text, attempt_id)
    statement = "UPDATE attempt SET evidence = ? WHERE id = ? AND state = 'unknown' AND evidence IS NULL"
    return bool(tx.driver.execute(statement, row).rowcount)
