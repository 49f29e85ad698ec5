"""A page's `console` blocks as commands with the output they promise, and a scratch instance to try them on.

    $ rota schedule list           a command; it goes on in the lines that begin with `> `
    Daemon: running (PID 48201)    what it prints: its stdout, or its stderr where it prints nothing there

`$ rota daemon` starts the daemon that the rest of the page talks to. A `yaml` block whose first line is a comment
that names a file (`# greet.yaml`) is written to that file before the commands behind it run. What differs from run to
run is replaced on both sides before they are compared: ids, PIDs, instants, ages, durations, digests, folders,
accounts; white space is collapsed.

    python -m tests.docs.console README.md     put in what the commands print now, where that differs
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.warm import run_rota

_SHELL_S_OWN = set("|&;<>()$`\\*?[]#~={}!\n")
_BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w.-]+\.yaml)\n")
HOME_IN_DOCS = "/home/you/.local/share/rota"

_VARIES = (
    (r"\bis being cancelled\b", "cancelled"),  # it may have ended by the time of the answer
    (r"\b(sched|run|host|play|tgt|att)_[0-9a-f]{8,16}\b", r"\1_ID"),
    (r"\bRun [0-9a-f]{8}\b", "Run ID"),
    (r"\bPID:? \d+", "PID N"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?", "TIME"),
    (r"\b(\d+[wdhms]|just now) ago\b|\bjust now\b", "AGE"),
    (r"\b(\d+[dhm] )*\d+(\.\d+)?(ms|s)\b", "DURATION"),
    (r"\b[0-9a-f]{12}\b", "DIGEST"),
    (r"\b\d{4}[a-z] \((system|package tzdata)\)", "RELEASE"),
    (r"[─-]{3,}", ""),
    (r"[ \t]+", " "),
)


@dataclass(frozen=True)
class Step:
    """A command with the output it promises; or, where `file` is set, a file to write."""

    command: str = ""
    promised: str = ""
    file: str = ""
    content: str = ""


def steps(page: str) -> Iterator[Step]:
    """What a page tells its reader to do, in order."""
    for kind, text in _BLOCK.findall(page):
        if kind == "console":
            yield from _commands(text)
        elif named := _FILE.match(text):
            yield Step(file=named[1], content=text)


def _commands(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while count < len(lines) and lines[count].startswith("> "):
            count += 1
        command = "\n".join([lines[0], *(line[2:] for line in lines[1:count])])
        yield Step(command=command, promised="\n".join(lines[count:]))


def alike(text: str) -> list[str]:
    """The lines of `text` without what differs from run to run."""
    for pattern, replacement in _VARIES:
        text = re.sub(pattern, replacement, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


class Terminal:
    """A shell on a scratch instance. `folder` holds the instance and is where the commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.daemon: subprocess.Popen[str] | None = None
        self._env = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(folder),
            "ROTA_HOME": str(self.home),
            "TZ": "UTC",
            "LANG": "C.UTF-8",
        }

    def type(self, step: Step) -> str:
        """Do what `step` says; give what it printed, with the folders and accounts of the docs."""
        if step.file:
            (self.folder / step.file).write_text(step.content)
            return ""
        printed = self._start_daemon() if step.command == "rota daemon" else self._run(step.command)
        printed = printed.replace(str(self.home), HOME_IN_DOCS).rstrip()
        return re.sub(
            rf"((?:\b[Bb]y|\bas|Created By:|Started By:) +){re.escape(getpass.getuser())}\b", r"\1you", printed
        )

    def _run(self, command: str) -> str:
        if command.startswith("rota ") and not _SHELL_S_OWN & set(command):  # a shell would do nothing but start it
            said = run_rota(shlex.split(command)[1:], env=self._env, folder=self.folder, seconds=60)
            return said.out or said.err
        ended = subprocess.run(
            ["/bin/bash", "-c", command],
            check=False,  # some examples fail on purpose
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ended.stdout or ended.stderr

    def _start_daemon(self) -> str:
        self.daemon = subprocess.Popen(
            ["rota", "daemon"],
            executable=str(Path(sys.executable).with_name("rota")),
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.daemon.stdout is not None
        banner = []
        for line in self.daemon.stdout:
            banner.append(line)
            if line.startswith("Dashboard sync"):
                break
        return "".join(banner)

    def prepare(self, todo: Sequence[Step]) -> None:
        """Start the daemon where the page takes it for granted."""
        if not any(step.command == "rota daemon" for step in todo):
            self._start_daemon()

    def close(self) -> None:
        """End the daemon, and with it whatever still runs."""
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.communicate(timeout=60)


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """Give a terminal, whose daemon ends with the context."""
    opened = Terminal(folder)
    try:
        yield opened
    finally:
        opened.close()


def refreshed(page: str, at_terminal: Terminal) -> str:
    """`page` with what its commands print now, where that is not alike."""
    todo = list(steps(page))
    at_terminal.prepare(todo)
    for step in todo:
        printed = at_terminal.type(step)
        if step.command and alike(printed) != alike(step.promised):
            typed = "$ " + step.command.replace("\n", "\n> ") + "\n"
            end = "" if step.promised.strip() else "\n"  # nothing was promised yet
            page = page.replace(typed + step.promised.strip("\n"), typed + printed + end, 1)
    return page


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory(prefix="rota-docs-") as scratch, terminal(Path(scratch)) as opened:
            Path(name).write_text(refreshed(Path(name).read_text(), opened))
