"""The policies of a job, as functions: overlap, patience, and the words that say them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.errors import FieldError
from rota.domain.instant import HOUR, MINUTE, SECOND
from rota.domain.policy import (
    FIELDS,
    MAX_ALLOWED_AT_ONCE,
    MAX_QUEUED,
    PLAIN,
    CatchUp,
    Missed,
    Overlap,
    Patience,
    Policies,
    most_at_once,
    on_overlap,
    read_policies,
    refusal,
)
from rota.domain.reasons import Reason

LIMITS = st.none() | st.integers(1, 50)


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


def test_queue_lets_one_wait_behind_the_running_one() -> None:
    assert MAX_QUEUED == 1
    assert [on_overlap(Overlap.QUEUE, unfinished) for unfinished in range(4)] == ["start", "queue", "skip", "skip"]


@given(unfinished=st.integers(0, 100), limit=st.integers(1, 50))
def test_a_limit_is_of_what_allow_lets_go_at_once_and_of_what_queue_lets_wait(unfinished: int, limit: int) -> None:
    assert (on_overlap(Overlap.ALLOW, unfinished, limit) == "start") == (unfinished < limit)
    assert (on_overlap(Overlap.QUEUE, unfinished, limit) == "skip") == (unfinished > limit)


@given(policy=st.sampled_from(Overlap), limit=LIMITS, arrivals=st.lists(st.booleans(), max_size=60))
def test_never_more_than_the_policy_says_are_unfinished(
    policy: Overlap, limit: int | None, arrivals: list[bool]
) -> None:
    """Each True is an occurrence, each False the end of a run."""
    unfinished = 0
    for comes in arrivals:
        if not comes:
            unfinished = max(0, unfinished - 1)
        elif on_overlap(policy, unfinished, limit) in {"start", "queue"}:
            unfinished += 1
        waiting = limit or MAX_QUEUED if policy is Overlap.QUEUE else 0
        assert unfinished <= most_at_once(policy, limit) + waiting


def test_a_refusal_says_which_policy_had_what_limit() -> None:
    assert refusal(Overlap.SKIP, None) is None
    assert "queue, 1 at most" in (refusal(Overlap.QUEUE, None) or "")
    assert "allow lets: 5" in (refusal(Overlap.ALLOW, 5) or "")


def test_the_words_are_those_of_the_seeds() -> None:
    assert [policy.value for policy in Overlap] == ["skip", "queue", "allow", "cancel_running"]
    assert [policy.value for policy in Missed] == ["skip", "run_once", "run_all"]


# patience


def test_a_run_expires_at_the_earlier_of_its_two_ends_and_says_which() -> None:
    patience = Patience(start_within=HOUR, queue_timeout=30 * MINUTE)
    assert patience.ends(due_at=0, made_at=0) == (30 * MINUTE, Reason.QUEUE_EXPIRED)
    assert patience.ends(due_at=0, made_at=45 * MINUTE) == (HOUR, Reason.PAST_DEADLINE)


def test_start_within_counts_from_when_the_run_was_due() -> None:
    patience = Patience(start_within=HOUR)
    assert patience.ends(due_at=10, made_at=500) == (HOUR + 10, Reason.PAST_DEADLINE)
    assert [patience.is_past(0, at) for at in (0, HOUR - 1, HOUR)] == [False, False, True]


def test_by_default_a_run_waits_as_long_as_it_must() -> None:
    assert PLAIN.patience is None


# the words


def test_what_is_too_old_to_start_is_too_old_to_be_caught_up() -> None:
    policies = Policies(start_within_seconds=60.0, catch_up_window_seconds=3600.0)
    assert policies.catch_up.window == MINUTE


def test_caught_up_runs_start_at_most_one_a_second() -> None:
    assert PLAIN.catch_up == CatchUp(most=100, window=None, spacing=SECOND)


@given(
    limit=st.none() | st.integers(1, 1000),
    seconds=st.none() | st.floats(1, 10**6),
    rate=st.sampled_from([None, "1/s", "30/m", "100/h"]),
)
def test_what_is_written_reads_back(limit: int | None, seconds: float | None, rate: str | None) -> None:
    found, faults = read_policies(
        {"overlap_limit": limit, "catch_up_max": limit, "start_within_seconds": seconds, "catch_up_rate": rate}
    )
    assert faults == []
    assert Policies.from_dict(found.to_dict()) == found
    assert set(found.to_dict()) <= set(FIELDS)


def test_what_was_not_said_takes_no_room() -> None:
    assert PLAIN.to_dict() == {}


def test_null_takes_a_word_away_and_the_others_stay() -> None:
    before, _ = read_policies({"overlap_limit": 5, "queue_timeout_seconds": 60})
    after, faults = read_policies({"overlap_limit": None}, before)
    assert (after.overlap_limit, after.queue_timeout_seconds, faults) == (None, 60, [])


def test_all_words_out_of_range_are_told_at_once() -> None:
    _, faults = read_policies(
        {"overlap_limit": 0, "queue_timeout_seconds": -1, "start_within_seconds": 0.5, "catch_up_rate": "often"}
    )
    assert names(faults) == ["overlap_limit", "queue_timeout_seconds", "start_within_seconds", "catch_up_rate"]


def test_a_word_that_limits_nothing_is_refused() -> None:
    policies = Policies(overlap_limit=2, catch_up_max=5)
    assert names(policies.faults(Overlap.SKIP, Missed.RUN_ONCE)) == ["overlap_limit", "catch_up_max"]
    assert names(policies.faults(Overlap.QUEUE, Missed.RUN_ALL)) == []


def names(faults: list[FieldError]) -> list[str]:
    return [fault.field for fault in faults]
