"""Waiting for a run: what is shown, which exit code ends it, and who may leave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.cli.canned import (
    Canned,
    Events,
    Json,
    Request,
    a_job,
    a_plan,
    a_run,
    a_target,
    ago,
    environment,
    output,
)

RUN = "run_00112233aabbccdd"
TRIGGER = ("POST", "/jobs/daily-backup/trigger")
EVENTS = ("GET", f"/runs/{RUN}/events")


def going(state: str, *targets: Json, **changes: Json) -> Json:
    """A run with its targets; times of one that goes on are left open."""
    ended = {} if state not in ("waiting", "queued", "running") else {"finished_at": None, "duration_seconds": None}
    hosts = {"ok": sum(target["state"] == "succeeded" for target in targets), "total": len(targets)}
    plan = a_plan("prepare", "rotate", "check")
    return a_run(state=state, targets=list(targets), hosts=hosts, plan=plan, **{**ended, **changes})


def an_attempt(step: str, state: str, message: str | None = None) -> Json:
    return {
        "id": "att_" + "0" * 16, "step": step, "number": 1, "state": state, "reason": None, "message": message,
        "exit_code": None, "signal": None, "changed": None, "registered": None,
        "started_at": "2026-03-04T02:00:01Z", "finished_at": "2026-03-04T02:00:05Z", "output_bytes": 0,
    }  # fmt: skip


def ending(state: str, **changes: Json) -> Events:
    return Events([("end", going(state, a_target("web-1", state), **changes))])


@pytest.fixture
def daemon(daemon: Canned) -> Canned:
    daemon.on(*TRIGGER, (201, a_run(state="queued")))
    return daemon


@pytest.mark.parametrize(
    ("state", "exit_code"),
    [("succeeded", 0), ("failed", 1), ("cancelled", 1), ("partial", 3), ("timed_out", 8), ("skipped", 9)],
)
def test_the_exit_code_is_the_runs(daemon: Canned, state: str, exit_code: int) -> None:
    daemon.on(*EVENTS, ending(state))
    assert daemon.rota("schedule", "trigger", "daily-backup").returncode == exit_code


def test_an_overlap_skip_is_exit_9(daemon: Canned) -> None:
    problem = {"code": "skipped", "reason": "overlap_skip", "message": "run_77 is unfinished", "hint": "rota why x"}
    daemon.on(*TRIGGER, (409, problem))
    done = daemon.rota("schedule", "trigger", "daily-backup")
    assert (done.returncode, done.stderr) == (9, "Error: run_77 is unfinished\nHint: rota why x\n")


def test_in_a_pipe_output_is_data_and_changes_are_talk(daemon: Canned) -> None:
    failed = a_target(
        "web-2", "failed", reason="step_failed", attempts=[an_attempt("prepare", "failed", "exit code 2")]
    )
    daemon.on(
        *EVENTS,
        Events(
            [
                ("run", going("queued", a_target("web-1", "queued"), a_target("web-2", "queued"))),
                ("run", going("running", a_target("web-1", "running", step="prepare"), a_target("web-2", "queued"))),
                output(1, "web-1", "line one\nhal"),
                output(2, "web-1", "f\n"),
                ("end", going("partial", a_target("web-1", "succeeded"), failed)),
            ]
        ),
    )
    done = daemon.rota("schedule", "trigger", "daily-backup")
    assert done.stdout == (
        "web-1| line one\n"
        "web-1| half\n"
        "run_00112233 partial_failure in 3m 12s, 1/2 hosts\n"
        '  web-2: failure at step "prepare" (step_failed): exit code 2\n'
    )
    assert done.stderr.splitlines() == [
        "run_00112233 daily-backup: queued",
        "web-1: queued",
        "web-2: queued",
        "run_00112233 daily-backup: running",
        "web-1: running, step prepare",
        "run_00112233 daily-backup: partial_failure",
        "web-1: success",
        "web-2: failure (step_failed)",
        "Again where it did not succeed: rota runs rerun run_00112233 --failed",
    ]


def test_equal_troubles_are_told_once_with_their_hosts() -> None:
    from rota.cli.badhosts import told

    refused = [
        a_target(
            f"db-{n}",
            "unreachable",
            reason="connect_refused",
            message=f"db-{n} refused the connection at 10.0.0.{n}:22",
        )
        for n in (10, 9, 11)
    ]
    lines = list(
        told([a_target("web-1", "succeeded"), a_target("web-2", "failed", message="exit code 1"), *refused], width=80)
    )
    assert lines == [
        "  3 hosts: unreachable (connect_refused), such as: db-10 refused the connection at 10.0.0.10:22",
        "      db-9, db-10, db-11",
        "  web-2: failure: exit code 1",
    ]


def test_for_a_program_there_is_the_final_run_and_nothing_else(daemon: Canned) -> None:
    daemon.on(*EVENTS, Events([output(1, "web-1", "noise\n"), ("end", going("failed", a_target("web-1", "failed")))]))
    done = daemon.rota("schedule", "trigger", "daily-backup", "-o", "json")
    assert (json.loads(done.stdout)["state"], done.stderr, done.returncode) == ("failed", "", 1)


def test_no_wait_leaves_the_run_to_the_daemon(daemon: Canned) -> None:
    done = daemon.rota("schedule", "trigger", "daily-backup", "--no-wait")
    assert (done.stdout, done.returncode) == ("run_00112233 queued\nWatch it: rota runs watch run_00112233\n", 0)


def test_a_daemon_that_restarts_is_waited_for_and_nothing_is_shown_twice(daemon: Canned) -> None:
    lives: Iterator[Events | tuple[int, Json]] = iter(
        [
            Events([output(1, "web-1", "before\n")]),
            (503, {"code": "unavailable", "message": "stopping"}),
            Events([output(2, "web-1", "after\n"), ("end", going("succeeded", a_target("web-1", "succeeded")))]),
        ]
    )
    daemon.on(*EVENTS, lambda request: next(lives))
    done = daemon.rota("schedule", "trigger", "daily-backup")
    assert done.stdout.splitlines()[:2] == ["web-1| before", "web-1| after"]
    assert "Lost the daemon" in done.stderr
    assert done.returncode == 0
    asked = [r.headers.get("last-event-id") for r in daemon.requests if r.path == EVENTS[1]]
    assert asked == [None, "1", "1"]


def test_ctrl_c_leaves_a_run_that_a_daemon_carries_out(daemon: Canned) -> None:
    watching, leave = threading.Event(), threading.Event()
    daemon.on(*EVENTS, Events([output(1, "web-1", "working\n"), watching.set, leave.wait]))
    child = subprocess.Popen(
        [sys.executable, "-m", "rota", "schedule", "trigger", "daily-backup"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(daemon.home),
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "web-1| working\n"
        child.send_signal(signal.SIGINT)
        _, talk = child.communicate(timeout=60)
    finally:
        leave.set()
        child.kill()
    assert child.returncode == 130
    assert "run_00112233 goes on." in talk
    assert "Stop it:  rota runs cancel run_00112233" in talk
    assert not [request for request in daemon.requests if request.path.endswith("/cancel")]


def in_process(home: Path, *, stubborn: bool) -> subprocess.Popen[str]:
    """`watch` over an API in its own process: see `own_run.py`."""
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("own_run.py")), "stubborn" if stubborn else "obedient"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_a_run_of_this_process_and_sees_it_end(home: Path, number: signal.Signals) -> None:
    child = in_process(home, stubborn=False)
    assert child.stdout is not None
    assert child.stdout.readline() == "web-1| working\n"
    child.send_signal(number)
    printed, talk = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Cancelling the run" in talk
    assert "run_00112233 cancelled in" in printed
    assert "closed in order" in printed


def test_a_second_ctrl_c_leaves_at_once(home: Path) -> None:
    child = in_process(home, stubborn=True)
    assert child.stdout is not None
    assert child.stderr is not None
    assert child.stdout.readline() == "web-1| working\n"
    child.send_signal(signal.SIGINT)
    while "Cancelling" not in child.stderr.readline():
        assert child.poll() is None
    assert child.stdout.readline() == "web-1| asked to cancel\n"
    child.send_signal(signal.SIGINT)
    printed, talk = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "rota why run_00112233" in talk
    assert "closed in order" not in printed


def test_no_wait_needs_a_daemon(home: Path) -> None:
    from rota.cli.start import check_can_leave
    from rota.client.api import Client
    from rota.client.unix import UnixTransport
    from rota.domain.errors import Unavailable

    class Own(UnixTransport):
        in_process = True

    with pytest.raises(Unavailable, match="needs a daemon"):
        check_can_leave(Client(Own(home / "rota.sock")), no_wait=True)
    check_can_leave(Client(UnixTransport(home / "rota.sock")), no_wait=True)


def on_a_terminal(daemon: Canned, *args: str, rows: int = 12) -> pexpect.spawn[str]:
    return pexpect.spawn(
        sys.executable,
        ["-m", "rota", *args],
        env=environment(daemon.home, TERM="xterm-256color"),
        dimensions=(rows, 80),
        encoding="utf-8",
        timeout=60,
    )


def screen_lines(text: str) -> list[str]:
    """What was printed, without colours and cursor movements."""
    import re

    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "").split("\n")]


def test_the_live_view_shows_hosts_steps_and_output_within_80_columns(daemon: Canned) -> None:
    shown_once, shown_twice = threading.Event(), threading.Event()
    long_host = "a-host-with-a-very-long-name.in.a.very.long.domain.example.org"
    targets = [
        a_target("web-1", "running", step="rotate", started_at=ago(seconds=65)),
        a_target(long_host, "failed", reason="step_failed", attempts=[an_attempt("prepare", "failed")]),
        a_target("web-3", "queued"),
    ]
    final = going("partial", a_target("web-1", "succeeded"), targets[1], a_target("web-3", "succeeded"))
    daemon.on(
        *EVENTS,
        Events(
            [
                ("run", going("running", *targets)),
                output(1, "web-1", "rotating\n"),
                lambda: shown_once.wait(30),
                ("run", going("running", *targets, cancel_requested_at="2026-03-04T02:00:09Z")),
                lambda: shown_twice.wait(30),
                ("end", final),
            ]
        ),
    )
    child = on_a_terminal(daemon, "schedule", "trigger", "daily-backup")
    child.expect("web-1\\| rotating")
    child.expect(r"2/3 rotate +\S*running +\S* *1m 0\ds")
    child.expect(r"…  +1/3 prepare +\S*failure \(step_failed\)")
    child.expect("queued")
    shown_once.set()
    child.expect("cancelling")
    shown_twice.set()
    child.expect("run_00112233 partial_failure in 3m 12s, 2/3 hosts")
    child.expect(f'{long_host}: failure at step "prepare" \\(step_failed\\)'.replace(".", "\\."))
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 3


def test_no_line_of_the_live_block_is_wider_than_the_terminal() -> None:
    import io

    from rich.console import Console

    from rota.cli.live import block
    from rota.domain.instant import parse_rfc3339

    hosts = [a_target(f"host-{n}-" + "x" * 90, "running", step="rotate") for n in range(40)]
    console = Console(file=io.StringIO(), width=80, height=12, force_terminal=True, color_system=None)
    now = parse_rfc3339("2026-03-04T02:01:00Z")
    with console.capture() as captured:
        console.print(block(going("running", *hosts, title="t" * 100), now, width=80, rows=8))
    lines = captured.get().splitlines()
    assert len(lines) == 13  # the run, how far it is, its steps, titles, 8 hosts, and the rest
    assert all(len(line) <= 80 for line in lines)
    assert "and 32 more: 32 running" in lines[-1]


def test_hosts_that_went_wrong_come_before_those_at_work() -> None:
    import io

    from rich.console import Console

    from rota.cli.live import block

    hosts = [a_target(f"ok-{n}", "succeeded") for n in range(5)] + [
        a_target("bad", "failed"),
        a_target("busy", "running"),
    ]
    console = Console(file=io.StringIO(), width=80, color_system=None)
    with console.capture() as captured:
        console.print(block(going("running", *hosts), 0, width=80, rows=2))
    assert [line.split()[0] for line in captured.get().splitlines()[4:6]] == ["bad", "busy"]


def test_half_of_the_rows_are_for_hosts_at_work_when_many_went_wrong() -> None:
    import io

    from rich.console import Console

    from rota.cli.live import block

    hosts = [a_target(f"bad-{n}", "failed") for n in range(30)] + [a_target(f"busy-{n}", "running") for n in range(30)]
    console = Console(file=io.StringIO(), width=80, color_system=None)
    with console.capture() as captured:
        console.print(block(going("running", *hosts), 0, width=80, rows=6, tails={"busy-0": "unpacking"}))
    rows = captured.get().splitlines()[4:10]
    assert [line.split()[0].partition("-")[0] for line in rows] == ["bad"] * 3 + ["busy"] * 3
    assert rows[3].rstrip().endswith("unpacking")


def test_a_flood_shows_its_end_and_says_what_was_left_out(daemon: Canned) -> None:
    flood = "".join(f"line {n}\n" for n in range(50_000))
    daemon.on(*EVENTS, Events([output(1, "web-1", flood), ("end", going("succeeded", a_target("web-1", "succeeded")))]))
    child = on_a_terminal(daemon, "schedule", "trigger", "daily-backup")
    child.expect(r"lines left out here: rota runs logs")
    child.expect(r"web-1\| line 49999")
    child.expect(pexpect.EOF)


def test_delete_asks_on_a_terminal_and_no_leaves_it(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job()))
    daemon.on("GET", "/runs", (200, {"items": [a_run()], "next": None}))
    child = on_a_terminal(daemon, "schedule", "delete", "daily-backup")
    child.expect(r"1 run stay")
    child.expect(r"\[y/N\]")
    child.sendline("n")
    child.expect("Not deleted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 7
    assert not [request for request in daemon.requests if request.method == "DELETE"]


def test_a_table_on_a_terminal_is_cut_to_its_width_and_coloured(daemon: Canned) -> None:
    jobs = [a_job(action_short="x" * 100)]
    daemon.on(
        "GET", "/jobs", (200, {"items": jobs, "next": None, "daemon": {"running": True, "pid": 1, "scheduling": True}})
    )
    child = on_a_terminal(daemon, "schedule", "list")
    child.expect(pexpect.EOF)
    assert all(len(line) <= 80 for line in screen_lines(child.before or ""))
    assert "…" in (child.before or "")
    assert "\x1b[" in (child.before or "")
    plain = on_a_terminal(daemon, "schedule", "list", "--no-color")
    plain.expect(pexpect.EOF)
    assert "\x1b[" not in (plain.before or "")


HOSTILE = "\x1b]0;owned\x07\x9b2Jred\u202e"


def test_what_others_wrote_cannot_move_a_terminals_cursor_and_is_whole_in_a_pipe(daemon: Canned) -> None:
    ended = a_run(message=HOSTILE, plan={**a_plan(), "steps": [{"name": HOSTILE, "action": "noop", "params": {}}]})
    daemon.on("GET", f"/runs/{RUN}", (200, ended))
    for form in ((), ("-o", "yaml"), ("-o", "json")):
        child = on_a_terminal(daemon, "runs", "show", RUN, *form)
        child.expect(pexpect.EOF)
        assert "red" in (child.before or "")
        assert not set(child.before or "") & set("\x1b\x07\x9b\u202e")
    assert f"Message:    {HOSTILE}\n" in daemon.rota("runs", "show", RUN).stdout


def test_an_error_quotes_nothing_that_moves_a_cursor(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/x", (404, {"code": "not_found", "message": f"no {HOSTILE}", "hint": HOSTILE}))
    said = daemon.rota("schedule", "show", "x").stderr
    assert "red" in said
    assert not set(said) & set("\x1b\x07\x9b\u202e")


def test_logs_are_printed_page_by_page_and_followed_to_the_end(daemon: Canned) -> None:
    pieces = [output(n, "web-1", f"line {n}\n")[1] for n in (1, 2, 3)]

    def page(request: Request) -> tuple[int, Json]:
        after = int(request.query["after"])
        return 200, {"items": pieces[after : after + 2], "next": min(after + 2, 3)}

    daemon.on("GET", f"/runs/{RUN}/output", page)
    assert daemon.rota("runs", "logs", RUN).stdout == "web-1| line 1\nweb-1| line 2\nweb-1| line 3\n"
    daemon.on(*EVENTS, Events([output(1, "web-1", "a\n"), ("end", going("failed", a_target("web-1", "failed")))]))
    followed = daemon.rota("runs", "logs", RUN, "-f")
    assert (followed.stdout, followed.returncode) == ("web-1| a\n", 0)


def test_schedule_logs_are_those_of_the_latest_run(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job()))
    daemon.on("GET", "/runs", (200, {"items": [a_run()], "next": None}))
    daemon.on(
        "GET",
        f"/runs/{RUN}/output",
        lambda request: (
            200,
            {"items": [] if request.query["after"] == "1" else [output(1, "web-1", "x\n")[1]], "next": 1},
        ),
    )
    assert daemon.rota("schedule", "logs", "daily-backup").stdout == "web-1| x\n"
    assert daemon.asked("GET", "/runs").query["limit"] == "1"


def test_schedule_cancel_asks_each_unfinished_run_to_stop(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job()))
    running = a_run(state="running", id="run_aaaaaaaaaaaaaaaa")
    daemon.on("GET", "/runs", (200, {"items": [running, a_run()], "next": None}))
    # The second ends while the first is being asked.
    daemon.on("POST", f"/runs/{RUN}/cancel", (409, {"code": "conflict", "message": "it has ended already"}))
    daemon.on("GET", f"/runs/{RUN}", (200, a_run()))
    daemon.on("POST", "/runs/run_aaaaaaaaaaaaaaaa/cancel", (200, running))
    done = daemon.rota("schedule", "cancel", "daily-backup")
    assert done.stdout == "run_aaaaaaaa is being cancelled\nrun_00112233 success\n"
    assert daemon.asked("GET", "/runs").query["state"] == "waiting,queued,running"


def test_run_sends_what_was_typed(daemon: Canned) -> None:
    daemon.on("POST", "/runs", (201, a_run(state="queued")))
    daemon.on(*EVENTS, ending("succeeded"))
    done = daemon.rota("run", "--do", "shell: df -h", "--target", "all", "--var", "a=1", "--run-timeout", "10m")
    assert done.returncode == 0
    expected = {"do": "shell: df -h", "target": "all", "vars": {"a": "1"}, "run_timeout_seconds": 600.0}
    assert daemon.asked("POST", "/runs").body == expected


def test_run_with_a_name_triggers_that_schedule(daemon: Canned) -> None:
    daemon.on(*EVENTS, ending("succeeded"))
    assert daemon.rota("run", "daily-backup").returncode == 0
    assert daemon.asked(*TRIGGER)


def test_a_dry_run_prints_the_plan_and_makes_nothing(daemon: Canned) -> None:
    plan = {**a_plan("prepare"), "hosts": ["web-1", "web-2"], "vars": {"keep": "7"}, "raw_uses": ["step prepare: x"]}
    daemon.on("POST", "/runs", (200, {"plan": plan}))
    done = daemon.rota("run", "--playbook", "backup", "--dry-run")
    assert daemon.asked("POST", "/runs").query == {"dry_run": "true"}
    assert done.stdout == (
        "Would run on: web-1, web-2\n  1. prepare  shell: do prepare\nWith:\n  keep = 7\nPlan: 5f5f5f5f5f5f\n"
    )
    assert "unquoted: step prepare: x" in done.stderr
