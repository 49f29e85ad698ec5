"""Every statement of seed 1 is held by a test, or owed by a later issue; and what is said to hold it exists."""

from __future__ import annotations

import re

import pytest

from tests.seed1.covered import OWED, ROOT, TESTED, statements, walked
from tests.seed1.document import ALL, expected


def test_every_statement_of_the_document_is_tested_or_owed() -> None:
    assert statements().keys() == walked() | TESTED.keys() | OWED.keys()


def test_nothing_is_both_tested_and_owed() -> None:
    assert not (walked() | TESTED.keys()) & OWED.keys()


@pytest.mark.parametrize("place", sorted(set(TESTED.values())))
def test_the_test_that_is_said_to_hold_a_statement_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert re.search(rf"^ *(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_deviation_has_a_reason_and_is_one() -> None:
    for example in ALL:
        expected(example)  # asserts that what is replaced was printed
        assert all(deviation.reason and deviation.printed != deviation.ours for deviation in example.deviations)
