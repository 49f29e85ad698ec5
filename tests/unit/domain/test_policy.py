"""The overlap policies, as functions of how many runs are unfinished."""

from __future__ import annotations

import pytest

from rota.domain.policy import MAX_ALLOWED_AT_ONCE, Missed, Overlap, on_overlap


@pytest.mark.parametrize("policy", Overlap)
def test_with_nothing_unfinished_every_policy_starts(policy: Overlap) -> None:
    assert on_overlap(policy, 0) == "start"


@pytest.mark.parametrize("unfinished", [1, 2, 50])
def test_skip_skips_and_cancel_running_replaces(unfinished: int) -> None:
    assert on_overlap(Overlap.SKIP, unfinished) == "skip"
    assert on_overlap(Overlap.CANCEL_RUNNING, unfinished) == "replace"


def test_allow_starts_up_to_three_at_once() -> None:
    assert MAX_ALLOWED_AT_ONCE == 3
    assert [on_overlap(Overlap.ALLOW, unfinished) for unfinished in range(5)] == ["start"] * 3 + ["skip"] * 2


def test_the_words_are_those_of_the_seed() -> None:
    assert [policy.value for policy in Overlap] == ["skip", "allow", "cancel_running"]
    assert [policy.value for policy in Missed] == ["skip", "run_once"]
