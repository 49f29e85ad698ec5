"""Renders templates in a warm child process, so that no template can hurt the daemon.

Requests are pipelined: the child answers in order. When it dies, the request it was at is to blame and fails with the
reason; all that were behind it go to its replacement. There is no background task: whoever asks starts what is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

import rota
from rota.domain.errors import FieldError, InvalidInput, Unavailable
from rota.domain.step import Json
from rota.templating import language
from rota.templating.child import OUT_OF_MEMORY
from rota.templating.quoting import Quoting

CPU_SECONDS: Final = 1.0
MEMORY: Final = 64 * 1024 * 1024  # bytes that one render may add
WALL_SECONDS: Final = 15.0  # a child that is stopped, or starved, is given up
MOST_DEATHS: Final = 3  # of a child at one request, by no limit of ours: the first may be an accident

# The root is an argument, so that -I (no PYTHONPATH, no current folder, no user site) still finds this package.
_ROOT: Final = str(Path(rota.__file__).resolve().parent.parent)
_BOOT: Final = "import sys; sys.path.insert(0, sys.argv[1]); from rota.templating.child import main; main()"


@dataclass(frozen=True, slots=True)
class Field:
    """One text to render, and what it is for."""

    text: str
    quoting: Quoting = Quoting.PLAIN


class _Requeue(Exception):
    """The child ended without an answer, and not by a limit. `at_hand`: it was working on this very request."""

    def __init__(self, *, at_hand: bool) -> None:
        self.at_hand = at_hand


class Renderer:
    """Renders in a child process. Use `async with Renderer() as renderer`, or `start` and `stop`."""

    def __init__(
        self, *, cpu_seconds: float = CPU_SECONDS, memory: int = MEMORY, wall_seconds: float = WALL_SECONDS
    ) -> None:
        self._limits = (cpu_seconds, memory, wall_seconds)
        self._child: _Child | None = None
        self._starting = asyncio.Lock()
        self._stopped = False

    async def __aenter__(self) -> Renderer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the child, so that the first render does not wait for it. Raises Unavailable."""
        self._stopped = False
        await self._living()

    async def stop(self) -> None:
        """End the child and wait for its end. What is still waiting fails with Unavailable."""
        self._stopped = True
        async with self._starting:
            child, self._child = self._child, None
        if child is not None:
            await child.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return None if self._child is None or self._child.ended.done() else self._child.pid

    async def render(
        self,
        fields: Mapping[str, Field],
        variables: Mapping[str, Json],
        *,
        tainted: frozenset[str] = frozenset(),
    ) -> Mapping[str, str]:
        """Render all `fields` and give their texts by the same names.

        `tainted` are the names whose values came from outputs, payloads or other jobs: `| raw` is refused on them.
        Raises InvalidInput naming each faulty field: not a template, missing variable, too long, too costly.
        """
        faults = [fault for name, field in fields.items() for fault in _faults(name, field, tainted)]
        if faults:
            raise InvalidInput.of(faults)
        roots = frozenset[str]().union(*(language.read(field.text, field.quoting).roots for field in fields.values()))
        request = {"fields": {name: [field.text, field.quoting] for name, field in fields.items()}}
        reply = await self._ask(request, variables, roots)
        return cast("dict[str, str]", reply["values"])

    async def evaluate(self, expression: str, variables: Mapping[str, Json]) -> bool:
        """Evaluate a `when`. Raises InvalidInput as `render` does, with the field "when"."""
        reading = language.read_expression(expression)
        if reading.faults:
            raise InvalidInput.of(language.check_expression(expression, where="when"))
        reply = await self._ask({"when": expression}, variables, reading.roots)
        return bool(reply["value"])

    async def _ask(
        self, request: dict[str, Any], variables: Mapping[str, Json], roots: frozenset[str]
    ) -> dict[str, Any]:
        """Send a request, with the variables that it names and the names of all; give the reply's values."""
        named = {name: value for name, value in variables.items() if name in roots}
        line = json.dumps({**request, "variables": named, "known": list(variables)}).encode() + b"\n"
        deaths = 0
        while deaths < MOST_DEATHS:
            child = await self._living()
            try:
                reply = await child.ask(line)
            except _Requeue as ended:
                deaths += ended.at_hand
                continue
            if "faults" in reply:
                where = "when" if "when" in request else ""
                raise InvalidInput.of(FieldError(field=name or where, message=text) for name, text in reply["faults"])
            if "failed" in reply:
                raise InvalidInput.of([self._too_costly(str(reply["failed"]), request)])
            return reply
        raise InvalidInput.of([self._too_costly(f"{deaths} times", request)])

    def _too_costly(self, reason: str, request: Mapping[str, Any]) -> FieldError:
        """`reason` is what the child or its end said."""
        cpu_seconds, memory, wall_seconds = self._limits
        told = {
            OUT_OF_MEMORY: f"needs more than {memory >> 20} MB to render",
            str(-signal.SIGPROF): f"took more than {cpu_seconds:g} s of CPU to render",
            "wall": f"was not rendered within {wall_seconds:g} s",
        }
        message = told.get(reason, f"ended the template process ({reason})")
        return FieldError(
            field="when" if "when" in request else " ".join(request["fields"]),
            message=message,
            expected="a template that does less",
        )

    async def _living(self) -> _Child:
        async with self._starting:
            if self._stopped:
                raise Unavailable("the renderer is stopped")
            if self._child is None or self._child.ended.done():
                self._child = await _Child.start(*self._limits)
            return self._child


