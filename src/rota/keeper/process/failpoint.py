"""Named places where a test may kill a process of Rota, to see what survives. Off unless two variables ask for it.

`ROTA_TEST=1 ROTA_FAILPOINT=report.committed:3` ends the process by SIGKILL the third time it reaches that place. The
name is first written to the new file `$ROTA_FAILPOINT_MARK`, so that the test can assert that the place was reached;
where that file is there already, somebody has died for it, and nobody else does.
The names are in `rota.failpoints`. Here, because the keeper imports nothing of Rota.
"""

from __future__ import annotations

import os
import signal

VARIABLES = ("ROTA_TEST", "ROTA_FAILPOINT", "ROTA_FAILPOINT_MARK")


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
            try:
                fd = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                return
            os.write(fd, name.encode())
        os.kill(os.getpid(), signal.SIGKILL)
