"""Makes children: `posix_spawn` for the keeper's own user, `fork` for another one.

Every child gets a session of its own, default signals, the descriptors 0-2 and nothing else, and the limits that the
keeper itself was started with. Nothing is read from /proc here: that would wait for the exec (60 µs instead of 18).
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable
from itertools import groupby

from .attempt import Attempt, Identity
from .hand import DEFAULTED, Hand
from .protocol import TOKEN

TRANSIENT = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class SpawnError(Exception):
    """No process was made. `stage` is one of spawn, cwd, identity, limits."""

    def __init__(self, number: int, stage: str, message: str) -> None:
        super().__init__(message)
        self.errno, self.stage, self.message = number, stage, message


_OUR_UMASK = 0o077
Outcome = tuple[Attempt, SpawnError | None]


class Spawner:
    """Starts attempts, in batches: `prepare` each, then `spawn` them all.

    Directory, umask and limits are those of the children while a batch is spawned: to change them there and back for
    each child costs a twentieth of the rate. A second thread helps, and only then: `spawn` returns when both are done.
    """

    def __init__(self) -> None:
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_files = (self._files[1], self._files[1])
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._hand, helper = Hand(self._null), Hand(self._null)
        resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)
        self._is_limited = False
        self._folder, self._umask = "/", _OUR_UMASK
        self._no_entry: SpawnError | None = None
        self._ends: dict[str, tuple[int, int]] = {}  # by attempt prepared: what becomes its stdin and its output
        self._to_spawn: deque[Attempt] = deque()
        self._outcomes: list[Outcome] = []
        self._help_wanted, self._help_over = threading.Lock(), threading.Lock()  # each is free for one taker
        self._help_wanted.acquire()
        self._help_over.acquire()
        threading.Thread(target=self._help, args=(helper,), name="spawn", daemon=True).start()

    def refusal(self, attempt: Attempt) -> SpawnError | None:
        """Why this keeper can never start it, known before anything is tried."""
        who = _someone_else(attempt)
        if who is None or os.geteuid() == 0:
            return None
        return SpawnError(
            errno.EPERM,
            "identity",
            f"cannot run as {who.name} (uid {who.uid}): the keeper runs as uid {os.geteuid()} and is not root; "
            "run the daemon as root, or leave the user out",
        )

    def prepare(self, attempt: Attempt) -> None:
        """Open what the child will have. Sets output_fd. Raises SpawnError."""
        opened: list[int] = []
        try:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            opened += [reader, writer]
            os.set_blocking(reader, False)
            stdin = _as_file(attempt.stdin) if attempt.stdin else self._null
        except OSError as error:
            for fd in opened:
                os.close(fd)
            raise SpawnError(error.errno or errno.EIO, "limits", f"no pipe for its output: {error.strerror}") from error
        attempt.output_fd = reader
        self._ends[attempt.id] = stdin, writer

    def spawn(self, attempts: Iterable[Attempt]) -> list[Outcome]:
        """Start what was prepared, two at a time. Sets pid, started_at, bracket and, where the outcome of exec is not
        known yet, error_fd. What has failed has to be prepared anew before another try.
        """
        for surroundings, alike in groupby(attempts, _surroundings):
            self._to_spawn.extend(alike)
            if surroundings is None:
                self._be_ourselves()  # a fork opens a pipe of its own
            else:
                self._be_like(*surroundings)
            has_help = surroundings is not None and len(self._to_spawn) > 1
            if has_help:
                self._help_wanted.release()
            self._take_turns(self._hand)
            if has_help:
                self._help_over.acquire()
        self._be_ourselves()
        self._leave_folder()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _help(self, hand: Hand) -> None:
        while True:
            self._help_wanted.acquire()
            self._take_turns(hand)
            self._help_over.release()

    def _take_turns(self, hand: Hand) -> None:
        while True:
            try:
                attempt = self._to_spawn.popleft()
            except IndexError:
                return
            error: SpawnError | None = None
            try:
                self._start(attempt, hand)
            except SpawnError as failure:
                error = failure
            except Exception as bug:  # it fails this attempt, and no other
                error = SpawnError(errno.EIO, "spawn", f"cannot run {attempt.argv[0]!r}: {bug!r}")
            self._outcomes.append((attempt, error))

    def _start(self, attempt: Attempt, hand: Hand) -> None:
        attempt.env[TOKEN] = attempt.id
        stdin, writer = self._ends.pop(attempt.id)
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            if (who := _someone_else(attempt)) is not None:
                attempt.pid, attempt.error_fd = self._fork(attempt, who, stdin, writer)
            else:
                attempt.pid = self._spawn(attempt, hand, stdin, writer)
        except Exception:
            os.close(attempt.output_fd)
            attempt.output_fd = -1
            raise
        finally:
            os.close(writer)
            if stdin != self._null:
                os.close(stdin)
        attempt.started_at = time.time_ns() // 1000
        attempt.bracket = before, time.clock_gettime(time.CLOCK_BOOTTIME)
        attempt.stdin = b""

    def _spawn(self, attempt: Attempt, hand: Hand, stdin: int, writer: int) -> int:
        if self._no_entry is not None:
            raise self._no_entry
        try:
            program = find_program(attempt.argv[0], attempt.env.get("PATH", os.defpath))
            return hand.spawn(program, attempt.argv, attempt.env, stdin=stdin, output=writer)
        except (OSError, ValueError, TypeError) as error:
            raise _failure("spawn", attempt.argv[0], error) from error

    def _be_like(self, folder: str, umask: int) -> None:
        """Have the limits, the umask and the directory that a child inherits."""
        if not self._is_limited:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
            self._is_limited = True
        if self._umask != umask:
            os.umask(umask)
            self._umask = umask
        self._no_entry = None
        if self._folder != folder:
            try:
                os.chdir(folder)
                self._folder = folder
            except (OSError, ValueError, TypeError) as error:
                self._no_entry = _failure("cwd", folder, error)

    def _be_ourselves(self) -> None:
        if self._is_limited:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)
            self._is_limited = False
        if self._umask != _OUR_UMASK:
            os.umask(_OUR_UMASK)
            self._umask = _OUR_UMASK

    def _leave_folder(self) -> None:
        """Hold none, so that it can be unmounted; and never trust a folder's path for longer than a batch."""
        os.chdir("/")
        self._folder = "/"

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
            for number in DEFAULTED:
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


def _surroundings(attempt: Attempt) -> tuple[str, int] | None:
    """What children that are spawned together share; None for one that has to be forked."""
    return (attempt.cwd, attempt.umask) if _someone_else(attempt) is None else None


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


def _failure(stage: str, what: str, error: OSError | ValueError | TypeError) -> SpawnError:
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


def _someone_else(attempt: Attempt) -> Identity | None:
    """Whom the child has to become; None where that is who we are."""
    who = attempt.identity
    if who is None:
        return None
    is_me = who.uid == os.geteuid() and who.gid == os.getegid() and set(who.groups) == set(os.getgroups())
    return None if is_me else who
