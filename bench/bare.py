"""The floor for starting processes: a loop that only spawns, captures output and reaps, with nothing recorded."""

from __future__ import annotations

import os
import select
import time


def bare_loop(argv: list[str], starts: int) -> float:
    """Seconds to start `starts` commands and see all of them end, as many at once as there are.

    Each in a session of its own, standard output and error read to their end through a pipe; between spawns it
    reaps and reads whatever is there.
    """
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


def main() -> None:
    """`python -m bench.bare COMMAND COUNT`: print the seconds. A process of its own, as it waits for any child."""
    import sys

    command, count = sys.argv[1:]
    print(bare_loop([command], int(count)))


if __name__ == "__main__":
    main()
