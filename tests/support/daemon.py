"""The real program on a scratch home: daemons, commands, what the store holds, and nothing left behind.

Everything runs in child processes, as at a keyboard. Tests look at a store with their own read-only connection.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rota.client.api import Client, Snapshot, Wrote
from rota.client.unix import UnixTransport
from tests.support.empty_store import lay_empty_store
from tests.support.warm import run_rota

if TYPE_CHECKING:
    from rota.usecases.shapes import Run

T = TypeVar("T")

PATIENCE_SECONDS = 60.0  # far more than anything here takes on an idle machine; a hang fails rather than waits
_FIRST_LOOK_SECONDS, _LATER_LOOKS_SECONDS = 0.005, 0.1  # a look may read all of /proc, or connect to a database
_LONGEST_TMP = 60  # a socket's path has room for some 100 characters


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and its words."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Daemon:
    """`rota daemon run` as a child. `banner` is complete once `Home.daemon` has returned."""

    process: subprocess.Popen[str]
    banner: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """kill -9, and reap."""
        self.process.kill()
        self.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it; return its exit code (negative where a signal ended it)."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@dataclass(frozen=True, slots=True)
class Gate:
    """Where children wait (`read line < PATH`) until the test opens it."""

    path: Path
    held: list[int] = field(default_factory=list)

    def reached(self) -> None:
        """Return when somebody waits behind it: the command has begun, not only been claimed."""
        self.held.append(until(self._end_of_a_reader))  # kept: to let go of it would be an end of file

    def _end_of_a_reader(self) -> int:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # fifo(7): nobody has it open for reading
                raise
            return 0

    def open(self, times: int = 1) -> None:
        # Opened for both directions, a FIFO never blocks, whether or not somebody waits behind it.
        descriptor = os.open(self.path, os.O_RDWR)
        os.write(descriptor, b"go\n" * times)
        until(lambda: not select.select([descriptor], [], [], 0)[0])  # all of it has been read
        for one in (descriptor, *self.held):
            os.close(one)
        self.held.clear()


NOBODY = 65534


def as_nobody() -> list[str]:
    """For `through`, where the tests run as root: another user whom the modes of files bind, but for reading (so that
    he finds this Python wherever it is installed)."""
    drop = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return ["setpriv", *drop, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


class Home:
    """One instance in a folder with a short path. Give settings as the text of its `rota.yaml`."""

    def __init__(self, scratch: Path, settings: str = "") -> None:
        self.scratch = scratch
        self.path = scratch / "home"
        self.tmp = scratch / "tmp"  # TMPDIR of all that runs here, down to the jobs' children: so they are found
        self.tmp.mkdir()
        self.path.mkdir(0o700)
        self.settings(settings)
        self.client = Client(UnixTransport(self.path / "rota.sock"))
        self._children: list[subprocess.Popen[str]] = []

    def settings(self, text: str) -> None:
        (self.path / "rota.yaml").write_text(text)

    @property
    def log(self) -> str:
        """What daemons of this home wrote on standard error."""
        return (self.scratch / "daemon.err").read_text()

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROTA_", "COV_"))}
        ours = {"ROTA_HOME": str(self.path), "TMPDIR": str(self.tmp), "TZ": "UTC", "COLUMNS": "160", "NO_COLOR": "1"}
        return {**kept, **ours, **(extra or {})}

    # Daemons

    def daemon(
        self,
        env: Mapping[str, str] | None = None,
        *,
        through: Sequence[str] = (),
        arguments: Sequence[str] = ("daemon", "run"),
    ) -> Daemon:
        """Start a daemon; return once it has said its banner. Fails the test where it ends instead."""
        daemon = self.starting_daemon(env, through=through, arguments=arguments)
        self.await_banner(daemon)
        return daemon

    def starting_daemon(
        self,
        env: Mapping[str, str] | None = None,
        *,
        through: Sequence[str] = (),
        arguments: Sequence[str] = ("daemon", "run"),
    ) -> Daemon:
        """Start one, and do not wait for it. `through` is a program before it."""
        if not through:
            self._lay_a_store()
        with (self.scratch / "daemon.err").open("a") as errors:
            process = subprocess.Popen(
                [*through, sys.executable, "-m", "rota", *arguments],
                env=self.env(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._children.append(process)
        return Daemon(process)

    def await_banner(self, daemon: Daemon) -> None:
        assert daemon.process.stdout is not None
        for line in daemon.process.stdout:
            daemon.banner.append(line.rstrip("\n"))
            if line.startswith("Dashboard sync"):
                return
        raise AssertionError(f"the daemon ended with {daemon.wait()}: {self.log[-3000:]}")

    def _lay_a_store(self) -> None:
        """Spare a first daemon the making of its store, which takes a fifth of its start. `rota run` and `rota demo`
        are tested with the making of theirs."""
        settings, store = self.path / "rota.yaml", self.path / "rota.db"
        is_new = settings.exists() and not store.exists() and not (self.path / "output.db").exists()
        if is_new and b"database:" not in settings.read_bytes():
            lay_empty_store(store)

    # Commands

    def rota(
        self,
        *arguments: str,
        typed: str | None = None,
        env: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
    ) -> Said:
        """Run `rota …` to its end. `typed` is its standard input (none: empty), `through` a program before it."""
        if not through:
            ended = run_rota(arguments, env=self.env(env), typed=typed or "", seconds=PATIENCE_SECONDS)
            return Said(ended.code, ended.out, ended.err)
        stdin = subprocess.PIPE if typed is not None else subprocess.DEVNULL
        return self.end_of(self.start(*arguments, env=env, through=through, stdin=stdin), typed)

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Begin `rota …` and leave it running; see `end_of`."""
        process = subprocess.Popen(
            [*through, sys.executable, "-m", "rota", *arguments],
            env=self.env(env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._children.append(process)
        return process

    @staticmethod
    def end_of(process: subprocess.Popen[str], typed: str | None = None) -> Said:
        out, err = process.communicate(typed, timeout=PATIENCE_SECONDS)
        return Said(process.returncode, out, err)

    # Runs, over the daemon's socket

    def run(self, do: str | None = None, **body: Any) -> str:
        """Begin an ad-hoc run; return its id."""
        return self.client.start_run({**({"do": do} if do else {}), **body})["id"]

    def finished(self, run: str) -> Run:
        """Wait for a run's end, as a watcher does, and return it in full."""
        for event in self.client.follow(run):
            if isinstance(event, Snapshot) and event.final:
                return self.client.run(run)
        raise AssertionError("the stream ended before the run")  # follow raises in that case

    def output(self, run: str) -> str:
        return "".join(piece["text"] for piece in self.client.output(run))

    def await_output(self, run: str, text: str) -> None:
        """Wait until the run has written `text`, as `logs -f` would show it."""
        seen = ""
        for event in self.client.follow(run):
            if isinstance(event, Wrote):
                seen += event.output["text"]
                if text in seen:
                    return
        raise AssertionError(f"the run ended and has not written {text!r}, but {seen!r}")

    # The store

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Ask the store with a connection of our own that cannot write."""
        with closing(sqlite3.connect(f"file:{self.path / 'rota.db'}?mode=ro", uri=True, timeout=10)) as store:
            store.row_factory = sqlite3.Row
            return store.execute(query, values).fetchall()

    def unfinished(self) -> int:
        """How many runs have not ended."""
        return int(self.rows("SELECT count(*) AS n FROM run WHERE finished_at IS NULL")[0]["n"])

    # Processes

    def gate(self) -> Gate:
        """A closed gate."""
        path = self.tmp / f"gate-{len(list(self.tmp.iterdir()))}"
        os.mkfifo(path)
        return Gate(path)

    def processes(self) -> dict[int, str]:
        """Every living process of this home, whoever started it: pid → command line."""
        return processes_naming(self.scratch)

    def processes_of(self, run: str) -> dict[int, str]:
        """Every living process that carries the run's mark, in whatever session or group."""
        return processes_with(f"ROTA_RUN_ID={run}")

    def keepers(self) -> list[int]:
        return [pid for pid, line in self.processes().items() if "keeper/process/entry.py" in line]

    def end(self) -> None:
        """End whatever of this home still lives."""
        for process in self._children:
            process.kill()
        for process in self._children:
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None and not stream.closed:
                    stream.close()
        while left := self.processes():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(_FIRST_LOOK_SECONDS)


@contextmanager
def a_home(settings: str = "") -> Iterator[Home]:
    """Give a scratch home. At its end daemons are stopped in order, and no process of it may be left."""
    base = tempfile.gettempdir()
    scratch = Path(tempfile.mkdtemp(prefix="rota-t-", dir=base if len(base) < _LONGEST_TMP else "/tmp"))
    home = Home(scratch, settings)
    try:
        yield home
        left = _left_after_stopping(home)
        assert not left, f"left running: {left}\n{home.log[-2000:]}"
    finally:
        home.end()
        shutil.rmtree(scratch, ignore_errors=True)


def _left_after_stopping(home: Home) -> dict[int, str]:
    """Stop what a test left running as an operator would, and give what outlives that."""
    for process in home._children:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
    # A process that was killed takes a moment to vanish. A keeper without an owner leaves by itself, but only after a
    # minute: a test that leaves one behind starts a daemon to adopt it.
    try:
        until(lambda: not home.processes(), seconds=10)
    except AssertionError:
        return home.processes()
    return {}


def processes_naming(folder: Path) -> dict[int, str]:
    """Living processes with something in `folder` in their environment or command line."""
    mark = os.fsencode(folder) + b"/"
    return _processes(lambda line, environment: mark in line or mark in environment)


def processes_with(variable: str) -> dict[int, str]:
    """Living processes with `NAME=value` in the environment they were started with."""
    mark = os.fsencode(variable)
    return _processes(lambda _, environment: mark in environment.split(b"\0"))


def _processes(meant: Callable[[bytes, bytes], bool]) -> dict[int, str]:
    """Processes other than this one whose command line and environment are `meant`: pid → command line."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            if line and meant(line, (entry / "environ").read_bytes()):  # a zombie has no line any more
                found[int(entry.name)] = line.replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it has ended meanwhile, or is another user's
            continue
    return found


def until(met: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
    """Look at what only another process can change until it is true, and return that. Fails after `seconds`."""
    deadline, pause = time.monotonic() + seconds, _FIRST_LOOK_SECONDS
    while not (found := met()):
        assert time.monotonic() < deadline, f"not so within {seconds:g} s"
        time.sleep(pause)
        pause = min(pause * 1.5, _LATER_LOOKS_SECONDS)
    return found
