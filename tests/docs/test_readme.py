"""The README, and every page with `console` blocks, does what it says: its commands run here, in order."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.console import Step, Terminal, alike, steps, terminal
from tests.docs.pages import PAGES, ROOT, name_of

# The benchmarks' commands are run by tests/bench.
WITH_CONSOLE = [page for page in PAGES if "```console" in page.read_text() and page.name != "benchmarks.md"]
REFRESH = "python -m tests.docs.console"
PATIENCE_SECONDS = 10.0
_LOOKING = ("list", "show", "history", "why", "logs", "status")


@pytest.fixture
def at_terminal() -> Iterator[Terminal]:
    # Not tmp_path: a socket's path has room for some 100 characters.
    with tempfile.TemporaryDirectory(prefix="rota-docs-") as folder, terminal(Path(folder)) as opened:
        yield opened


@pytest.mark.parametrize("page", WITH_CONSOLE, ids=name_of)
def test_a_pages_commands_print_what_the_page_says(page: Path, at_terminal: Terminal) -> None:
    todo = list(steps(page.read_text()))
    at_terminal.prepare(todo)
    for step in todo:
        printed = _typed(at_terminal, step)
        assert printed == alike(step.promised), f"$ {step.command}; if that is meant: {REFRESH} {name_of(page)}"


def _typed(at_terminal: Terminal, step: Step) -> list[str]:
    """What a step prints. One that only looks is asked again until it shows what was still on its way."""
    printed = alike(at_terminal.type(step))
    deadline = time.monotonic() + PATIENCE_SECONDS
    only_looks = any(word in step.command.split() for word in _LOOKING)
    while only_looks and printed != alike(step.promised) and time.monotonic() < deadline:
        time.sleep(0.2)
        printed = alike(at_terminal.type(step))
    return printed


def test_the_readmes_first_screen_says_what_it_is_shows_it_and_installs_it() -> None:
    screen = (ROOT / "README.md").read_text().splitlines()[:60]
    assert screen[0] == "# Rota"
    assert screen.index("$ make run") < screen.index("## Install")


def test_the_two_commands_a_newcomer_needs_are_in_the_readme_and_in_the_makefile() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("run", "test"):
        assert f"make {target} " in readme
        assert f"\n{target}: " in makefile
