"""One run over 500 hosts of which nine are bad in ways of their own: the others do not notice, each bad one is told.

All hosts are addresses of this machine, served by OpenSSH; where such an address takes part in nothing, by nobody.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from rota.demo.openssh import OpenSsh
from rota.demo.sshd import Server
from tests.support.daemon import Said, until
from tests.support.fleet import Fleet, a_fleet, come_back, ends, openssh, vanish, witnesses

__all__ = ["openssh"]

# Patience enough for a good host while the machine is busy with others.
SETTINGS = "ssh: {connect_timeout_seconds: 12, kill_grace_seconds: 1, lost_grace_seconds: 2}"
FLOOD_BYTES = 200_000_000
MOST_MEBIBYTES = 300  # of the daemon
AT_ONCE = 50
_PATIENCE_SECONDS = 120
COMMAND = f"""
echo $ROTA_HOST >> witness
echo I am $ROTA_HOST
[ -e well ] && exit
case $ROTA_HOST in
  bad-flooding) head -c {FLOOD_BYTES} /dev/zero | tr '\\0' x; exit 9 ;;
  bad-dying) exec sleep 300 ;;
esac
"""
HOSTS = 500
REFUSING = [f"bad-refusing-{n}" for n in range(1, 6)]
BAD = {  # first in the alphabet, so that all the others meet them
    "bad-hanging": ("unreachable", "connect_timeout"),
    **dict.fromkeys(REFUSING, ("unreachable", "connect_refused")),
    "bad-flooding": ("failed", "step_failed"),
    "bad-changed": ("unreachable", "host_key_changed"),
    "bad-dying": ("unknown", "connection_lost"),
}


@dataclass
class Many:
    """`good` hosts, and the nine that are not."""

    fleet: Fleet
    good: list[str]
    servers: dict[str, Server] = field(default_factory=dict)
    silence: socket.socket | None = None

    def serve(self) -> None:
        self.servers["good"] = self.fleet.serve(*self.good, "bad-flooding")
        self.servers["dying"] = self.fleet.serve("bad-dying")
        changed = self.servers["changed"] = self.fleet.serve("bad-changed", is_known=False)
        at = {"bad-changed": (changed.setup.addresses[0], changed.port)}
        self.fleet.trust(at, asyncssh.generate_private_key("ssh-ed25519"))
        absent = self.servers["absent"] = self.fleet.serve("bad-hanging", *REFUSING)
        absent.stop()
        self.silence = socket.create_server((absent.setup.addresses[0], absent.port))  # accepts, and says nothing
        self.fleet.home.client.add_group({"name": "fleet", "hosts": [*self.good, *BAD]})

    def mend(self) -> None:
        """Make nine good hosts of the bad ones."""
        assert self.silence is not None
        self.silence.close()
        for server in self.servers.values():
            server.put("well", "")
        self.servers["absent"].start()
        come_back(self.servers["dying"])
        assert self.fleet.home.rota("hosts", "trust", "host:bad-changed", "--replace", "--yes").code == 0

    def started(self) -> Counter[str]:
        """How often the command began on each host, as the hosts say."""
        return Counter(line for server in self.servers.values() for line in witnesses(server))


@pytest.fixture
def many(openssh: OpenSsh) -> Iterator[Many]:
    with a_fleet(openssh, SETTINGS) as fleet, ExitStack() as stack:
        many = Many(fleet, [f"good-{n:03}" for n in range(1, HOSTS - len(BAD) + 1)])
        many.serve()
        assert many.silence is not None
        stack.callback(many.silence.close)
        yield many


@pytest.mark.timeout(600)
def test_nine_bad_hosts_are_each_told_and_the_others_do_not_notice(many: Many) -> None:
    home = many.fleet.home
    begun = time.monotonic()
    command = home.start(
        "run", "--do", f"shell: {COMMAND}", "--target", "group:fleet", "--targets-at-once", str(AT_ONCE),
        env={"COLUMNS": "80"},
    )  # fmt: skip
    until(lambda: witnesses(many.servers["dying"]), seconds=_PATIENCE_SECONDS)
    vanish(many.servers["dying"])
    out, err = command.communicate(timeout=_PATIENCE_SECONDS)
    answer = Said(command.returncode, out, err)
    took, memory = time.monotonic() - begun, peak_mebibytes(many.fleet.daemon.pid)
    print(f"\n{HOSTS} hosts in {took:.1f} s, {memory:.0f} MiB at the daemon's peak")

    # Each host's own truth.
    run = home.client.run(home.client.runs(limit=1)["items"][0]["id"])
    told = ends(run)
    assert {name: told.pop(name) for name in BAD} == BAD
    assert told == dict.fromkeys(many.good, ("succeeded", None))
    assert (run["state"], run["hosts"]) == ("partial", {"ok": len(many.good), "total": HOSTS})
    assert many.started() == Counter([*many.good, "bad-flooding", "bad-dying"])
    assert memory < MOST_MEBIBYTES

    # What a person reads.
    count = f"{len(many.good)}/{HOSTS}"
    assert answer.code == 3
    assert f"{count} hosts" in answer.out
    summary = answer.out[answer.out.index(f"{count} hosts") :]
    assert "  5 hosts: unreachable" in summary
    assert ", ".join(REFUSING) in " ".join(summary.split())
    for name in BAD.keys() - {*REFUSING}:
        assert re.search(rf"^  {name}: .*\({BAD[name][1]}\)", summary, re.MULTILINE), name
    assert not re.search(r"good-\d", summary)
    assert count in home.rota("schedule", "history").out

    # Again where it was not good, once the hosts have been mended.
    many.mend()
    again = home.rota("runs", "rerun", run["id"], "--failed", "-o", "json")
    assert again.code == 0, again
    assert ends(home.client.run(json.loads(again.out)["id"])) == dict.fromkeys(BAD, ("succeeded", None))
    assert many.started() == Counter([*many.good, *BAD, "bad-flooding", "bad-dying"])


def peak_mebibytes(pid: int) -> float:
    """The most memory that a process has had; where there is no /proc, what it has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1024
    return int(os.popen(f"ps -o rss= -p {pid}").read()) / 1024
