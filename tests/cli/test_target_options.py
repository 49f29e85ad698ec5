"""`--target` wherever it is typed: `@file` and `-` stand for the hosts on their lines, and are read here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.canned import Canned, Json, a_job, a_plan, an_instance

WRITES: dict[str, tuple[tuple[str, ...], tuple[str, str], tuple[int, Json]]] = {
    "create": (
        ("schedule", "create", "--name", "x", "--do", "noop", "--manual"), ("POST", "/jobs"), (201, a_job())
    ),
    "update": (
        ("schedule", "update", "x"), ("PATCH", "/jobs/x"), (200, {"job": a_job(), "changes": []})
    ),
    "run": (("run", "--do", "noop", "--dry-run"), ("POST", "/runs"), (200, {"plan": {**a_plan(), "hosts": []}})),
    "playbook run": (
        ("playbook", "run", "x", "--dry-run"), ("POST", "/runs"), (200, {"plan": {**a_plan(), "hosts": []}})
    ),
}  # fmt: skip


@pytest.fixture(params=WRITES)
def command(request: pytest.FixtureRequest, daemon: Canned) -> tuple[tuple[str, ...], tuple[str, str]]:
    words, asked, answer = WRITES[request.param]
    daemon.on(*asked, answer)
    daemon.on("GET", "/instance", (200, an_instance()))
    return words, asked


def test_a_target_may_come_from_a_file_and_from_standard_input(
    daemon: Canned, home: Path, command: tuple[tuple[str, ...], tuple[str, str]]
) -> None:
    words, asked = command
    (home / "hosts.txt").write_text("web-1  # the first\n\ngroup:db\n")
    for typed, lines in ((f"@{home}/hosts.txt", ""), ("-", "web-1\ngroup:db\n")):
        done = daemon.rota(*words, "--target", typed, stdin=lines)
        assert done.returncode == 0, done.stderr
        assert daemon.asked(*asked).body["target"] == "host:web-1,group:db"


def test_a_file_that_is_not_there_is_told_with_everything_else_that_is_wrong(daemon: Canned) -> None:
    done = daemon.rota("run", "--do", "noop", "--target", "@/no/such", "--run-timeout", "soon")
    assert done.returncode == 2
    assert "--target: cannot read /no/such: No such file or directory" in done.stderr
    assert "--run-timeout" in done.stderr


def test_a_file_that_names_no_host_is_refused_and_never_means_all(daemon: Canned) -> None:
    done = daemon.rota("schedule", "update", "x", "--target", "-", stdin="# nobody\n")
    assert (done.returncode, "standard input names no host" in done.stderr) == (2, True)


def test_an_empty_target_takes_it_away(daemon: Canned) -> None:
    daemon.on("PATCH", "/jobs/x", (200, {"job": a_job(), "changes": []}))
    assert daemon.rota("schedule", "update", "x", "--target", "").returncode == 0
    assert daemon.asked("PATCH", "/jobs/x").body == {"target": None}
