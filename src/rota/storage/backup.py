"""Copies of SQLite files in use, and what has to be true of a store before it lives again in another place."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from rota.domain.calendars import Scope
from rota.domain.errors import Unavailable
from rota.domain.instant import Micros, format_rfc3339
from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.states import AttemptState, TargetState
from rota.ports import Tx
from rota.storage import audit
from rota.storage.finishing import cancel_run, settle
from rota.storage.pauses import insert_pause
from rota.storage.rescue import Rescued, end_owner, living_owners, take_over
from rota.storage.sqlite import BUSY_SECONDS, storage_error
from rota.storage.work import AttemptEnd, Report, TargetEnd

_MOST_TOLD = 5  # faults of a damaged file; SQLite would name a hundred
_COUNTED = ("job", "run", "ledger", "audit")
_HELD_BY = "own_restored"
_NOBODY_TO_ASK = "it was open when the backup was made; the instance that was backed up may know more"


def snapshot(source: Path, target: Path) -> None:
    """Copy a database that is in use to the new file `target`, as it is at one moment. Blocking: for a thread.

    All pages in one step: one read transaction in WAL mode, which holds up no writer and sees no torn page. (Copied in
    several steps, SQLite begins anew after every commit of another connection, so under load it never ends.) Nothing
    may open `source` other than through SQLite: closing it would drop the locks that this process has on it.
    Raises Unavailable.
    """
    try:
        with (
            closing(sqlite3.connect(source, timeout=BUSY_SECONDS, isolation_level=None)) as old,
            closing(sqlite3.connect(target, isolation_level=None)) as new,
        ):
            old.execute("PRAGMA query_only = ON")
            new.execute("PRAGMA synchronous = OFF")  # whoever asked syncs the whole archive
            old.backup(new, pages=-1)
            new.execute("PRAGMA journal_mode = DELETE")  # one file: no WAL beside it
    except sqlite3.Error as error:
        raise storage_error(error, source) or Unavailable(f"{source} cannot be copied: {error}") from error


def faults_in(path: Path) -> list[str]:
    """What SQLite finds wrong with the file, in its words; empty if it is sound. Reads all of it."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as driver:
            told = [str(word) for (word,) in driver.execute(f"PRAGMA integrity_check({_MOST_TOLD})")]
    except sqlite3.Error as error:
        return [str(error)]
    return [] if told == ["ok"] else told


def schema_of(path: Path) -> int:
    """The schema version of a sound store file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        return int(driver.execute("PRAGMA user_version").fetchone()[0])


def instance_of(path: Path) -> str:
    """The id of the instance whose store this is; empty where it never had one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        row = driver.execute("SELECT value FROM instance WHERE key = 'id'").fetchone()
        return "" if row is None else str(row[0])


def counts_in(path: Path) -> Mapping[str, int]:
    """How many rows a store has of what people would miss."""
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        return {
            table: int(driver.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # names of our own
            for table in _COUNTED
        }


def hold_still(tx: Tx, *, made_at: Micros, principal: str) -> int:
    """Make a restored store one that starts nothing by itself. Returns how many runs were open.

    The instance that was backed up may live on, and has in any case gone on since: what was open is over for this copy
    (reason `restored`), nothing of before is delivered again, and everything is paused from the backup on, so that what
    came due meanwhile stands in the ledger rather than in a late run. It is an instance of its own from now on: its
    next attempts have numbers that hosts may know from the old one.
    """
    driver = tx.driver
    open_runs = [run_id for (run_id,) in driver.execute("SELECT id FROM run WHERE finished_at IS NULL").fetchall()]
    for run_id in open_runs:
        cancel_run(tx, run_id, Reason.RESTORED)
    for owner in living_owners(tx):
        settle(tx, [_over(tx, rescued) for rescued in take_over(tx, owner, _HELD_BY)])
        end_owner(tx, owner)
    driver.execute("UPDATE outbox SET delivered_at = ? WHERE delivered_at IS NULL", (tx.at,))
    driver.execute("UPDATE attempt SET evidence = ? WHERE state = 'unknown' AND evidence IS NULL", (_NOBODY_TO_ASK,))
    (new_id,) = tx.new_public_ids(1)
    driver.execute("UPDATE instance SET value = ? WHERE key = 'id'", (new_id,))
    (first_due,) = driver.execute("SELECT min(nominal) FROM due").fetchone()
    insert_pause(
        tx, scope=Scope.ALL, key="", job_id=None, until=None, by=principal,
        since=made_at if first_due is None else min(made_at, first_due),
        reason=f"restored from a backup of {format_rfc3339(made_at)}; once the old instance is stopped for good, type:"
        " rota resume --all",
    )  # fmt: skip
    audit.record(tx, principal, "restore", "instance", {"made_at": made_at, "open_runs": len(open_runs)})
    return len(open_runs)


def _over(tx: Tx, rescued: Rescued) -> Report:
    """What was started has an end that this copy will never know; what stood between two attempts has not begun."""
    why = EXPLANATIONS[Reason.RESTORED]
    if not rescued.attempt_open:
        end = TargetEnd(state=TargetState.CANCELLED, reason=Reason.RESTORED, message=why)
        return Report(work=rescued.work, attempt=None, end=end)
    return Report(
        work=rescued.work,
        attempt=AttemptEnd(state=AttemptState.UNKNOWN, reason=Reason.RESTORED, message=why, finished_at=tx.at),
        end=TargetEnd(state=TargetState.UNKNOWN, reason=Reason.RESTORED, message=why),
    )
