"""kill -9 of a daemon that takes old history away: what is half gone goes with the next, and nothing points at it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from rota.failpoints import JANITOR
from rota.instance import Instance
from tests.support.daemon import Home, until

MONTH = 30 * 86_400 * 1_000_000


@pytest.mark.parametrize("point", JANITOR)
def test_what_a_killed_daemon_had_half_forgotten_is_forgotten_by_the_next(home: Home, point: str) -> None:
    home.settings("schedule: {retention_days: 7}")
    first = home.daemon()
    old = [home.run("shell: echo old") for _ in range(3)]
    for run in old:
        home.finished(run)
    first.stop()
    age(home)
    mark = home.tmp / "mark"
    second = home.daemon({"ROTA_TEST": "1", "ROTA_FAILPOINT": point, "ROTA_FAILPOINT_MARK": str(mark)})
    young = home.run("shell: echo young")
    assert second.wait() == -9
    assert mark.read_text() == point

    home.daemon()
    until(lambda: len(home.rows("SELECT id FROM run")) == 1)
    assert home.finished(young)["state"] == "succeeded"
    assert home.output(young) == "young\n"
    for table, key, of in (("run_target", "run_id", "run"), ("attempt", "run_target_id", "run_target")):
        assert home.rows(f"SELECT * FROM {table} WHERE {key} NOT IN (SELECT id FROM {of})") == []
    with closing(sqlite3.connect(Instance(home=home.path, kind="option").output_store)) as output:
        assert output.execute("SELECT count(DISTINCT run_id) FROM chunk").fetchall() == [(1,)]


def age(home: Home) -> None:
    """Let all that has happened be a month ago."""
    with closing(sqlite3.connect(home.path / "rota.db")) as store, store:
        for column in ("created_at", "due_at", "queued_at", "started_at", "finished_at"):
            store.execute(f"UPDATE run SET {column} = {column} - {MONTH}")
