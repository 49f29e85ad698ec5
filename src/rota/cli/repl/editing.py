"""For a person at a terminal: line editing, history and completion, by the readline that Python comes with."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from rota.cli.command import Group
from rota.cli.session import Session
from rota.domain.errors import RotaError

PROMPT = "rota> "
_KEPT = 1000  # lines of history
_OF_THE_SHELL = ("exit", "help", "logs")


def typed_lines(session: Session, root: Group) -> Iterator[str]:
    """What a person types, until `exit` or the end of input. Ctrl-C gives up a line, not the shell."""
    with _readline(session, root):
        while True:
            try:
                yield input(PROMPT)
            except KeyboardInterrupt:
                sys.stdout.write("\n")
            except EOFError:
                sys.stdout.write("\n")
                return


@contextlib.contextmanager
def _readline(session: Session, root: Group) -> Iterator[None]:
    """History is kept in the instance, for its owner only. A line that begins with a space is not kept."""
    try:
        import readline
    except ImportError:  # a Python without it: lines are typed as they are
        yield
        return
    history = session.instance.home / "shell_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    completer = Completer(session, root)
    readline.set_completer(completer)
    readline.set_completer_delims(" \t")
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        _keep(history, [readline.get_history_item(n + 1) for n in range(readline.get_current_history_length())])


def _keep(history: Path, lines: Sequence[str]) -> None:
    kept = [line for line in lines if line and not line.startswith(" ")][-_KEPT:]
    if history.parent.is_dir():
        with contextlib.suppress(OSError):
            history.touch(mode=0o600)
            history.write_text("".join(f"{line}\n" for line in kept))


class Completer:
    """Completes commands, options and the names of schedules. readline asks for one candidate after another."""

    def __init__(self, session: Session, root: Group) -> None:
        self._session, self._root = session, root
        self._found: list[str] = []

    def __call__(self, text: str, state: int) -> str | None:
        if state == 0:
            import readline

            self._found = self.candidates(readline.get_line_buffer()[: readline.get_begidx()], text)
        return self._found[state] if state < len(self._found) else None

    def candidates(self, before: str, text: str) -> list[str]:
        """What may stand where `text` is being typed, behind `before`, a space after each."""
        words = before.split()
        slash = "/" if not words and text.startswith("/") else ""
        if words:
            words[0] = words[0].removeprefix("/")
        command, consumed = self._walk([word for word in words if word != "rota"])
        known: list[str] = []
        if isinstance(command, click.Group) and not consumed:
            with click.Context(command) as context:
                known += command.list_commands(context)
            known += _OF_THE_SHELL if command is self._root else ()
        if isinstance(command, click.Group) and command.name == "schedule":
            known += ["pause", "resume"]
        if text.startswith("-"):
            with click.Context(command) as context:
                known = [option for param in command.get_params(context) for option in param.opts if option[:1] == "-"]
        elif command is not self._root and not words[-1].startswith("-"):
            known += [shlex.quote(name) for name in self._names()]
        return sorted(f"{slash}{name} " for name in set(known) if f"{slash}{name}".startswith(text))

    def _walk(self, words: Sequence[str]) -> tuple[click.Command, bool]:
        """The command that these words have reached, and whether some of them are its arguments already."""
        command: click.Command = self._root
        for word in words:
            below = None
            if isinstance(command, click.Group):
                with click.Context(command) as context:
                    below = command.get_command(context, word)
            if below is None:
                return command, True
            command = below
        return command, False

    def _names(self) -> list[str]:
        """The schedules there are; none where the instance cannot be reached."""
        try:
            with self._session.client() as client:
                return [job["name"] for job in client.jobs()["items"]]
        except RotaError:
            return []
