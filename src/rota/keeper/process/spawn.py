"""Makes children: `posix_spawn` for the keeper's own user, `fork` for another one.

Every child gets a session of its own, default signals, the descriptors 0-2 and nothing else, and the limits that the
keeper itself was started with. Nothing is read from /proc here: that would wait for the exec (60 µs instead of 18).
"""

from __future__ import annotations

import errno
import os
import resource
import signal

from .attempt import Attempt, Identity
from .protocol import TOKEN

_DEFAULTED = tuple(
    number
    for number in signal.valid_signals()
    if number not in (signal.SIGKILL, signal.SIGSTOP) and number < signal.SIGRTMIN
)
TRANSIENT = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class SpawnError(Exception):
    """No process was made. `stage` is one of spawn, cwd, identity, limits."""

    def __init__(self, number: int, stage: str, message: str) -> None:
        super().__init__(message)
        self.errno, self.stage, self.message = number, stage, message


_OUR_UMASK = 0o077


class Spawner:
    """Starts attempts, in batches: `prepare` each, `spawn` each, then `end_of_batch`.

    Directory, umask and limits are those of the children from the first spawn of a batch to its end: the keeper has one
    spawning thread, and to change them there and back for each child costs it a twentieth of its rate.
    """

    def __init__(self) -> None:
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_files = (self._files[1], self._files[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)
        self._is_limited = False
        self._folder, self._umask = "/", _OUR_UMASK
        self._ends: dict[str, tuple[int, int]] = {}  # by attempt prepared: what becomes its stdin and its output
        self._null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._low = [os.dup(self._null), os.dup(self._null)]  # see `_within`

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

    def spawn(self, attempt: Attempt) -> None:
        """Sets pid and, where the outcome of exec is not known yet, error_fd. Raises SpawnError.

        Either way it has to be prepared anew before another try.
        """
        attempt.env[TOKEN] = attempt.id
        stdin, writer = self._ends.pop(attempt.id)
        try:
            if attempt.identity is None or _is_me(attempt.identity):
                attempt.pid = self._spawn(attempt, stdin, writer)
            else:
                self._be_ourselves()  # it opens a pipe of its own
                attempt.pid, attempt.error_fd = self._fork(attempt, attempt.identity, stdin, writer)
        except SpawnError:
            os.close(attempt.output_fd)
            attempt.output_fd = -1
            raise
        finally:
            os.close(writer)
            if stdin != self._null:
                os.close(stdin)
        attempt.stdin = b""

    def _spawn(self, attempt: Attempt, stdin: int, writer: int) -> int:
        stdin, writer = self._within(stdin, 0), self._within(writer, 1)
        self._enter(attempt.cwd)
        self._be_like(attempt)
        try:
            return os.posix_spawn(
                find_program(attempt.argv[0], attempt.env.get("PATH", os.defpath)),
                attempt.argv,
                attempt.env,
                file_actions=(
                    (os.POSIX_SPAWN_DUP2, stdin, 0),
                    (os.POSIX_SPAWN_DUP2, writer, 1),
                    (os.POSIX_SPAWN_DUP2, writer, 2),
                ),
                setsid=True,
                setsigmask=(),
                setsigdef=_DEFAULTED,
            )
        except (OSError, ValueError, TypeError) as error:
            raise _failure("spawn", attempt.argv[0], error) from error

    def _be_like(self, attempt: Attempt) -> None:
        """Have the limits and the umask that a child inherits."""
        if not self._is_limited:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
            self._is_limited = True
        if self._umask != attempt.umask:
            os.umask(attempt.umask)
            self._umask = attempt.umask

    def _be_ourselves(self) -> None:
        if self._is_limited:
            resource.setrlimit(resource.RLIMIT_NOFILE, self._most_files)
            self._is_limited = False
        if self._umask != _OUR_UMASK:
            os.umask(_OUR_UMASK)
            self._umask = _OUR_UMASK

    def _within(self, fd: int, place: int) -> int:
        """The same open file below the limit of the child, under which posix_spawn refuses to name any other."""
        return fd if fd < self._files[0] else os.dup2(fd, self._low[place], inheritable=False)

    def _enter(self, folder: str) -> None:
        """Once per turn and folder, not per start: the change costs 20 µs while new children take the processors."""
        if folder != self._folder:
            try:
                os.chdir(folder)
            except (OSError, ValueError, TypeError) as error:
                raise _failure("cwd", folder, error) from error
            self._folder = folder

    def end_of_batch(self) -> None:
        """Hold no folder, so that it can be unmounted; and never trust a folder's path for longer than a turn."""
        self._be_ourselves()
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


def _is_me(who: Identity) -> bool:
    return who.uid == os.geteuid() and who.gid == os.getegid() and set(who.groups) == set(os.getgroups())
