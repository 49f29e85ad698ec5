"""The state tables: what moves where, and what is final."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from rota.domain.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    TARGET_MOVES,
    UNFINISHED_RUN,
    UNFINISHED_TARGET,
    AttemptState,
    RunState,
    TargetState,
)

Moves = Mapping[Any, frozenset[Any]]
TABLES: list[tuple[type[StrEnum], Moves, StrEnum]] = [
    (RunState, RUN_MOVES, RunState.WAITING),
    (TargetState, TARGET_MOVES, TargetState.QUEUED),
    (AttemptState, ATTEMPT_MOVES, AttemptState.RUNNING),
]


@pytest.mark.parametrize(("states", "moves", "first"), TABLES)
def test_every_state_can_be_reached(states: type[StrEnum], moves: Moves, first: StrEnum) -> None:
    reached, fresh = {first}, {first}
    while fresh:
        fresh = {state for at in fresh for state in moves.get(at, ())} - reached
        reached |= fresh
    assert reached == set(states)


@pytest.mark.parametrize(("states", "moves", "first"), TABLES)
def test_from_every_state_that_is_not_final_an_end_can_be_reached(
    states: type[StrEnum], moves: Moves, first: StrEnum
) -> None:
    assert all(any(after not in moves for after in moves[state]) for state in moves)


@pytest.mark.parametrize(("states", "moves", "first"), TABLES)
def test_no_state_moves_to_itself(states: type[StrEnum], moves: Moves, first: StrEnum) -> None:
    assert not [state for state, after in moves.items() if state in after]


def test_what_moves_is_what_is_unfinished() -> None:
    assert set(UNFINISHED_RUN) == {RunState.WAITING, RunState.QUEUED, RunState.RUNNING}
    assert set(UNFINISHED_TARGET) == {TargetState.QUEUED, TargetState.RUNNING}


def test_a_run_that_was_never_started_cannot_have_ended_at_work() -> None:
    at_work = {RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED, RunState.TIMED_OUT}
    assert not at_work & (RUN_MOVES[RunState.WAITING] | RUN_MOVES[RunState.QUEUED])


def test_a_run_at_work_is_neither_skipped_nor_expired() -> None:
    assert not {RunState.SKIPPED, RunState.EXPIRED} & RUN_MOVES[RunState.RUNNING]


def test_only_a_target_that_started_can_be_unknown() -> None:
    assert [state for state, after in TARGET_MOVES.items() if TargetState.UNKNOWN in after] == [TargetState.RUNNING]


def test_every_end_of_an_attempt_is_a_state_of_its_target() -> None:
    assert {state.value for state in ATTEMPT_MOVES[AttemptState.RUNNING]} <= {state.value for state in TargetState}
