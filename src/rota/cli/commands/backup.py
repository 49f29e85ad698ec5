"""`rota backup`: make a backup, see which there are, check one, and make an instance of it."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from rota.cli import times
from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.lines import amount
from rota.cli.session import Session, out, say
from rota.cli.table import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.backup.manifest import Manifest
    from rota.usecases.shapes import Backup, BackupMade

# Of each table that is counted: one row, several.
_WORDS = {
    "job": ("schedule", "schedules"),
    "run": ("run", "runs"),
    "ledger": ("refusal", "refusals"),
    "audit": ("audit entry", "audit entries"),
}


@click.group("backup", cls=Group, example="rota backup create\nrota backup restore FILE --home FOLDER")
def backup() -> None:
    """Keep a copy of the instance: schedules, history, output, settings, playbooks, known hosts.

    Keys and passwords are not in it: keep those elsewhere.
    """


@backup.command("create", example="rota backup create\nrota backup create --to /mnt/backups")
@click.option("--to", metavar="FILE|FOLDER", help="Where to. Default: backups in the instance's folder.")
@click.pass_obj
def create(session: Session, to: str | None) -> None:
    """Make a backup, with or without a daemon, while jobs run.

    It is read back before it counts. In the instance's own folder the newest 7 stay (backup.keep in rota.yaml).
    """
    with session.client() as client:
        made = client.create_backup(to=None if to is None else os.path.abspath(Path(to).expanduser()))  # noqa: PTH100  # links stay as typed
    emit(session, made, people=lambda: out(f"Backup made: {made['path']} ({_contents(made)})"), name="path")
    for name in made["removed"]:
        say(f"Removed the old backup {name}")
    if made["keys"]:
        files = "1 file" if made["keys"] == 1 else f"{made['keys']} files"
        say(f"Not in it: {files} in {session.instance.keys_dir}. Keep a copy of them elsewhere.")


@backup.command("list", example="rota backup list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the backups in the instance's folder, newest first."""
    with session.client() as client:
        page = client.backups()

    def people() -> None:
        if not page["items"]:
            say("There are no backups. Make one: rota backup create")
            return
        rows = [[one["name"], times.utc(one["made_at"]), amount(one["bytes"]), _what(one)] for one in page["items"]]
        out(render(["NAME", "MADE (UTC)", "SIZE", "CONTENTS"], rows, width=session.terminal_width, elastic=(3,)))

    emit(session, page, people=people)


@backup.command("verify", example="rota backup verify /mnt/backups/rota-20261121T020000.000000Z.tar")
@click.argument("file")
@click.pass_obj
def verify(session: Session, file: str) -> None:
    """Read all of a backup: every digest, the databases page by page, the schema, the counts.

    FILE is a path, or a name that `rota backup list` shows.
    """
    from rota.backup.restoring import verify as read_all

    path = _path(session, file)
    manifest = read_all(path)
    made_at = _made_at(manifest)
    data = {"path": str(path), "valid": True, "made_at": made_at, "counts": dict(manifest.counts)}
    told = f"{path} is good: made {times.utc(made_at)} UTC by Rota {manifest.rota}, {_counted(manifest.counts)}"
    emit(session, data, people=lambda: out(told), name="path")


@backup.command("restore", example="rota backup restore FILE --home FOLDER")
@click.argument("file")
@click.pass_obj
def restore(session: Session, file: str) -> None:
    """Make an instance of a backup, in the folder that --home names: one that is empty, or not there yet.

    It starts paused: nothing fires before `rota resume --all`. So the old instance and this one never both do.
    """
    from rota.backup.restoring import restore as make
    from rota.clock import SystemClock

    made = make(Path(file).expanduser(), session.instance, clock=SystemClock(), principal=_account())
    data = {
        "home": str(made.home), "made_at": _made_at(made.manifest), "open_runs": made.open_runs, "paused": True,
        "counts": dict(made.manifest.counts),
    }  # fmt: skip

    def people() -> None:
        out(f"Restored {made.home} as of {times.utc(_made_at(made.manifest))} UTC: {_counted(made.manifest.counts)}")

    emit(session, data, people=people, name="home")
    if made.open_runs:
        say(f"Runs that were going on then are over for this instance (reason: restored): {made.open_runs}")
    if made.unread_config is not None:
        say(f"Settings are read from {made.unread_config}; those of the backup are in {made.home}/rota.yaml")
    say("Everything is paused. Put the keys back in its folder keys, stop the old instance for good, then:")
    home = quote(str(made.home))
    say(f"  rota daemon --home {home}\n  rota resume --all --home {home}")


def _path(session: Session, file: str) -> Path:
    """A name without a folder that is not here is one of the instance's own backups."""
    path = Path(file).expanduser()
    return session.instance.backups_dir / file if "/" not in file and not path.exists() else path


def _made_at(manifest: Manifest) -> str:
    from rota.domain.instant import format_rfc3339

    return format_rfc3339(manifest.made_at)


def _contents(made: BackupMade) -> str:
    return f"{amount(made['bytes'])}: {_counted(made['counts'])}"


def _what(one: Backup) -> str:
    return one["fault"] or _counted(one["counts"])


def _counted(counts: Mapping[str, int]) -> str:
    """`12 schedules, 1 run, 0 refusals, 30 audit entries`."""
    found = [(counts.get(table, 0), words) for table, words in _WORDS.items()]
    return ", ".join(f"{count} {one if count == 1 else several}" for count, (one, several) in found)


def _account() -> str:
    """Who asks, for the audit of the restored instance."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"
