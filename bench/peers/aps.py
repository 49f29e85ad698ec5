"""APScheduler 3 as a peer: `python -m bench.peers.aps herd|steady|idle|add|boot|fill …`.

As a user would run it for this work: BackgroundScheduler, default thread-pool executor, `misfire_grace_time=None`
(nothing is dropped for being late), the store that `--store` names: `memory`, or the URL of a SQLAlchemy store. The
function only notes when it ran, which is less than any real job does.
"""

from __future__ import annotations

import argparse
import json
import math
import pickle
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from bench.peers import ticks


def scheduler(store: str) -> BackgroundScheduler:
    made = BackgroundScheduler(timezone="UTC", job_defaults={"misfire_grace_time": None})
    if store != "memory":
        made.add_jobstore(SQLAlchemyJobStore(url=store))
    return made


def daily_at(due: float) -> dict[str, int]:
    moment = datetime.fromtimestamp(due, UTC)
    return {"hour": moment.hour, "minute": moment.minute, "second": moment.second}


def herd(store: str, jobs: int, lead: float) -> dict[str, float]:
    """All jobs due in one second: how late the last one started."""
    made = scheduler(store)
    made.start(paused=True)
    due = float(math.ceil(time.time() + lead))
    for number in range(jobs):
        made.add_job(ticks.tick, "cron", id=f"job-{number}", **daily_at(due))
    spare = due - time.time()
    if spare < 1:
        sys.exit(f"adding {jobs} jobs took all the {lead:g} s until they were due")
    made.resume()
    wait_for(jobs, until=due + 60 + jobs / 500)
    made.shutdown(wait=True)
    starts = sorted(at - due for _, at in ticks.STARTS)
    return {"started": len(starts), "first": starts[0], "middle": starts[len(starts) // 2], "last": starts[-1]}


def steady(store: str, rate: float, every: float, seconds: float, skip: float) -> dict[str, float]:
    """`rate` starts a second, spread evenly: how late they were, from `skip` seconds after the first on."""
    made = scheduler(store)
    made.start(paused=True)
    jobs = round(rate * every)
    begin = float(math.ceil(time.time() + 3 + jobs / 5_000))
    for number in range(jobs):
        first = datetime.fromtimestamp(begin + number / rate, UTC)
        made.add_job(ticks.tick, "interval", seconds=every, start_date=first, args=(number,), id=f"job-{number}")
    if time.time() > begin - 0.5:
        sys.exit(f"adding {jobs} jobs took until they were due")
    made.resume()
    time.sleep(begin + seconds + 1 - time.time())
    made.shutdown(wait=False)
    late = []
    for number, at in list(ticks.STARTS):
        since = at - (begin + number / rate)
        nominal = at - since % every  # a start later than the next one's due instant is missing instead
        if begin + skip <= nominal < begin + seconds:
            late.append(since % every)
    late.sort()
    return {"started": len(late), "p50": percentile(late, 0.50), "p99": percentile(late, 0.99)}


def idle(store: str, jobs: int, due: float) -> None:
    """Hold jobs that are not due for days, say so, and do nothing until standard input ends."""
    made = scheduler(store)
    made.start(paused=True)
    moment = datetime.fromtimestamp(due, UTC)
    for number in range(jobs):
        made.add_job(ticks.tick, "cron", id=f"job-{number}", month=moment.month, day=moment.day, hour=2, minute=0)
    made.resume()
    print("ready", flush=True)
    sys.stdin.read()


def add(store: str, jobs: int) -> dict[str, float]:
    """Add jobs to a running scheduler, one after the other: how many a second."""
    made = scheduler(store)
    made.start()
    made.add_job(ticks.tick, "cron", id="first", hour=2)  # makes the table
    began = time.perf_counter()
    for number in range(jobs):
        made.add_job(ticks.tick, "cron", id=f"job-{number}", hour=number // 60 % 24, minute=number % 60)
    took = time.perf_counter() - began
    held = len(made.get_jobs())
    made.shutdown(wait=False)
    return {"held": held, "per_second": jobs / took}


def fill(store: str, jobs: int, due: float) -> dict[str, float]:
    """Put jobs that are not due into a SQLAlchemy store, in its own format; one transaction, not one for each."""
    made = scheduler(store)
    made.start(paused=True)
    kept: Any = made._jobstores["default"]
    moment = datetime.fromtimestamp(due, UTC)
    trigger = CronTrigger(month=moment.month, day=moment.day, hour=2, minute=0, timezone="UTC")
    rows = []
    for number in range(jobs):
        job = Job(
            made, id=f"job-{number}", trigger=trigger, executor="default", func=ticks.tick, args=(), kwargs={},
            name="tick", misfire_grace_time=None, coalesce=True, max_instances=1, next_run_time=moment,
        )  # fmt: skip
        state = pickle.dumps(job.__getstate__(), kept.pickle_protocol)
        rows.append({"id": job.id, "next_run_time": due, "job_state": state})
    with kept.engine.begin() as connection:
        connection.execute(kept.jobs_t.insert(), rows)
    made.shutdown(wait=False)
    return {"held": jobs}


def boot(store: str) -> dict[str, float]:
    """Start on a store that holds jobs, one of them due: when that one started, in epoch seconds."""
    made = scheduler(store)
    made.start()
    wait_for(1, until=time.time() + 120)
    made.shutdown(wait=False)
    return {"started_at": ticks.STARTS[0][1]}


def owe(store: str, due: float) -> dict[str, float]:
    """Add the one job that is due before the next start."""
    made = scheduler(store)
    made.start(paused=True)
    made.add_job(ticks.tick, "date", id="due", run_date=datetime.fromtimestamp(due, UTC))
    made.shutdown(wait=False)
    return {"held": 1}


def wait_for(starts: int, *, until: float) -> None:
    while len(ticks.STARTS) < starts:
        if time.time() > until:
            sys.exit(f"{len(ticks.STARTS)} of {starts} jobs were started in time")
        time.sleep(0.1)


def percentile(ordered: list[float], part: float) -> float:
    """The value that `part` of them do not exceed; infinite for none."""
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)] if ordered else math.inf


COMMANDS: dict[str, Callable[..., dict[str, float] | None]] = {
    "herd": herd,
    "steady": steady,
    "idle": idle,
    "add": add,
    "fill": fill,
    "boot": boot,
    "owe": owe,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--store", default="memory")
    parser.add_argument("--jobs", type=int)
    for name in ("lead", "due", "rate", "every", "seconds", "skip"):
        parser.add_argument(f"--{name}", type=float)
    options = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    answer = COMMANDS[options.pop("command")](**options)
    if answer is not None:
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
