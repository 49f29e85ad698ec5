"""`rota groups`: names for several hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.inventory_flags import in_flags
from rota.cli.options import Faults, dry_run
from rota.cli.selectors import typed_selector
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.cli.texts import labelled

if TYPE_CHECKING:
    from rota.domain.step import Json

_NOT_REMOVED = 7


@click.group(
    "groups",
    cls=Group,
    example="rota groups add web --host web-1 --host web-2\nrota groups add prod --match tag:env=prod",
)
def groups() -> None:
    """Name groups of hosts; targets take them as group:NAME.

    A static group has the hosts that were put into it; a dynamic one has those that its selector picks at the time.
    """


@groups.command("list", example="rota groups list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the groups and their hosts."""
    with session.client() as client:
        page = client.groups()

    def people() -> None:
        if page["items"]:
            rows = [
                [
                    group["name"],
                    group["selector"] or times.NONE,
                    str(len(group["hosts"])),
                    ", ".join(group["hosts"]) or times.NONE,
                ]
                for group in page["items"]
            ]
            titles = ["NAME", "SELECTOR", "COUNT", "HOSTS"]
            out(render(titles, rows, width=session.terminal_width, elastic=[1, 3]))
        else:
            say("No groups yet. Make one: rota groups add web")

    emit(session, page, people=people)


@groups.command("show", example="rota groups show web")
@click.argument("name")
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show a group, and the hosts that are in it now, disabled ones too."""
    with session.client() as client:
        group = client.group(name)
    rows = [
        ("Name", group["name"]),
        ("Description", group["description"] or times.NONE),
        ("Kind", "static" if group["selector"] is None else "dynamic"),
        *([] if group["selector"] is None else [("Selector", group["selector"])]),
        ("Hosts", "\n".join(group["hosts"]) or times.NONE),
    ]
    emit(session, group, people=lambda: out("\n".join(labelled(rows))))


@groups.command("add", example="rota groups add web --host web-1 --host web-2")
@click.argument("name")
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="A host that is in it; may be repeated.")
@click.option("--match", metavar="SELECTOR", help="Make it dynamic: in it is what this picks at the time.")
@click.option("--description", metavar="TEXT", help="What it is for, in your words.")
@dry_run
@click.pass_obj
def add(
    session: Session, name: str, hosts: Sequence[str], match: str | None, description: str | None, dry_run: bool
) -> None:
    """Make a group. Hosts can join it later: rota groups update NAME --add-host HOST."""
    body: dict[str, Json] = {"name": name}
    if hosts:
        body["hosts"] = [*hosts]
    if match is not None:
        body["selector"] = typed_selector(match)
    if description is not None:
        body["description"] = description
    with session.client(may_create=not dry_run, may_pretend=dry_run) as client:
        group = in_flags(lambda: client.add_group(body, dry_run=dry_run))
    word = "would be added" if dry_run else "added"
    emit(session, group, people=lambda: out(f'Group "{group["name"]}" {word}'))
    if not group["hosts"]:
        say("No host is in it now.")


@groups.command("update", example="rota groups update web --add-host web-3 --remove-host web-1")
@click.argument("name")
@click.option("--add-host", "joining", metavar="HOST", multiple=True, help="A host that joins; may be repeated.")
@click.option("--remove-host", "leaving", metavar="HOST", multiple=True, help="A host that leaves; may be repeated.")
@click.option("--match", metavar="SELECTOR", help="Of a dynamic group: what is in it from now on.")
@click.option("--description", metavar="TEXT", help="What it is for, in your words.")
@dry_run
@click.pass_obj
def update(
    session: Session,
    name: str,
    joining: Sequence[str],
    leaving: Sequence[str],
    match: str | None,
    description: str | None,
    dry_run: bool,
) -> None:
    """Change a group, or who is in it. Runs that have been made keep their hosts."""
    body: dict[str, Json] = {}
    if joining:
        body["add_hosts"] = [*joining]
    if leaving:
        body["remove_hosts"] = [*leaving]
    if match is not None:
        body["selector"] = typed_selector(match)
    if description is not None:
        body["description"] = description
    if not body:
        faults = Faults()
        faults.add("", "nothing to change", expected="an option that names what to change")
        faults.raise_any(hint=f"such as: rota groups update {name} --add-host HOST")
    with session.client() as client:
        group = in_flags(lambda: client.update_group(name, body, dry_run=dry_run))
    word = "would be updated" if dry_run else "updated"
    count = len(group["hosts"])
    emit(session, group, people=lambda: out(f'Group "{group["name"]}" {word}: {count} host{"s" * (count != 1)} in it'))


@groups.command("remove", example="rota groups remove web --yes")
@click.argument("name")
@dry_run
@click.pass_obj
def remove(session: Session, name: str, dry_run: bool) -> int:
    """Remove a group. Its hosts stay."""
    with session.client() as client:
        client.remove_group(name, dry_run=True)  # what stands in the way is told before anything is asked
        if not dry_run:
            if not session.confirm(f'Remove group "{name}"? Its hosts stay.'):
                say("Not removed.")
                return _NOT_REMOVED
            client.remove_group(name)
    word = "would be removed" if dry_run else "removed"
    emit(session, {"removed": name}, people=lambda: out(f'Group "{name}" {word}'), name="removed")
    return 0
