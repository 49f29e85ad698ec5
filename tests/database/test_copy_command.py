"""`rota db copy` as it is typed: what it shows on the way, and what it refuses."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rota.storage.schema import prepare
from tests.cli.canned import environment, rota
from tests.database.large import a_large_store
from tests.support.postgres import Postgres


def seen_on_a_terminal(home: Path, *words: str) -> str:
    """Run `rota` with a terminal for what it tells people; all that was written there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "rota", *words], stdout=subprocess.DEVNULL, stderr=theirs, env=environment(home)
    ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                some = os.read(ours, 65_536)
            except OSError:  # Linux's way to say that the last writer has gone
                break
            if not some:
                break
            shown += some
    os.close(ours)
    return shown.decode()


async def test_a_terminal_shows_how_far_each_table_is(postgres: Postgres, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    await a_large_store(tmp_path / "rota.db", jobs=3, runs=6_000)
    with postgres.a_database() as url:
        shown = seen_on_a_terminal(tmp_path, "db", "copy", "--to", url)
    assert "run written: 5,000" in shown
    assert "run read back: 5,000" in shown
    lines = [re.sub(r".*\x1b\[K", "", line) for line in shown.splitlines()]  # what is left to see of each
    assert {"job: 3", "run: 6,000", "run_target: 6,000"} <= set(lines)


def test_a_store_is_not_copied_onto_itself(tmp_path: Path) -> None:
    prepare(tmp_path / "rota.db", create=True)
    done = rota("db", "copy", "--to", "sqlite", home=tmp_path)
    assert (done.returncode, "onto itself" in done.stderr) == (5, True)
