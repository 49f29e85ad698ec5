"""`rota hosts`: where jobs run."""

from __future__ import annotations

import click

from rota.cli.command import Group, Lazy

_HERE = "rota.cli.commands"


@click.group(
    "hosts",
    cls=Group,
    example="rota hosts add web-1 --address 10.0.0.11 --user deploy --tag env=prod\n"
    "rota hosts match 'tag:env=prod & !host:a'",
    lazy={
        "add": Lazy(f"{_HERE}.hosts_define:add", "Add a host."),
        "list": Lazy(f"{_HERE}.hosts_view:list_", "List the hosts."),
        "show": Lazy(f"{_HERE}.hosts_view:show", "Show everything about a host."),
        "update": Lazy(f"{_HERE}.hosts_define:update", "Change a host; what is not named stays as it is."),
        "remove": Lazy(f"{_HERE}.hosts_define:remove", "Remove a host."),
        "match": Lazy(f"{_HERE}.hosts_view:match", "Say which hosts a selector picks now."),
        "trust": Lazy(f"{_HERE}.hosts_trust:trust", "See and trust the keys that hosts show."),
        "ping": Lazy(f"{_HERE}.hosts_ping:ping", "Log in to hosts, to see whether commands could run there."),
        "import": Lazy(f"{_HERE}.hosts_import:import_", "Add many hosts from a file, all or none."),
    },
    aliases={"ls": "list", "rm": "remove"},
)
def hosts() -> None:
    """See and change the hosts that jobs run on."""
