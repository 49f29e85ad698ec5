"""Every ending has its exit code, and every error says what happened and what to type next."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rota.cli.connect import connect
from rota.domain.errors import Unavailable
from rota.instance import Instance
from tests.cli.canned import Canned, a_daemon, a_job, environment, rota


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (422, "invalid_input", 2),
        (404, "not_found", 4),
        (409, "conflict", 5),
        (503, "unavailable", 6),
        (403, "refused", 7),
        (409, "skipped", 9),
        (500, "internal", 70),
    ],
)
def test_each_kind_of_error_has_its_exit_code(daemon: Canned, status: int, code: str, exit_code: int) -> None:
    problem = {"code": code, "message": "it is so", "hint": "do this", "reason": "overlap_skip", "request_id": "req-7"}
    daemon.on("GET", "/jobs/x", (status, problem))
    done = daemon.rota("schedule", "show", "x")
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert "it is so" in done.stderr
    assert ("req-7" if code == "internal" else "Hint: do this") in done.stderr


def test_a_hint_is_no_expectation_and_has_a_line_of_its_own(home: Path) -> None:
    done = rota("schedule", "preview", "--cron", "0 0 30 2 *", home=home)
    assert done.stderr.splitlines() == [
        "Error: --cron: never fires: Feb has no day 30 (expected a date that exists)",
        'Hint: try: rota jobs preview --cron "0 0 29 2 *"',
    ]


def test_each_of_several_faults_has_its_hint_below_it(daemon: Canned) -> None:
    faults = [
        {"field": "triggers[0].expression", "message": 'hour "25"', "expected": "0-23", "hint": "try this"},
        {"field": "name", "message": "is empty", "expected": "letters"},
    ]
    problem = {"code": "invalid_input", "message": "two", "hint": "look there", "errors": faults}
    daemon.on("POST", "/jobs", (422, problem))
    done = daemon.rota("schedule", "create", "--name", "x", "--cron", "0 25 * * *", "--do", "noop")
    assert done.stderr.splitlines() == [
        "Error: 2 things are wrong",
        '  --cron: hour "25" (expected 0-23)',
        "    Hint: try this",
        "  --name: is empty (expected letters)",
        "Hint: look there",
    ]


def test_a_command_close_to_one_is_guessed(home: Path) -> None:
    done = rota("schedule", "lst", home=home)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        'Error: there is no command "lst"',
        "Hint: did you mean list?",
        "Hint: rota schedule --help",
    ]


def test_an_option_close_to_one_is_guessed(home: Path) -> None:
    done = rota("schedule", "create", "--overlp-policy", "skip", home=home)
    assert done.returncode == 2
    assert "did you mean --overlap-policy?" in done.stderr


def test_a_missing_argument_is_named(home: Path) -> None:
    done = rota("schedule", "show", home=home)
    assert done.returncode == 2
    assert "NAME" in done.stderr
    assert "Hint: rota schedule show --help" in done.stderr


def test_an_unknown_format_is_refused_with_those_there_are(home: Path) -> None:
    done = rota("schedule", "list", "-o", "xml", home=home)
    assert done.returncode == 2
    assert "jsonl" in done.stderr


def test_without_an_instance_looking_says_what_to_start_and_makes_nothing(home: Path) -> None:
    done = rota("schedule", "list", home=home / "none")
    assert done.returncode == 6
    assert "rota daemon" in done.stderr
    assert "rota demo" in done.stderr
    assert not (home / "none").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("schedule", "preview", "--cron", "0 2 * * *"),
        ("schedule", "create", "--name", "x", "--manual", "--do", "noop", "--dry-run"),
        ("run", "--do", "noop", "--dry-run"),
        ("playbook", "validate", "-"),
    ],
)
def test_what_only_judges_words_needs_no_instance_and_makes_none(home: Path, words: tuple[str, ...]) -> None:
    playbook = "name: p\nsteps:\n  - {name: a, exec: ls}\n"
    assert rota(*words, home=home / "none", stdin=playbook).returncode == 0
    assert not (home / "none").exists()


def test_a_store_of_somebody_else_is_not_opened_in_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "rota.db").touch()
    # Only root can give a file away, so the kernel's other answer is the one to bend.
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    instance = Instance(home=home, kind="option")
    with (
        pytest.raises(Unavailable, match=f"belongs to uid {home.stat().st_uid}"),
        connect(instance, may_create=True, say=pytest.fail),
    ):
        pass


def test_a_home_nobody_may_look_into_is_unavailable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(self: socket.socket, address: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    with (
        pytest.raises(Unavailable, match="may not use the socket"),
        connect(Instance(home=home, kind="option"), may_create=True, say=pytest.fail),
    ):
        pass


def test_a_server_is_refused_honestly(home: Path) -> None:
    done = rota("schedule", "list", "--server", "https://rota.example", home=home)
    assert done.returncode == 6
    assert "does not speak to a server" in done.stderr


def test_a_bug_is_a_short_message_and_the_path_of_its_trace(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/x", (200, {"name": "only this"}))
    done = daemon.rota("schedule", "show", "x")
    assert done.returncode == 70
    assert done.stderr.startswith("Error: a bug in Rota: KeyError")
    assert "Traceback" not in done.stderr
    trace = Path(done.stderr.partition("the trace is in ")[2].partition(";")[0])
    assert "Traceback" in trace.read_text()
    trace.unlink()


def test_rota_debug_prints_the_trace(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/x", (200, {"name": "only this"}))
    done = daemon.rota("schedule", "show", "x", ROTA_DEBUG="1")
    assert done.returncode == 70
    assert "Traceback" in done.stderr


def test_a_reader_that_leaves_is_no_error(daemon: Canned) -> None:
    jobs = [a_job(name=f"job-{n}") for n in range(2000)]
    daemon.on("GET", "/jobs", (200, {"items": jobs, "next": None, "daemon": a_daemon()}))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "rota", "schedule", "list"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            env=environment(daemon.home),
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_daemon_that_holds_its_lock_and_does_not_answer_is_named(home: Path) -> None:
    from rota.daemon.locks import FileLock

    lock = FileLock.try_acquire(home / "engine.lock", kind="daemon")
    assert lock is not None
    with lock, socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home / "rota.sock"))
        done = rota("schedule", "list", home=home)
    assert done.returncode == 6
    assert f"the daemon (PID {os.getpid()}) does not answer" in done.stderr


def test_a_client_command_says_that_a_daemon_is_not_running(home: Path) -> None:
    for word in ("status", "ping"):
        done = rota("daemon", word, home=home)
        assert done.returncode == 6
        assert "Daemon: not running" in done.stdout + done.stderr


def test_stopping_no_daemon_is_not_an_error(home: Path) -> None:
    done = rota("daemon", "stop", home=home)
    assert (done.returncode, done.stdout) == (0, "")
