"""A long history goes to PostgreSQL and back through the real command, and the memory it takes does not grow."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.canned import environment
from tests.database.large import a_large_store
from tests.support.postgres import Postgres

_FULL = pytest.param(100_000, 1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)], id="full")
_MOST_MIB = 256  # of the whole process; an empty `rota db copy` is at 90


@dataclass(frozen=True)
class Done:
    """What one `rota db copy` said, and the most memory it had."""

    rows: dict[str, int]
    sha256: str
    peak_mib: int


# At its end the command says what it had itself. What `wait4` tells counts its parent in, from before the exec.
_COMMAND = """
import atexit, pathlib, runpy, sys
status, sys.argv = pathlib.Path(sys.argv[1]), ["rota", *sys.argv[2:]]
atexit.register(lambda: status.write_text(pathlib.Path("/proc/self/status").read_text()))
runpy.run_module("rota", run_name="__main__")
"""


def db_copy(home: Path, *words: str) -> Done:
    status = home / "status.txt"
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, str(status), "db", "copy", *words, "-o", "json"],
        capture_output=True, text=True, env=environment(home), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    return Done(told["rows"], told["sha256"], int(peak) // 1024)


def next_fires(home: Path) -> list[tuple[str, int, int]]:
    """(public id, next instant, high water) of every job."""
    with closing(sqlite3.connect(home / "rota.db")) as driver:
        return driver.execute(
            "SELECT job.public_id, due.nominal, due.high_water FROM due JOIN trigger ON trigger.id = due.trigger_id"
            " JOIN job ON job.id = trigger.job_id ORDER BY job.id"
        ).fetchall()


@pytest.mark.parametrize(("jobs", "runs"), [(500, 12_000), _FULL])
async def test_a_long_history_goes_to_postgresql_and_back_unchanged(
    postgres: Postgres, tmp_path: Path, jobs: int, runs: int
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for home in (old, new):
        home.mkdir(mode=0o700)
    await a_large_store(old / "rota.db", jobs=jobs, runs=runs)
    with postgres.a_database() as url:
        there = db_copy(old, "--to", url)
        back = db_copy(new, "--from", url, "--to", "sqlite")
    assert (there.sha256, there.rows) == (back.sha256, back.rows)
    assert [there.rows[table] for table in ("job", "due", "run", "attempt")] == [jobs, jobs, runs, runs]
    assert next_fires(old) == next_fires(new)
    assert max(there.peak_mib, back.peak_mib) < _MOST_MIB
