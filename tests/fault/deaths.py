"""A home whose daemon and keeper are killed at named places again and again, with work in flight all the time.

The witness is a file to which each child appends the token of its attempt: what was started, whatever the store says.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rota.domain.errors import RotaError
from rota.domain.instant import SECOND, format_rfc3339
from rota.domain.step import Json
from tests.fault.invariants import (
    WITNESS,
    assert_counters_are_true,
    assert_nothing_lost_or_doubled,
    assert_started_at_most_once,
    planned_beyond,
)
from tests.support.daemon import PATIENCE_SECONDS, Daemon, Home, until

SETTINGS = "schedule: {max_concurrent_schedules: 2}\n"  # so that some wait in the queue


class Trial:
    """`recoveries`: seconds from the start of each daemon that followed a dead one to its banner, by when it has taken
    over all that the dead one held."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.recoveries: list[float] = []
        self._marks = 0
        first = home.daemon()
        schedule(home)
        self._daemon = first

    def daemon_dies_at(self, point: str, times: int = 1) -> None:
        """The daemon is killed, and the one that follows it is killed at the `times`-th passing of `point`."""
        mark, daemon = self._doomed(point, times)
        self._ask_until(lambda: daemon.process.poll() is not None)
        assert daemon.wait() == -signal.SIGKILL, self.home.log[-2000:]
        assert mark.read_text() == point

    def keeper_dies_at(self, point: str, times: int = 1, *, with_daemon: bool = False) -> None:
        """The next daemon's keeper is killed at the `times`-th passing of `point`; and the daemon at once after it, or
        when it has begun another keeper."""
        mark, daemon = self._doomed(point, times)
        self.home.await_banner(daemon)
        self._ask_until(mark.exists)
        assert mark.read_text() == point
        if not with_daemon:
            until(lambda: self._answers("shell: true"))

    def settles(self) -> None:
        """A last daemon starts; nothing more comes due, and everything ends."""
        home = self.home
        self._kill()
        self._start()
        restarted = time.time_ns() // 1000
        planned = until(lambda: planned_beyond(home, restarted))
        for job in home.client.jobs()["items"]:
            home.client.disable_job(job["name"])
        until(lambda: home.unfinished() == 0)
        assert self._daemon.stop() == 0
        assert_nothing_lost_or_doubled(home, planned)
        assert_started_at_most_once(home)
        assert_counters_are_true(home)
        tries = "SELECT 1 FROM attempt GROUP BY run_target_id, step HAVING count(*) > 1"
        assert home.rows(tries) == [], "something was tried again"

    def ends(self) -> set[tuple[str, str | None]]:
        """How attempts ended: state and reason."""
        return {tuple(row) for row in self.home.rows("SELECT DISTINCT state, reason FROM attempt")}

    def _doomed(self, point: str, times: int) -> tuple[Path, Daemon]:
        """A daemon in which, or in whose keeper, something will be killed."""
        self._kill()
        self._marks += 1
        mark = self.home.tmp / f"mark-{self._marks}"
        failpoint = {"ROTA_TEST": "1", "ROTA_FAILPOINT": f"{point}:{times}", "ROTA_FAILPOINT_MARK": str(mark)}
        self._daemon = self.home.starting_daemon(failpoint)
        return mark, self._daemon

    def _start(self) -> None:
        began = time.monotonic()
        self._daemon = self.home.daemon()
        self.recoveries.append(time.monotonic() - began)
        dead = self.home.rows("SELECT id FROM owner WHERE ended_at IS NULL")
        assert len(dead) == 1, "a daemon that is ready has settled everything that the dead held"

    def _kill(self) -> None:
        if self._daemon.process.poll() is None:
            self._daemon.kill()

    def _ask_until(self, met: Callable[[], bool]) -> None:
        """Have runs made by a person all the while."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not met():
            assert time.monotonic() < deadline, f"never reached:\n{self.home.log[-2000:]}"
            with suppress(RotaError, OSError):  # the daemon is not up yet, or just died
                self.home.run(f"shell: {WITNESS}")
            time.sleep(0.1)

    def _answers(self, do: str) -> bool:
        return self.home.finished(self.home.run(do))["state"] == "succeeded"


def schedule(home: Home) -> None:
    """Every second: one child, two children in a row, what is over in an instant. And five jobs that are due once."""
    steps: list[Json] = [
        {"name": "first", "action": "shell", "params": {"command": f"{WITNESS}; sleep 0.2"}},
        {"name": "second", "action": "shell", "params": {"command": WITNESS}},
    ]
    every: dict[str, Json] = {"kind": "interval", "every": "1s"}
    works: list[tuple[str, dict[str, Json], dict[str, Json]]] = [
        ("witness", every, {"do": f"shell: {WITNESS}"}),
        ("witness-two-steps", every, {"steps": steps}),
        ("instant", every, {"do": "noop"}),
    ]
    for name, trigger, work in works:
        home.client.create_job({"name": name, "triggers": [trigger], **work})
    for number in range(5):
        once: dict[str, Json] = {"kind": "once", "at": format_rfc3339(time.time_ns() // 1000 + 3 * SECOND)}
        home.client.create_job({"name": f"witness-once-{number}", "triggers": [once], "do": f"shell: {WITNESS}"})


def told(trial: Trial) -> None:
    """Add the trial's recovery times to the file that `ROTA_SOAK_FIGURES` names, where somebody wants them."""
    if file := os.environ.get("ROTA_SOAK_FIGURES"):
        with Path(file).open("a") as figures:
            figures.writelines(f"recovery {seconds:.3f}\n" for seconds in trial.recoveries)
