"""`rota demo` to its end: three hosts over SSH within seconds, one that goes down, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.docs import console
from tests.docs.pages import ROOT

PATIENCE_SECONDS = 60  # what the issue promises a newcomer for the first run
_TWO_RUNS_SECONDS = 45


@dataclass
class Demo:
    """The demo as a child, and what it has said so far."""

    process: subprocess.Popen[str]
    said: str = ""

    def until(self, pattern: str, *, seconds: float = PATIENCE_SECONDS) -> re.Match[str]:
        """Read on to the first line in which the pattern is found."""
        assert self.process.stdout is not None
        patience = threading.Timer(seconds, self.process.send_signal, [signal.SIGINT])
        patience.start()
        try:
            for line in self.process.stdout:
                self.said += line
                if (match := re.search(pattern, line)) is not None:
                    return match
        finally:
            patience.cancel()
        raise AssertionError(f"it never said {pattern!r}, but: {self.said}")

    @property
    def home(self) -> Path:
        return Path(re.findall(r"A scratch instance in (\S+);", self.said)[0])

    def sshd_of(self, host: str) -> int:
        """The pid that it prints for a host's server."""
        return int(re.findall(rf"^ +{host} .* sshd (\d+)$", self.said, re.MULTILINE)[0])

    def end(self) -> int:
        """Ctrl-C. A second call does nothing."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            rest, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
            self.said += rest
        return self.process.returncode


@pytest.fixture
def demo() -> Iterator[Demo]:
    # In a session of its own: Ctrl-C in the terminal of the tests is for the tests. Under /tmp as for everybody:
    # pytest's own folders are too long for a socket's path.
    process = subprocess.Popen(
        [sys.executable, "-m", "rota", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    demo = Demo(process)
    yield demo
    demo.end()


def belonging_to(*folders: Path | str) -> list[int]:
    """Processes that were started for these folders, whatever became of their parents."""
    found = []
    for process in psutil.process_iter():
        try:
            mentions = [*process.cmdline(), *process.environ().values()]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(str(folder) in mention for mention in mentions for folder in folders):
            found.append(process.pid)
    return found


def servers_folder(pid: int) -> Path:
    """The folder of an sshd's configuration. It writes its command line anew, as one text."""
    return Path(re.findall(r"-f (\S+)", " ".join(psutil.Process(pid).cmdline()))[0]).parent


def in_the_readme() -> str:
    """What `make run` prints, as the README's first screen has it."""
    (block,) = re.findall(
        r"^```text\n\$ make run\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    return str(block)


def alike(said: str) -> list[str]:
    """Its lines without what differs from run to run. Hosts may speak in any order.

    A report may also have come between the first one and the kill, or have found a connection still open just after it.
    """
    for pattern, replacement in (
        (r"^.* report +interval +success .*\n", ""),
        (r"rota-demo-\w+", "rota-demo"),
        (r"127\.0\.0\.\d+(:| port )\d+", "ADDRESS"),
        (r"(sshd|kill) \d+", r"\1 N"),
        (r"load \d.*", "load"),
        (r"^  \S*rota (?=schedule|why|run|hosts)", "  rota "),
    ):
        said = re.sub(pattern, replacement, said, flags=re.MULTILINE)
    return sorted(console.alike(said))


def test_the_demo_runs_on_three_hosts_over_ssh_and_leaves_nothing_behind(demo: Demo) -> None:
    demo.until(r"report +manual +success +\S+ +3/3")
    told = [demo.until(r"^ +(\S+)\| I am (\S+), (.*), load").groups() for _ in range(3)]
    assert {host for host, _, _ in told} == {"web-1", "web-2", "db-1"}
    assert all(host == name for host, name, _ in told)
    assert len({about for _, _, about in told}) == 3  # each its own output
    demo.until("kill")
    sshd = [demo.sshd_of(host) for host in ("web-1", "web-2", "db-1")]
    folders = [demo.home, *map(servers_folder, sshd)]
    assert len(set(folders)) == 4
    assert set(sshd) < set(belonging_to(*folders))
    assert demo.end() == 0, demo.said
    assert [folder for folder in folders if folder.exists()] == []
    assert belonging_to(*folders) == []


def test_a_host_of_the_demo_whose_sshd_is_killed_is_told_and_disturbs_no_other(demo: Demo) -> None:
    pid = int(demo.until(r"^ +kill (\d+) ")[1])
    folder = servers_folder(pid)
    assert pid == demo.sshd_of("web-2")
    os.kill(pid, signal.SIGTERM)
    demo.until(r"report +interval +partial_failure +\S+ +2/3$", seconds=_TWO_RUNS_SECONDS)
    reason = demo.until(r"^ +web-2: (.*)")[1]
    assert "unreachable" in reason
    assert "connect_refused" in reason
    assert alike(demo.said) == alike(in_the_readme())
    assert demo.end() == 0, demo.said
    assert belonging_to(folder) == []
