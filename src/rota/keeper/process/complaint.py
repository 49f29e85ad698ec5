"""The keeper's own words, for its log."""

from __future__ import annotations

import sys


def complain(text: str) -> None:
    """Say it, if the log takes it: a full disk must not end the keeper."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        return


def complain_of_bug() -> None:
    """The exception being handled, with its traceback."""
    try:
        sys.excepthook(*sys.exc_info())
    except OSError:
        return
