"""Which ends of an attempt are followed by another, and after what delay."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.instant import SECOND
from rota.domain.reasons import Reason
from rota.domain.retry import delay_before_next, may_try_again, retry_faults
from rota.domain.states import AttemptState
from rota.domain.step import Backoff, OnLost, Step, step_from_dict, step_to_dict

FAILED, TIMED_OUT, UNREACHABLE = AttemptState.FAILED, AttemptState.TIMED_OUT, AttemptState.UNREACHABLE


def a_step(**fields: Any) -> Step:
    return Step(name="main", action="exec", **fields)


def again(
    step: Step, state: AttemptState, reason: Reason | None, exit_code: int | None = None, number: int = 1
) -> bool:
    return may_try_again(step, state, reason, exit_code, number)


@pytest.mark.parametrize(
    ("state", "reason"),
    [(FAILED, Reason.STEP_FAILED), (TIMED_OUT, Reason.STEP_TIMEOUT), (UNREACHABLE, Reason.HOST_OFFLINE)],
)
def test_a_known_failure_is_tried_again_so_many_times(state: AttemptState, reason: Reason) -> None:
    step = a_step(retries=2)
    assert [again(step, state, reason, 1, number) for number in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (TIMED_OUT, Reason.RUN_TIMEOUT),
        (UNREACHABLE, Reason.AUTH_FAILED),
        (UNREACHABLE, Reason.HOST_KEY_CHANGED),
        (AttemptState.CANCELLED, Reason.USER_CANCELLED),
        (AttemptState.UNKNOWN, Reason.CONNECTION_LOST),
        (AttemptState.SUCCEEDED, None),
    ],
)
def test_what_is_no_failure_of_the_step_is_not_tried_again(state: AttemptState, reason: Reason | None) -> None:
    assert not again(a_step(retries=5), state, reason)


@pytest.mark.parametrize(
    ("word", "exit_code", "expected"),
    [("exit:75", 75, True), ("exit:75", 1, False), ("exit:70-79", 75, True), ("exit:70-79", 80, False),
     ("failed", 1, True), ("step_failed", 1, True), ("timed_out", 1, False)],
)  # fmt: skip
def test_retry_on_names_the_ends_that_are_meant(word: str, exit_code: int, expected: bool) -> None:
    assert again(a_step(retries=1, retry_on=(word,)), FAILED, Reason.STEP_FAILED, exit_code) is expected


def test_retry_on_knows_a_refused_connection_from_a_host_that_is_silent() -> None:
    step = a_step(retries=1, retry_on=("connect_refused",))
    assert again(step, UNREACHABLE, Reason.CONNECT_REFUSED)
    assert not again(step, UNREACHABLE, Reason.CONNECT_TIMEOUT)


@pytest.mark.parametrize(
    ("on_lost", "expected"), [(None, True), (OnLost.RETRY, True), (OnLost.STOP, False), (OnLost.CONTINUE, False)]
)
def test_a_lost_attempt_of_an_idempotent_step_is_tried_again_unless_on_lost_says_otherwise(
    on_lost: OnLost | None, expected: bool
) -> None:
    step = a_step(idempotent=True, on_lost=on_lost)
    assert again(step, AttemptState.UNKNOWN, Reason.KEEPER_LOST) is expected
    assert not again(step, AttemptState.UNKNOWN, Reason.KEEPER_LOST, number=2)


# delays


def seconds(step: Step, number: int) -> float:
    return delay_before_next(step, number, seed="7/0") / SECOND


def test_a_fixed_delay_stays_as_it_is() -> None:
    assert [seconds(a_step(retry_delay_seconds=60.0), number) for number in (1, 2, 9)] == [60, 60, 60]


def test_an_exponential_delay_doubles_up_to_its_longest() -> None:
    step = a_step(retry_backoff=Backoff.EXPONENTIAL, retry_delay_seconds=2.0, retry_jitter=0.0,
                  retry_max_delay_seconds=30.0)  # fmt: skip
    assert [seconds(step, number) for number in range(1, 7)] == [2, 4, 8, 16, 30, 30]


def test_an_exponential_delay_is_at_most_five_minutes_unless_told_otherwise() -> None:
    step = a_step(retry_backoff=Backoff.EXPONENTIAL, retry_delay_seconds=1.0, retry_jitter=0.0)
    assert seconds(step, 100) == 300


DELAYS = st.builds(
    a_step,
    retry_backoff=st.sampled_from(Backoff),
    retry_delay_seconds=st.floats(0, 86_400),
    retry_jitter=st.none() | st.floats(0, 0.5),
    retry_max_delay_seconds=st.none() | st.floats(1, 86_400),
)


@given(step=DELAYS, number=st.integers(1, 101), seed=st.text(max_size=20))
def test_a_delay_is_the_same_whenever_it_is_asked_for_and_within_its_jitter(step: Step, number: int, seed: str) -> None:
    delay = delay_before_next(step, number, seed=seed)
    assert delay == delay_before_next(step, number, seed=seed)
    assert delay >= 0
    longest = max(step.retry_max_delay_seconds or 300.0, step.retry_delay_seconds)
    assert delay <= round(longest * 1.5 * SECOND) + 1


def test_jitter_differs_between_targets_and_between_attempts() -> None:
    step = a_step(retry_delay_seconds=100.0, retry_jitter=0.5)
    delays = {delay_before_next(step, number, seed=seed) for number in (1, 2) for seed in ("1/0", "2/0")}
    assert len(delays) == 4
    assert all(50 * SECOND <= delay <= 150 * SECOND for delay in delays)


# what is refused


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"retry_backoff": Backoff.EXPONENTIAL}, ["retry_backoff"]),
        ({"retry_on": ("failed",)}, ["retry_on"]),
        ({"retries": 1, "retry_on": ("sometimes", "exit:9-3", "exit:300")}, ["retry_on"] * 3),
        ({"retries": 1, "retry_on": ("auth_failed",)}, ["retry_on"]),
        ({"retries": 1, "retry_jitter": 0.6}, ["retry_jitter"]),
        ({"retries": 1, "retry_max_delay_seconds": 60.0}, ["retry_max_delay_seconds"]),
        ({"retries": 1, "retry_backoff": Backoff.EXPONENTIAL, "retry_max_delay_seconds": 2.0},
         ["retry_max_delay_seconds"]),
        ({"on_lost": OnLost.RETRY}, ["on_lost"]),
        ({"timeout_seconds": 60.0, "total_timeout_seconds": 30.0}, ["total_timeout_seconds"]),
    ],
)  # fmt: skip
def test_words_that_nothing_would_honour_are_refused(fields: dict[str, Any], at: list[str]) -> None:
    assert [fault.field for fault in retry_faults(a_step(**fields))] == at


def test_a_near_word_is_offered() -> None:
    [fault] = retry_faults(a_step(retries=1, retry_on=("timedout",)))
    assert "timed_out" in fault.hint


def test_a_step_that_says_nothing_rare_is_written_as_before() -> None:
    assert "retry_backoff" not in step_to_dict(a_step(retries=3))


@given(step=DELAYS)
def test_a_step_reads_back(step: Step) -> None:
    assert step_from_dict(step_to_dict(step)) == step
