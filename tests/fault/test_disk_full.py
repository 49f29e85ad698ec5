"""A full disk: nothing new is begun, what runs goes on and its verdict is written, and with room all resumes by itself.

The disk is a tmpfs of the daemon's own mount namespace: for root with `unshare --mount`, for everybody else within a
user namespace. A limit on file sizes would not do: what is met there is an I/O error, not a full disk.
"""

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
from rota.storage.reserve import RESERVE_BYTES
from rota.usecases.shapes import Run
from tests.fault.invariants import WITNESS, assert_nothing_lost_or_doubled, assert_started_at_most_once, witnessed
from tests.support.daemon import Daemon, Home, until

INTERNAL = 70
_NAMESPACE, _NSENTER = ["unshare", "--mount", "--propagation", "private"], ["--mount"]
if os.geteuid() != 0:
    _NAMESPACE += ["--user", "--map-root-user"]
    _NSENTER += ["--user", "--preserve-credentials"]
_MOUNT = 'mount -t tmpfs -o size=20m,mode=0700 none "$ROTA_HOME"'


def a_job(name: str, description: str = "") -> Body:
    return {"name": name, "description": description, "triggers": [{"kind": "manual"}], "do": "noop"}


@dataclass
class SmallDisk:
    """A daemon's home on a disk of 20 MB. `inside` leads there from here."""

    home: Home
    daemon: Daemon
    inside: Path

    @property
    def reserve(self) -> Path:
        return self.inside / "reserve"

    def fill(self) -> None:
        with (self.inside / "filler").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    def fill_until_noticed(self) -> None:
        """Until the daemon holds back."""
        self.fill()
        assert self.home.client.instance()["disk_full_since"] is not None

    def free(self) -> None:
        (self.inside / "filler").unlink()

    def stop(self) -> None:
        """Stop the daemon, and copy its store to where the home is seen from here."""
        folder = os.open(self.inside, os.O_RDONLY)  # which keeps the disk when its last process has gone
        assert self.daemon.stop() == 0
        for file in Path(f"/proc/self/fd/{folder}/").glob("*.db*"):
            shutil.copy(file, self.home.path)
        os.close(folder)


def on_small_disk(home: Home, first: str = "true") -> SmallDisk:
    """Start a daemon on such a disk. `first` is a shell command that is run there before."""
    daemon = home.daemon(through=[*_NAMESPACE, "sh", "-c", f'{_MOUNT} && {first} && exec "$@"', "sh"])
    inside = Path(f"/proc/{daemon.pid}/root{home.path}")
    home.client = Client(UnixTransport(inside / "rota.sock"))
    return SmallDisk(home, daemon, inside)


@pytest.fixture
def small(home: Home) -> SmallDisk:
    return on_small_disk(home)


def test_a_daemon_keeps_a_reserve_that_takes_real_room(small: SmallDisk) -> None:
    status = small.reserve.stat()
    assert status.st_size == RESERVE_BYTES
    assert status.st_blocks * 512 >= RESERVE_BYTES


def test_on_a_full_disk_a_change_is_refused_and_the_daemon_lives_on(small: SmallDisk) -> None:
    client = small.home.client
    client.create_job(a_job("before"))
    small.fill_until_noticed()
    with pytest.raises(Unavailable, match="the disk is full: nothing new is begun or saved"):
        client.create_job(a_job("during"))
    kept = {job["name"] for job in client.jobs()["items"]}
    small.free()
    client.create_job(a_job("after"))
    assert {job["name"] for job in client.jobs()["items"]} == kept | {"after"}


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


def test_what_runs_goes_on_and_its_verdict_is_written_while_the_disk_is_full(small: SmallDisk) -> None:
    gates = [small.home.gate() for _ in range(3)]
    runs = [small.home.run(f"shell: read line < {gate.path}; exit 3") for gate in gates]
    until(lambda: all(small.home.processes_of(run) for run in runs))
    small.fill_until_noticed()
    for gate, run in zip(gates, runs, strict=True):
        gate.open()
        ended = small.home.finished(run)
        assert (ended["state"], ended["targets"][0]["attempts"][0]["exit_code"]) == ("failed", 3)
    with pytest.raises(Unavailable):
        small.home.run("noop")


def test_a_run_can_be_cancelled_while_the_disk_is_full(small: SmallDisk) -> None:
    """It may be the one that fills it."""
    gate = small.home.gate()
    run = small.home.run(f"shell: read line < {gate.path}")
    until(lambda: small.home.processes_of(run))
    small.fill_until_noticed()
    small.home.client.cancel_run(run)
    assert small.home.finished(run)["state"] == "cancelled"


