"""Patterns that users may write cannot hold up whoever matches them."""

from __future__ import annotations

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.pattern import compile_pattern


@pytest.mark.parametrize(
    "text",
    [
        "^web[0-9]+$",
        "(ab)+x",
        ".*web.*",
        "(?i)WEB",
        "^(web|db)-[0-9]{1,3}\\.",
        "[a-z]+-[a-z]+-x",
        "a??b+?",
        "(?P<name>a)(?:b)",
    ],
)
def test_an_ordinary_pattern_is_accepted(text: str) -> None:
    assert compile_pattern(text).pattern == text


@pytest.mark.parametrize(
    "text",
    ["(a+)+$", "(a|a)*b", "(a|b|ab)*c", ".*.*.*x", "a?" * 40 + "a" * 40, "(a{1,9}){1,9}x", "(.*a){12}"],
)
def test_a_pattern_that_could_be_tried_in_too_many_ways_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="may take for ever"):
        compile_pattern(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("(?=a)b", "look-ahead"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "a back reference"),
        ("(?>a)", "atomic_group"),
        ("a*+", "possessive_repeat"),
        ("(a*)*", "a repeat of what may be empty"),
        ("(?:(?:){1000}){1000}", "a repeat of what may be empty"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        compile_pattern(text)


@pytest.mark.parametrize(
    ("text", "told"), [("(", "missing \\)"), ("", "empty"), ("a" * 201, "201 characters"), ("a{2,1}", "min repeat")]
)
def test_what_is_no_pattern_says_why(text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        compile_pattern(text)


@pytest.mark.parametrize("text", ["[[:alpha:]]", "[a--b]", "[a&&b]", "x[^|||]", r"[\]~~]"])
def test_what_looks_like_a_set_operation_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no set operation"):
        compile_pattern(text)


def test_doubled_signs_outside_brackets_mean_themselves() -> None:
    assert compile_pattern(r"xn--[a-z]\[\[").search("xn--a[[")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", [".*.*x", "a?" * 16 + "b", "a+a+b", "(aa?){16}b"])
def test_the_worst_accepted_patterns_end_soon(text: str) -> None:
    assert compile_pattern(text).search("a" * 253) is None
