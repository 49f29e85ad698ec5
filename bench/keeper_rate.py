"""`keeper`: starts per second through the keeper alone, against the bare spawn loop.

Both start N commands with as many at once as there are, each in a session of its own, output captured. The keeper
also makes every result durable before it is reported, and its owner acknowledges it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.bare import bare_loop
from bench.harness import Bench, Figure, Goal, Sample, Turn
from bench.process import Cost
from rota.keeper.client import Keeper
from rota.keeper.orders import Ended, Event, StartOrder

KEEPER, BARE = "keeper", "bare spawn loop"
COMMAND = "/bin/true"


def keeper_rate(starts: int, goal: Goal | None = None) -> Bench:
    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        numbers = itertools.count(1)
        return {
            KEEPER: lambda: asyncio.run(_keeper(scratch / f"keeper-{next(numbers)}", starts)),
            BARE: lambda: Sample({"starts": starts / bare_loop([COMMAND], starts)}),
        }

    return Bench(
        name="keeper",
        what=f"{starts:,} × {COMMAND} at once through the keeper alone, each result durable",
        prepare=prepare,
        figures=[Figure("starts", "/s", KEEPER, BARE, goal)],
        warm_up="one round, not counted",
        discarded=1,
    )


class _Ends:
    """Counts results; `all` is set once there are `wanted`."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.ids, self.all = wanted, list[str](), asyncio.Event()

    def on_events(self, events: Sequence[Event]) -> None:
        self.ids += [event.id for event in events if isinstance(event, Ended)]
        if len(self.ids) >= self.wanted:
            self.all.set()


async def _keeper(directory: Path, starts: int) -> Sample:
    """From the orders to the last durable result, with a keeper that has started before the clock does."""
    ends = _Ends(starts)
    keeper = await Keeper.start(directory, on_events=ends.on_events)
    try:
        before = Cost.of([keeper.pid])
        environment = dict(os.environ)
        began = time.perf_counter()
        keeper.order(
            [
                StartOrder(
                    id=str(number),
                    argv=(COMMAND,),
                    env={**environment, "ROTA_ATTEMPT": str(number)},
                    cwd="/",
                    timeout_seconds=300,
                )
                for number in range(starts)
            ]
        )
        await ends.all.wait()
        took = time.perf_counter() - began
        cpu = Cost.of([keeper.pid]).cpu_seconds - before.cpu_seconds
        keeper.ack(ends.ids)
    finally:
        await keeper.stop(grace_seconds=1)
    return Sample({"starts": starts / took}, {"keeper CPU µs per start": round(cpu / starts * 1e6)})
