"""Huey as a peer: `with_huey.py FILE JOBS LEAD`; prints what it measured as one line of JSON.

As a user would run it: SqliteHuey, four worker threads, its scheduler looking every second. Its periodic tasks are
defined in code and know minutes only, so the herd is tasks that are scheduled for one instant.
"""

from __future__ import annotations

import json
import math
import sys
import time
from datetime import datetime

from huey import SqliteHuey

STARTS: list[float] = []
WORKERS = 4

huey = SqliteHuey(filename=sys.argv[1], results=False)


@huey.task()  # type: ignore[untyped-decorator]  # huey ships no types
def tick() -> None:
    STARTS.append(time.time())


def herd(jobs: int, lead: float) -> None:
    due = float(math.ceil(time.time() + lead))
    at = datetime.fromtimestamp(due)
    for _ in range(jobs):
        tick.schedule(eta=at)
    if time.time() > due - 1:
        sys.exit(f"scheduling {jobs} tasks took all the {lead:g} s until they were due")
    consumer = huey.create_consumer(workers=WORKERS, scheduler_interval=1)
    consumer.start()
    while len(STARTS) < jobs:
        if time.time() > due + 60 + jobs / 10:
            sys.exit(f"{len(STARTS)} of {jobs} were started in time")
        time.sleep(0.1)
    consumer.stop(graceful=True)
    print(json.dumps({"started": len(STARTS), "last": max(STARTS) - due}))


if __name__ == "__main__":
    herd(int(sys.argv[2]), float(sys.argv[3]))
