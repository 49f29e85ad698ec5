"""`rota limits`: how much runs at one time, over all runs."""

from __future__ import annotations

import click

from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.options import dry_run
from rota.cli.session import Session, out, say
from rota.cli.table import render

_FIXED = "runs"  # a setting of the daemon, shown with the others


@click.group("limits", cls=Group, example="rota limits list\nrota limits set targets 200")
def limits() -> None:
    """See and set how much runs at one time.

    "targets" is how many hosts are at work at one time over all runs; "site:NAME", "group:NAME" and "host:NAME" how
    many of one site, group or host, "job:NAME" how many of one schedule. None is limited until you say so. "runs" is
    how many runs go on at one time; it is set in rota.yaml.
    """


@limits.command("list", example="rota limits list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the limits, and how much of each is used now."""
    with session.client() as client:
        page = client.limits()

    def people() -> None:
        rows = [[limit["key"], str(limit["cap"]), str(limit["used"])] for limit in page["items"]]
        out(render(["KEY", "LIMIT", "USED"], rows, width=session.terminal_width))
        if all(limit["key"] == _FIXED for limit in page["items"]):
            say("Targets are not limited. To limit them: rota limits set targets 200")

    emit(session, page, people=people, name="key")


@limits.command("set", example="rota limits set targets 200\nrota limits set site:berlin 20")
@click.argument("key")
@click.argument("number", type=int)
@dry_run
@click.pass_obj
def set_(session: Session, key: str, number: int, dry_run: bool) -> None:
    """Set a limit, from now on. What is at work beyond it goes on; 0 lets nothing more start."""
    with session.client(may_create=not dry_run, may_pretend=dry_run) as client:
        limit = client.set_limit(key, number, dry_run=dry_run)
    is_now = "would be" if dry_run else "is"
    emit(
        session,
        limit,
        people=lambda: out(f"{key} {is_now} limited to {limit['cap']} at one time ({limit['used']} now)"),
    )
    for warning in limit.get("warnings", []):
        say(f"Warning: {warning}")


@limits.command("remove", example="rota limits remove site:berlin")
@click.argument("key")
@dry_run
@click.pass_obj
def remove(session: Session, key: str, dry_run: bool) -> None:
    """Take a limit away, from now on."""
    with session.client() as client:
        client.remove_limit(key, dry_run=dry_run)
    word = "would not be limited any more" if dry_run else "is not limited any more"
    emit(session, {"removed": key}, people=lambda: out(f"{key} {word}"), name="removed")
