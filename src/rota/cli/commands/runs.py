"""`rota runs`: what ran, is running and what it wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Group
from rota.cli.definition import in_flags
from rota.cli.emit import emit
from rota.cli.fanout import fan_out_text
from rota.cli.lines import Lines
from rota.cli.options import dry_run
from rota.cli.session import Session, out, say
from rota.cli.start import check_can_leave, print_plan, started
from rota.cli.table import CUT, render
from rota.cli.texts import labelled, short_id, step_lines
from rota.cli.words import UNFINISHED, painted, run_status, state_of, states_of, status_word
from rota.client.api import Client, Wrote

if TYPE_CHECKING:
    from rota.usecases.shapes import Output, Run, Target

_MOST_HOSTS = 40  # of more, those that succeeded are only counted


@click.group("runs", cls=Group, example="rota runs list\nrota runs logs run_1a2b3c4d -f")
def runs() -> None:
    """See what ran: list, logs, cancel, rerun.

    A run is named by its id or the beginning of it: run_1a2b3c4d, or 1a2b.
    """


@runs.command("list", example="rota runs list --job daily-backup --state failure")
@click.option("--job", metavar="NAME", help="Only runs of this schedule.")
@click.option("--state", metavar="STATE", help="Only in this state, or in several: running,failure.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.pass_obj
def list_(session: Session, job: str | None, state: str | None, limit: int) -> None:
    """List runs, newest first. Times are UTC."""
    with session.client() as client:
        page = in_flags(lambda: client.runs(job=job, state=states_of(state) if state else None, limit=limit))

    def people() -> None:
        if not page["items"]:
            say(
                "No such runs. All there are: rota runs list"
                if job or state
                else "Nothing has run yet. Try: rota run --do 'shell: echo hello'"
            )
            return
        titles = ["ID", "SCHEDULE", "TRIGGER", "STATUS", "STARTED", "DURATION", "HOSTS"]
        rows = [_row(run) for run in page["items"]]
        if session.wide:
            titles += ["BY", "MESSAGE"]
            for run, row in zip(page["items"], rows, strict=True):
                row += [run["principal"], run["message"] or ""]
        paint = {3: lambda cell: painted(cell, state_of(cell.split()[0]))} if session.colours else None
        out(render(titles, rows, width=session.terminal_width, elastic=(1, 3), paint=paint), painted=True)

    emit(session, page, people=people, name="id")


@runs.command("show", example="rota runs show run_1a2b3c4d")
@click.argument("run")
@click.pass_obj
def show(session: Session, run: str) -> None:
    """Show a run: what it did where, and each try of each step."""
    with session.client() as client:
        found = client.run(run)
    emit(session, found, people=lambda: _show(session, found), name="id")


@runs.command("logs", example="rota runs logs run_1a2b3c4d -f")
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.pass_obj
def logs(session: Session, run: str, follow: bool) -> None:
    """Print what a run wrote, each line with its host in front."""
    with session.client() as client:
        print_output(session, client, run, follow=follow)


@runs.command("watch", example="rota runs watch run_1a2b3c4d")
@click.argument("run")
@click.pass_obj
def watch(session: Session, run: str) -> int:
    """Watch a run to its end. The exit code is the run's."""
    from rota.cli.watch import watch as watch_run

    with session.client() as client:
        return watch_run(session, client, client.run(run))


@runs.command("cancel", example="rota runs cancel run_1a2b3c4d")
@click.argument("run")
@dry_run
@click.pass_obj
def cancel(session: Session, run: str, dry_run: bool) -> None:
    """Ask a run to stop: its processes are ended, whole trees of them."""
    with session.client() as client:
        found = client.run(run) if dry_run else client.cancel_run(run)

    def people() -> None:
        name, status = short_id(found["id"]), run_status(found)
        if dry_run:
            out(f"{name} {'would be cancelled' if found['state'] in UNFINISHED else f'has ended: {status}'}")
        elif found["state"] in UNFINISHED:
            out(f"{name} is being cancelled; see it end: rota runs watch {name}")
        else:
            out(f"{name} {status}")

    emit(session, found, people=people, name="id")


@runs.command("rerun", example="rota runs rerun run_1a2b3c4d --failed")
@click.argument("run")
@click.option("--failed", is_flag=True, help="Only on the hosts that did not succeed, as they are known now.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the end; needs a daemon.")
@dry_run
@click.pass_obj
def rerun(session: Session, run: str, failed: bool, no_wait: bool, dry_run: bool) -> int:
    """Repeat a run: the same plan on the same hosts, whatever has been edited since, and watch it.

    With --failed on every host that did not succeed: failed, timed out, unreachable, unknown, cancelled, not started.
    """
    with session.client() as client:
        if dry_run:
            planned = client.plan_rerun(run, failed=failed)
            print_plan(session, planned)
            _warn(planned.get("warnings", []))
            return 0
        check_can_leave(client, no_wait=no_wait)
        made = client.rerun(run, failed=failed)
        _warn(made.get("warnings", []))
        return started(session, client, made, no_wait=no_wait)


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        say(f"Warning: {warning}")