def test_a_command_that_eats_every_free_byte_can_be_cancelled_and_others_get_their_verdicts(small: SmallDisk) -> None:
    """What the reserve leaves free is gone at once: the blocks of the WAL are not."""
    home = small.home
    gate = home.gate()
    other = home.run(f"shell: read line < {gate.path}; exit 3")
    until(lambda: home.processes_of(other))
    hungry = home.run(f"shell: while :; do cat /dev/zero >> {home.path}/eaten 2>/dev/null; done")
    until(lambda: os.statvfs(small.inside).f_bavail == 0)
    gate.open()
    assert home.finished(other)["state"] == "failed"
    home.client.cancel_run(hungry)
    assert home.finished(hungry)["state"] == "cancelled"


def test_a_daemon_that_is_killed_on_a_full_disk_is_followed_by_one_that_finds_the_true_end(small: SmallDisk) -> None:
    """The next one comes to the same full disk: in the mount namespace that the keeper still holds."""
    home = small.home
    gate = home.gate()
    run = home.run(f"shell: {WITNESS}; read line < {gate.path}; exit 3")
    gate.reached()
    small.fill_until_noticed()
    (keeper,) = home.keepers()
    small.daemon.kill()
    gate.open()
    until(lambda: not home.processes_of(run))
    daemon = home.daemon(through=["nsenter", f"--target={keeper}", *_NSENTER])
    home.client = Client(UnixTransport(Path(f"/proc/{daemon.pid}/root{home.path}") / "rota.sock"))
    assert home.finished(run)["targets"][0]["attempts"][0]["exit_code"] == 3
    assert home.client.instance()["disk_full_since"] is not None
    assert len(witnessed(home.tmp)) == 1
    (Path(f"/proc/{daemon.pid}/root{home.path}") / "filler").unlink()
    assert home.finished(home.run("shell: true"))["state"] == "succeeded"


def test_it_is_said_that_the_disk_is_full_and_written_down_how_long_it_was(small: SmallDisk) -> None:
    assert small.home.client.instance()["disk_full_since"] is None
    small.fill_until_noticed()
    assert small.home.client.instance()["disk_full_since"] is not None
    assert "the disk is full: nothing new is begun or saved" in small.home.log
    small.free()
    until(lambda: small.home.client.instance()["disk_full_since"] is None)
    small.home.client.create_job(a_job("after"))
    assert "the disk has room again" in small.home.log
    assert small.reserve.stat().st_size == RESERVE_BYTES
    small.stop()
    [row] = small.home.rows("SELECT detail FROM audit WHERE subject = 'instance: the disk was full'")
    assert '"since"' in row["detail"]


def test_a_daemon_starts_on_a_disk_without_room_for_its_reserve_and_begins_nothing(home: Home) -> None:
    small = on_small_disk(home, 'head -c 18m /dev/zero > "$ROTA_HOME/filler"')
    assert small.home.client.instance()["disk_full_since"] is not None
    with pytest.raises(Unavailable, match="nothing new is begun"):
        small.home.run("noop")
    small.free()
    assert small.home.finished(small.home.run("noop"))["state"] == "succeeded"


def test_a_disk_that_fails_under_the_store_stops_the_daemon_rather_than_let_it_guess(home: Home) -> None:
    """A limit on file sizes makes every write behind it an I/O error, as a broken disk does."""
    home.daemon().stop()
    store = home.path / "rota.db"
    limit = max(store.stat().st_size + 100_000, RESERVE_BYTES)
    daemon = home.daemon(through=["prlimit", f"--fsize={limit}"])
    with suppress(Unavailable):
        for number in range(1000):
            home.client.create_job(a_job(f"job-{number}", "x" * 10_000))
    assert daemon.wait() == INTERNAL
    assert "stopping rather than guess" in home.log
    home.daemon()
    names = {job["name"] for job in home.client.jobs()["items"]}
    assert names
    assert names == {f"job-{number}" for number in range(len(names))}


def planned(home: Home) -> dict[str, int]:
    """The last instant of each job that has become a run, as the API tells it; 0 for none."""
    return {name: max([nominal_of(run) for run in home.client.runs(job=name, limit=5)["items"]], default=0)
            for name in ("noop", "witness")}  # fmt: skip


def nominal_of(run: Run) -> int:
    assert run["nominal_at"] is not None
    return parse_rfc3339(run["nominal_at"])
