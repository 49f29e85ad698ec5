"""A disk that fails or is slow under a living process: strace answers its system calls in the kernel's place.

Nothing of the machine is changed, and the process runs on as it is: the strace of the machine, or one that was fetched,
is attached to it, and taken away again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.daemon import PATIENCE_SECONDS, until
from tests.support.programs import program

SYNCS = "fsync,fdatasync"
# Before `python -m rota …`: lets a process that is no ancestor trace this one, where the system asks for that (yama).
_TRACEABLE = """
import ctypes, runpy, sys
PR_SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
sys.argv = sys.argv[3:]
runpy.run_module("rota", run_name="__main__", alter_sys=True)
"""
_LETTING_GO_SECONDS = 5.0
TRACEABLE = [sys.executable, "-c", _TRACEABLE]  # for `Home.daemon(through=…)`


@contextmanager
def answering(pid: int, calls: str, answer: str, log: Path) -> Iterator[None]:
    """Let `calls` of that process and of all its threads meet `answer` (strace(1), inject=) until the context ends."""
    strace = program("strace", package="strace")
    with log.open("w") as said:
        tracer = subprocess.Popen(
            [strace.path, "-f", "-p", str(pid), "-o", os.devnull, "-e", f"trace={calls}",
             "-e", f"inject={calls}:{answer}"],
            env={**os.environ, **strace.environment}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
    try:
        until(lambda: "attached" in log.read_text() or tracer.poll() is not None)
        assert tracer.poll() is None, f"strace cannot be attached: {log.read_text()}"
        yield
    finally:
        tracer.send_signal(signal.SIGINT)  # it lets go of the process, which runs on
        try:
            tracer.wait(_LETTING_GO_SECONDS)
        except subprocess.TimeoutExpired:  # it waits for a thread that ended as it was attached to: the kernel lets go
            tracer.kill()
            tracer.wait(PATIENCE_SECONDS)
