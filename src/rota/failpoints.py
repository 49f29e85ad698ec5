"""Named places where a test may kill this process, to see what survives. Off unless two variables ask for it.

`ROTA_TEST=1 ROTA_FAILPOINT=report.commit:3` ends the process by SIGKILL the third time it reaches `report.commit`; the
name is first written to `$ROTA_FAILPOINT_MARK`, so that the test can assert that the place was reached.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

NAMES = (
    "plan.committed",  # runs and intents are durable, nothing has been started
    "order.ready",  # an order is about to leave for the keeper
    "order.sent",  # it has left
    "report.pending",  # an attempt has ended, its verdict is not committed
    "report.committed",  # the verdict is durable, the keeper has not heard of it
)


def _asked() -> tuple[str, int]:
    name, _, times = os.environ.get("ROTA_FAILPOINT", "").partition(":")
    return (name, int(times or 1)) if os.environ.get("ROTA_TEST") == "1" and name else ("", 0)


_NAME, _left = _asked()


def reach(name: str) -> None:
    """Die here if this is the place that was asked for."""
    if name != _NAME:
        return
    global _left  # noqa: PLW0603  # a countdown of this process, for tests only
    _left -= 1
    if _left == 0:
        if mark := os.environ.get("ROTA_FAILPOINT_MARK"):
            Path(mark).write_text(name)
        os.kill(os.getpid(), signal.SIGKILL)
