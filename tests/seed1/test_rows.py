"""Statements of seed 1 that its samples do not show."""

from __future__ import annotations

import json
import plistlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.seed1.covered import ROOT
from tests.seed1.world import World
from tests.support.daemon import Home, a_home, until

SUBCOMMANDS = ("create", "list", "show", "update", "delete", "enable", "disable", "history", "trigger")
NOT_FOUND = 4


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The fleet of the document; a test makes its own schedules."""
    with a_home() as home:
        yield World(home)


@pytest.fixture
def home(world: World) -> Home:
    return world.home


def create(home: Home, name: str, *more: str) -> None:
    do = () if "--playbook" in more else ("--do", "noop")
    said = home.rota("schedule", "create", "--name", name, *(more or ("--manual",)), *do)
    assert said.code == 0, said.err


def test_the_four_typical_jobs_are_there_as_playbooks_that_run(home: Home) -> None:
    folder = Path(str(resources.files("rota") / "examples" / "playbooks"))
    for name in ("backup", "log-rotate", "health-check", "compliance-scan"):
        text = (folder / f"{name}.yaml").read_text()
        assert home.client.validate_playbook(text) == {"valid": True, "errors": []}
        home.client.import_playbook(text, name=f"example-{name}")
        planned = home.rota("run", "--dry-run", "--playbook", f"example-{name}", "--target", "host:web-1")
        assert "Would run on: web-1" in planned.out


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("all", {"web-1", "web-2", "web-3", "web-4"}),
        ("host:web-2", {"web-2"}),
        ("group:webservers", {"web-1", "web-2"}),
        ("tag:staging", {"web-4"}),
        ("group:production & !group:webservers", {"web-3", "web-4"}),
    ],
)
def test_a_target_picks_the_same_hosts_wherever_it_is_written(home: Home, target: str, hosts: set[str]) -> None:
    assert set(home.client.match_hosts(target)["items"]) == hosts
    adhoc = home.finished(home.run("noop", target=target))
    assert {one["host"] for one in adhoc["targets"]} == hosts
    name = "on-" + "".join(letter if letter.isalnum() else "-" for letter in target)
    create(home, name, "--manual", "--target", target)
    run = home.finished(home.client.trigger_job(name)["id"])
    assert {one["host"] for one in run["targets"]} == hosts


def test_every_subcommand_takes_the_name_or_the_id(home: Home) -> None:
    create(home, "named")
    whole = home.client.job("named")["id"]
    for ref in ("named", whole, whole[: len("sched_") + 8], whole.removeprefix("sched_")[:8]):
        for command in (["show"], ["disable"], ["enable"], ["history"], ["trigger"], ["update", "--description", ref]):
            said = home.rota("schedule", command[0], ref, *command[1:])
            assert said.code == 0, (command, ref, said.err)


def test_enabled_is_changed_by_update_too(home: Home) -> None:
    create(home, "switched")
    for word in ("false", "true"):
        assert home.rota("schedule", "update", "switched", "--enabled", word).code == 0
        assert f"Enabled:     {word}" in home.rota("schedule", "show", "switched").out


def test_what_is_deleted_with_yes_is_gone_its_name_is_free_and_its_runs_stay(home: Home) -> None:
    create(home, "gone")
    assert home.rota("schedule", "trigger", "gone").code == 0
    said = home.rota("schedule", "delete", "gone", "--yes")
    assert said.out == 'Schedule "gone" deleted; 1 run stays until retention\n'
    assert home.rota("schedule", "show", "gone").code == NOT_FOUND
    assert "gone" in home.rota("schedule", "history").out
    create(home, "gone")


def test_without_a_terminal_and_without_yes_nothing_is_deleted(home: Home) -> None:
    create(home, "kept")
    said = home.rota("schedule", "delete", "kept")
    assert said.code == 7
    assert "add --yes" in said.err
    assert home.rota("schedule", "show", "kept").code == 0


def test_history_shows_twenty_unless_told_otherwise(home: Home) -> None:
    create(home, "often")
    for _ in range(22):
        home.finished(home.client.trigger_job("often")["id"])

    def shown(*limit: str) -> int:
        return len(home.rota("schedule", "history", "often", *limit).out.splitlines()) - 2  # the head and its rule

    assert (shown(), shown("--limit", "5"), shown("--limit", "50")) == (20, 5, 22)


def test_a_window_that_comes_while_the_previous_run_executes_is_skipped(home: Home) -> None:
    gate = home.gate()
    create(home, "busy", "--every", "1s", "--enabled", "false")
    home.client.update_job("busy", {"do": f"shell: read line < {gate.path}", "enabled": True})
    refusal = until(lambda: home.rows("SELECT * FROM ledger WHERE job_name = 'busy' AND count > 1"))[0]
    home.client.disable_job("busy")
    assert refusal["reason"] == "overlap_skip"
    assert len(home.client.runs(job="busy", limit=10)["items"]) == 1
    gate.open()
    until(lambda: home.unfinished() == 0)


def test_the_launchd_definition_can_be_redirected_into_its_file(home: Home) -> None:
    said = home.rota("daemon", "install", "--platform", "launchd")
    definition = plistlib.loads(said.out.encode())
    assert (said.code, said.err) == (0, "")
    assert (definition["RunAtLoad"], definition["KeepAlive"]) == (True, True)
    assert definition["StandardOutPath"] == str(home.path / "logs" / "daemon.log")


def test_every_schedule_command_speaks_json(home: Home) -> None:
    more = {
        "create": ["--name", "json", "--manual", "--do", "noop"],
        "list": [],
        "history": [],
        "update": ["json", "--description", "x"],
    }
    last = "delete"
    for command in (*(name for name in SUBCOMMANDS if name != last), last):
        said = home.rota("schedule", command, *more.get(command, ["json"]), "--yes", "--output", "json")
        assert said.code == 0, said.err
        assert json.loads(said.out)


def test_the_reference_names_every_command_and_flag_of_a_schedule(home: Home) -> None:
    reference = (ROOT / "docs" / "cli.md").read_text()
    for command in SUBCOMMANDS:
        assert f"rota schedule {command}" in reference
    for flag in (
        "--name", "--cron", "--playbook", "--target", "--var", "--timezone", "--overlap-policy", "--missed-run-policy",
        "--description", "--enabled", "--limit", "--output",
    ):  # fmt: skip
        assert flag in reference
