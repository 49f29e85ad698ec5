"""Starts per second through the keeper against a bare posix_spawn loop, in alternating rounds.

Both start N commands with as many at once as there are, each in a session of its own, output captured. The keeper
also makes every result durable before it is reported. Prints each round and the ratio of the medians.

    python bench/keeper_rate.py [--starts 1000] [--rounds 5] [--command /bin/true]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import shlex
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rota.keeper.client import Keeper
from rota.keeper.orders import Ended, Event, StartOrder


def bare_round(argv: list[str], starts: int) -> float:
    """Seconds for the plain loop: spawn, and between spawns reap and read whatever is there."""
    epoll, null = select.epoll(), os.open(os.devnull, os.O_RDONLY)
    open_pipes, living = 0, 0
    began = time.perf_counter()

    def serve(wait: float) -> None:
        nonlocal open_pipes, living
        for fd, _ in epoll.poll(wait):
            while os.read(fd, 65_536):
                pass
            epoll.unregister(fd)
            os.close(fd)
            open_pipes -= 1
        while living and os.wait4(-1, os.WNOHANG if open_pipes else 0)[0]:
            living -= 1

    for _ in range(starts):
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.posix_spawn(
            argv[0],
            argv,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, to) for fd, to in ((null, 0), (writer, 1), (writer, 2))],
            setsid=True,
        )
        os.close(writer)
        epoll.register(reader, select.EPOLLIN)
        open_pipes, living = open_pipes + 1, living + 1
        serve(0)
    while open_pipes or living:
        serve(0.05)
    took = time.perf_counter() - began
    epoll.close()
    os.close(null)
    return took


class KeeperRounds:
    """One keeper for all rounds, as a daemon has it; every result is acknowledged."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.wanted = 0
        self.all_ended = asyncio.Event()

    def on_events(self, events: Sequence[Event]) -> None:
        self.ended += [event.id for event in events if isinstance(event, Ended)]
        if len(self.ended) >= self.wanted:
            self.all_ended.set()

    async def round(self, keeper: Keeper, argv: list[str], starts: int, number: int) -> float:
        self.ended, self.wanted = [], starts
        self.all_ended.clear()
        environment = dict(os.environ)
        began = time.perf_counter()
        keeper.order(
            [
                StartOrder(
                    id=f"{number}.{i}",
                    argv=tuple(argv),
                    env={**environment, "ROTA_ATTEMPT": f"{number}.{i}"},
                    cwd="/",
                    timeout_seconds=300,
                )
                for i in range(starts)
            ]
        )
        await self.all_ended.wait()
        took = time.perf_counter() - began
        keeper.ack(self.ended)
        return took


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def compare(argv: list[str], starts: int, rounds: int, directory: Path) -> None:
    through = KeeperRounds()
    keeper = await Keeper.start(directory / "keeper", on_events=through.on_events)
    bare: list[float] = []
    kept: list[float] = []
    cpu = 0.0
    for number in range(rounds + 1):
        one = starts / bare_round(argv, starts)
        before = cpu_seconds(keeper.pid)
        other = starts / await through.round(keeper, argv, starts, number)
        if number == 0:
            continue  # warms both up
        cpu += cpu_seconds(keeper.pid) - before
        bare.append(one)
        kept.append(other)
        print(f"round {number}: bare {one:6.0f}/s   keeper {other:6.0f}/s   ratio {other / one:.2f}")
    print(
        f"median: bare {statistics.median(bare):.0f}/s   keeper {statistics.median(kept):.0f}/s   "
        f"ratio {statistics.median(kept) / statistics.median(bare):.2f}   "
        f"keeper CPU {cpu / starts / rounds * 1e6:.0f} µs per start"
    )
    await keeper.stop(grace_seconds=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--command", default="/bin/true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keeper-rate-") as directory:
        asyncio.run(compare(shlex.split(options.command), options.starts, options.rounds, Path(directory)))


if __name__ == "__main__":
    main()
