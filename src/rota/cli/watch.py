"""Wait for a run and show it as it goes: live on a terminal, in lines elsewhere, silently for programs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from rota.cli.emit import emit
from rota.cli.failure import INTERRUPTED
from rota.cli.lines import Lines
from rota.cli.session import Session, out, say
from rota.cli.texts import rerun_hint, short_id, summary
from rota.cli.words import EXIT_OF_STATE, UNFINISHED, status_word
from rota.client.api import Client, Snapshot, Wrote
from rota.domain.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from rota.usecases.shapes import Output, Run

_RECONNECT_SECONDS = 20.0  # a daemon that restarts is back sooner, and its keeper has kept the run alive
_PAUSE_SECONDS = 0.25
_HOSTS_STEP_BY_STEP = 20  # of more hosts, lines tell only how each ended


class View(Protocol):
    """What shows a run that is going on."""

    def show(self, run: Run) -> None:
        """The run has changed: a whole snapshot."""

    def wrote(self, piece: Output) -> None:
        """A step wrote something."""

    def say(self, text: str) -> None:
        """A remark for the person who watches."""

    def close(self) -> None:
        """Print what is still held back and leave the terminal as it was."""


def watch(session: Session, client: Client, run: Run) -> int:
    """Follow `run` to its end, print how it ended, and return the exit code that says so.

    Ctrl-C leaves a run that a daemon carries out. Where this process does it, the first Ctrl-C cancels the run and
    waits, as leaving would leave nobody to see its end; the second leaves.
    """
    view = _view_for(session)
    progress = _Progress()
    interrupted = False
    if client.in_process:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
    try:
        while True:
            try:
                final = _to_the_end(client, run["id"], view, progress)
                break
            except KeyboardInterrupt:
                if interrupted or not client.in_process:
                    return _leave(client, run, view)
                interrupted = True
                view.say("Cancelling the run, as it is carried out by this command. Ctrl-C again leaves at once.")
                _cancel(client, run)
            except BrokenPipeError:
                if not client.in_process:
                    raise
                view = Silent()  # nobody reads on; as in any pipeline, that ends the work
                _cancel(client, run)
    finally:
        view.close()
    width = session.terminal_width or 80
    emit(session, final, people=lambda: out("\n".join(summary(final, session.now(), width=width))), name="id")
    if session.is_for_people and (hint := rerun_hint(final)) is not None:
        say(hint)
    return INTERRUPTED if interrupted else EXIT_OF_STATE.get(final["state"], 1)


class _Progress:
    """How far the output has been shown: where to go on after a lost connection."""

    def __init__(self) -> None:
        self.seq = 0


def _to_the_end(client: Client, run_id: str, view: View, progress: _Progress) -> Run:
    lost_at: float | None = None
    while True:
        try:
            for event in client.follow(run_id, after=progress.seq):
                lost_at = None
                match event:
                    case Wrote(output):
                        progress.seq = output["seq"]
                        view.wrote(output)
                    case Snapshot(run, final):
                        view.show(run)
                        if final:
                            return run
        except Unavailable:
            if client.in_process:
                raise
            if lost_at is None:
                lost_at = time.monotonic()
                view.say("Lost the daemon. Waiting for it to come back …")
            elif time.monotonic() - lost_at > _RECONNECT_SECONDS:
                raise Unavailable(
                    "lost the daemon while waiting for the run",
                    hint=f"rota daemon status, and then: rota runs show {short_id(run_id)}",
                ) from None
            time.sleep(_PAUSE_SECONDS)


def _cancel(client: Client, run: Run) -> None:
    with suppress(Conflict):  # it has ended meanwhile
        client.cancel_run(run["id"])


def _leave(client: Client, run: Run, view: View) -> int:
    name = short_id(run["id"])
    if not client.in_process:
        view.say(f"{name} goes on.\n  Watch it: rota runs watch {name}\n  Stop it:  rota runs cancel {name}")
        return INTERRUPTED
    view.say(f"Left {name}: its processes may still be running. What became of it: rota why {name}")
    view.close()
    sys.stdout.flush()
    # Not by an exception: closing the engine in this process would wait for the very run that is being left.
    os._exit(INTERRUPTED)


def _view_for(session: Session) -> View:
    if not session.is_for_people:
        return Silent()
    if sys.stdout.isatty() and session.env.get("TERM") != "dumb":
        from rota.cli.live import LiveView

        return LiveView(colours=session.colours, now=session.now)
    return PlainView()


class Silent:
    """For programs: they get the final run, and nothing before it."""

    def show(self, run: Run) -> None: ...

    def wrote(self, piece: Output) -> None: ...

    def say(self, text: str) -> None:
        say(text)

    def close(self) -> None: ...


class PlainView:
    """Lines: what hosts write on stdout, what becomes of them on stderr."""

    def __init__(self) -> None:
        self._lines = Lines(harmless=sys.stdout.isatty())
        self._shown: dict[str, tuple[str, str | None]] = {}  # host -> (state, step)
        self._state = ""

    def show(self, run: Run) -> None:
        for text in self._changes(run):
            say(text)

    def wrote(self, piece: Output) -> None:
        for line in self._lines.feed(piece):
            out(line)
        sys.stdout.flush()  # whoever reads the pipe reads along

    def say(self, text: str) -> None:
        say(text)

    def close(self) -> None:
        for line in self._lines.end():
            out(line)

    def _changes(self, run: Run) -> Iterator[str]:
        if run["state"] != self._state:
            self._state = run["state"]
            reason = f" for {run['waiting_for']}" if run["waiting_for"] else ""
            yield f"{short_id(run['id'])} {run['title']}: {status_word(run['state'])}{reason}"
        every_step = run["hosts"]["total"] <= _HOSTS_STEP_BY_STEP
        for target in run.get("targets", []):
            if not every_step and target["state"] in UNFINISHED:
                continue
            now = (target["state"], target["step"])
            if self._shown.get(target["host"]) != now:
                self._shown[target["host"]] = now
                step = f", step {target['step']}" if target["step"] else ""
                reason = f" ({target['reason']})" if target["reason"] else ""
                yield f"{target['host']}: {status_word(target['state'])}{step}{reason}"
