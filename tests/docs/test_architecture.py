"""ARCHITECTURE.md is the tree as it is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from rota.domain.states import AttemptState, RunState, TargetState
from tests.docs.pages import ROOT

SOURCE = ROOT / "src" / "rota"
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
# Within backquotes or the drawn tree: `storage/timing.py`, `sql/plan.sql`, `daemon/`.
_FILES = sorted(set(re.findall(r"[\w/.-]*\w\.(?:py|sql|toml)\b", TEXT)))
_PACKAGES = sorted(path.parent for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE)


def _drawn() -> set[str]:
    """The folders of the drawn tree, by their path below `src/rota`."""
    found, stack = set(), list[tuple[int, str]]()
    for line in TEXT.partition("```text\nsrc/rota/\n")[2].partition("```")[0].splitlines():
        match = re.match(r"( +)([\w]+)/ ", line)
        if match:
            stack = [(depth, name) for depth, name in stack if depth < len(match[1])]
            stack.append((len(match[1]), match[2]))
            found.add("/".join(name for _, name in stack))
    return found


@pytest.mark.parametrize("package", _PACKAGES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_package_is_in_the_drawn_tree(package: Path) -> None:
    assert str(package.relative_to(SOURCE)) in _drawn()


@pytest.mark.parametrize("folder", sorted(_drawn()))
def test_a_drawn_folder_is_there(folder: str) -> None:
    assert (SOURCE / folder).is_dir()


@pytest.mark.parametrize("file", _FILES)
def test_a_file_that_is_named_is_there(file: str) -> None:
    """A bare name may lie anywhere; one with a folder is that very path, below any package."""
    places = (path for root in (SOURCE, ROOT / "docs", ROOT) for path in _named(root, file))
    assert next(places, None) is not None


def _named(root: Path, file: str) -> list[Path]:
    return [root / file] if (root / file).exists() else [] if root == ROOT else list(root.rglob(file))


def test_the_layers_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = re.findall(r"rota\.([\w.]+)", " ".join(contracts[0]["layers"]))
    drawn = TEXT.partition("cli, demo ")[2].partition("```")[0]
    words = ["cli", "demo", *re.findall(r"^([a-z.]+(?: \| [a-z.]+)?)", drawn, re.MULTILINE)]
    assert [word for each in words for word in each.split(" | ")] == named
    assert f"{_COUNTS[len(contracts) - 1]} more contracts" in TEXT


_COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven")


def test_every_state_is_named() -> None:
    for state in (*RunState, *TargetState, *AttemptState):
        assert str(state) in TEXT
