"""`rota shell`: the same commands, line by line."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from rota.cli.command import Command
from rota.cli.session import Session


@click.command("shell", cls=Command, example="rota shell")
@click.pass_obj
def shell(session: Session) -> int:
    """Type commands without "rota" before them; `exit` or Ctrl-D leaves.

    All commands are there, also with a slash: /jobs list, /run NAME, /logs NAME, /schedule list. To change when a
    schedule is due, say it: /schedule NAME every 5m, /schedule NAME weekdays 9am. What is piped in is carried out line
    by line; the exit code is that of the first line that failed.
    """
    from rota.cli.main import rota
    from rota.cli.repl.editing import typed_lines
    from rota.cli.repl.loop import converse

    lines: Iterator[str] = typed_lines(session, rota) if sys.stdin.isatty() else iter(sys.stdin)
    return converse(session, lines)
