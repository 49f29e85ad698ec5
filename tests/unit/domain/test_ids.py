"""Public ids, and names that can be mistaken for none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.ids import MAX_NAME, RESERVED, Kind, digits_of, in_order, name_faults, public

DIGITS = st.text("0123456789abcdef", min_size=4, max_size=16)


@given(st.sampled_from(list(Kind)), DIGITS)
def test_digits_are_read_back_with_and_without_their_prefix(kind: Kind, digits: str) -> None:
    assert digits_of(public(kind, digits), kind) == digits
    assert digits_of(digits, kind) == digits


@given(st.sampled_from(list(Kind)), st.sampled_from(list(Kind)), DIGITS)
def test_an_id_of_another_kind_is_none(kind: Kind, other: Kind, digits: str) -> None:
    if kind is not other:
        assert digits_of(public(other, digits), kind) is None


@pytest.mark.parametrize("text", ["abc", "", "a" * 17, "ABCD", "sched_", "sched_xyzw", "run_abcd ", "sched_sched_abcd"])
def test_what_cannot_be_an_id_is_none(text: str) -> None:
    assert digits_of(text, Kind.JOB) is None


@given(st.sampled_from(list(Kind)), DIGITS)
def test_no_name_can_be_mistaken_for_an_id(kind: Kind, digits: str) -> None:
    for name in (digits, public(kind, digits)):
        assert any("looks like an id" in fault.message for fault in name_faults(name))


@pytest.mark.parametrize(
    "name", ["daily-backup", "a", "9to5", "web.nginx:reload", "team@x", "a+b", "cafe-2", "x" * MAX_NAME]
)
def test_plain_names_are_good(name: str) -> None:
    assert name_faults(name) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "-x",
        "--name",
        "a b",
        "a/b",
        "a\nb",
        "ünder",
        "x" * (MAX_NAME + 1),
        "cafe",
        "deadbeef",
        "run_abcd",
        "a'b",
    ],
)
def test_other_names_are_refused_with_a_word(name: str) -> None:
    [first, *_] = name_faults(name, field="--name")
    assert first.field == "--name"
    assert first.message


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_words_of_the_command_line_are_no_names(word: str) -> None:
    assert name_faults(word)


def test_every_fault_of_a_name_is_told_at_once() -> None:
    assert len(name_faults(" " * (MAX_NAME + 1))) == 2


def test_names_are_ordered_as_people_count() -> None:
    assert in_order(["web-10", "web-2", "db", "web-2a", "10", "9"]) == ["9", "10", "db", "web-2", "web-2a", "web-10"]
