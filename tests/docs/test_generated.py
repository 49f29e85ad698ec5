"""What the code knows best is taken from the code, and is up to date."""

from __future__ import annotations

import click
import pytest

from docs import generate
from rota.actions import registry
from rota.cli.failure import _EXIT_OF_ERROR, INTERNAL, INTERRUPTED
from rota.cli.words import EXIT_OF_STATE
from rota.domain.states import AttemptState, RunState, TargetState
from tests.docs.pages import DOCS, name_of

COMMANDS = [pytest.param(name, command, id=name) for name, command in generate.commands() if name != "rota"]


def test_no_page_is_out_of_date() -> None:
    pages = [name_of(page) for page, _ in generate.stale()]
    assert not pages, f"to bring them up to date: python docs/generate.py ({', '.join(pages)})"


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_command_has_help_an_example_and_its_place_in_the_docs(name: str, command: click.Command) -> None:
    page = (DOCS / "cli.md").read_text()
    assert command.help
    assert command.epilog is not None
    assert all(line.startswith("rota ") for line in command.epilog.splitlines())
    assert f"# `{name}`\n" in page


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_option_of_a_command_is_in_the_docs(name: str, command: click.Command) -> None:
    page = (DOCS / "cli.md").read_text()
    _, _, section = page.partition(f"# `{name}`\n")
    section = section.split("\n#")[0]
    for param in generate.own_params(command):
        if isinstance(param, click.Option):
            assert f"| `{', '.join(param.opts)}" in section


@pytest.mark.parametrize("kind", registry.kinds())
def test_an_action_kind_and_its_parameters_are_in_the_docs(kind: str) -> None:
    _, _, section = (DOCS / "actions.md").read_text().partition(f"## `{kind}`\n")
    section = section.split("\n## ")[0]
    assert all(f"| `{name}` |" in section for name in registry.schema(kind)["properties"])


def test_every_state_is_in_the_docs() -> None:
    page = (DOCS / "run-states.md").read_text()
    for state in (*RunState, *TargetState, *AttemptState):
        assert f"| `{state}` |" in page


def test_every_exit_code_is_in_the_docs() -> None:
    page = (DOCS / "cli.md").read_text()
    codes = {*EXIT_OF_STATE.values(), *(code for _, code in _EXIT_OF_ERROR), INTERNAL, INTERRUPTED}
    assert all(f"\n| {code} | " in page for code in codes)


def test_every_route_is_in_the_docs() -> None:
    page = (DOCS / "api.md").read_text()
    for route in generate.routes():
        assert all(f"`{method} /api/v1{route.path}`" in page for method in route.methods or ())
