"""`rota version`."""

from __future__ import annotations

import click

from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.session import Session, out


@click.command("version", cls=Command, example="rota version")
@click.pass_obj
def version(session: Session) -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    found = version_of("rota")
    emit(session, {"version": found}, people=lambda: out(f"rota {found}"), name="version")
