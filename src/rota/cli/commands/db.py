"""`rota db`: the store as a database. These commands need no daemon, and copying wants none."""

from __future__ import annotations

import sys

import click

from rota.cli.command import Group
from rota.cli.emit import emit
from rota.cli.session import Session, out, say
from rota.cli.texts import labelled
from rota.domain.errors import Conflict, Refused

_TROUBLING_SECONDS = 1.0  # between two clocks
_CLEAR_LINE = "\r\x1b[K"


@click.group("db", cls=Group, example="rota db check\nrota db copy --to postgresql://rota@db.example.com/rota")
def db() -> None:
    """Look after the database that holds the store: a SQLite file, or PostgreSQL (database.url in rota.yaml)."""


@db.command("check", example="rota db check\nrota db check -o json")
@click.pass_obj
def check(session: Session) -> int:
    """Say whether the database can be used: is it there, ours, of this program's schema, and is its clock right?"""
    from rota.clock import SystemClock
    from rota.database.looking import look
    from rota.settings import load

    found = look(session.instance, load(session.instance), clock=SystemClock())
    ahead = None if found.ahead is None else found.ahead / 1_000_000
    data = {
        "database": found.shown, "server": found.server, "schema": found.schema, "expected_schema": found.expected,
        "clock_ahead_seconds": ahead,
    }  # fmt: skip

    def people() -> None:
        state = "there is no store in it yet" if not found.schema else f"{found.schema} of {found.expected}"
        rows = [("Database", found.shown), ("Server", found.server), ("Schema", state)]
        if ahead is not None:
            rows.append(("Clock", f"{ahead:+.3f} s from this machine's"))
        out("\n".join(labelled(rows)))

    emit(session, data, people=people, name="database")
    if ahead is not None and abs(ahead) > _TROUBLING_SECONDS:
        say("Schedules go by the database's clock. Which of the two is wrong? See: timedatectl")
    if found.needs_upgrade:
        say("Bring it up to date: rota db upgrade")
        return 6
    return 0


@db.command("upgrade", example="rota db upgrade")
@click.pass_obj
def upgrade(session: Session) -> None:
    """Make the store's tables, or bring them up to this program's schema.

    A SQLite store is brought up to date by its daemon too. On PostgreSQL several daemons share the tables, so it is you
    who says when: upgrade the programs of all, stop the daemons, upgrade the database, start them again.
    """
    from rota.clock import SystemClock
    from rota.database.looking import look
    from rota.database.looking import upgrade as bring_up_to_date
    from rota.settings import load

    settings = load(session.instance)
    was_new = bring_up_to_date(session.instance, settings)
    found = look(session.instance, settings, clock=SystemClock())
    data = {"database": found.shown, "schema": found.schema, "made": was_new}
    done = "Made a store in the" if was_new else "Up to date:"
    emit(session, data, people=lambda: out(f"{done} {found.shown} (schema {found.schema})"), name="database")


@db.command(
    "copy",
    example="rota db copy --to postgresql://rota@db.example.com/rota\n"
    "rota db copy --from postgresql://rota@db.example.com/rota --to sqlite",
)
@click.option("--from", "source", metavar="URL", help="Where from. Default: the instance's own database.")
@click.option("--to", "target", metavar="URL", required=True, help='Where to: postgresql://…, or "sqlite": a new file.')
@click.pass_obj
def copy(session: Session, source: str | None, target: str) -> None:
    """Copy the whole store to another database: schedules, history, output, audit. Ids stay as they are.

    The daemons must be stopped, and the target must be new. Every table is read back and compared; if anything differs
    nothing is kept. Afterwards, name the new database in rota.yaml.
    """
    from rota.database.copying import copy as copy_all
    from rota.database.sides import open_side
    from rota.settings import load

    for url in (source, target):
        _refuse_password(url)
    instance = session.instance
    if (pid := instance.daemon_pid()) is not None:
        raise Conflict(f"the daemon (PID {pid}) is at work", expected="a store at rest", hint="rota daemon stop")
    instance.prepare()
    own = load(instance).database.url
    if target == (source or own):
        raise Conflict("the store would be copied onto itself", expected="another database", hint="name it with --to")
    paths = (instance.store, instance.output_store)
    reading = open_side(source or own, *paths, create=False)
    try:
        writing = open_side(target, *paths, create=True)
        try:
            copied = copy_all(reading, writing, tell=_table_done, underway=_on_its_way if _is_watched() else None)
        finally:
            writing.close()
    finally:
        reading.close()
    total = sum(copied.rows.values())
    data = {"from": reading.shown, "to": writing.shown, "rows": copied.rows, "sha256": copied.digest}
    emit(session, data, people=lambda: out(f"Copied {total} rows, all read back alike (sha256 {copied.digest[:16]}…)"))
    say(f"Now say in {instance.config}: database: {{url: {target}}}")


def _is_watched() -> bool:
    return sys.stderr.isatty()


def _on_its_way(doing: str, rows: int) -> None:
    """One line that changes; who watches wants to see that it goes on."""
    sys.stderr.write(f"{_CLEAR_LINE}{doing}: {rows:,}")
    sys.stderr.flush()


def _table_done(name: str, rows: int) -> None:
    if _is_watched():
        sys.stderr.write(_CLEAR_LINE)
    if rows:
        say(f"{name}: {rows:,}")


def _refuse_password(url: str | None) -> None:
    from rota.settings import masked

    if url is not None and masked(url) != url:
        raise Refused(
            "the URL has a password in it, which everybody on this machine can see in the list of processes",
            expected="a URL without one",
            hint="put it into ~/.pgpass, or into PGPASSWORD",
        )
