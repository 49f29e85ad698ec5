"""`rota sites`: where hosts are."""

from __future__ import annotations

import click

from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.session import Session, out, say
from rota.cli.table import render


@click.group("sites", cls=Group, example="rota sites list\nrota hosts update web-1 --site berlin")
def sites() -> None:
    """See the sites that hosts are at; targets take them as site:NAME."""


@sites.command("list", example="rota sites list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the sites and their hosts. There is a site for as long as a host is at it."""
    with session.client() as client:
        page = client.sites()

    def people() -> None:
        if page["items"]:
            rows = [[site["name"], str(len(site["hosts"])), ", ".join(site["hosts"])] for site in page["items"]]
            out(render(["NAME", "COUNT", "HOSTS"], rows, width=session.terminal_width, elastic=[2]))
        else:
            say("No host is at a site yet. Say where one is: rota hosts update HOST --site NAME")

    emit(session, page, people=people)
