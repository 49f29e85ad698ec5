"""The daemon's log: on standard error and in a file that cannot grow without end."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import structlog

from rota.daemon import logs
from rota.daemon.logs import logging_to


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "daemon.log"


def test_our_records_and_those_of_libraries_come_to_both_places(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to(file, level="info", form="text"):
        structlog.get_logger("rota.engine").info("planned", runs=3)
        logging.getLogger("uvicorn.error").warning("odd %s", "request")
    for text in (file.read_text(), capsys.readouterr().err):
        assert "planned" in text
        assert "runs=3" in text
        assert "odd request" in text


def test_what_is_below_the_level_is_left_out(file: Path) -> None:
    with logging_to(file, level="warning", form="text"):
        structlog.get_logger("rota").info("chatter")
        structlog.get_logger("rota").warning("trouble")
    assert "trouble" in file.read_text()
    assert "chatter" not in file.read_text()


@pytest.mark.parametrize(("level", "heard"), [("debug", True), ("info", False), ("error", False)])
def test_libraries_are_heard_from_warning_on(file: Path, level: Literal["debug", "info", "error"], heard: bool) -> None:
    with logging_to(file, level=level, form="text"):
        logging.getLogger("alembic").info("chatter")
        structlog.get_logger("rota").error("trouble")
    assert "trouble" in file.read_text()
    assert ("chatter" in file.read_text()) is heard


def test_json_records_have_a_time_a_level_a_logger_and_the_error(file: Path) -> None:
    with logging_to(file, level="info", form="json"):
        try:
            raise ValueError("broken")
        except ValueError:
            structlog.get_logger("rota.x").exception("failed", run="run_1")
    record = json.loads(file.read_text())
    assert (record["level"], record["logger"], record["event"], record["run"]) == ("error", "rota.x", "failed", "run_1")
    assert record["timestamp"].endswith("Z")
    assert "ValueError: broken" in record["exception"]


def test_the_file_is_rotated_and_three_older_ones_are_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 500)
    with logging_to(file, level="info", form="json"):
        for number in range(100):
            structlog.get_logger("rota").info("x" * 100, number=number)
    kept = sorted(path.name for path in file.parent.iterdir())
    assert kept == ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]
    assert all(path.stat().st_size <= 500 for path in file.parent.iterdir())


def test_a_reader_who_reads_nothing_does_not_hold_up_who_logs(file: Path) -> None:
    """Standard error is a pipe of 64 KiB that nobody empties: the process must get past a megabyte of log."""
    script = (
        "import sys, os, pathlib, structlog\n"
        "from rota.daemon.logs import logging_to\n"
        "with logging_to(pathlib.Path(sys.argv[1]), level='info', form='text'):\n"
        "    for _ in range(1000): structlog.get_logger('rota').info('x' * 1000)\n"
        "    print('past', flush=True)\n"
        "    os._exit(0)\n"
    )
    unread, writing = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, stderr=writing, timeout=60, check=True
        )
    finally:
        os.close(unread)
        os.close(writing)
    assert done.stdout == b"past\n"


def test_one_copy_is_written_where_standard_error_is_the_file(file: Path) -> None:
    script = (
        "import sys, pathlib, structlog\n"
        "from rota.daemon.logs import logging_to\n"
        "with logging_to(pathlib.Path(sys.argv[1]), level='info', form='text'):\n"
        "    structlog.get_logger('rota').info('once')\n"
    )
    with file.open("ab") as stderr:
        subprocess.run([sys.executable, "-c", script, str(file)], stderr=stderr, check=True)
    assert file.read_text().count("once") == 1
