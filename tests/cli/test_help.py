"""Help: every command has one, with an example that is true; and it starts without loading anything heavy."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rota.cli.command import GLOBAL_OPTIONS, Group
from rota.cli.main import rota as root
from tests.cli.canned import Canned, a_daemon, a_job, environment, rota

HEAVY = {
    "pydantic", "sqlalchemy", "fastapi", "starlette", "rich", "uvicorn", "asyncio", "ruamel", "jinja2", "alembic",
    "importlib.metadata", "zoneinfo", "tempfile", "subprocess", "logging", "rota.usecases", "rota.compose",
}  # fmt: skip


def commands(group: Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, Group):
            yield from commands(command, (*path, name))


ALL = list(commands(root, ()))


def names(found: list[tuple[tuple[str, ...], click.Command]]) -> list[str]:
    return [" ".join(path) for path, _ in found]


def test_the_twelve_commands_of_seed_1_are_there() -> None:
    words = "create list show update delete enable disable history trigger"
    assert {*(f"schedule {word}" for word in words.split()), "daemon", "daemon run", "daemon install"} <= set(
        names(ALL)
    )


@pytest.mark.parametrize(("path", "command"), ALL, ids=names(ALL))
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{param.name} has no help"


@pytest.mark.parametrize(("path", "command"), ALL, ids=names(ALL))
def test_every_example_is_a_command_line_that_parses(path: tuple[str, ...], command: click.Command) -> None:
    assert command.epilog
    assert any(line.startswith(f"rota {' '.join(path)}") for line in command.epilog.splitlines())
    for line in command.epilog.splitlines():
        words = shlex.split(line, comments=True)[1:]
        for stop in (">", "&&"):
            words = words[: words.index(stop)] if stop in words else words
        parsed: click.Command = root
        while isinstance(parsed, Group) and words:
            _, found, words = parsed.resolve_command(click.Context(parsed), words)
            assert found is not None
            parsed = found
        parsed.make_context("rota", words, obj=None)


@pytest.mark.parametrize(("path", "command"), ALL, ids=names(ALL))
def test_what_a_group_says_of_a_command_it_has_not_loaded_is_what_the_command_says(
    path: tuple[str, ...], command: click.Command
) -> None:
    parent: click.Command | None = root
    for name in path[:-1]:
        assert isinstance(parent, Group)
        parent = parent.get_command(click.Context(parent), name)
    assert isinstance(parent, Group)
    if path[-1] in parent.lazy and path[0] != path[-1]:
        said = parent.lazy[path[-1]].help.removesuffix(".")
        assert (command.help or "").startswith(said.split(";")[0].split(",")[0])


def test_help_prints_the_example_and_the_global_options(home: Path) -> None:
    done = rota("schedule", "history", "--help", home=home)
    assert done.returncode == 0
    assert "Example:\n  rota schedule history daily-backup --limit 5\n" in done.stdout
    assert all(option.opts[-1] in done.stdout for option in GLOBAL_OPTIONS)


def test_a_group_alone_prints_its_help_and_is_a_usage_error(home: Path) -> None:
    done = rota("schedule", home=home)
    assert done.returncode == 2
    assert "Commands:" in done.stderr


def modules_of(*args: str, home: Path) -> set[str]:
    """Names of the modules that one command line has loaded when it is done."""
    program = (
        "import sys, json\nfrom rota.cli.main import run\nrun(sys.argv[1:])\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *args],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr))


def test_help_loads_neither_a_command_nor_anything_heavy(home: Path) -> None:
    loaded = modules_of("--help", home=home)
    assert loaded & HEAVY == set()
    assert loaded & {"rota.cli.commands.schedule", "rota.client.api", "http.client"} == set()


def test_a_list_loads_the_client_and_nothing_of_the_server(daemon: Canned) -> None:
    daemon.on("GET", "/jobs", (200, {"items": [a_job()], "next": None, "daemon": a_daemon()}))
    loaded = modules_of("schedule", "list", home=daemon.home)
    assert loaded & HEAVY == set()
    assert "http.client" in loaded
    assert {name for name in loaded if name.startswith("rota.domain.")} <= {
        "rota.domain.errors",
        "rota.domain.ids",
        "rota.domain.instant",
    }
