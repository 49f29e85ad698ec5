"""`hosts list|show|match`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.selectors import nothing_picked, typed_selector, what_there_is
from rota.cli.session import Session, out, say
from rota.cli.table import render
from rota.cli.texts import labelled, short_id

if TYPE_CHECKING:
    from rota.usecases.shapes import Host

_OF_A_FILE = (
    ("Key File", "key_file"),
    ("Passphrase File", "passphrase_file"),
    ("Password File", "password_file"),
    ("Sudo Password File", "sudo_password_file"),
)


@click.command("list", cls=Command, example="rota hosts list\nrota hosts list -o yaml > hosts.yaml")
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
                login(host) or times.NONE,
                host["os"] or times.NONE,
                ",".join(host["groups"]) or times.NONE,
                _pairs(host["tags"], ",") or times.NONE,
                _status(host),
            ]
            for host in page["items"]
        ]
        if session.wide:
            titles += ["SITE", "JUMP", "VERSION"]
            for row, host in zip(rows, page["items"], strict=True):
                version = times.NONE if host["version"] is None else str(host["version"])
                row += [host["site"] or times.NONE, host["jump"] or times.NONE, version]
        out(render(titles, rows, width=session.terminal_width, elastic=[4, 5, 2]))

    emit(session, page, people=people)


@click.command("show", cls=Command, example="rota hosts show local")
@click.argument("name")
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show everything about a host."""
    with session.client() as client:
        host = client.host(name)
    emit(session, host, people=lambda: out("\n".join(labelled(_rows(host)))))


@click.command(
    "match",
    cls=Command,
    example="rota hosts match 'group:web & !host:web-3'\nrota hosts match @hosts.txt",
)
@click.argument("selector")
@click.pass_obj
def match(session: Session, selector: str) -> None:
    """Say which hosts a selector picks now.

    @FILE and - stand for a file, and for standard input, with a host or a selector on each line.
    """
    with session.client() as client:
        names = client.match_hosts(typed_selector(selector))
        emit(session, names, people=lambda: out("\n".join(names["items"])) if names["items"] else None)
        if not names["items"]:
            say("\n".join([f"{nothing_picked(selector)}.", *(f"  {line}" for line in what_there_is(client))]))


def login(host: Host) -> str:
    """`deploy@10.0.0.11:2222`, as far as it is said."""
    address = host["address"] or ""
    if host["port"] is not None:
        shown = address or host["name"]
        address = f"[{shown}]:{host['port']}" if ":" in shown else f"{shown}:{host['port']}"
    return f"{host['user']}@{address or host['name']}" if host["user"] else address


def _status(host: Host) -> str:
    """`local` steps back as soon as there is another host; who relied on it in `all` should see that here."""
    if host["disabled"]:
        return "disabled"
    return "enabled" if host["in_all"] else "enabled, not in all"


def _pairs(pairs: dict[str, str], separator: str) -> str:
    return separator.join(f"{key}={value}" if value else key for key, value in sorted(pairs.items()))


def _rows(host: Host) -> list[tuple[str, str]]:
    rows = [
        ("Name", host["name"]),
        ("ID", short_id(host["id"])),
        ("Connector", host["connector"]),
        ("Address", login(host) or times.NONE),
        *((label, host[name]) for label, name in _OF_A_FILE if host[name]),  # type: ignore[literal-required]  # names of the shape
        ("Jump", host["jump"] or times.NONE),
        ("OS", host["os"] or times.NONE),
        ("Site", host["site"] or times.NONE),
        ("Groups", ", ".join(host["groups"]) or times.NONE),
        ("Tags", _pairs(host["tags"], ", ") or times.NONE),
        ("Variables", _pairs(host["vars"], "\n") or times.NONE),
        ("Enabled", "false" if host["disabled"] else "true"),
        ("In All", "true" if host["in_all"] else "false"),
    ]
    if host["version"] is not None:
        rows.append(("Version", f"{host['version']}, saved {times.utc(host['updated_at'])} UTC"))
    return rows
