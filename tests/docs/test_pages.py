"""What holds for every page: links lead somewhere, examples are valid, and no folder of one machine is named."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from rota.actions.playbook_file import read_playbook
from rota.actions.yaml_reader import read_yaml
from rota.instance import Instance
from rota.settings import load
from rota.templating.environment import render
from rota.templating.quoting import Quoting
from tests.docs.pages import DOCS, PAGES, ROOT, name_of

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
_YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)`::`(\w+)`")
_DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text()):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), f"{target} is not there"
        assert not anchor or anchor in _anchors(there), f"{target}#{anchor} is no heading"


def _anchors(page: Path) -> set[str]:
    """The headings as links name them: lower case, words joined by dashes, other signs left out."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_yaml_example_is_what_it_says_it_is(page: Path, tmp_path: Path) -> None:
    for text in _YAML.findall(page.read_text()):
        data = read_yaml(text, what=name_of(page)).data
        assert isinstance(data, dict)
        if "steps" in data:
            assert read_playbook(text).steps
        elif "schedule" in data:
            home = Instance(home=tmp_path, kind="option")
            home.config.write_text(text)
            assert load(home, {}) == load(Instance(home=tmp_path / "none", kind="option"), {}), "not the defaults"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_is_named_exists(page: Path) -> None:
    for file, name in _TEST.findall(page.read_text()):
        tree = ast.parse((ROOT / file).read_text())
        assert name in {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_folders_of_the_machine_it_was_written_on(page: Path) -> None:
    assert not re.search(r"/root/|/tmp/tmp|/main/src|pypi|npmjs", page.read_text())


def test_every_guarantee_names_a_test_that_holds_it() -> None:
    sections = (DOCS / "guarantees.md").read_text().split("\n## ")[1:]
    promised = [section for section in sections if not section.startswith("Not promised")]
    assert promised
    assert all(_TEST.search(section) for section in promised)


def test_troubleshooting_quotes_what_rota_really_says() -> None:
    """The words between the `…` of each quoted message, wherever they are long enough to be looked for."""
    source = "".join(path.read_text() for path in (ROOT / "src" / "rota").rglob("*.py"))
    rows = re.findall(r"^\| `([^`]+)`", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    pieces = [piece.strip() for row in rows for piece in re.split(r"[…()×]", row) if len(piece.strip()) > 8]
    assert len(pieces) > 20
    assert [piece for piece in pieces if piece not in source] == []


def test_the_dependencies_are_those_of_the_decision() -> None:
    page = (DOCS / "decisions" / "0011-dependencies.md").read_text()
    installed, _, later = page.partition("*not* installed yet")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[><=\[]", requirement)[0] for requirement in wanted}
    assert set(re.findall(r"^\| ([a-z][\w.-]+) \|.*MB", installed, re.MULTILINE)) == names
    postponed = {name for row in re.findall(r"^\| ([a-z][\w ,-]+) \|", later, re.MULTILINE) for name in row.split(", ")}
    assert not postponed & names


def test_the_quoting_that_the_manual_shows_is_what_the_renderer_gives() -> None:
    page = (DOCS / "playbooks.md").read_text()
    rows = re.findall(r"^\| `(echo [^`]+)` \| `([^`]+)` \|", page, re.MULTILINE)
    assert len(rows) == 3
    for template, becomes in rows:
        assert render(template, Quoting.SHELL, {"vars": {"x": "a; rm -rf ~"}}) == becomes


def test_every_page_of_the_docs_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text()
    assert all(f"]({page.name}" in index for page in DOCS.glob("*.md") if page.name != "index.md")


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_decisions_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in _DECISIONS] == [f"{n:04}" for n in range(1, len(_DECISIONS) + 1)]


@pytest.mark.parametrize("page", _DECISIONS, ids=name_of)
def test_a_decision_says_context_decision_and_consequences(page: Path) -> None:
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences"]
    assert text.startswith(f"# {int(page.name[:4])}. ")


def test_every_decision_is_listed_with_its_title() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text()
    for page in _DECISIONS:
        assert f"[{page.read_text().splitlines()[0][2:]}]({page.name})" in listed
