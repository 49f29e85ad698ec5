"""`rota schedule`, also `rota jobs`: the words of seed 1."""

from __future__ import annotations

import click

from rota.cli.command import Group, Lazy

_HERE = "rota.cli.commands"


@click.group(
    "schedule",
    cls=Group,
    example="rota schedule list",
    lazy={
        "create": Lazy(f"{_HERE}.schedule_define:create", "Make a schedule."),
        "list": Lazy(f"{_HERE}.schedule_view:list_", "List all schedules with their last run."),
        "show": Lazy(f"{_HERE}.schedule_view:show", "Show everything about a schedule."),
        "update": Lazy(f"{_HERE}.schedule_define:update", "Change a schedule; what is not named stays as it is."),
        "enable": Lazy(f"{_HERE}.schedule_act:enable", "Let a schedule fire again."),
        "disable": Lazy(f"{_HERE}.schedule_act:disable", "Keep a schedule from firing, and keep the schedule."),
        "delete": Lazy(f"{_HERE}.schedule_act:delete", "Remove a schedule; its runs stay until retention."),
        "history": Lazy(f"{_HERE}.schedule_view:history", "List past runs, and what did not run."),
        "trigger": Lazy(f"{_HERE}.schedule_act:trigger", "Run a schedule now, and watch it."),
        "preview": Lazy(f"{_HERE}.preview:preview", "Show when a schedule starts next, or when a text would."),
        "logs": Lazy(f"{_HERE}.schedule_act:logs", "Print what the latest run of a schedule wrote."),
        "cancel": Lazy(f"{_HERE}.schedule_act:cancel", "Cancel the unfinished runs of a schedule."),
    },
    aliases={"ls": "list", "rm": "delete", "run": "trigger"},
)
def schedule() -> None:
    """Make, see and manage schedules (also: jobs).

    A schedule says what to run, where, and when. Every command takes its name, its id, or the beginning of its id.
    """
