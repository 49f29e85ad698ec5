"""How the ends of targets become the end of their run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.reasons import EXPLANATIONS, Reason
from rota.domain.run import TargetEnd, roll_up
from rota.domain.states import RUN_MOVES, TARGET_MOVES, RunState, TargetState

S, F, T, C, K, N, X = (
    TargetState.SUCCEEDED, TargetState.FAILED, TargetState.TIMED_OUT, TargetState.CANCELLED, TargetState.SKIPPED,
    TargetState.UNREACHABLE, TargetState.UNKNOWN,
)  # fmt: skip


def ends(*states: TargetState, reason: Reason | None = None) -> list[TargetEnd]:
    return [TargetEnd(state, None if state is S else reason, 1) for state in states]


@pytest.mark.parametrize(
    ("states", "run"),
    [
        ((S,), RunState.SUCCEEDED),
        ((S, S), RunState.SUCCEEDED),
        ((S, F), RunState.PARTIAL),
        ((S, T), RunState.PARTIAL),
        ((S, N), RunState.PARTIAL),
        ((S, X), RunState.PARTIAL),
        ((F,), RunState.FAILED),
        ((F, T), RunState.FAILED),
        ((N,), RunState.FAILED),
        ((X,), RunState.FAILED),
        ((T, T), RunState.TIMED_OUT),
        ((C, C), RunState.CANCELLED),
        ((S, C), RunState.CANCELLED),
        ((F, C), RunState.FAILED),
    ],
)
def test_the_states_of_the_targets_give_the_state_of_the_run(states: tuple[TargetState, ...], run: RunState) -> None:
    assert roll_up(ends(*states)).state is run


def test_the_reason_is_that_of_the_worst_end() -> None:
    rolled = roll_up(
        [
            TargetEnd(T, Reason.STEP_TIMEOUT, 9, "too slow"),
            TargetEnd(F, Reason.STEP_FAILED, 1, "copy: exit 1"),
            TargetEnd(S, None, 5),
        ]
    )
    assert (rolled.state, rolled.reason, rolled.message, rolled.ok) == (
        RunState.PARTIAL, Reason.STEP_FAILED, "copy: exit 1", 5,
    )  # fmt: skip


def test_of_equally_bad_ends_the_most_frequent_gives_the_reason() -> None:
    rolled = roll_up([TargetEnd(F, Reason.POLICY_DENIED, 1), TargetEnd(F, Reason.STEP_FAILED, 7)])
    assert rolled.reason is Reason.STEP_FAILED


def test_when_all_that_started_crashed_the_run_is_cancelled_and_says_why() -> None:
    rolled = roll_up([*ends(X, X, reason=Reason.DAEMON_CRASHED), TargetEnd(C, Reason.USER_CANCELLED, 3)])
    assert (rolled.state, rolled.reason, rolled.message) == (
        RunState.CANCELLED, Reason.DAEMON_CRASHED, "daemon crashed during execution",
    )  # fmt: skip


@pytest.mark.parametrize("beside", [TargetEnd(S, None, 1), TargetEnd(X, Reason.KEEPER_LOST, 1)])
def test_when_only_some_crashed_the_run_is_not_cancelled(beside: TargetEnd) -> None:
    rolled = roll_up([*ends(X, reason=Reason.DAEMON_CRASHED), beside])
    assert rolled.state in {RunState.PARTIAL, RunState.FAILED}


def test_hosts_left_out_as_offline_make_a_run_no_worse_and_are_told() -> None:
    left_out = TargetEnd(K, Reason.HOST_OFFLINE, 2, "it refused the connection")
    rolled = roll_up([TargetEnd(S, None, 3), left_out])
    assert (rolled.state, rolled.reason, rolled.message, rolled.ok) == (
        RunState.SUCCEEDED, None, "skipped as offline: 2 of 5 hosts", 3,
    )  # fmt: skip
    assert roll_up([TargetEnd(S, None, 3), left_out, TargetEnd(F, Reason.STEP_FAILED, 1)]).state is RunState.PARTIAL
    assert roll_up([TargetEnd(F, Reason.STEP_FAILED, 1), left_out]).reason is Reason.STEP_FAILED


def test_a_run_that_did_nothing_anywhere_has_not_succeeded() -> None:
    rolled = roll_up([TargetEnd(K, Reason.HOST_OFFLINE, 5)])
    assert (rolled.state, rolled.reason) == (RunState.FAILED, Reason.HOST_OFFLINE)


FINAL = st.sampled_from([state for state in TargetState if state not in TARGET_MOVES])
GROUPS = st.lists(
    st.builds(TargetEnd, FINAL, st.none() | st.sampled_from(list(Reason)), st.integers(1, 1000)), min_size=1, max_size=6
)


@given(GROUPS)
def test_every_mixture_gives_a_final_state_that_does_not_depend_on_the_order(groups: list[TargetEnd]) -> None:
    rolled = roll_up(groups)
    assert rolled.state not in RUN_MOVES
    assert rolled.state is roll_up(reversed(groups)).state
    assert rolled.ok == sum(group.count for group in groups if group.state is S)
    left_out = [group.state is K and group.reason is Reason.HOST_OFFLINE for group in groups]
    assert (rolled.state is RunState.SUCCEEDED) == (
        rolled.ok > 0 and all(group.state is S or out for group, out in zip(groups, left_out, strict=True))
    )


def test_every_reason_has_words() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    assert all(text and not text.endswith(".") for text in EXPLANATIONS.values())


def test_a_reason_is_written_as_one_lower_case_word() -> None:
    assert all(reason.value == reason.name.lower() for reason in Reason)
