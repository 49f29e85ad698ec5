"""`rota shell`: lines, the slash forms of seeds 3 and 5, and what a person at a terminal gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pexpect
import pytest

from rota.cli.main import rota as root
from rota.cli.repl.editing import Completer
from rota.cli.repl.schedules import schedule_lines
from rota.cli.repl.translate import Own, translate
from rota.cli.session import Session
from rota.domain.errors import InvalidInput
from tests.cli.canned import Canned, a_job, environment


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("/schedule daily-backup every 5m", "schedule update daily-backup --when|every 5m"),
        ("/schedule daily-backup daily 9am", "schedule update daily-backup --when|daily 9am"),
        ("/schedule daily-backup weekdays 9am", "schedule update daily-backup --when|weekdays 9am"),
        ('/schedule x --when "+0s" --do noop', "schedule create --name x --when +0s --do noop"),
        ("/schedule pause x", "pause x"),
        ("/schedule resume x", "resume x"),
        ("schedule pause x", "pause x"),
        ("/schedule delete x --yes", "schedule delete x --yes"),
        ("/schedule x", "schedule show x"),
        ("/schedule", "schedule --help"),
        ("/run x", "run x"),
        ("/logs x", "schedule logs x"),
        ("/jobs list --tag a", "jobs list --tag a"),
        ("jobs show x", "jobs show x"),
        ("rota jobs show x", "jobs show x"),
        ("schedule list", "schedule list"),
        ("help schedule", "schedule --help"),
    ],
)
def test_a_line_is_a_command_line(line: str, means: str) -> None:
    head, _, last = means.partition("|")
    assert translate(line).args == (*head.split(), *([last] if last else []))


@pytest.mark.parametrize(
    ("line", "own"),
    [
        ("", Own.NOTHING), ("   # a comment", Own.NOTHING), ("exit", Own.LEAVE), ("/exit", Own.LEAVE),
        ("/schedule list", Own.SCHEDULES),
    ],
)  # fmt: skip
def test_some_lines_are_the_shells_own(line: str, own: Own) -> None:
    assert translate(line).own is own


@pytest.mark.parametrize("line", ['run "daily backup', "shell"])
def test_a_line_that_cannot_be_read_says_what_to_type(line: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        translate(line)
    assert caught.value.hint


def test_the_list_is_that_of_seed_3() -> None:
    interval = {"name": "main", "kind": "interval", "anchor": "2026-03-05T00:00:00Z", "timezone": "UTC"}
    cron = {"name": "main", "kind": "cron", "timezone": "UTC"}
    jobs = [
        a_job(name="Inbox-Triage", triggers=[{**interval, "every_seconds": 900}]),
        a_job(name="Price-Monitor", triggers=[{**interval, "every_seconds": 3600}]),
        a_job(name="Standup", triggers=[{**cron, "expression": "0 10 * * 1-5"}], paused={"id": "pause_1"}),
        a_job(name="Report", triggers=[{**cron, "expression": "30 13 * * 1"}], enabled=False),
        a_job(name="Odd", triggers=[{**interval, "every_seconds": 2700}]),
        a_job(name="Month", triggers=[{**cron, "expression": "0 9 1 * *"}], trigger_text="On day 1 of every month"),
    ]
    assert [*schedule_lines(jobs)] == [
        "  Schedules",
        "",
        "    Inbox-Triage -- every 15 minutes (*/15 * * * *)",
        "    Price-Monitor -- every 1 hour (0 */1 * * *)",
        "    Standup -- weekdays 10 AM (0 10 * * 1-5) (paused)",
        "    Report -- Mondays 1:30 PM (30 13 * * 1) (disabled)",
        "    Odd -- every 45 minutes",
        "    Month -- On day 1 of every month (0 9 1 * *)",
    ]


def test_what_is_piped_in_is_carried_out_line_by_line(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job()))
    done = daemon.rota("shell", stdin="jobs show daily-backup\n# nothing\nnope\n/jobs show daily-backup\nexit\nnope\n")
    assert done.stdout.count("Name:        daily-backup") == 2
    assert done.stderr.count("no command") == 1
    assert done.returncode == 2


def test_global_options_hold_for_every_line_and_those_of_a_line_for_itself(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/daily-backup", (200, a_job()))
    done = daemon.rota("shell", "-o", "name", stdin="jobs show daily-backup -o json\njobs show daily-backup\n")
    assert done.stdout.startswith("{")
    assert done.stdout.endswith("}\ndaily-backup\n")


def completed(home: Path, before: str, text: str) -> list[str]:
    return Completer(Session(home=str(home)), root).candidates(before, text)


def test_commands_and_options_are_completed(home: Path) -> None:
    assert completed(home, "", "/sch") == ["/schedule "]
    assert completed(home, "schedule ", "pr") == ["preview "]
    assert "--timezone " in completed(home, "schedule preview ", "--t")
    assert "pause " in completed(home, "/schedule ", "pa")


def test_names_of_schedules_are_completed(daemon: Canned) -> None:
    daemon.on("GET", "/jobs", (200, {"items": [a_job(name="nightly")], "next": None, "daemon": {}}))
    assert completed(daemon.home, "schedule show ", "ni") == ["nightly "]


def test_a_person_gets_a_prompt_a_history_and_a_way_out(daemon: Canned) -> None:
    daemon.on("GET", "/jobs/nightly", (200, a_job(name="nightly")))
    env = environment(daemon.home, TERM="dumb")
    child = pexpect.spawn(sys.executable, ["-m", "rota", "shell"], env=env, encoding="utf-8", timeout=60)
    child.expect_exact("rota> ")
    child.sendline("jobs show nightly")
    child.expect("Name: +nightly")
    child.expect_exact("rota> ")
    child.send("half a line\x03")
    child.expect_exact("rota> ")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    history = daemon.home / "shell_history"
    assert history.read_text() == "jobs show nightly\nexit\n"
    assert history.stat().st_mode & 0o777 == 0o600
