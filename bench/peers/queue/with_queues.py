"""Queues on PostgreSQL as peers: `with_queues.py pgqueuer|procrastinate --dsn URL --jobs N --at-once N`.

As a user would run them for this work: jobs are enqueued many at a time, and one worker process carries them out, no
more than `--at-once` of them at a time. The clock runs from the first INSERT to the end of the last job, which is
recorded: Rota's runs from the first row of its plan. `carried_out` is the part from the first job's start on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import timedelta

import asyncpg
import procrastinate
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.types import QueueExecutionMode

CHUNK = 5_000
_enqueued: list[float] = []  # when that began
_starts: list[float] = []


async def with_pgqueuer(dsn: str, jobs: int, at_once: int) -> int:
    connection = await asyncpg.connect(dsn)
    pgq = PgQueuer.from_asyncpg_connection(connection)
    await pgq.queries.install()
    _enqueued.append(time.time())
    for begin in range(0, jobs, CHUNK):
        count = min(CHUNK, jobs - begin)
        await pgq.queries.enqueue(["tick"] * count, [None] * count, [0] * count)

    async def tick(_job: Job) -> None:
        _starts.append(time.time())

    pgq.entrypoint("tick", concurrency_limit=at_once)(tick)
    await pgq.run(batch_size=at_once // 2, mode=QueueExecutionMode.drain, dequeue_timeout=timedelta(seconds=1))
    return len(_starts)


async def with_procrastinate(dsn: str, jobs: int, at_once: int) -> int:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))

    async def tick() -> None:
        _starts.append(time.time())

    task = app.task(tick)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        _enqueued.append(time.time())
        for begin in range(0, jobs, CHUNK):
            await task.batch_defer_async(*({} for _ in range(min(CHUNK, jobs - begin))))
        await app.run_worker_async(wait=False, concurrency=at_once, install_signal_handlers=False)
    return len(_starts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("queue", choices=("pgqueuer", "procrastinate"))
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    given = parser.parse_args()
    work = with_pgqueuer if given.queue == "pgqueuer" else with_procrastinate
    done = asyncio.run(work(given.dsn, given.jobs, given.at_once))
    ended = time.time()
    print(json.dumps({"done": done, "seconds": ended - _enqueued[0], "carried_out": ended - _starts[0]}))


if __name__ == "__main__":
    main()
