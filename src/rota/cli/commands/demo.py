"""`rota demo`."""

from __future__ import annotations

import click

from rota.cli.command import Command


@click.command("demo", cls=Command, example="rota demo")
def demo() -> int:
    """See Rota work: a daemon on a scratch instance with two schedules, one of them every 20 s.

    Ctrl-C ends it and leaves nothing behind.
    """
    from rota.demo.show import run

    return run()
