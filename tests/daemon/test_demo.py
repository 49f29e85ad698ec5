"""`rota demo` from beginning to end: a green run within seconds, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    # Under /tmp as for everybody: pytest's own folders are too long for a socket's path.
    process = subprocess.Popen(
        [sys.executable, "-m", "rota", "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def belonging_to(home: Path) -> list[int]:
    """Processes that were started for this instance, whatever became of their parents."""
    found = []
    for process in psutil.process_iter():
        try:
            mentions = [*process.cmdline(), *process.environ().values()]
        except (psutil.Error, OSError):
            continue
        if process.pid != os.getpid() and any(str(home) in mention for mention in mentions):
            found.append(process.pid)
    return found


@pytest.mark.timeout(90)
def test_the_demo_shows_a_green_run_and_leaves_nothing_behind(demo: subprocess.Popen[str]) -> None:
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if "ROTA_HOME=" in line:
            break
    home = Path(re.findall(r"export ROTA_HOME=(\S+)", said)[0])
    assert re.search(r"health-check +manual +success +\S+ +1/1", said), said
    assert "Rota daemon started" in said
    assert belonging_to(home)
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=40)
    assert demo.returncode == 0, said + rest
    assert not home.exists()
    assert belonging_to(home) == []
