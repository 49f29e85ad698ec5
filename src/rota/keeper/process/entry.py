"""Start of the keeper: `python -I -S -X utf8 …/process/entry.py DIRECTORY IDLE_EXIT_SECONDS`.

Forks once and lets the parent leave, so that the keeper belongs to init (or the next subreaper): it is never a
zombie of the daemon. Prints `ready` to stdout when it takes orders, or the reason why it cannot.
"""

from __future__ import annotations

import importlib
import os
import sys


def main() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib costs 8 ms here)
    sys.path.insert(0, os.path.dirname(here))  # noqa: PTH120
    keeper = importlib.import_module(f"{os.path.basename(here)}.service")  # noqa: PTH119
    sys.path.pop(0)
    keeper.run(directory=sys.argv[1], idle_exit_seconds=float(sys.argv[2]))


if __name__ == "__main__":
    main()
