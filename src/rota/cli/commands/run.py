"""`rota run`: now, without a timetable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rota.cli.command import Command
from rota.cli.definition import in_flags
from rota.cli.fanout import FAN_OUT_FLAGS, Spread, fan_out_options
from rota.cli.options import Faults, dry_run, variables_option
from rota.cli.session import Session
from rota.cli.start import check_can_leave, print_plan, started

if TYPE_CHECKING:
    from rota.domain.step import Json


@click.command(
    "run",
    cls=Command,
    example="rota run --do 'shell: df -h'\n"
    "rota run --playbook backup --target group:web --var retention_days=30\n"
    "rota run daily-backup",
)
@click.argument("name", required=False)
@click.option("--playbook", metavar="NAME", help="What: a playbook.")
@click.option("--do", "action", metavar="ACTION", help='What: one action, "shell: df -h".')
@click.option("--target", metavar="SELECTOR", help="Where: all, host:a, group:web, @FILE and more.")
@variables_option
@click.option("--run-timeout", metavar="DURATION", help="End the run if it takes longer. Default: 1h.")
@fan_out_options
@click.option("--no-wait", is_flag=True, help="Do not wait for the end; needs a daemon.")
@dry_run
@click.pass_obj
def run(
    session: Session,
    /,
    name: str | None,
    playbook: str | None,
    action: str | None,
    target: str | None,
    variables: Sequence[str],
    run_timeout: str | None,
    no_wait: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Run a playbook, a command or a schedule now, and watch it.

    The exit code is the run's: 0 success, 1 failure, 3 partial failure, 8 timed out. Without a daemon this command
    carries out the run itself. With a NAME it is the same as: rota schedule trigger NAME.
    """
    given = {"NAME": name, "--playbook": playbook, "--do": action}
    faults = Faults()
    faults.at_most_one([option for option, value in given.items() if value])
    if not any(given.values()):
        faults.add("--playbook", "missing", expected='the name of a playbook; or --do "shell: df -h"')
    spread = Spread(**options).spread(faults)
    if name:
        others = [option for option, value in (("--target", target), ("--run-timeout", run_timeout)) if value]
        for option in (*others, *(FAN_OUT_FLAGS[field] for field in spread)):
            hint = f"change the schedule: rota schedule update {name} {option} …"
            faults.add(option, "does not go with NAME", hint=hint)
    pairs = faults.variables(variables)
    seconds, where = faults.seconds("--run-timeout", run_timeout), faults.target(target)
    faults.raise_any(hint="" if any(given.values()) else "such as: rota run --do 'shell: df -h'")
    if name:
        from rota.cli.commands.schedule_act import trigger_now

        return trigger_now(session, name, pairs, no_wait=no_wait, dry_run=dry_run)
    typed: dict[str, Json] = {
        "playbook": playbook,
        "do": action,
        "target": where,
        "vars": {**pairs} or None,
        "run_timeout_seconds": seconds,
        **spread,
    }
    return start_ad_hoc(session, typed, no_wait=no_wait, dry_run=dry_run)


def start_ad_hoc(session: Session, typed: dict[str, Json], *, no_wait: bool, dry_run: bool) -> int:
    """Make a run of what was `typed` (None = not typed) and watch it, or with `dry_run` print its plan."""
    body = {field: value for field, value in typed.items() if value is not None}
    with session.client(may_create=not dry_run, may_pretend=dry_run) as client:
        if dry_run:
            print_plan(session, in_flags(lambda: client.plan_run(body)))
            return 0
        check_can_leave(client, no_wait=no_wait)
        return started(session, client, in_flags(lambda: client.start_run(body)), no_wait=no_wait)
