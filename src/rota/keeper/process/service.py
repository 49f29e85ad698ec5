"""The keeper's life: it starts, serves an owner, and leaves when it holds nothing.

Turn order matters. `B` is written before its spawns and `S` after them, results are reported after their sync, and
one write per turn carries all records of the turn.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys

from .attempt import Attempt
from .children import Children
from .door import Door
from .journal import Journal
from .loop import Loop
from .protocol import JOURNAL, LOCK, OUTPUTS, PROTO, Message, encode

_PR_SET_CHILD_SUBREAPER = 36
_LAST_ACKS_SECONDS = 2.0  # how long a stopping keeper waits for the owner's commits
# Whoever sends these means a program that knows them. Of what is held here only TERM and KILL make an end.
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_TERM_GRACE_SECONDS = 10.0


class Service:
    def __init__(self, directory: str, idle_exit_seconds: float) -> None:
        self._idle_exit_seconds = idle_exit_seconds
        self._lock = _hold(f"{directory}/{LOCK}")
        os.mkdir(f"{directory}/{OUTPUTS}", 0o700)  # noqa: PTH102
        self.loop = Loop()
        self.journal = Journal(f"{directory}/{JOURNAL}")
        self._birth = encode({"k": "K", "pid": os.getpid(), **machine()})
        self.journal.note(self._birth)
        self.journal.write()
        self.door = Door(
            directory, self.loop, on_hello=self._hello, on_message=self._obey, on_change=self._owner_changed
        )
        self.children = Children(f"{directory}/{OUTPUTS}", self.loop, self.journal, self.door)
        self._idle_timer: int | None = None
        self._stopping = self._leaving = False
        self._last_acks: int | None = None
        self._watch_signals()
        self.loop.watch(self.journal.done_fd, lambda _: self.children.report_synced())

    def _watch_signals(self) -> None:
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        self._signals, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        self.loop.watch(self._signals, self._on_signals)

    def _on_signals(self, _: int) -> None:
        arrived = os.read(self._signals, 4096)
        if signal.SIGTERM in arrived:  # the machine goes down
            self.stop(_TERM_GRACE_SECONDS)
        self.children.reap()

    def serve(self) -> None:
        """Run until nothing is held any more, or until told to stop and everything has ended."""
        while not self._leaving:
            self.loop.turn(busy=self.children.has_work)
            self.children.end_of_turn()
            if self.journal.wants_rotation():
                self.journal.rotate([self._birth, *self.children.records()])
            self.door.flush()
            self._consider_leaving()
        self.journal.sync_now()

    def _consider_leaving(self) -> None:
        if self._stopping:
            if self.children.idle and self._last_acks is None:
                self._last_acks = self.loop.after(_LAST_ACKS_SECONDS, self._leave)
            if self.children.idle and (self.children.settled or self.door.owner is None):
                self._leave()
            return
        if self.journal.is_broken and self.children.idle and self.children.settled:
            self._leave()  # it may start nothing more; whoever needs a keeper begins another, with a file of its own
            return
        alone = self.door.owner is None and self.children.idle
        if alone and self._idle_timer is None:
            self._idle_timer = self.loop.after(self._idle_exit_seconds, self._leave)
        elif not alone and self._idle_timer is not None:
            self.loop.cancel(self._idle_timer)
            self._idle_timer = None

    def _leave(self) -> None:
        self._leaving = True

    def _hello(self) -> Message:
        return {"m": "hello", "proto": PROTO, "pid": os.getpid(), "boot": boot_id(), **self.children.roster()}

    def _owner_changed(self) -> None:
        if self.door.owner is not None:
            self.children.set_base({})  # the last one's is unknown to it
            self.children.report_again()

    def _obey(self, message: Message) -> None:
        match message["m"]:
            case "start":
                self.children.order(message)
            case "base":
                env = message["env"]
                self.children.set_base(env if isinstance(env, dict) else {})
            case "ack":
                ids = message["ids"]
                self.children.acknowledge([str(one) for one in ids] if isinstance(ids, list) else [])
            case "kill":
                self.children.kill(str(message["id"]), str(message["cause"]), _seconds(message["grace"]))
            case "read":
                self.door.say(encode(self.children.read(message)))
            case "stop":
                self.stop(_seconds(message["grace"]) or 0.0)
            case other:
                raise ValueError(f"unknown message {other!r}")

    def stop(self, grace_seconds: float) -> None:
        """End all children, then leave."""
        self._stopping = True
        self.children.end_all("shutdown", grace_seconds)


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _hold(path: str) -> int:
    """Take the lock that means "this keeper lives". Raises BlockingIOError when another one does."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def machine() -> Message:
    """Where process numbers mean the same, and what was written and not synced is still there."""
    return {"boot": boot_id(), "pidns": os.readlink("/proc/self/ns/pid")}  # noqa: PTH115


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
        return file.read().strip()


def run(*, directory: str, idle_exit_seconds: float) -> None:
    """Become the keeper of `directory`. Says `ready` on stdout, which then closes."""
    os.umask(0o077)
    os.chdir("/")
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        service = Service(directory, idle_exit_seconds)
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.dup2(2, 1)  # the starter's pipe is done with; whatever is printed now belongs into the log
    service.serve()


__all__ = ["Attempt", "Service", "boot_id", "machine", "run"]
