"""`schedule create|update`: what a schedule says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rota.cli.command import Command
from rota.cli.definition import Definition, definition_options, in_flags
from rota.cli.emit import emit
from rota.cli.options import Faults
from rota.cli.session import Session, out, say
from rota.cli.texts import job_next_runs, labelled, short_id, trigger_line, value_text
from rota.domain.errors import Conflict
from rota.domain.instant import SECOND, format_span

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.domain.step import Json
    from rota.usecases.shapes import Changed, Job

_EXAMPLE = 'rota schedule create --name daily-backup --cron "0 2 * * *" --playbook backup --target all'
_NEXT_SHOWN = 3  # seed 1
_NEXT_AFTER_WORDS = 5  # what was said in words is shown to be what was meant


@click.command("create", cls=Command, example=_EXAMPLE)
@click.option("--name", metavar="NAME", help="What it is called.")
@definition_options
@click.pass_obj
def create(session: Session, /, name: str | None, **options: Any) -> None:
    """Make a schedule.

    Needed are --name; a trigger (--when, --cron, --every, --at, --rrule, --continuous, --on-start or --manual; several
    may be given); --playbook with --target, or --do.
    """
    typed, faults = Definition(**options), Faults()
    typed.check_complete(name, faults)
    body = typed.body(name, faults)
    is_something_typed = bool(body or typed.rules or typed.timezone)
    body["triggers"] = typed.triggers(_zone(session, typed.timezone))
    if faults and is_something_typed:
        faults.join(lambda: _judged(session, body))
    faults.raise_any(hint=_EXAMPLE)
    with session.client(may_create=not typed.dry_run, may_pretend=typed.dry_run) as client:
        job = in_flags(lambda: client.create_job(body, dry_run=typed.dry_run))
        emit(session, job, people=lambda: _tell_created(job, dry_run=typed.dry_run))
        for warning in job.get("warnings", []):
            say(f"Warning: {warning}")
        if job["enabled"] and not typed.manual and not typed.dry_run:
            _warn_if_nothing_fires(client)


@click.command(
    "update",
    cls=Command,
    example='rota schedule update daily-backup --cron "30 1 * * *"\n'
    "rota schedule update daily-backup --var retention_days=14 --unset-var verbose",
)
@click.argument("name")
@click.option("--name", "new_name", metavar="NAME", help="A new name.")
@definition_options
@click.option("--unset-var", "unset", metavar="KEY", multiple=True, help="Take a variable away; may be repeated.")
@click.option("--unset-tag", "unset_tags", metavar="KEY", multiple=True, help="Take a tag away; may be repeated.")
@click.pass_obj
def update(
    session: Session,
    /,
    name: str,
    new_name: str | None,
    unset: Sequence[str],
    unset_tags: Sequence[str],
    **options: Any,
) -> None:
    """Change a schedule; what is not named stays as it is."""
    typed, faults = Definition(**options), Faults()
    body = typed.body(new_name, faults)
    for field, keys in (("vars", unset), ("tags", unset_tags)):
        if keys:
            pairs = body.get(field)
            body[field] = {**(pairs if isinstance(pairs, dict) else {}), **dict.fromkeys(keys)}
    if not (body or typed.rules or typed.timezone):
        faults.add("", "nothing to change", expected="an option that names what to change")
    hint = f'such as: rota schedule update {name} --cron "30 1 * * *"'
    if not (body or typed.rules or typed.timezone):
        faults.raise_any(hint=hint)
    with session.client() as client:
        version = None
        if typed.rules:
            job = client.job(name)
            version = job["version"]  # the zone read here must still be its zone when the rule is written
            zone = typed.timezone or _zone_of(job) or _zone(session, None)
            triggers = typed.triggers(zone)
            _require_replaceable(session, job, len(triggers))
            body["triggers"] = triggers
        elif typed.timezone:
            body["timezone"] = typed.timezone
        if faults:
            faults.join(lambda: in_flags(lambda: client.update_job(name, body, dry_run=True)))
        faults.raise_any(hint=hint)
        changed = in_flags(lambda: client.update_job(name, body, version=version, dry_run=typed.dry_run))
    answer = changed["job"] if session.output == "name" else changed
    emit(session, answer, people=lambda: _tell_changed(changed, dry_run=typed.dry_run))


def _judged(session: Session, body: dict[str, Json]) -> Job:
    """What the server thinks of a schedule whose options are not all there: stand-ins take the place of what is not."""
    work: dict[str, Json] = {} if body.keys() & {"playbook", "do"} else {"do": "noop"}
    with session.client(may_pretend=True) as client:
        return in_flags(lambda: client.create_job({"name": "stand-in", **work, **body}, dry_run=True))


def _zone(session: Session, typed: str | None) -> str:
    """The zone typed, or this machine's: stored by name, so that the timetable does not move with the machine."""
    if typed:
        return typed
    from rota.localzone import local_zone_name

    return local_zone_name(session.env)


def _zone_of(job: Job) -> str | None:
    """The zone that new rules inherit: that of the first trigger that has one."""
    return next((trigger["timezone"] for trigger in job["triggers"] if "timezone" in trigger), None)


def _require_replaceable(session: Session, job: Job, count: int) -> None:
    """Raises Conflict where one new trigger would take the place of several, unless that was said to be meant."""
    if len(job["triggers"]) > 1 and count == 1 and not session.yes:
        names = ", ".join(trigger["name"] for trigger in job["triggers"])
        raise Conflict(
            f'"{job["name"]}" has several triggers ({names}), and the new one would replace them all',
            hint=f"add --yes if that is meant, or say all of them; one alone: PATCH /api/v1/jobs/{job['name']}",
        )


def _tell_created(job: Job, *, dry_run: bool) -> None:
    head = f'Schedule "{job["name"]}"'
    out(f"{head} would be created" if dry_run else f"{head} created (ID: {short_id(job['id'])})")
    out("\n".join(labelled([trigger_line(job)])))
    _tell_next(job)


def _tell_next(job: Job) -> None:
    """How words were read, and the next runs: more of them after words, for the reader to judge."""
    readings = job.get("readings", [])
    for reading in readings:
        out(f"Read as: {reading}")
    out("\n".join(job_next_runs(job, _NEXT_AFTER_WORDS if readings else _NEXT_SHOWN)))


def _tell_changed(changed: Changed, *, dry_run: bool) -> None:
    job, changes = changed["job"], changed["changes"]
    if not changes:
        out(f'Schedule "{job["name"]}" is like that already; nothing changed')
        return
    out(f'Schedule "{job["name"]}" {"would be updated" if dry_run else "updated"}')
    for change in changes:
        out(f"  {_changed(change['field'], change['old'], change['new'])}")
    _tell_next(job)


def _changed(field: str, old: Json, new: Json) -> str:
    """`overlap_policy: skip → allow`; lengths of time as they are typed: `grace: 1m → 5m`."""
    if field.endswith("_seconds") and isinstance(old, int | float) and isinstance(new, int | float):
        return f"{field.removesuffix('_seconds')}: {_span(old)} → {_span(new)}"
    return f"{field}: {value_text(old)} → {value_text(new)}"


def _span(seconds: float) -> str:
    return format_span(round(seconds * SECOND))


def _warn_if_nothing_fires(client: Client) -> None:
    daemon = client.instance()["daemon"]
    if not daemon["running"]:
        say("Nothing will fire until a daemon runs: rota daemon")
    elif not daemon["scheduling"]:
        say("Nothing will fire while schedule.enabled is false in rota.yaml")
