"""`rota …` in a process of its own that need not import Rota first: it is forked from one that has.

A command spends most of its second on imports, and the tests give some five hundred. Each of pytest's workers keeps one
process that has imported all of Rota and holds nothing else: no thread, no file, no connection. For each command it
forks a child, which gets the environment, the folder and the streams that the test says and a session of its own, and
goes on as `python -m rota` does. All that such a child cannot show is how it was executed: /proc tells of the process
that it came from. What is to be found by its environment or its command line is started in full (`Home.start`).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

from rota.keeper.process import failpoint

ROOT = Path(__file__).parents[2]
_LARGEST_ORDER = 100_000  # bytes: less than a socket takes at once
_PID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Ended:
    """`code` is negative where a signal ended it, as `subprocess` has it."""

    code: int
    out: str
    err: str


def run_rota(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path | None = None,
    typed: str = "",
    seconds: float,
) -> Ended:
    """Carry out one command line, in `folder` (default: where the test is). Where it takes longer than `seconds`, it
    is killed: TimeoutError."""
    stdin, typing = os.pipe()
    (out, stdout), (err, stderr), (told, tell) = os.pipe(), os.pipe(), os.pipe()
    _ask(arguments, env, folder or Path.cwd(), (stdin, stdout, stderr, tell))
    writer = threading.Thread(target=_write, args=(typing, typed.encode()))
    writer.start()
    try:
        pid = int.from_bytes(os.read(told, _PID_BYTES))
        try:
            said = _read_to_the_end((out, err, told), time.monotonic() + seconds)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"rota {' '.join(arguments)}: not over after {seconds} s") from None
        return Ended(int(said[told]), _text(said[out]), _text(said[err]))
    finally:
        for descriptor in (out, err, told):
            os.close(descriptor)
        writer.join()


def _ask(arguments: Sequence[str], env: Mapping[str, str], folder: Path, descriptors: Sequence[int]) -> None:
    """Hand over an order with the ends that are the child's."""
    order = json.dumps({"arguments": arguments, "env": dict(env), "folder": str(folder)}).encode()
    assert len(order) < _LARGEST_ORDER
    socket.send_fds(_warm_process(), [order], descriptors)
    for descriptor in descriptors:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _read_to_the_end(descriptors: Iterable[int], deadline: float) -> dict[int, bytes]:
    said = dict.fromkeys(descriptors, b"")
    unended = set(said)
    while unended:
        ready, _, _ = select.select(list(unended), [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError
        for descriptor in ready:
            piece = os.read(descriptor, 1 << 16)
            said[descriptor] += piece
            if not piece:
                unended.remove(descriptor)
    return said


def _text(written: bytes) -> str:
    return written.decode().replace("\r\n", "\n").replace("\r", "\n")


@cache
def _warm_process() -> socket.socket:
    """The way to this worker's. It ends when the worker does, however that ends: nobody else holds this socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.support.warm", str(theirs.fileno())]
        _kept.append(
            subprocess.Popen(
                command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        )  # fmt: skip
    return ours


_kept: list[subprocess.Popen[bytes]] = []  # so that nobody complains of a child that was let go


# What follows runs in the warm process, and in those that are forked from it.


def _import_rota() -> None:
    """All that a command may come to need."""
    commands = importlib.import_module("rota.cli.commands")
    for module in pkgutil.walk_packages(commands.__path__, "rota.cli.commands."):
        importlib.import_module(module.name)
    for name in ("rota.cli.main", "rota.cli.connect", "rota.cli.watch", "rota.compose", "alembic.context"):
        importlib.import_module(name)
    gc.freeze()


def _fork_as_ordered(control: socket.socket) -> None:
    """Return in the children; end when there are no more orders."""
    running: dict[int, int] = {}  # by process: where to tell of its end
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 1 << 10)
            _tell_of_ends(running)
        if control.fileno() not in ready:
            continue
        order, descriptors, _, _ = socket.recv_fds(control, _LARGEST_ORDER, 4)
        if not order:
            sys.exit()
        *streams, tell = descriptors
        if pid := os.fork():
            running[pid] = tell
            os.write(tell, pid.to_bytes(_PID_BYTES))
            for descriptor in streams:
                os.close(descriptor)
        else:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (woken, wakes, control.detach(), tell, *running.values()):
                os.close(descriptor)
            _become(streams, **json.loads(order))
            return


def _tell_of_ends(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        tell = running.pop(pid)
        with suppress(BrokenPipeError):
            os.write(tell, b"%d" % os.waitstatus_to_exitcode(status))
        os.close(tell)


def _become(streams: Iterable[int], *, arguments: Sequence[str], env: Mapping[str, str], folder: str) -> None:
    """Do what an `exec` would have done."""
    os.setsid()
    os.chdir(folder)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    importlib.reload(failpoint)  # it has read the environment, as nothing else has
    sys.argv[:] = ["rota", *arguments]


def _main() -> None:
    from rota.cli.main import main

    _import_rota()
    _fork_as_ordered(socket.socket(fileno=int(sys.argv[1])))
    try:
        main()
    except SystemExit as ending:
        _end(ending.code)


def _end(code: str | int | None) -> NoReturn:
    """What an interpreter does at its end, but for taking all modules apart, which costs most of a command's time."""
    assert isinstance(code, int)
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as `multiprocessing` does in its forks
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _main()
