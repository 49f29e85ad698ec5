"""What one command line is about: which instance, how to print, and the client that reaches it."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rota.domain.errors import Refused
from rota.domain.instant import Micros

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.instance import Instance

FORMATS = ("table", "wide", "json", "yaml", "jsonl", "name")


@dataclass
class Session:
    """The global options. Set while click parses, from the root towards the command: the last one typed wins."""

    home: str | None = None
    server: str | None = None
    output: str = "table"
    no_color: bool = False
    yes: bool = False
    no_input: bool = False
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def instance(self) -> Instance:
        from rota.instance import resolve

        return resolve(home=self.home, server=self.server, env=self.env)

    @contextmanager
    def client(self, *, may_create: bool = False, may_pretend: bool = False) -> Iterator[Client]:
        """Reach the instance. Only a verb that makes something (`may_create`) may make the store for it.

        What only judges words (`may_pretend`) does with an empty instance that is gone afterwards, where there is none.
        """
        from rota.cli.connect import connect

        with connect(self.instance, may_create=may_create, may_pretend=may_pretend, say=say) as client:
            yield client

    def now(self) -> Micros:
        """This machine's time, for the ages that are shown. Decisions are the server's, by its own clock."""
        return time.time_ns() // 1000

    @property
    def is_for_people(self) -> bool:
        """Whether tables are printed, rather than something for a program to read."""
        return self.output in ("table", "wide")

    @property
    def wide(self) -> bool:
        return self.output == "wide"

    @property
    def terminal_width(self) -> int | None:
        """Columns of the terminal that stdout is; None where nothing is to be cut: in a pipe, and of `-o wide`."""
        if self.wide or not sys.stdout.isatty():
            return None
        try:
            return int(self.env["COLUMNS"])
        except (KeyError, ValueError):
            return os.get_terminal_size(sys.stdout.fileno()).columns or None

    @property
    def colours(self) -> bool:
        """no-color.org, and the usual FORCE_COLOR for those who pipe into `less -R`."""
        if self.no_color or self.env.get("NO_COLOR"):
            return False
        if self.env.get("FORCE_COLOR"):
            return True
        return sys.stdout.isatty() and self.env.get("TERM") != "dumb"

    def confirm(self, question: str) -> bool:
        """Ask before what cannot be undone. Raises Refused where nobody is there to answer."""
        if self.yes:
            return True
        if self.no_input or not sys.stdin.isatty():
            raise Refused(f"not done without a confirmation: {question}", hint="add --yes")
        sys.stderr.write(f"{harmless(question)} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def out(text: str, *, painted: bool = False) -> None:
    """Data: a line, or several, on stdout. Harmless on a terminal, and as it is in a pipe.

    `painted`: the text has colours of ours, and whoever put them in has made the rest of it harmless.
    """
    sys.stdout.write(f"{text if painted or not sys.stdout.isatty() else harmless(text)}\n")


def say(text: str) -> None:
    """Talk: on stderr, so that data can be piped. Always harmless, whatever names and messages it quotes."""
    sys.stdout.flush()  # keeps the order where both lead to one terminal
    sys.stderr.write(f"{harmless(text)}\n")
    sys.stderr.flush()


# C0 but for tab and line feed, DEL, C1, and the marks that turn the direction of writing.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """`text` without what would move a cursor, rewrite a title or turn what is read: a host's words are not ours."""
    return text if text.isascii() and text.isprintable() else _HARMFUL.sub("�", text)