def _faults(name: str, field: Field, tainted: frozenset[str]) -> list[FieldError]:
    faults = language.check(field.text, where=name, quoting=field.quoting)
    for names in language.read(field.text, field.quoting).raws:
        if pasted := sorted(name for name in names if name.split(".")[0] in tainted):
            message = f"`| raw` is refused on `{pasted[0]}`, whose value comes from an output"
            faults.append(FieldError(field=name, message=message, expected="the value quoted: without `| raw`"))
    return faults


class _Child(asyncio.SubprocessProtocol):
    """One child process and the requests that wait for it, oldest first."""

    def __init__(self, wall_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.pid = 0
        self._loop, self._wall_seconds = loop, wall_seconds
        self._waiting: deque[asyncio.Future[dict[str, Any]]] = deque()
        self._received = bytearray()
        self._alarm: asyncio.TimerHandle | None = None
        self._late = False

    @classmethod
    async def start(cls, cpu_seconds: float, memory: int, wall_seconds: float) -> _Child:
        argv = [sys.executable, "-I", "-c", _BOOT, _ROOT, str(cpu_seconds), str(memory)]
        try:
            transport, child = await asyncio.get_running_loop().subprocess_exec(
                lambda: cls(wall_seconds),
                *argv,
                stdin=-1,
                stdout=-1,
                stderr=None,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},  # no secret of the daemon's environment
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the terminal is the daemon's affair
            )
        except OSError as error:
            raise Unavailable(f"the template process cannot be started: {error}") from error
        child._transport = transport
        child.pid = transport.get_pid()
        return child

    _transport: asyncio.SubprocessTransport

    async def ask(self, line: bytes) -> dict[str, Any]:
        """Send one line; give its reply, or `{"failed": why}` where it ended the child. Raises _Requeue."""
        if self.ended.done():
            raise _Requeue(at_hand=False)
        waiting: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._set_alarm()
        stdin = self._transport.get_pipe_transport(0)
        cast(asyncio.WriteTransport, stdin).write(line)
        return await waiting

    async def close(self) -> None:
        self._kill()
        await asyncio.shield(self.ended)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            self._answer(self._waiting.popleft(), json.loads(line))
            self._set_alarm()

    def connection_lost(self, error: Exception | None) -> None:
        """The process has ended and its pipes are empty (`process_exited` does not promise the second).

        The request at hand is to blame where a limit ended it; the others go to another child. A child that ends by
        itself (0) does so after an answer, and blames nobody.
        """
        self._set_alarm(off=True)
        code = self._transport.get_returncode()
        self._transport.close()
        if not self.ended.done():
            self.ended.set_result(None)
        if self._waiting and (self._late or code == -signal.SIGPROF):
            self._answer(self._waiting.popleft(), {"failed": "wall" if self._late else str(code)})
        for at, waiting in enumerate(self._waiting):
            if not waiting.done():
                waiting.set_exception(_Requeue(at_hand=at == 0 and code != 0))
        self._waiting.clear()

    def _answer(self, waiting: asyncio.Future[dict[str, Any]], reply: dict[str, Any]) -> None:
        if not waiting.done():  # whoever asked may have been cancelled meanwhile
            waiting.set_result(reply)

    def _set_alarm(self, *, off: bool = False) -> None:
        """Give the oldest request its time from now."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiting and not off:
            self._alarm = self._loop.call_later(self._wall_seconds, self._give_up)

    def _give_up(self) -> None:
        self._late = True
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended already
            self._transport.kill()
