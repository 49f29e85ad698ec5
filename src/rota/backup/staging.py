"""Folders in which a backup, or an instance, is built before it counts; nothing of those who were killed stays."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def staging_in(folder: Path, prefix: str) -> Iterator[Path]:
    """A new folder in `folder`, mode 0700, that goes at the end, unless it was renamed.

    Takes away first what processes left in `folder` under this prefix that were killed meanwhile. Each holds a lock on
    its own for its life, so no time is involved: what is locked is at work. Raises OSError.
    """
    for left in folder.glob(f"{prefix}*"):
        with suppress(OSError):  # it is done, or at work, or on a disk that has no locks
            os.close(_lock(left))
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    with ExitStack() as at_the_end:
        with suppress(OSError):
            at_the_end.callback(os.close, _lock(made))
        at_the_end.callback(shutil.rmtree, made, ignore_errors=True)
        yield made


def _lock(folder: Path) -> int:
    """Raises BlockingIOError where another has it, FileNotFoundError where it is gone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
