"""Ends whole trees: TERM and CONT, a grace, then KILL and look again until nothing is left.

Timeouts run here, on the monotonic clock, so they hold while no daemon lives.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from .attempt import Attempt
from .family import Family
from .loop import Loop
from .proctree import send

MOST_ROUNDS = 10
_ROUND_SECONDS = 0.02
_STUCK_SECONDS = 1.0  # a main process that ten KILLs did not end sleeps in the kernel: only look again now and then


class Killing:
    def __init__(self, loop: Loop, family: Family, on_check: Callable[[Attempt], None]) -> None:
        self._loop, self._family, self._on_check = loop, family, on_check
        self._under_way: dict[str, Attempt] = {}

    def begin(self, attempt: Attempt, cause: str | None, grace: float) -> None:
        """Ask the tree to end within `grace` seconds. A second wish can only shorten the first."""
        kill_at = time.monotonic() + grace
        if attempt.kill_at is None:
            attempt.known = self._family.tree(attempt)
            if grace > 0:
                send(attempt.known, signal.SIGTERM, signal.SIGCONT)  # a stopped process cannot act on TERM
        elif kill_at >= attempt.kill_at:
            return
        if attempt.cause is None and attempt.status is None:  # not for what it left behind
            attempt.cause = cause
        attempt.kill_at = kill_at
        self._under_way[attempt.id] = attempt
        attempt.timers.append(self._loop.after(grace, lambda: self._strike(attempt)))

    def _strike(self, attempt: Attempt) -> None:
        """One round of KILL to whatever lives now: a tree that forks faster than one round needs several."""
        attempt.known = self._family.tree(attempt)
        if attempt.known:
            send(attempt.known, signal.SIGKILL)
            attempt.rounds += 1
        if attempt.status is not None and (not attempt.known or attempt.rounds >= MOST_ROUNDS):
            self._on_check(attempt)
            return
        pause = _STUCK_SECONDS if attempt.rounds >= MOST_ROUNDS else _ROUND_SECONDS * attempt.rounds
        attempt.timers.append(self._loop.after(pause, lambda: self._strike(attempt)))

    def check_all(self) -> None:
        """Somebody has died: look at every tree whose main process is gone."""
        for attempt in self._under_way.values():
            if attempt.status is not None:
                self._on_check(attempt)

    def forget(self, attempt: Attempt) -> None:
        self._under_way.pop(attempt.id, None)
