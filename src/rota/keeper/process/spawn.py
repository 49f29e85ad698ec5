"""Makes children: `posix_spawn` for the keeper's own user, `fork` for another one.

Every child gets a session of its own, default signals, the descriptors 0-2 and nothing else, and the limits that the
keeper itself was started with. Nothing is read from /proc here: that would wait for the exec (60 µs instead of 18).

A spawn waits until the child has become its program. A thread does that waiting, with a directory and a umask of its
own, while the keeper reads, reaps and writes: a start flies, and is taken in once it has landed.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import threading
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue

from .attempt import Attempt, Identity
from .posix import Attributes, Call, leave_shared_place
from .protocol import TOKEN

_DEFAULTED = tuple(
    number
    for number in signal.valid_signals()
    if number not in (signal.SIGKILL, signal.SIGSTOP) and number < signal.SIGRTMIN
)
_DESCRIPTORS_EACH, _DESCRIPTORS_OWN = 3, 64  # of an attempt (output, its file, a spare); of the keeper itself
_UMASK = 0o077  # the keeper's own
TRANSIENT = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class SpawnError(Exception):
    """No process was made. `stage` is one of spawn, cwd, identity, limits."""

    def __init__(self, number: int, stage: str, message: str) -> None:
        super().__init__(message)
        self.errno, self.stage, self.message = number, stage, message


class Flight:
    """A start under way: what was opened for it and, once it has landed, the child's number or the error.

    `bracket` is CLOCK_BOOTTIME before and after, in seconds; `started_at` µs since the epoch.
    """

    __slots__ = ("attempt", "bracket", "call", "error", "error_fd", "opened", "pid", "reader", "started_at", "writer")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.call: Call | None = None
        self.reader = self.writer = self.error_fd = -1
        self.opened: list[int] = []  # what only the child needs
        self.pid, self.started_at, self.bracket = 0, 0, (0.0, 0.0)
        self.error: SpawnError | None = None

    def close(self) -> None:
        """Close what only the child needs; all, if there is no child."""
        if self.error is not None and self.reader >= 0:
            self.opened.append(self.reader)
        for fd in self.opened:
            os.close(fd)
        self.opened.clear()


class Spawner:
    """Starts attempts. `done_fd` is readable when some starts have landed.

    The limit on open files is the process's, and no thread can have its own. The keeper stays within the one that its
    children are to have for as long as it holds few enough; beyond, it raises its own and waits for each flight.
    """

    def __init__(self) -> None:
        self._files = self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._attributes = Attributes(_DEFAULTED)
        self._folder, self._umask, self._is_apart = "/", _UMASK, False
        self.flying = 0  # sent, and not taken in yet
        self._ready: SimpleQueue[list[Flight]] = SimpleQueue()
        self._landed: deque[Flight] = deque()
        self.done_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        has_begun = threading.Event()
        threading.Thread(target=self._fly_for_ever, args=(has_begun,), name="spawn", daemon=True).start()
        has_begun.wait()

    def refusal(self, attempt: Attempt) -> SpawnError | None:
        """Why this keeper can never start it, known before anything is tried."""
        who = attempt.identity
        if who is None or os.geteuid() == 0 or _is_me(who):
            return None
        return SpawnError(
            errno.EPERM,
            "identity",
            f"cannot run as {who.name} (uid {who.uid}): the keeper runs as uid {os.geteuid()} and is not root; "
            "run the daemon as root, or leave the user out",
        )

    def send(self, attempts: list[Attempt], *, living: int) -> None:
        """Begin their starts, `living` being the number of all attempts, these included."""
        hard = self._files[1]
        if living * _DESCRIPTORS_EACH + _DESCRIPTORS_OWN < self._files[0]:
            self._allow(self._files)
        else:
            self.wait()  # what is in the air is to have the other limit
            self._allow((hard, hard))
        self.flying += len(attempts)
        flights = [flight for flight in map(Flight, attempts) if self._prepare(flight)]
        if flights:
            raised = self._limit
            self._allow(self._files)
            self._ready.put(flights)
            if raised != self._files or not self._is_apart:
                self.wait()
                self._allow(raised)
        if self._landed:
            os.eventfd_write(self.done_fd, 1)

    def landed(self) -> list[Flight]:
        """Those that have landed since the last call, in their order."""
        self._forget_news()
        flights = [self._landed.popleft() for _ in range(len(self._landed))]
        self.flying -= len(flights)
        return flights

    def wait(self) -> None:
        """Until nothing is in the air."""
        while len(self._landed) < self.flying:  # what has landed is in the list before there is news of it
            select.select([self.done_fd], [], [])
            self._forget_news()

    def _forget_news(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self.done_fd)

    def _allow(self, limit: tuple[int, int]) -> None:
        if limit != self._limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            self._limit = limit

    def _prepare(self, flight: Flight) -> bool:
        """Open what the child needs. False when that was all: it could not be had, or the child is made by a fork."""
        attempt = flight.attempt
        attempt.env[TOKEN] = attempt.id
        try:
            flight.reader, writer = os.pipe2(os.O_CLOEXEC)
            flight.opened.append(writer)
            os.set_blocking(flight.reader, False)
            stdin = self._null
            if attempt.stdin:
                stdin = _as_file(attempt.stdin)
                flight.opened.append(stdin)
            if attempt.identity is None or _is_me(attempt.identity):
                flight.call = Call(attempt.argv, attempt.env, stdin, writer)
                return True
            before = time.clock_gettime(time.CLOCK_BOOTTIME)
            flight.pid, flight.error_fd = self._fork(attempt, attempt.identity, stdin, writer)
            flight.bracket = before, time.clock_gettime(time.CLOCK_BOOTTIME)
            flight.started_at = time.time_ns() // 1000
        except SpawnError as error:
            flight.error = error
        except ValueError as error:
            flight.error = _failure("spawn", attempt.argv[0], error)
        except OSError as error:
            flight.error = SpawnError(error.errno or errno.EIO, "limits", f"no pipe for its output: {error.strerror}")
        self._landed.append(flight)
        return False

    # In the thread

    def _fly_for_ever(self, has_begun: threading.Event) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the loop
        self._is_apart = leave_shared_place()
        has_begun.set()
        while True:
            for flight in self._ready.get():
                self._fly(flight)
                self._landed.append(flight)
            self._go_home()
            os.eventfd_write(self.done_fd, 1)

    def _fly(self, flight: Flight) -> None:
        attempt, call = flight.attempt, flight.call
        stage, what = "cwd", attempt.cwd
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            self._enter(attempt)
            stage, what = "spawn", attempt.argv[0]
            program = find_program(attempt.argv[0], attempt.env.get("PATH", os.defpath))
            if call is not None:
                flight.pid = call.run(program, self._attributes)
        except Exception as error:  # whatever it is, the loop has to hear of it
            flight.error = _failure(stage, what, error)
        flight.bracket = before, time.clock_gettime(time.CLOCK_BOOTTIME)
        flight.started_at = time.time_ns() // 1000

    def _enter(self, attempt: Attempt) -> None:
        """Once per batch and folder, not per start: the change costs 20 µs while new children take the processors."""
        if attempt.cwd != self._folder:
            os.chdir(attempt.cwd)
            self._folder = attempt.cwd
        if attempt.umask != self._umask:
            os.umask(attempt.umask)
            self._umask = attempt.umask

    def _go_home(self) -> None:
        """Hold no folder, so that it can be unmounted; and never trust a folder's path for longer than a batch."""
        if self._folder != "/":
            os.chdir("/")
        if self._umask != _UMASK:
            os.umask(_UMASK)
        self._folder, self._umask = "/", _UMASK

    # Forks

    def _fork(self, attempt: Attempt, who: Identity, stdin: int, writer: int) -> tuple[int, int]:
        """Fork, since posix_spawn cannot change the user. The outcome of exec comes through the returned pipe."""
        try:
            reader, errors = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise _failure("limits", attempt.argv[0], error) from error
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                self._become(attempt, who, stdin, writer, errors)
        except OSError as error:
            os.close(reader)
            raise _failure("limits", attempt.argv[0], error) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.close(errors)
        return pid, reader

    def _become(self, attempt: Attempt, who: Identity, stdin: int, writer: int, errors: int) -> None:
        """In the child, never returns. The directory is entered as the user, who may see what root must not assume."""
        stage = "limits"
        try:
            os.setsid()
            os.dup2(stdin, 0)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            signal.set_wakeup_fd(-1)
            for number in _DEFAULTED:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
            os.umask(attempt.umask)
            stage = "identity"
            os.setgroups(who.groups)
            os.setresgid(who.gid, who.gid, who.gid)
            os.setresuid(who.uid, who.uid, who.uid)
            stage = "cwd"
            os.chdir(attempt.cwd)
            stage = "spawn"
            program = find_program(attempt.argv[0], attempt.env.get("PATH", os.defpath))
            os.execve(program, attempt.argv, attempt.env)  # noqa: S606
        except BaseException as error:  # a fork must never run on as a second keeper
            code = error.errno if isinstance(error, OSError) else errno.EINVAL
            os.write(errors, f"{code} {stage}".encode())
        finally:
            os._exit(127)


