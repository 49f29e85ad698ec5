"""What to do with one due instant: the overlap and missed policies as functions from values to values.

Sources: seed 1 "Overlap and Missed-Run Policies"; DESIGN §5 defaults; parity C40 (`grace` judges only when planned).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, assert_never

MAX_ALLOWED_AT_ONCE = 3  # seed 1: `allow` means at most 3 concurrent executions of one schedule


class Overlap(StrEnum):
    SKIP = "skip"
    ALLOW = "allow"
    CANCEL_RUNNING = "cancel_running"


class Missed(StrEnum):
    SKIP = "skip"
    RUN_ONCE = "run_once"


def on_overlap(policy: Overlap, unfinished: int) -> Literal["start", "skip", "replace"]:
    """Decide for one occurrence. `unfinished` counts the job's unfinished runs (>= 0), waiting ones too.

    `replace`: the old runs are cancelled and the new one waits until they are really gone.
    """
    if unfinished == 0:
        return "start"
    match policy:
        case Overlap.SKIP:
            return "skip"
        case Overlap.ALLOW:
            return "start" if unfinished < MAX_ALLOWED_AT_ONCE else "skip"
        case Overlap.CANCEL_RUNNING:
            return "replace"
        case _:
            assert_never(policy)
