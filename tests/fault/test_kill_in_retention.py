"""kill -9 of a daemon that takes old history away: what is half gone goes with the next, and nothing points at it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from rota.failpoints import JANITOR
from rota.instance import Instance
from tests.support.daemon import Home, until

MONTH = 30 * 86_400 * 1_000_000


def test_what_killed_daemons_had_half_forgotten_is_forgotten_by_the_next(home: Home) -> None:
    home.settings("schedule: {retention_days: 7}")
    first = home.daemon()
    old = [home.run("shell: echo old") for _ in range(3)]
    for run in old:
        home.finished(run)
    first.stop()
    age(home)
    young = [one_that_dies_at(home, point) for point in JANITOR]

    home.daemon()
    until(lambda: len(home.rows("SELECT id FROM run")) == len(young))
    for run in young:
        assert home.finished(run)["state"] == "succeeded"
        assert home.output(run) == "young\n"
    for table, key, of in (("run_target", "run_id", "run"), ("attempt", "run_target_id", "run_target")):
        assert home.rows(f"SELECT * FROM {table} WHERE {key} NOT IN (SELECT id FROM {of})") == []
    with closing(sqlite3.connect(Instance(home=home.path, kind="option").output_store)) as output:
        assert output.execute("SELECT count(DISTINCT run_id) FROM chunk").fetchall() == [(len(young),)]


def one_that_dies_at(home: Home, point: str) -> str:
    """A daemon is killed there, and had begun this run."""
    mark = home.tmp / point
    daemon = home.daemon({"ROTA_TEST": "1", "ROTA_FAILPOINT": point, "ROTA_FAILPOINT_MARK": str(mark)})
    run = home.run("shell: echo young")
    assert daemon.wait() == -9
    assert mark.read_text() == point
    return run


def age(home: Home) -> None:
    """Let all that has happened be a month ago."""
    with closing(sqlite3.connect(home.path / "rota.db")) as store, store:
        for column in ("created_at", "due_at", "queued_at", "started_at", "finished_at"):
            store.execute(f"UPDATE run SET {column} = {column} - {MONTH}")