def failure_of(report: bytes, attempt: Attempt) -> SpawnError:
    """What the forked child wrote before it gave up."""
    number, _, stage = report.decode().partition(" ")
    error = OSError(int(number), os.strerror(int(number)))
    what = {"cwd": attempt.cwd, "spawn": attempt.argv[0]}.get(stage)
    if what is None:
        name = attempt.identity.name if attempt.identity else ""
        return SpawnError(int(number), stage, f"cannot become {name}: {error.strerror}")
    return _failure(stage, what, error)


def find_program(name: str, path: str) -> str:
    """What execvp would run, looked up in the child's own PATH (posix_spawnp would use the keeper's).

    Raises FileNotFoundError, or PermissionError when only files without execute permission go by that name.
    """
    if "/" in name:
        return name
    found_unusable = False
    for folder in path.split(os.pathsep):
        candidate = f"{folder or '.'}/{name}"
        if os.access(candidate, os.X_OK, effective_ids=True) and not os.path.isdir(candidate):  # noqa: PTH112
            return candidate
        found_unusable = found_unusable or os.path.isfile(candidate)  # noqa: PTH113
    number = errno.EACCES if found_unusable else errno.ENOENT
    raise OSError(number, os.strerror(number), name)


def _failure(stage: str, what: str, error: Exception) -> SpawnError:
    number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if stage == "cwd":
        return SpawnError(number, stage, f"cannot enter the directory {what!r}: {reason}")
    if number in TRANSIENT:
        return SpawnError(number, "limits", f"cannot start {what!r}: {reason}")
    return SpawnError(number, stage, f"cannot run {what!r}: {reason}")


def _as_file(data: bytes) -> int:
    """An anonymous file in memory that holds `data`: the child reads it and then its end, and no disk ever sees it."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _is_me(who: Identity) -> bool:
    return who.uid == os.geteuid() and who.gid == os.getegid() and set(who.groups) == set(os.getgroups())
