"""Who belongs to whom, from one look at /proc.

A process is (pid, start tick): numbers wrap in 16 s at full speed, the pair does not repeat within a boot.
A tree is: the main process; the members of its session; what was in it before; orphans that came to the keeper (it is
a subreaper) and carry the attempt's token in their environment; and all descendants of these.
"""

from __future__ import annotations

import os
import signal

from .protocol import TOKEN

TICKS = os.sysconf("SC_CLK_TCK")
Tree = dict[int, int]  # pid → start tick


class ProcessTable:
    """All processes of the machine at one instant, without zombies. About 34 ms for 1,000: take one for all."""

    __slots__ = ("children", "ppid", "session", "start")

    def __init__(self) -> None:
        self.start: dict[int, int] = {}
        self.ppid: dict[int, int] = {}
        self.children: dict[int, list[int]] = {}
        self.session: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit() and (stat := read_stat(int(name))) is not None:
                pid = int(name)
                state, parent, sid, self.start[pid] = stat
                if state in "ZX":
                    del self.start[pid]
                    continue
                self.ppid[pid] = parent
                self.children.setdefault(parent, []).append(pid)
                self.session.setdefault(sid, []).append(pid)

    def closure(self, seeds: set[int], *, first: int = 0) -> Tree:
        """The seeds that exist, with all their descendants; parents before children, and `first` before all."""
        tree: Tree = {}
        waiting = [pid for pid in (*seeds - {first}, first) if pid in self.start and pid in seeds]
        while waiting:
            pid = waiting.pop()
            if pid not in tree:
                tree[pid] = self.start[pid]
                waiting += self.children.get(pid, ())
        return tree

    def members(self, main: int, *, reaped_tick: int | None, known: Tree, orphans: set[int]) -> Tree:
        """The living tree of an attempt. `reaped_tick` is None while the main process has not been reaped.

        After that its number can come back as someone else's session: then only members that are older count.
        """
        session = self.session.get(main, ())
        seeds = orphans | {pid for pid, start in known.items() if self.start.get(pid) == start}
        seeds |= {pid for pid in session if reaped_tick is None or self.start[pid] <= reaped_tick}
        return self.closure(seeds, first=main)  # a shell that sees its child killed would end by itself, with 137


def read_stat(pid: int) -> tuple[str, int, int, int] | None:
    """State, parent, session, start tick (fields 3, 4, 6, 22); None when there is no such process."""
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    fields = data[data.rindex(b")") + 2 :].split(None, 20)  # the name may hold spaces and brackets
    return fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19])


def token_of(pid: int) -> str | None:
    """The attempt whose environment the process carries; None when it has none, or is gone, or not ours to read."""
    content = _read(f"/proc/{pid}/environ")
    mark = TOKEN.encode() + b"="
    for entry in (content or b"").split(b"\0"):
        if entry.startswith(mark):
            return os.fsdecode(entry[len(mark) :])
    return None


def send(tree: Tree, *signals: signal.Signals) -> None:
    """Signal each process of the tree, never a later one of the same number. What is gone is passed over."""
    for pid, start in tree.items():
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            stat = read_stat(pid)  # after the open: from here on the descriptor names this very process
            if stat is not None and stat[3] == start:
                for number in signals:
                    signal.pidfd_send_signal(fd, number)
        except OSError:
            continue
        finally:
            os.close(fd)


def own_children() -> list[int] | None:
    """The main thread's children, which are all adopted ones (the kernel gives an orphan to the first thread) and some
    of ours; None where the kernel does not tell (no CONFIG_PROC_CHILDREN)."""
    pid = os.getpid()
    content = _read(f"/proc/{pid}/task/{pid}/children")
    return None if content is None else [int(word) for word in content.split()]


def _read(path: str) -> bytes | None:
    """A whole file of /proc; None when its process is gone, or not ours to look into."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.readall()
    except OSError:
        return None
