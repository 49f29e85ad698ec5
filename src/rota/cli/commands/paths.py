"""`rota paths`: where the instance keeps its files, and which database its store is in."""

from __future__ import annotations

import click

from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.session import Session, out
from rota.cli.texts import labelled


@click.command("paths", cls=Command, example="rota paths\nrota paths -o json")
@click.pass_obj
def paths(session: Session) -> None:
    """Print where the instance keeps its files, whether or not they are there yet, and which database it uses.

    With a database other than sqlite there is nothing in the files "store" and "output".
    """
    from rota.settings import load, masked

    instance = session.instance
    found = {
        "home": instance.home,
        "config": instance.config,
        "store": instance.store,
        "output": instance.output_store,
        "socket": instance.socket,
        "engine_lock": instance.engine_lock,
        "owners": instance.owners_dir,
        "keeper": instance.keeper_dir,
        "playbooks": instance.playbooks_dir,
        "known_hosts": instance.known_hosts,
        "keys": instance.keys_dir,
        "logs": instance.logs_dir,
        "backups": instance.backups_dir,
    }
    texts = {name: str(path) for name, path in found.items()}
    texts["database"] = masked(load(instance).database.url)
    emit(session, texts, people=lambda: out("\n".join(labelled(list(texts.items())))), name="home")
