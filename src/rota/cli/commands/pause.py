"""`rota pause` and `rota resume`: keep things from starting for a while, without disabling anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Command
from rota.cli.definition import in_flags
from rota.cli.emit import emit
from rota.cli.options import Faults
from rota.cli.session import Session, out, say
from rota.cli.table import render

if TYPE_CHECKING:
    from rota.client.api import Client
    from rota.domain.step import Json
    from rota.usecases.shapes import Pause

_EXAMPLE = (
    'rota pause --all --until 18:00 --reason "storage migration"\n'
    "rota pause --tag env=prod --until 2h\nrota pause daily-backup\nrota pause --list"
)


@click.command("pause", cls=Command, example=_EXAMPLE)
@click.argument("job", metavar="[SCHEDULE]", required=False)
@click.option("--tag", metavar="KEY[=VALUE]", help="All schedules with this tag.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--until", metavar="TIME", help='Resume by itself: "2026-12-01 06:00", 18:00 or 2h. Default: never.')
@click.option("--reason", metavar="TEXT", help="Why, for whoever asks.")
@click.option("--list", "listing", is_flag=True, help="Say what is paused, and change nothing.")
@click.pass_obj
def pause(
    session: Session,
    job: str | None,
    tag: str | None,
    everything: bool,
    until: str | None,
    reason: str | None,
    listing: bool,
) -> None:
    """Keep a schedule, those of a tag, or everything from starting by itself.

    What has started goes on, and a person may still trigger. What comes due meanwhile stands in the history as paused.
    """
    if listing:
        _list(session)
        return
    scope = _scope(job, tag, everything, verb="pause")
    body: dict[str, Json] = {**scope, **_until(session, until)}
    if reason:
        body["reason"] = reason
    with session.client() as client:
        made = in_flags(lambda: client.pause(body))
        emit(session, made, people=lambda: out(_sentence(made)), name="id")
        say(f"Resume: rota resume {_typed(made)}")


@click.command("resume", cls=Command, example="rota resume --all\nrota resume --tag env=prod\nrota resume daily-backup")
@click.argument("job", metavar="[SCHEDULE]", required=False)
@click.option("--tag", metavar="KEY[=VALUE]", help="The pause of this tag.")
@click.option("--all", "everything", is_flag=True, help="The pause of everything.")
@click.pass_obj
def resume(session: Session, job: str | None, tag: str | None, everything: bool) -> None:
    """End a pause now. Other pauses stay: a schedule that is paused by itself does not start with `--all`."""
    with session.client() as client:
        resumed = client.resume(_scope(job, tag, everything, verb="resume"))
        emit(
            session,
            resumed,
            people=lambda: out("\n".join(f"Resumed: {_named(one)}" for one in resumed["items"])),
            name="id",
        )
        _tell_others(client)


def _tell_others(client: Client) -> None:
    for one in client.pauses()["items"]:
        say(f"Still paused: {_named(one)} ({one['said']})")


def _list(session: Session) -> None:
    with session.client() as client:
        page = client.pauses()

    def people() -> None:
        if not page["items"]:
            say("Nothing is paused.")
            return
        titles = ["PAUSED", "BY", "SINCE", "UNTIL", "REASON"]
        rows = [
            [_named(one), one["by"], times.utc(one["since"]), times.utc(one["until"]), one["reason"] or times.NONE]
            for one in page["items"]
        ]
        out(render(titles, rows, width=session.terminal_width, elastic=(4, 0)))

    emit(session, page, people=people, name="id")


def _scope(job: str | None, tag: str | None, everything: bool, *, verb: str) -> dict[str, Json]:
    """Exactly one of the three, in the API's fields."""
    faults = Faults()
    given = [name for name, value in (("SCHEDULE", job), ("--tag", tag), ("--all", everything)) if value]
    faults.at_most_one(given)
    if not given:
        faults.add("", f"it is not said what to {verb}", expected="a schedule's NAME, --tag KEY, or --all")
    faults.raise_any(hint=f"such as: rota {verb} --all")
    typed: dict[str, Json] = {"job": job, "tag": tag, "all": everything or None}
    return {field: value for field, value in typed.items() if value is not None}


def _until(session: Session, text: str | None) -> dict[str, Json]:
    """What the server reads: the words, and the zone in which a time of day is meant."""
    from rota.localzone import local_zone_name

    return {} if text is None else {"until": text, "timezone": local_zone_name(session.env)}


def _named(one: Pause) -> str:
    return {"all": "everything", "tag": f"tag {one['key']}"}.get(one["scope"], one["key"])


def _typed(one: Pause) -> str:
    """The scope as it is typed."""
    return {"all": "--all", "tag": f"--tag {one['key']}"}.get(one["scope"], one["key"])


def _sentence(one: Pause) -> str:
    until = "until it is resumed" if one["until"] is None else f"until {times.utc(one['until'])} UTC"
    name = _named(one)
    what = f'Schedule "{name}"' if one["scope"] == "job" else name[:1].upper() + name[1:]
    return f"{what} is paused {until}"
