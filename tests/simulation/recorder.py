"""A recorder inside the store: SQL triggers that note what must never happen, whoever writes. They change nothing."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping, Set
from enum import StrEnum
from functools import cache
from pathlib import Path

from rota.domain.states import ATTEMPT_MOVES, RUN_MOVES, TARGET_MOVES
from rota.storage.schema import prepare

_FINAL = """
CREATE TRIGGER world_{table}_final BEFORE UPDATE ON {table} WHEN OLD.finished_at IS NOT NULL AND (
    NEW.state IS NOT OLD.state OR NEW.reason IS NOT OLD.reason OR NEW.finished_at IS NOT OLD.finished_at)
BEGIN
    INSERT INTO world_seen VALUES ('I5 {table} ' || OLD.id || ' was ' || OLD.state || ', became ' || NEW.state);
END;
"""
_MOVE = """
CREATE TRIGGER world_{table}_move BEFORE UPDATE OF state ON {table}
WHEN OLD.finished_at IS NULL AND NEW.state <> OLD.state AND NOT ({allowed})
BEGIN
    INSERT INTO world_seen VALUES ('I5 {table} ' || OLD.id || ' went from ' || OLD.state || ' to ' || NEW.state);
END;
"""
_FENCE = """
CREATE TRIGGER world_fence BEFORE UPDATE ON run_target
WHEN NEW.fence < OLD.fence OR (NEW.owner IS NOT NULL AND NEW.owner IS NOT OLD.owner AND NEW.fence = OLD.fence)
BEGIN
    INSERT INTO world_seen VALUES ('I7 target ' || OLD.id || ' changed hands without a larger fence');
END;
"""
_BACK = """
CREATE TABLE world_back (trigger_id INTEGER PRIMARY KEY);
CREATE TRIGGER world_back AFTER UPDATE OF high_water ON due WHEN NEW.high_water < OLD.high_water
BEGIN
    INSERT OR IGNORE INTO world_back VALUES (NEW.trigger_id);
END;
"""  # whose instants are due anew, though they were settled
_ADMITTED = """
CREATE TABLE world_admitted (run_id INTEGER PRIMARY KEY);
CREATE TRIGGER world_admitted AFTER UPDATE OF state ON run
WHEN OLD.state = 'waiting' AND NEW.state IN ('queued', 'running') AND NEW.catch_up
BEGIN
    INSERT OR IGNORE INTO world_admitted VALUES (NEW.id);
END;
CREATE TRIGGER world_born AFTER INSERT ON run WHEN NEW.state <> 'waiting' AND NEW.catch_up
BEGIN
    INSERT OR IGNORE INTO world_admitted VALUES (NEW.id);
END;
"""  # whose turn it is, of what is caught up
_DEEDS = """
CREATE TABLE world_deeds (id INTEGER PRIMARY KEY, what TEXT NOT NULL, owner TEXT NOT NULL, target_id INTEGER);
CREATE TRIGGER world_end AFTER UPDATE OF ended_at ON owner WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
BEGIN
    INSERT INTO world_deeds (what, owner) VALUES ('end', NEW.id);
END;
CREATE TRIGGER world_heir AFTER UPDATE OF owner ON run_target
WHEN OLD.owner IS NOT NULL AND NEW.owner IS NOT NULL AND NEW.owner <> OLD.owner AND OLD.state = 'running'
BEGIN
    INSERT INTO world_deeds (what, owner, target_id) VALUES ('heir', OLD.owner, NEW.id);
END;
"""  # who was given up, and whose targets others have taken over


def _allowed(moves: Mapping[StrEnum, Set[StrEnum]]) -> str:
    pairs = [f"(OLD.state = '{old}' AND NEW.state = '{new}')" for old, news in moves.items() for new in sorted(news)]
    return " OR ".join(pairs)


@cache
def empty_store() -> bytes:
    """The bytes of a new store with the recorder in it; made once, as migrating costs more than a world."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rota.db"
        prepare(path, create=True)
        driver = sqlite3.connect(path)
        driver.execute("CREATE TABLE world_seen (what TEXT NOT NULL)")
        tables = {"run": RUN_MOVES, "run_target": TARGET_MOVES, "attempt": ATTEMPT_MOVES}
        for table, moves in tables.items():
            driver.executescript(_FINAL.format(table=table))
            driver.executescript(_MOVE.format(table=table, allowed=_allowed(moves)))  # type: ignore[arg-type]  # StrEnums
        driver.executescript(_FENCE)
        driver.executescript(_DEEDS)
        driver.executescript(_BACK)
        driver.executescript(_ADMITTED)
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        driver.close()
        return path.read_bytes()
