"""What a figure depends on besides the program: the machine, its load, the versions, the commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    cores: int
    processor: str
    memory_gib: float
    kernel: str
    python: str
    sqlite: str
    apscheduler: str
    scratch: str  # file system of the scratch folder: on tmpfs a commit costs nothing
    commit: str

    @classmethod
    def look(cls, scratch: Path) -> Machine:
        return cls(
            cores=len(os.sched_getaffinity(0)),
            processor=_processor(),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            kernel=platform.release(),
            python=platform.python_version(),
            sqlite=sqlite3.sqlite_version,
            apscheduler=importlib.metadata.version("apscheduler"),
            scratch=_file_system(scratch),
            commit=commit(),
        )

    def lines(self) -> list[str]:
        hardware = f"{self.cores} cores, {self.processor}, {self.memory_gib:g} GiB"
        return [
            f"machine  {hardware}, Linux {self.kernel}, scratch on {self.scratch}",
            f"versions Python {self.python}, SQLite {self.sqlite}, APScheduler {self.apscheduler}",
            f"commit   {self.commit}",
        ]


def commit() -> str:
    """The commit that is checked out; `+changes` where the tree differs from it in what is measured."""
    head = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    return head + ("+changes" if _git("status", "--porcelain", "--", "src", "bench/*.py") else "")


def load() -> tuple[float, float, float]:
    """Load averages of 1, 5 and 15 minutes: what else the machine was doing."""
    return os.getloadavg()


def _git(*arguments: str) -> str:
    asked = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Type of the file system that holds `folder`: the longest mount point above it."""
    found = ("", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]
