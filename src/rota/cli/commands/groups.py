"""`rota groups`: names for several hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.options import dry_run
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.domain.errors import NotFound, near

if TYPE_CHECKING:
    from rota.client.api import Body

_NOT_REMOVED = 7


@click.group("groups", cls=Group, example="rota groups list\nrota hosts update web-1 --group web")
def groups() -> None:
    """Name groups of hosts; targets take them as group:NAME."""


@groups.command("list", example="rota groups list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the groups and their hosts."""
    with session.client() as client:
        page = client.groups()

    def people() -> None:
        if page["items"]:
            rows = [[group["name"], ", ".join(group["hosts"])] for group in page["items"]]
            out(render(["NAME", "HOSTS"], rows, width=session.terminal_width))
        else:
            say("No groups yet. Make one: rota groups add web")

    emit(session, page, people=people)


@groups.command("add", example="rota groups add web --host web-1 --host web-2")
@click.argument("name")
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="A host that is in it; may be repeated.")
@dry_run
@click.pass_obj
def add(session: Session, name: str, hosts: Sequence[str], dry_run: bool) -> None:
    """Make a group. Hosts can join it later: rota hosts update HOST --group NAME."""
    body: Body = {"name": name, **({"hosts": [*hosts]} if hosts else {})}
    if dry_run:
        emit(session, body, people=lambda: out(f'Group "{name}" would be added'))
        return
    with session.client(may_create=True) as client:
        group = client.add_group(body)
    emit(session, group, people=lambda: out(f'Group "{group["name"]}" added'))


@groups.command("remove", example="rota groups remove web --yes")
@click.argument("name")
@dry_run
@click.pass_obj
def remove(session: Session, name: str, dry_run: bool) -> int:
    """Remove a group. Its hosts stay."""
    with session.client() as client:
        known = [group["name"] for group in client.groups()["items"]]
        if name not in known:
            meant = f"{near(name, known)} Or see: rota groups list".lstrip()
            raise NotFound(f'there is no group "{name}"', hint=meant)
        if not dry_run:
            if not session.confirm(f'Remove group "{name}"? Its hosts stay.'):
                say("Not removed.")
                return _NOT_REMOVED
            client.remove_group(name)
    word = "would be removed" if dry_run else "removed"
    emit(session, {"removed": name}, people=lambda: out(f'Group "{name}" {word}'), name="removed")
    return 0
