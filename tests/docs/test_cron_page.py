"""docs/cron.md: its Python session runs as printed, and its refusals are what Rota says."""

from __future__ import annotations

import doctest
import re

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.trigger.dialect import SHORTHANDS, read_cron
from tests.docs.pages import DOCS

PAGE = (DOCS / "cron.md").read_text()
REFUSED = PAGE.partition("## What is refused")[2].partition("\n## ")[0]


def test_the_python_session_runs_as_printed() -> None:
    (session,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(session, {}, "docs/cron.md", None, 0)
    assert len(test.examples) > 8
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


@pytest.mark.parametrize(("expression", "says"), re.findall(r"^\| `([^`]+)` \| (.+) \|$", REFUSED, re.MULTILINE))
def test_a_refusal_says_what_the_page_says(expression: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_cron(expression)
    assert says in str(caught.value)


def test_every_shorthand_is_on_the_page_with_its_meaning() -> None:
    (row,) = re.findall(r"^\| `(@hourly .+)` \| (.+) \|$", PAGE, re.MULTILINE)
    meanings, named = row[1].split(", "), dict[str, str]()
    for word, meaning in zip(row[0].split(), meanings, strict=True):
        named[word] = named[list(named)[-1]] if meaning == "the same" else meaning.strip("`")
    assert named == SHORTHANDS
