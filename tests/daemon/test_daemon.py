"""The life of a daemon: a real process, with a small app inside (`small_daemon.py`)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rota.daemon.locks import is_held
from rota.instance import Instance

Start = Callable[..., "Running"]
SCRIPT = Path(__file__).with_name("small_daemon.py")


class Running:
    """A daemon process. `lines` are read from its standard output."""

    def __init__(self, home: Path, behaviour: str) -> None:
        self.instance = Instance(home=home, kind="option")
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(home), behaviour],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().rstrip("\n")

    def up(self) -> list[str]:
        """Wait for the banner and return its lines."""
        lines = [self.line()]  # what compose was given
        while "Dashboard sync" not in lines[-1]:
            assert lines[-1] or self.process.poll() is None, self.end()
            lines.append(self.line())
        return lines

    def end(self, *signals: signal.Signals) -> tuple[int, str, str]:
        for number in signals:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        connection.connect(str(self.instance.socket))
        return connection

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        client = http.client.HTTPConnection("localhost")
        with self.connect() as client.sock:
            client.request(method, path, body)
            answer = client.getresponse()
            return Answer(answer.status, json.load(answer), {name.lower() for name, _ in answer.getheaders()})


class Answer(NamedTuple):
    status: int
    body: Any
    headers: set[str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Running] = []

    def starting(behaviour: str = "", *, config: str = "", home: Path = tmp_path / "h") -> Running:
        home.mkdir(mode=0o700, exist_ok=True)
        if config:
            (home / "rota.yaml").write_text(config)
        started.append(Running(home, behaviour))
        return started[-1]

    yield starting
    for running in started:
        running.process.kill()
        running.process.communicate()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that is up, for tests that leave it as it was."""
    home = tmp_path_factory.mktemp("shared") / "h"
    home.mkdir(mode=0o700)
    daemon = Running(home, "")
    daemon.up()
    yield daemon
    daemon.process.kill()
    daemon.process.communicate()


def test_the_banner_is_that_of_seed_1(start: Start) -> None:
    daemon = start()
    assert daemon.up()[1:] == [
        "Rota daemon started",
        f"PID: {daemon.process.pid}",
        "Schedules: 3 active",
        "Next run: daily-backup at 2026-03-05 02:00 UTC",
        "Dashboard sync: not signed in",
    ]


def test_the_banner_says_when_nothing_is_scheduled(start: Start) -> None:
    assert start("empty").up()[3:5] == ["Schedules: 0 active", "Next run: none scheduled"]


def test_a_switched_off_scheduler_is_said_in_the_banner(start: Start) -> None:
    lines = start(config="schedule: {enabled: false}").up()
    assert lines[3:5] == [
        "Schedules: 3 active (but nothing fires: schedule.enabled is false)",
        "Next run: none scheduled",
    ]


def test_the_daemon_holds_the_engine_lock_and_an_owner_lock_for_its_life(start: Start) -> None:
    daemon = start(config="schedule: {retention_days: 7}")
    given = json.loads(daemon.up()[0])
    owner_lock = daemon.instance.owners_dir / f"{given['owner']}.lock"
    assert daemon.instance.daemon_pid() == daemon.process.pid
    assert is_held(owner_lock)
    assert given["retention"] == 7
    daemon.end(signal.SIGTERM)
    assert daemon.instance.daemon_pid() is None
    assert not owner_lock.exists()


def test_a_second_daemon_names_the_first_and_exits_6(start: Start) -> None:
    first = start()
    first.up()
    code, _, said = start().end()
    assert code == 6
    assert f"a daemon (PID {first.process.pid}) already runs the instance in {first.instance.home}" in said
    assert first.ask("GET", "/who").status == 200  # and the first did not notice


def test_a_daemon_takes_over_at_once_from_one_that_was_killed(start: Start) -> None:
    first = start()
    first.up()
    first.end(signal.SIGKILL)
    assert first.instance.socket.exists()
    second = start()
    second.up()
    assert second.ask("GET", "/who").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_shuts_down_in_the_four_steps_of_seed_1(start: Start, number: signal.Signals) -> None:
    daemon = start()
    daemon.up()
    code, out, err = daemon.end(number)
    assert code == 0
    assert out.splitlines() == ["stop cancel 60", "closed"]
    steps = [err.index(f"{step} of 4") for step in (1, 2, 3, 4)]
    assert steps == sorted(steps)
    assert not daemon.instance.socket.exists()


def test_running_work_is_left_where_the_settings_say_so(start: Start) -> None:
    daemon = start(config="on_shutdown: leave\nshutdown_grace_seconds: 5")
    daemon.up()
    assert daemon.end(signal.SIGTERM)[1].splitlines()[0] == "stop leave 5"


