"""Carries out a `FileOp` on this machine: a small Python child that looks, acts and answers with one line of JSON.

A child and not a call in the daemon, so that a dead network mount hangs a step and not the engine, that `sudo` and
`run_as` work as for commands, and that the keeper's timeouts and cancels hold. The answer: `domain.fileop`.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Final

from rota.domain.fileop import LARGEST_WRITE, read_exit
from rota.domain.step import Command, FileOp

__all__ = ["SCRIPT", "command_for", "read_exit"]

SCRIPT: Final = Path(__file__).with_name("fileops_script.py")

# Root needs no sudo, and small images have none.
_AS_ROOT: Final = 'if [ "$(id -u)" -eq 0 ]; then exec "$@"; else exec sudo -n -- "$@"; fi'


def command_for(op: FileOp) -> Command:
    """The command that carries `op` out; its exit is read by `read_exit`.

    The request goes by stdin, so that no content shows in a process list. Raises ValueError for content larger than
    LARGEST_WRITE, which the actions' schemas refuse.
    """
    if len(op.content) > LARGEST_WRITE:
        raise ValueError(f"content of {len(op.content)} bytes; expected at most {LARGEST_WRITE}")
    request = {
        "op": op.op,
        "path": op.path,
        "content": base64.b64encode(op.content).decode(),
        "mode": op.mode,
        "parents": op.parents,
        "recursive": op.recursive,
    }
    argv: tuple[str, ...] = (sys.executable, "-I", "-S", str(SCRIPT))
    if op.sudo:
        argv = ("/bin/sh", "-c", _AS_ROOT, "sudo", *argv)
    return Command(argv=argv, stdin=json.dumps(request).encode())
