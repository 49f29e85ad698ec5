"""`schedule list|show|history|preview`: looking, and changing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Command
from rota.cli.emit import emit
from rota.cli.session import Session, out, say
from rota.cli.show_job import job_lines
from rota.cli.table import render
from rota.cli.texts import short_id
from rota.cli.words import history_status, last_run_word, painted, state_of
from rota.domain.instant import format_rfc3339

if TYPE_CHECKING:
    from rota.domain.instant import Micros
    from rota.usecases.shapes import Daemon, Job, LastRun, LedgerEntry, RunEntry


@click.command("list", cls=Command, example="rota schedule list\nrota schedule list --output json")
@click.option("--all", "everything", is_flag=True, help="Also schedules that were due once, and are done.")
@click.option("--tag", "tags", metavar="KEY[=VALUE]", multiple=True, help="Only those with this tag; may be repeated.")
@click.pass_obj
def list_(session: Session, everything: bool, tags: Sequence[str]) -> None:
    """List all schedules with their last run."""
    with session.client() as client:
        page = client.jobs(tags)

    def people() -> None:
        out("\n".join(_daemon_head(page["daemon"])))
        now = session.now()
        done = [] if everything else [job for job in page["items"] if _is_done(job, format_rfc3339(now))]
        hidden = {job["id"] for job in done}
        jobs = [job for job in page["items"] if job["id"] not in hidden]
        for said in sorted({pause["said"] for job in jobs if (pause := job.get("paused")) and pause["scope"] != "job"}):
            out(f"{said[:1].upper()}{said[1:]}")
        if jobs:
            out("")
            out(_jobs_table(session, jobs, now), painted=True)
        elif tags:
            say(f"No schedule has {' and '.join(tags)}. All schedules: rota schedule list")
        else:
            say('No schedules yet. Make one:\n  rota schedule create --name hello --every 1m --do "shell: echo hello"')
        if hidden:
            say(f"{len(hidden)} done with their one run are not shown; --all shows them.")

    emit(session, page, people=people)


@click.command("show", cls=Command, example="rota schedule show daily-backup")
@click.argument("name")
@click.pass_obj
def show(session: Session, name: str) -> None:
    """Show everything about a schedule: rules, variables, policies, last run and the next 5."""
    with session.client() as client:
        job = client.job(name)
    emit(
        session,
        job,
        people=lambda: out("\n".join(job_lines(job, wide=session.wide, width=session.terminal_width))),
    )


@click.command("history", cls=Command, example="rota schedule history daily-backup --limit 5\nrota schedule history")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.pass_obj
def history(session: Session, name: str | None, limit: int) -> None:
    """List past runs of a schedule or of all, newest first, and what did not run.

    Times are UTC. HOSTS counts those that succeeded, of all.
    """
    with session.client() as client:
        page = client.history(name, limit=limit)

    def people() -> None:
        if page["items"]:
            out(_history_table(session, page["items"]), painted=True)
        else:
            say(f"Nothing has run yet. {_what_to_run(name)}")

    emit(session, page, people=people, name="id")


def _daemon_head(daemon: Daemon) -> list[str]:
    if not daemon["running"]:
        return ["Daemon: not running", "Start with: rota daemon"]
    head = f"Daemon: running (PID {daemon['pid']})"
    return [head if daemon["scheduling"] else f"{head}, scheduling is off (schedule.enabled in rota.yaml)"]


def _is_done(job: Job, now: str) -> bool:
    """Whether a job was due once, and that has passed (parity C4)."""
    rules = job["triggers"]
    once = bool(rules) and all(rule["kind"] == "once" and rule.get("at", now) < now for rule in rules)
    return once and not job["active_runs"]


def _jobs_table(session: Session, jobs: list[Job], now: Micros) -> str:
    def common(job: Job) -> list[str]:
        return [
            job["name"],
            job["trigger_short"],
            job["action_short"],
            job["target"] or times.NONE,
            "disabled" if not job["enabled"] else "paused" if job.get("paused") else "enabled",
            _last_run(job["last_run"], now),
        ]

    titles = ["NAME", "CRON", "PLAYBOOK", "TARGET", "STATUS", "LAST RUN"]
    rows = [common(job) for job in jobs]
    if session.wide:
        titles += ["TIMEZONE", "OVERLAP", "MISSED RUN", "ID", "DESCRIPTION"]
        for job, row in zip(jobs, rows, strict=True):
            row += [
                job["triggers"][0].get("timezone", times.NONE) if job["triggers"] else times.NONE,
                job["overlap_policy"],
                job["missed_run_policy"],
                short_id(job["id"]),
                job["description"],
            ]
    paint = {4: _paint_status, 5: _paint_last_run} if session.colours else None
    return render(titles, rows, width=session.terminal_width, elastic=(2, 3), paint=paint)


def _last_run(run: LastRun | None, now: Micros) -> str:
    if run is None:
        return "never"
    moment = run["finished_at"] or run["started_at"]
    word = last_run_word(run["state"])
    return f"{times.ago(moment, now)} {word}" if moment else word


def _paint_status(cell: str) -> str:
    return cell if cell.startswith("enabled") else f"\x1b[2m{cell}\x1b[0m"


def _paint_last_run(cell: str) -> str:
    if "OK" in cell:
        return painted(cell, "succeeded")
    return painted(cell, "failed" if "FAIL" in cell else "partial") if "ago" in cell else cell


def _what_to_run(name: str | None) -> str:
    if name:
        return f"Run it now: rota schedule trigger {name}"
    return "Run a schedule now: rota schedule trigger NAME; or a command: rota run --do 'shell: echo hello'"


def _history_table(session: Session, entries: list[RunEntry | LedgerEntry]) -> str:
    titles = ["STARTED", "SCHEDULE", "TRIGGER", "STATUS", "DURATION", "HOSTS"]
    rows = [_history_row(entry) for entry in entries]
    if session.wide:
        titles += ["ID", "MESSAGE"]
        for entry, row in zip(entries, rows, strict=True):
            row += [times.NONE if entry["kind"] == "ledger" else short_id(entry["id"]), entry["message"] or ""]
    paint = {3: lambda cell: painted(cell, state_of(cell.split()[0]))} if session.colours else None
    return render(titles, rows, width=session.terminal_width, elastic=(1, 3), paint=paint)


def _history_row(entry: RunEntry | LedgerEntry) -> list[str]:
    status = history_status(entry)
    if entry["kind"] == "ledger":
        return [times.utc(entry["at"]), entry["job"], entry["trigger"], status, times.NONE, times.NONE]
    hosts = entry["hosts"]
    return [
        times.utc(entry["started_at"] or entry["finished_at"] or entry["created_at"]),
        entry["job"] or entry["title"],
        entry["trigger"],
        status,
        times.duration(entry["duration_seconds"]),
        f"{hosts['ok']}/{hosts['total']}",
    ]
