"""APScheduler 4 as a peer: `with_aps4.py STORE JOBS LEAD`; prints what it measured as one line of JSON.

As a user would run it: AsyncScheduler, default executors and limits, the job in a thread; STORE is `memory` or a URL.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from datetime import UTC, datetime

from apscheduler import AsyncScheduler
from apscheduler.datastores.memory import MemoryDataStore
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy.ext.asyncio import create_async_engine

STARTS: list[float] = []
MOST_AT_ONCE = 100  # jobs of one scheduler, its default


def tick() -> None:
    STARTS.append(time.time())


async def herd(store: str, jobs: int, lead: float) -> None:
    data = MemoryDataStore() if store == "memory" else SQLAlchemyDataStore(create_async_engine(store))
    async with AsyncScheduler(data) as scheduler:
        due = float(math.ceil(time.time() + lead))
        at = datetime.fromtimestamp(due, UTC)
        # One run of a task at a time is its default, and all schedules here are of one task.
        await scheduler.configure_task("tick", func=tick, max_running_jobs=MOST_AT_ONCE)
        for number in range(jobs):
            # One each: a trigger of APScheduler 4 remembers what it gave last.
            trigger = CronTrigger(hour=at.hour, minute=at.minute, second=at.second, timezone="UTC")
            await scheduler.add_schedule("tick", trigger, id=f"job-{number}")
        if time.time() > due - 1:
            sys.exit(f"adding {jobs} schedules took all the {lead:g} s until they were due")
        await scheduler.start_in_background()
        while len(STARTS) < jobs:
            if time.time() > due + 60 + jobs / 10:
                sys.exit(f"{len(STARTS)} of {jobs} were started in time")
            await asyncio.sleep(0.1)
    print(json.dumps({"started": len(STARTS), "last": max(STARTS) - due}))


if __name__ == "__main__":
    asyncio.run(herd(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
