"""`rota hosts`: where jobs run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.options import Faults, dry_run
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.cli.texts import labelled, short_id

if TYPE_CHECKING:
    from rota.domain.step import Json
    from rota.usecases.shapes import Host

_NOT_REMOVED = 7


@click.group("hosts", cls=Group, example="rota hosts list\nrota hosts match 'tag:env=prod & !host:a'")
def hosts() -> None:
    """See and change the hosts that jobs run on."""


@hosts.command("list", example="rota hosts list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the hosts."""
    with session.client() as client:
        page = client.hosts()

    def people() -> None:
        titles = ["NAME", "CONNECTOR", "ADDRESS", "OS", "GROUPS", "TAGS", "STATUS"]
        rows = [
            [
                host["name"],
                host["connector"],
                host["address"] or times.NONE,
                host["os"] or times.NONE,
                ",".join(host["groups"]) or times.NONE,
                _tags(host) or times.NONE,
                _status(host),
            ]
            for host in page["items"]
        ]
        out(render(titles, rows, width=session.terminal_width))

    emit(session, page, people=people)


@hosts.command("show", example="rota hosts show local")
@click.argument("name")
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show a host."""
    with session.client() as client:
        host = client.host(name)
    emit(session, host, people=lambda: out("\n".join(labelled(_rows(host)))))


@hosts.command("add", example="rota hosts add web-1 --tag env=prod")
@click.argument("name")
@click.option("--connector", metavar="KIND", default="local", show_default=True, help="How it is reached.")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="A tag; may be repeated.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="A group it is in; may be repeated.")
@dry_run
@click.pass_obj
def add(session: Session, name: str, connector: str, tags: Sequence[str], groups: Sequence[str], dry_run: bool) -> None:
    """Add a host."""
    faults = Faults()
    body: dict[str, Json] = {"name": name, "connector": connector}
    if pairs := faults.variables(tags, "--tag"):
        body["tags"] = {**pairs}
    if groups:
        body["groups"] = [*groups]
    faults.raise_any()
    if dry_run:
        emit(session, body, people=lambda: out(f'Host "{name}" would be added'))
        return
    with session.client(may_create=True) as client:
        host = client.add_host(body)
        is_first = len(client.hosts()["items"]) == 2  # the other is local
    emit(session, host, people=lambda: out(f'Host "{host["name"]}" added (ID: {short_id(host["id"])})'))
    if is_first:
        say('From now on "all" means the hosts you add. This machine is still there, as host:local.')


@hosts.command("update", example="rota hosts update web-1 --tag env=staging --disabled true")
@click.argument("name")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="Set a tag; may be repeated.")
@click.option("--unset-tag", "unset", metavar="KEY", multiple=True, help="Take a tag away; may be repeated.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="All groups it is in; may be repeated.")
@click.option("--disabled", metavar="true|false", help="Whether it is left out of all targets.")
@dry_run
@click.pass_obj
def update(
    session: Session,
    name: str,
    tags: Sequence[str],
    unset: Sequence[str],
    groups: Sequence[str],
    disabled: str | None,
    dry_run: bool,
) -> None:
    """Change a host; what is not named stays as it is. Runs under way keep the host as it was."""
    faults = Faults()
    pairs = faults.variables(tags, "--tag")
    switched = faults.truth("--disabled", disabled)
    if not (tags or unset or groups or disabled):
        faults.add("", "nothing to change", expected="an option that names what to change")
    faults.raise_any(hint=f"such as: rota hosts update {name} --tag env=prod")
    body: dict[str, Json] = {}
    if groups:
        body["groups"] = [*groups]
    if switched is not None:
        body["disabled"] = switched
    with session.client() as client:
        host = client.host(name)
        if tags or unset:
            kept = {key: value for key, value in host["tags"].items() if key not in unset}
            body["tags"] = {**kept, **pairs}
        if not dry_run:
            host = client.update_host(name, body)
    word = "would be updated" if dry_run else "updated"
    emit(session, host, people=lambda: out(f'Host "{host["name"]}" {word}'))


@hosts.command("remove", example="rota hosts remove web-1 --yes")
@click.argument("name")
@dry_run
@click.pass_obj
def remove(session: Session, name: str, dry_run: bool) -> int:
    """Remove a host. Its part in the history stays."""
    with session.client() as client:
        host = client.host(name)
        answer = {"removed": host["name"], "id": host["id"]}
        if not dry_run:
            if not session.confirm(f'Remove host "{host["name"]}"? Its part in the history stays.'):
                say("Not removed.")
                return _NOT_REMOVED
            client.remove_host(name)
    word = "would be removed" if dry_run else "removed"
    emit(session, answer, people=lambda: out(f'Host "{host["name"]}" {word}'), name="removed")
    return 0


@hosts.command("match", example="rota hosts match 'group:web & !host:web-3'")
@click.argument("selector")
@click.pass_obj
def match(session: Session, selector: str) -> None:
    """Say which hosts a selector picks now."""
    with session.client() as client:
        names = client.match_hosts(selector)

    def people() -> None:
        if names["items"]:
            out("\n".join(names["items"]))
        else:
            say(f'"{selector}" picks no host. All hosts: rota hosts list')

    emit(session, names, people=people)


def _status(host: Host) -> str:
    """`local` steps back as soon as there is another host; who relied on it in `all` should see that here."""
    if host["disabled"]:
        return "disabled"
    return "enabled" if host["in_all"] else "enabled, not in all"


def _tags(host: Host) -> str:
    return ",".join(f"{key}={value}" if value else key for key, value in sorted(host["tags"].items()))


def _rows(host: Host) -> list[tuple[str, str]]:
    return [
        ("Name", host["name"]),
        ("ID", short_id(host["id"])),
        ("Connector", host["connector"]),
        ("Address", host["address"] or times.NONE),
        ("OS", host["os"] or times.NONE),
        ("Site", host["site"] or times.NONE),
        ("Groups", ", ".join(host["groups"]) or times.NONE),
        ("Tags", _tags(host) or times.NONE),
        ("Enabled", "false" if host["disabled"] else "true"),
        ("In All", "true" if host["in_all"] else "false"),
    ]
