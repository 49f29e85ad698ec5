"""`rota`: the root of the commands, and the entry point that turns every ending into an exit code."""

from __future__ import annotations

import gc
import os
import sys

import click

from rota.cli.command import Group, Lazy
from rota.cli.failure import BROKEN_PIPE, report
from rota.cli.session import Session

_HERE = "rota.cli.commands"
_COMPLETION = "_ROTA_COMPLETE"


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    example='rota schedule create --name daily-backup --cron "0 2 * * *" --playbook backup --target all',
    lazy={
        "schedule": Lazy(f"{_HERE}.schedule:schedule", "Make, see and manage schedules (also: jobs)."),
        "run": Lazy(f"{_HERE}.run:run", "Run a playbook, a command or a schedule now, and watch it."),
        "runs": Lazy(f"{_HERE}.runs:runs", "See what ran: list, logs, cancel, rerun."),
        "why": Lazy(f"{_HERE}.why:why", "Say why something ran, waits, failed or did not run."),
        "calendars": Lazy(f"{_HERE}.calendars:calendars", "Say when nothing may start: blackouts, windows, holidays."),
        "pause": Lazy(f"{_HERE}.pause:pause", "Keep a schedule, a tag or everything from starting for a while."),
        "resume": Lazy(f"{_HERE}.pause:resume", "End a pause."),
        "playbook": Lazy(f"{_HERE}.playbook:playbook", "See, check, run and import playbooks."),
        "hosts": Lazy(f"{_HERE}.hosts:hosts", "See and change the hosts that jobs run on."),
        "groups": Lazy(f"{_HERE}.groups:groups", "Name groups of hosts."),
        "sites": Lazy(f"{_HERE}.sites:sites", "See the sites that hosts are at."),
        "limits": Lazy(f"{_HERE}.limits:limits", "See and set how much runs at one time."),
        "daemon": Lazy(f"{_HERE}.daemon:daemon", "Run and look after the daemon, which makes schedules fire."),
        "db": Lazy(f"{_HERE}.db:db", "Look after the database: check it, upgrade its schema, copy it to another."),
        "backup": Lazy(f"{_HERE}.backup:backup", "Back the instance up, check a backup, restore one."),
        "demo": Lazy(f"{_HERE}.demo:demo", "See Rota work, on a scratch instance that leaves nothing behind."),
        "paths": Lazy(f"{_HERE}.paths:paths", "Print where the instance keeps its files."),
        "shell": Lazy(f"{_HERE}.shell:shell", "Type commands line by line, with history and completion."),
        "version": Lazy(f"{_HERE}.version:version", "Print the version."),
    },
    aliases={
        **dict.fromkeys(("jobs", "job", "schedules"), "schedule"),
        "playbooks": "playbook",
        "calendar": "calendars",
    },
)
def rota() -> None:
    """Rota runs commands and playbooks on a timetable, and can always say what ran, what did not, and why."""


def main() -> None:
    """The console script. Exit codes are those of DESIGN §4."""
    gc.set_threshold(200_000, 20, 100)  # what is imported stays: to look through it all the while is a fifth of a start
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that cannot print → must not end us
    sys.exit(run(sys.argv[1:]))


def run(args: list[str], session: Session | None = None) -> int:
    """Carry out one command line and return its exit code. `session`: global options that are set already."""
    if _COMPLETION in os.environ:  # a shell asks what could be typed next
        rota.main(args, prog_name="rota", complete_var=_COMPLETION)
    try:
        # Not `rota.main`, which has exit codes of its own for a broken pipe and an interrupt.
        with rota.make_context("rota", args, obj=session or Session()) as context:
            code = rota.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except BrokenPipeError:
        # Whoever read our output has left: no message, and none from the interpreter's own last flush either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SystemExit:
        raise
    except BaseException as error:
        return report(error)
    return code if isinstance(code, int) else 0
