"""A daemon that can be killed: starts a keeper in DIRECTORY, orders one shell command, says what happens.

python owner_process.py DIRECTORY ID SCRIPT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rota.keeper.client import Keeper
from rota.keeper.orders import Event, Started, StartOrder


async def main(directory: str, attempt: str, script: str) -> None:
    def tell(events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Started):
                print("started", event.pid, flush=True)

    keeper = await Keeper.start(Path(directory), on_events=tell)
    keeper.order(
        [StartOrder(id=attempt, argv=("sh", "-c", script), env={"PATH": "/usr/bin:/bin"}, cwd="/", grace_seconds=1)]
    )
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