def test_a_second_signal_stops_the_wait(start: Start) -> None:
    daemon = start("stubborn")
    daemon.up()
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.line() == "stop cancel 60"
    code, out, err = daemon.end(signal.SIGINT)
    assert code == 130
    assert "closed" in out
    assert "no longer waiting: a second signal came" in err


def test_while_it_stops_it_can_be_looked_at_but_not_changed(start: Start) -> None:
    daemon = start("stubborn")
    daemon.up()
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.line().startswith("stop")
    assert daemon.ask("GET", "/who").status == 200
    refused = daemon.ask("POST", "/body", b"x")
    assert (refused.status, refused.body["code"]) == (503, "unavailable")


def test_an_endless_stream_does_not_keep_the_daemon_from_ending(start: Start) -> None:
    daemon = start()
    daemon.up()
    with daemon.connect() as stream:
        stream.sendall(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        with stream.makefile("rb") as lines:
            assert b"first\n" in lines
            assert daemon.end(signal.SIGTERM)[0] == 0  # or it would be waited for in vain


def test_a_bug_in_the_engine_ends_the_daemon_and_is_logged(start: Start) -> None:
    code, _, err = start("fails").end()
    assert code == 70
    assert "a bug of ours" in err


@pytest.mark.parametrize("behaviour", ["ends", "ends-early"])
def test_an_engine_that_ends_unasked_ends_the_daemon(start: Start, behaviour: str) -> None:
    code, out, err = start(behaviour).end()
    assert (code, out.splitlines()[-1]) == (70, "closed")
    assert "ended without being asked" in err


@pytest.mark.parametrize(
    ("behaviour", "told"), [("loses-store", "the store is gone"), ("no-store", "of a newer version")]
)
def test_what_people_can_act_on_is_told_as_it_is(start: Start, behaviour: str, told: str) -> None:
    code, _, err = start(behaviour).end()
    assert code == 6
    assert told in err
    assert "Traceback" not in err


def test_a_broken_configuration_stops_the_start_with_exit_2(start: Start) -> None:
    code, out, err = start(config="schedule: {enabeld: true}").end()
    assert (code, out) == (2, "")
    assert 'did you mean "enabled"?' in err


def test_a_home_that_others_may_write_to_stops_the_start_with_exit_7(start: Start, tmp_path: Path) -> None:
    home = tmp_path / "open"
    home.mkdir()
    home.chmod(0o777)
    assert start(home=home).end()[0] == 7


def test_a_home_too_deep_for_a_socket_stops_the_start_with_exit_2(start: Start, tmp_path: Path) -> None:
    code, _, err = start(home=tmp_path / ("x" * 100)).end()
    assert code == 2
    assert "path of the socket is too long" in err


def test_the_api_knows_who_asks(daemon: Running) -> None:
    assert daemon.ask("GET", "/who").body == [f"uid:{os.geteuid()}", os.getpid()]


def test_the_socket_is_its_owners_alone(daemon: Running) -> None:
    assert daemon.instance.socket.stat().st_mode & 0o777 == 0o600


def test_answers_name_neither_the_server_nor_the_time(daemon: Running) -> None:
    assert not {"server", "date"} & daemon.ask("GET", "/who").headers


def test_a_request_that_announces_too_much_is_refused_before_it_is_read(daemon: Running) -> None:
    with daemon.connect() as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_request_that_grows_too_large_is_refused(daemon: Running) -> None:
    with daemon.connect() as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        with suppress(BrokenPipeError):  # it hangs up on what it will not read
            for _ in range(9):
                connection.sendall(piece)
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_request_within_the_limit_is_read_whole(daemon: Running) -> None:
    assert daemon.ask("POST", "/body", b"x" * 8_000_000).body == 8_000_000


def test_what_is_logged_is_kept_in_the_log_file_too(start: Start) -> None:
    daemon = start(config="log: {format: json}")
    daemon.up()
    daemon.end(signal.SIGTERM)
    lines = (daemon.instance.logs_dir / "daemon.log").read_text().splitlines()
    assert {json.loads(line)["event"] for line in lines} >= {"started", "stopping", "stopped"}


@pytest.mark.timeout(120)
def test_an_idle_daemon_does_not_wake_up(start: Start) -> None:
    daemon = start()
    daemon.up()
    assert daemon.ask("GET", "/who").status == 200

    def switches() -> int:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    time.sleep(0.5)  # what was asked is over
    before = switches()
    time.sleep(2)
    assert switches() - before <= 2
