"""A recorder inside the store: SQL triggers that note what must never happen, whoever writes. They change nothing."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping, Set
from enum import IntEnum, StrEnum
from functools import cache
from pathlib import Path

from rota.domain.states import ATTEMPT_MOVES, RUN_MOVES, TARGET_MOVES
from rota.storage.schema import prepare


class News(IntEnum):
    """What a row of `world_news` tells, in the order in which the world hears of one commit."""

    VIOLATED = 1  # in `words`
    TAKEN_BACK = 2  # the instants of trigger `number` are due anew, though they were settled
    ADMITTED = 3  # it is the turn of run `number`, of what is caught up
    FINISHED = 4  # run `number`
    BORN = 5  # run `number`
    DEED = 6  # owner `words` was given up, or its target `number` taken over


_NEWS = """
CREATE TABLE world_news (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, number INTEGER, words TEXT);
"""
_FINAL = """
CREATE TRIGGER world_{table}_final BEFORE UPDATE ON {table} WHEN OLD.finished_at IS NOT NULL AND (
    NEW.state IS NOT OLD.state OR NEW.reason IS NOT OLD.reason OR NEW.finished_at IS NOT OLD.finished_at)
BEGIN
    INSERT INTO world_news (kind, words)
    VALUES ({VIOLATED}, 'I5 {table} ' || OLD.id || ' was ' || OLD.state || ', became ' || NEW.state);
END;
"""
_MOVE = """
CREATE TRIGGER world_{table}_move BEFORE UPDATE OF state ON {table}
WHEN OLD.finished_at IS NULL AND NEW.state <> OLD.state AND NOT ({allowed})
BEGIN
    INSERT INTO world_news (kind, words)
    VALUES ({VIOLATED}, 'I5 {table} ' || OLD.id || ' went from ' || OLD.state || ' to ' || NEW.state);
END;
"""
_OTHERS = """
CREATE TRIGGER world_fence BEFORE UPDATE ON run_target
WHEN NEW.fence < OLD.fence OR (NEW.owner IS NOT NULL AND NEW.owner IS NOT OLD.owner AND NEW.fence = OLD.fence)
BEGIN
    INSERT INTO world_news (kind, words)
    VALUES ({VIOLATED}, 'I7 target ' || OLD.id || ' changed hands without a larger fence');
END;
CREATE TRIGGER world_back AFTER UPDATE OF high_water ON due WHEN NEW.high_water < OLD.high_water
BEGIN
    INSERT INTO world_news (kind, number) VALUES ({TAKEN_BACK}, NEW.trigger_id);
END;
CREATE TRIGGER world_admitted AFTER UPDATE OF state ON run
WHEN OLD.state = 'waiting' AND NEW.state IN ('queued', 'running') AND NEW.catch_up
BEGIN
    INSERT INTO world_news (kind, number) VALUES ({ADMITTED}, NEW.id);
END;
CREATE TRIGGER world_admitted_at_once AFTER INSERT ON run WHEN NEW.state <> 'waiting' AND NEW.catch_up
BEGIN
    INSERT INTO world_news (kind, number) VALUES ({ADMITTED}, NEW.id);
END;
CREATE TRIGGER world_born AFTER INSERT ON run
BEGIN
    INSERT INTO world_news (kind, number) VALUES ({BORN}, NEW.id);
END;
CREATE TRIGGER world_finished AFTER INSERT ON outbox
BEGIN
    INSERT INTO world_news (kind, number) VALUES ({FINISHED}, NEW.run_id);
END;
CREATE TRIGGER world_given_up AFTER UPDATE OF ended_at ON owner WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL
BEGIN
    INSERT INTO world_news (kind, words) VALUES ({DEED}, NEW.id);
END;
CREATE TRIGGER world_heir AFTER UPDATE OF owner ON run_target
WHEN OLD.owner IS NOT NULL AND NEW.owner IS NOT NULL AND NEW.owner <> OLD.owner AND OLD.state = 'running'
BEGIN
    INSERT INTO world_news (kind, number, words) VALUES ({DEED}, NEW.id, OLD.owner);
END;
"""


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
        kinds = {kind.name: kind.value for kind in News}
        driver.executescript(_NEWS + _OTHERS.format_map(kinds))
        tables = {"run": RUN_MOVES, "run_target": TARGET_MOVES, "attempt": ATTEMPT_MOVES}
        for table, moves in tables.items():
            allowed = _allowed(moves)  # type: ignore[arg-type]  # StrEnums
            driver.executescript((_FINAL + _MOVE).format(table=table, allowed=allowed, **kinds))
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        driver.close()
        return path.read_bytes()
