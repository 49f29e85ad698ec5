"""`schedule enable|disable|delete|trigger|logs|cancel`: what is done to a schedule, or to its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.options import Faults, dry_run, variables_option
from rota.cli.session import Session, out, say
from rota.cli.texts import job_next_runs, short_id
from rota.cli.words import UNFINISHED, run_status
from rota.domain.errors import Conflict, NotFound

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.usecases.shapes import Run

_RUNS_COUNTED = 1000
_NOT_DELETED = 7  # a person refused, where policy might have


@click.command("enable", cls=Command, example="rota schedule enable daily-backup")
@click.argument("name")
@dry_run
@click.pass_obj
def enable(session: Session, name: str, dry_run: bool) -> None:
    """Let a schedule fire again. What passed while it was disabled is not made up for."""
    _switch(session, name, on=True, dry_run=dry_run)


@click.command("disable", cls=Command, example="rota schedule disable daily-backup")
@click.argument("name")
@dry_run
@click.pass_obj
def disable(session: Session, name: str, dry_run: bool) -> None:
    """Keep a schedule from firing, and keep the schedule. It can still be triggered by hand."""
    _switch(session, name, on=False, dry_run=dry_run)


def _switch(session: Session, name: str, *, on: bool, dry_run: bool) -> None:
    with session.client() as client:
        job = client.job(name) if dry_run else client.enable_job(name) if on else client.disable_job(name)
    word = "enabled" if on else "disabled"

    def people() -> None:
        if dry_run:
            is_so = " already" if job["enabled"] is on else ""
            out(f'Schedule "{job["name"]}" {"is" if is_so else "would be"} {word}{is_so}')
            return
        out(f'Schedule "{job["name"]}" {word}')
        if on:
            out("\n".join(job_next_runs(job, 3)))

    emit(session, job, people=people)


@click.command("delete", cls=Command, example="rota schedule delete daily-backup --yes")
@click.argument("name")
@dry_run
@click.pass_obj
def delete(session: Session, name: str, dry_run: bool) -> int:
    """Remove a schedule for good. Its name is free again; its runs stay in the history until retention."""
    with session.client() as client:
        job = client.job(name)
        if dry_run:
            emit(session, job, people=lambda: out(f'Schedule "{job["name"]}" ({short_id(job["id"])}) would be deleted'))
            return 0
        if not session.yes:
            page = client.runs(job=job["id"], limit=_RUNS_COUNTED)
            stay = f"more than {_RUNS_COUNTED} runs stay" if page["next"] else _runs(len(page["items"]), "stay")
            question = (
                f'Delete schedule "{job["name"]}"? The definition is gone for good and the name is free again; '
                f"{stay} in the history until retention."
            )
            if not session.confirm(question):
                say("Not deleted.")
                return _NOT_DELETED
        deleted = client.delete_job(job["id"])

    def people() -> None:
        out(f'Schedule "{deleted["deleted"]}" deleted; {_runs(deleted["runs_kept"], "stay")} until retention')
        if deleted["active_runs"]:
            say(f"{_runs(deleted['active_runs'], 'continue')}: rota runs list")

    emit(session, deleted, people=people, name="deleted")
    return 0


@click.command("trigger", cls=Command, example="rota schedule trigger daily-backup")
@click.argument("name")
@variables_option
@click.option("--no-wait", is_flag=True, help="Do not wait for the end; needs a daemon.")
@dry_run
@click.pass_obj
def trigger(session: Session, name: str, variables: Sequence[str], no_wait: bool, dry_run: bool) -> int:
    """Run a schedule now, enabled or not, and watch it. Its timetable does not move.

    The exit code is the run's: 0 success, 1 failure, 3 partial failure, 8 timed out, 9 skipped as the previous run
    is unfinished. Without a daemon this command carries out the run itself.
    """
    faults = Faults()
    pairs = faults.variables(variables)
    faults.raise_any()
    return trigger_now(session, name, pairs, no_wait=no_wait, dry_run=dry_run)


def trigger_now(session: Session, name: str, variables: Mapping[str, str], *, no_wait: bool, dry_run: bool) -> int:
    """Make a run of a schedule and watch it, or with `dry_run` print its plan. Returns the exit code."""
    from rota.cli.start import check_can_leave, print_plan, started

    with session.client() as client:
        if dry_run:
            job = client.job(name)
            steps = [{**step} for step in job.get("steps", [])]
            body = {"steps": steps, "target": job["target"], "vars": {**job.get("vars", {}), **variables}}
            print_plan(session, client.plan_run(body))  # type: ignore[arg-type]  # typed dictionaries are JSON
            return 0
        check_can_leave(client, no_wait=no_wait)
        return started(session, client, client.trigger_job(name, variables=variables), no_wait=no_wait)


@click.command("logs", cls=Command, example="rota schedule logs daily-backup\nrota schedule logs daily-backup -f")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.pass_obj
def logs(session: Session, name: str, follow: bool) -> None:
    """Print what the latest run of a schedule wrote."""
    from rota.cli.commands.runs import print_output

    with session.client() as client:
        job = client.job(name)
        latest = client.runs(job=job["id"], limit=1)["items"]
        if not latest:
            raise NotFound(f'"{job["name"]}" has not run yet', hint=f"run it now: rota schedule trigger {job['name']}")
        print_output(session, client, latest[0]["id"], follow=follow)


@click.command("cancel", cls=Command, example="rota schedule cancel daily-backup")
@click.argument("name")
@dry_run
@click.pass_obj
def cancel(session: Session, name: str, dry_run: bool) -> None:
    """Cancel the unfinished runs of a schedule: their processes are ended, whole trees of them."""
    with session.client() as client:
        job = client.job(name)
        runs = client.runs(job=job["id"], state=",".join(UNFINISHED), limit=_RUNS_COUNTED)["items"]
        if not dry_run:
            runs = [_cancelled(client, run) for run in runs]

    def people() -> None:
        for run in runs:
            name = short_id(run["id"])
            if dry_run:
                out(f"{name} would be cancelled")
            else:
                out(f"{name} is being cancelled" if run["state"] in UNFINISHED else f"{name} {run_status(run)}")
        if not runs:
            say(f'"{job["name"]}" has no unfinished run.')

    emit(session, {"items": runs}, people=people, name="id")


def _cancelled(client: Client, run: Run) -> Run:
    try:
        return client.cancel_run(run["id"])
    except Conflict:
        return client.run(run["id"])  # it has ended meanwhile


def _runs(count: int, verb: str) -> str:
    """`1 run stays`, `12 runs stay`."""
    return f"1 run {verb}s" if count == 1 else f"{count} runs {verb}"
