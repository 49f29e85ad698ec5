"""Every command line that a page names is one that `rota` takes, in its blocks and in the running text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rota.cli.command import Group
from rota.cli.main import rota
from rota.cli.session import Session
from tests.docs.console import steps
from tests.docs.pages import PAGES, name_of

_SH = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(rota [^`]+)`")
_ENDS = re.compile(r"[|&;<>()]+")


def _lines(page: str) -> Iterator[str]:
    yield from (line for block in _SH.findall(page) for line in block.splitlines())
    yield from (step.command for step in steps(page))
    yield from _INLINE.findall(re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE))


def _words(line: str) -> list[str]:
    """What follows `rota`, up to the end of that command; `$(…)` counts as one word."""
    line = re.sub(r'"?\$\([^)]*\)"?', "WORD", line.replace("\\\n", " ").replace("…", ""))
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    if "rota" not in words:
        return []
    words = words[words.index("rota") + 1 :]
    end = next((place for place, word in enumerate(words) if _ENDS.fullmatch(word)), len(words))
    return words[:end]


def _command_lines(page: Path) -> list[str]:
    return [line for line in _lines(page.read_text()) if re.match(r"([A-Z_]+=\S+ )*rota ", line)]


@pytest.mark.parametrize("page", [page for page in PAGES if _command_lines(page)], ids=name_of)
def test_every_command_line_of_a_page_parses(page: Path) -> None:
    for line in _command_lines(page):
        try:
            _parse(_words(line))
        except click.ClickException as error:
            pytest.fail(f"{line}: {error.format_message()}")


def _parse(words: list[str]) -> None:
    command: click.Command = rota
    while isinstance(command, Group) and words and not words[0].startswith("-"):
        _, found, words = command.resolve_command(click.Context(command), words)
        assert found is not None
        command = found
    if not isinstance(command, Group):
        # Missing arguments are fine: `rota why` in a sentence names the command.
        command.make_context("rota", words, obj=Session(), resilient_parsing=not words)