def print_output(session: Session, client: Client, run: str, *, follow: bool) -> None:
    """Print what a run wrote, and with `follow` what it writes until it ends."""
    pieces = _followed(client, run) if follow else client.output(run)
    if not session.is_for_people:
        for piece in pieces:
            out(json.dumps(piece, ensure_ascii=False))  # a line each, as a stream has no end to close a list at
        return
    lines = Lines(harmless=sys.stdout.isatty())
    wrote = False
    for piece in pieces:
        wrote = True
        for line in lines.feed(piece):
            out(line)
        if follow:
            sys.stdout.flush()
    for line in lines.end():
        out(line)
    if not wrote:
        say(f"Nothing was written. What became of it: rota runs show {run}")


def _followed(client: Client, run: str) -> Iterator[Output]:
    for event in client.follow(run):
        if isinstance(event, Wrote):
            yield event.output


def _row(run: Run) -> list[str]:
    return [
        short_id(run["id"]),
        run["title"],
        run["trigger"],
        run_status(run),
        times.utc(run["started_at"]),
        times.duration(run["duration_seconds"]),
        f"{run['hosts']['ok']}/{run['hosts']['total']}",
    ]


def _show(session: Session, run: Run) -> None:
    rows = [
        ("ID", run["id"] if session.wide else short_id(run["id"])),
        ("Schedule" if run["job"] else "Ad Hoc", run["job"] or run["title"]),
        ("Trigger", f"{run['trigger']} (catch-up)" if run["catch_up"] else run["trigger"]),
        ("Status", run_status(run)),
    ]
    rows += [("Message", run["message"])] if run["message"] else []
    rows += [
        ("Due", _due(run)),
        ("Started", times.utc(run["started_at"])),
        ("Finished", times.utc(run["finished_at"])),
        ("Duration", times.since(run["started_at"], run["finished_at"], session.now())),
        ("Hosts", f"{run['hosts']['ok']}/{run['hosts']['total']}"),
        ("Started By", run["principal"]),
    ]
    rows += [("Fan-Out", fan_out_text(run["fan_out"]))] if "fan_out" in run else []
    rows += [("Rerun Of", short_id(run["rerun_of"]))] if run["rerun_of"] else []
    out("\n".join(labelled(rows)))
    if "plan" in run:
        out("\nSteps:")
        out("\n".join(step_lines(run["plan"]["steps"])))
    if targets := run.get("targets"):
        out("")
        paint = {3: lambda cell: painted(cell, state_of(cell.split()[0]))} if session.colours else None
        titles = ["HOST", "STEP", "TRY", "STATUS", "DURATION", "MESSAGE"]
        told = targets
        if len(targets) > _MOST_HOSTS and not session.wide:
            told = [target for target in targets if target["state"] != "succeeded"]
        cells = [row for target in told for row in _target_rows(target, session)]
        if cells:
            table = render(titles, cells, width=session.terminal_width, elastic=(5, 1), paint=paint)
            out(table, painted=True)
            if CUT in table:
                say(f"Messages are cut to the terminal's width; whole: rota runs show {short_id(run['id'])} -o wide")
        if len(told) < len(targets):
            good = len(targets) - len(told)
            out(f"{good} hosts succeeded; all of them: rota runs show {short_id(run['id'])} -o wide")
    out(f"\nWhat it wrote: rota runs logs {short_id(run['id'])}")


def _target_rows(target: Target, session: Session) -> Iterator[list[str]]:
    """A row for each try; one for a host that was never tried."""
    for attempt in target["attempts"]:
        yield [
            target["host"],
            attempt["step"],
            str(attempt["number"]),
            _status(attempt["state"], attempt["reason"]),
            times.since(attempt["started_at"], attempt["finished_at"], session.now()),
            "; ".join(filter(None, [attempt["message"], _learnt(attempt["evidence"])])),
        ]
    if not target["attempts"] or (target["reason"] and target["attempts"][-1]["state"] != target["state"]):
        status = _status(target["state"], target["reason"])
        yield [target["host"], target["step"] or times.NONE, times.NONE, status, times.NONE, target["message"] or ""]


def _learnt(evidence: str | None) -> str | None:
    return f"learnt later: {evidence}" if evidence else None


def _status(state: str, reason: str | None) -> str:
    return f"{status_word(state)} ({reason})" if reason else status_word(state)


def _due(run: Run) -> str:
    """`2026-03-05 06:00:00, put off from 2026-03-05 02:00:00 by calendar "freeze"`, where it was."""
    due, by = times.utc(run["due_at"]), run.get("deferred_by")
    return f"{due}, put off from {times.utc(run['nominal_at'])} by {by}" if by else due
