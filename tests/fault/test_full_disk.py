"""A full disk: what cannot be written is said, what was acknowledged stays, and with space again work goes on."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from rota.client.api import Body, Client
from rota.client.unix import UnixTransport
from rota.domain.errors import Unavailable
from rota.domain.instant import parse_rfc3339
from rota.usecases.shapes import Run
from tests.fault.invariants import WITNESS, assert_nothing_lost_or_doubled, assert_started_at_most_once
from tests.support.daemon import Daemon, Home, until

INTERNAL = 70


def test_a_disk_that_fails_under_the_store_stops_the_daemon_rather_than_let_it_guess(home: Home) -> None:
    """A limit on file sizes makes every write behind it an I/O error, as a broken disk does."""
    home.daemon().stop()
    store = home.path / "rota.db"
    limit = store.stat().st_size + 100_000
    daemon = home.daemon(through=["prlimit", f"--fsize={limit}"])
    with suppress(Unavailable):
        for number in range(100):
            home.client.create_job(a_job(f"job-{number}", "x" * 10_000))
    assert daemon.wait() == INTERNAL
    assert "stopping rather than guess" in home.log
    home.daemon()
    names = {job["name"] for job in home.client.jobs()["items"]}
    assert names
    assert names == {f"job-{number}" for number in range(len(names))}


def a_job(name: str, description: str = "") -> Body:
    return {"name": name, "description": description, "triggers": [{"kind": "manual"}], "do": "noop"}


@dataclass(frozen=True)
class SmallDisk:
    """A daemon's home on a disk of 6 MB, in a mount namespace of the daemon's own. `inside` leads there from here."""

    home: Home
    daemon: Daemon
    inside: Path

    def fill(self) -> None:
        with (self.inside / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    def free(self) -> None:
        (self.inside / "filler").unlink()

    def stop(self) -> None:
        """Stop the daemon, and copy its store to where the home is seen from here."""
        folder = os.open(self.inside, os.O_RDONLY)  # which keeps the disk when its last process has gone
        assert self.daemon.stop() == 0
        for file in Path(f"/proc/self/fd/{folder}/").glob("*.db*"):
            shutil.copy(file, self.home.path)
        os.close(folder)


if os.geteuid() == 0:  # only root can mount a small disk

    @pytest.fixture
    def small(home: Home) -> SmallDisk:
        mount = 'mount -t tmpfs -o size=6m,mode=0700 none "$ROTA_HOME" && exec "$@"'
        daemon = home.daemon(through=["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh"])
        inside = Path(f"/proc/{daemon.pid}/root{home.path}")
        home.client = Client(UnixTransport(inside / "rota.sock"))
        return SmallDisk(home, daemon, inside)

    def test_on_a_full_disk_a_change_is_refused_and_the_daemon_lives_on(small: SmallDisk) -> None:
        client = small.home.client
        client.create_job(a_job("before"))
        small.fill()
        with pytest.raises(Unavailable, match="the disk is full"):
            for number in range(100):
                client.create_job(a_job(f"during-{number}", "x" * 10_000))
        kept = {job["name"] for job in client.jobs()["items"]}
        small.free()
        client.create_job(a_job("after"))
        assert {job["name"] for job in client.jobs()["items"]} == kept | {"after"}
        assert small.daemon.stop() == 0

    def test_what_came_due_on_a_full_disk_is_not_lost(small: SmallDisk) -> None:
        for name, do in (("noop", "noop"), ("witness", f"shell: {WITNESS}")):
            job: Body = {"name": name, "triggers": [{"kind": "interval", "every": "1s"}], "do": do}
            small.home.client.create_job(job)
        until(lambda: all(planned(small.home).values()))
        small.fill()
        full = time.monotonic()
        until(lambda: time.monotonic() > full + 3)  # here it is time itself that has to pass
        small.free()
        freed = time.time_ns() // 1000
        until(lambda: min(planned(small.home).values()) > freed)
        reached = planned(small.home)
        small.stop()
        assert_nothing_lost_or_doubled(small.home, reached)
        assert_started_at_most_once(small.home)


def planned(home: Home) -> dict[str, int]:
    """The last instant of each job that has become a run, as the API tells it; 0 for none."""
    return {name: max([nominal_of(run) for run in home.client.runs(job=name, limit=5)["items"]], default=0)
            for name in ("noop", "witness")}  # fmt: skip


def nominal_of(run: Run) -> int:
    assert run["nominal_at"] is not None
    return parse_rfc3339(run["nominal_at"])
