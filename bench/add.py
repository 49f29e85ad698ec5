"""`add`: jobs created through the REST API, over the daemon's unix socket; each is answered only after its commit.

64 connections, each sending its next request when the last was answered: 64 are in flight all the time. The client
is as thin as can be (raw sockets), but its time counts. The peers are called in their own process, without a wire.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench import peers
from bench.daemon import Scratch, daemon
from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed

ROTA, MEMORY, SQLITE = "Rota over REST", "APScheduler memory", "APScheduler SQLite"
ANSWER_SECONDS = 60.0


def add(jobs: int, *, sqlite_jobs: int, in_flight: int = 64, goal: Goal | None = None) -> Bench:
    """`sqlite_jobs`: how many APScheduler adds to its SQLite store; its rate does not depend on it."""

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        return {
            ROTA: lambda: _rota(scratch / f"home-{next(numbers)}", jobs, in_flight),
            SQLITE: lambda: _aps(sqlite_jobs, f"sqlite:///{scratch}/aps-{next(numbers)}.db"),
            MEMORY: lambda: _aps(jobs, "memory"),
        }

    return Bench(
        name="add",
        what=f"{jobs:,} jobs created, {in_flight} requests in flight, each answered after its commit",
        prepare=prepare,
        figures=[Figure("adds", "/s", ROTA, SQLITE, goal), Figure("adds", "/s", ROTA, MEMORY)],
        warm_up=f"{in_flight} creates, not counted",
    )


def _aps(jobs: int, store: str) -> Sample:
    got = peers.measured("add", within=60 + jobs / 20, store=store, jobs=jobs)
    if got["held"] != jobs + 1:
        raise TurnFailed(f"{got['held']} jobs are held, not {jobs + 1}")
    return Sample({"adds": got["per_second"]}, {"jobs": jobs})


def _rota(home: Path, jobs: int, in_flight: int) -> Sample:
    scratch = Scratch(home, 5)
    scratch.configure()
    with daemon(scratch):
        asyncio.run(_create(scratch.socket, range(in_flight), in_flight))
        took = asyncio.run(_create(scratch.socket, range(in_flight, in_flight + jobs), in_flight))
    held = scratch.number(
        "SELECT count(*) FROM job JOIN trigger ON trigger.job_id = job.id JOIN due ON due.trigger_id = trigger.id"
        " WHERE job.enabled"
    )
    if held != jobs + in_flight:
        raise TurnFailed(f"{held} jobs are stored, not {jobs + in_flight}")
    return Sample({"adds": jobs / took}, {"stored": held})


async def _create(socket: Path, numbers: range, in_flight: int) -> float:
    """Create one job for each number; return the seconds from the first request to the last answer."""
    todo = iter(numbers)
    began = time.perf_counter()
    async with asyncio.timeout(60 + len(numbers) / 20), asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(_send(socket, todo))
    return time.perf_counter() - began


async def _send(socket: Path, todo: Iterator[int]) -> None:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        for number in todo:
            body = _body(number)
            writer.write(
                b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            answer = await reader.readexactly(_length(head))
            if not head.startswith(b"HTTP/1.1 201"):
                raise TurnFailed(f"{head.splitlines()[0].decode()}: {answer[:300].decode()}")
    finally:
        writer.close()


def _body(number: int) -> bytes:
    expression = f"{number % 60} {number // 60 % 24} * * *"
    job = {
        "name": f"job-{number}",
        "triggers": [{"kind": "cron", "expression": expression, "timezone": "UTC"}],
        "steps": [{"name": "main", "action": "noop"}],
    }
    return json.dumps(job).encode()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise TurnFailed(f"an answer without its length: {head.decode()}")
