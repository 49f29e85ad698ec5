"""What processes cost, read from the kernel; and ending those that a turn started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a set of processes has used since each began."""

    cpu_seconds: float  # of the CPU clocks, in nanoseconds
    ticks: int  # as /proc/PID/stat counts them
    wake_ups: int  # voluntary context switches of all threads: each is one going to sleep
    resident_mib: float

    @classmethod
    def of(cls, pids: Iterable[int]) -> Cost:
        """Read now. Raises OSError where one of them has ended: a figure without it would be wrong."""
        each = list(pids)
        return cls(
            cpu_seconds=sum(map(_cpu_seconds, each)),
            ticks=sum(map(_ticks, each)),
            wake_ups=sum(map(_wake_ups, each)),
            resident_mib=sum(map(_resident_mib, each)),
        )


def peak_mib(pid: int) -> float:
    """The most memory that a process has had resident. Raises OSError where it has ended."""
    return _status(Path(f"/proc/{pid}/status"), "VmHWM") / 1024


def with_word(word: str) -> list[int]:
    """Processes of ours one of whose arguments contains `word` (a scratch folder's name: it is nobody else's)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if word.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended while we looked, or is not ours to see
    return found


def children(pid: int) -> list[int]:
    """Direct children of a process, of all its threads."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def end(pid: int) -> None:
    """End one process by its id and wait until it is gone. Nothing happens where it is gone already."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, number)
            deadline = time.monotonic() + _END_SECONDS
            while time.monotonic() < deadline:
                if not Path(f"/proc/{pid}").exists() or _state(pid) == "Z":
                    return
                time.sleep(0.02)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _cpu_seconds(pid: int) -> float:
    # clock_getcpuclockid(3): the clock of another process is its inverted id, shifted, and 2 for "scheduler time".
    return time.clock_gettime(~pid << 3 | 2)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _state(pid: int) -> str:
    try:
        return _stat(pid)[0]
    except OSError:
        return "Z"


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12])


def _wake_ups(pid: int) -> int:
    return sum(_status(task / "status", "voluntary_ctxt_switches") for task in Path(f"/proc/{pid}/task").iterdir())


def _resident_mib(pid: int) -> float:
    return _status(Path(f"/proc/{pid}/status"), "VmRSS") / 1024


def _status(file: Path, key: str) -> int:
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    raise OSError(f"{file} has no {key}")
