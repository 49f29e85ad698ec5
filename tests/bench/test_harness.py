"""The harness: rounds, ratios and what becomes of a turn that fails."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed, median, order, ratio, run


def a_bench(
    turns: Mapping[str, Turn], *, goal: Goal | None = None, theirs: str | None = "peer", discarded: int = 0
) -> Bench:
    return Bench(
        name="a-bench",
        what="something",
        prepare=lambda _scratch, _stack: turns,
        figures=[Figure("late", "s", "rota", theirs, goal)],
        discarded=discarded,
    )


def giving(*values: float) -> Turn:
    """A turn that measures these, one after the other."""
    left = iter(values)
    return lambda: Sample({"late": next(left)})


def failing() -> Sample:
    raise TurnFailed("3 of 5 started")


def test_a_ratio_is_ours_divided_by_theirs() -> None:
    assert ratio(1.0, 4.0) == 0.25


@pytest.mark.parametrize(("ours", "theirs"), [(None, 1.0), (1.0, None), (1.0, 0.0)])
def test_there_is_no_ratio_of_what_is_missing_or_to_nothing(ours: float | None, theirs: float | None) -> None:
    assert ratio(ours, theirs) is None


def test_below_the_resolution_everything_is_equal() -> None:
    assert ratio(0.02, 0.0, resolution=0.1) == 1.0
    assert ratio(0.2, 0.0, resolution=0.1) == 2.0


def test_a_median_leaves_out_what_is_missing() -> None:
    assert median([3.0, None, 1.0]) == 2.0
    assert median([None]) is None


def test_the_ratio_is_the_median_of_the_rounds_own_ratios_not_the_ratio_of_the_medians() -> None:
    turns = {"rota": giving(1, 2, 30), "peer": giving(2, 8, 60)}
    (compared,) = run(a_bench(turns), rounds=3, tell=lambda _: None).compared()
    assert compared.ratios == (0.5, 0.25, 0.5)
    assert compared.ratio == 0.5


def test_every_other_round_goes_backwards() -> None:
    assert order(["a", "b", "c"], 0) == ["a", "b", "c"]
    assert order(["a", "b", "c"], 1) == ["c", "b", "a"]


def test_turns_alternate_within_each_round() -> None:
    taken: list[str] = []

    def turn(name: str) -> Turn:
        def take() -> Sample:
            taken.append(name)
            return Sample({"late": 1.0})

        return take

    run(a_bench({name: turn(name) for name in ("rota", "peer")}), rounds=3, tell=lambda _: None)
    assert taken == ["rota", "peer", "peer", "rota", "rota", "peer"]


def test_a_turn_that_fails_is_told_and_kept_and_the_others_go_on() -> None:
    told: list[str] = []
    outcome = run(a_bench({"rota": giving(1, 1), "peer": failing}), rounds=2, tell=told.append)
    assert outcome.samples["peer"] == ["3 of 5 started"] * 2
    assert sum("FAILED: 3 of 5 started" in line for line in told) == 2
    assert outcome.compared()[0].ratio is None


def test_an_unforeseen_error_of_a_turn_is_a_failure_too() -> None:
    def breaking() -> Sample:
        raise OSError("no such thing")

    outcome = run(a_bench({"rota": giving(1), "peer": breaking}), rounds=1, tell=lambda _: None)
    assert outcome.samples["peer"] == ["OSError: no such thing"]


def test_a_goal_is_not_met_where_one_of_our_own_turns_failed() -> None:
    turns: dict[str, Turn] = {"rota": iter_then_fail(0.1), "peer": giving(1, 1)}
    outcome = run(a_bench(turns, goal=Goal("at most", 0.5)), rounds=2, tell=lambda _: None)
    assert outcome.compared()[0].met is False


def iter_then_fail(value: float) -> Turn:
    left = iter([value])

    def take() -> Sample:
        for known in left:
            return Sample({"late": known})
        return failing()

    return take


@pytest.mark.parametrize(
    ("goal", "met"), [(Goal("at most", 0.5), True), (Goal("at most", 0.4), False), (Goal("at least", 0.7), False)]
)
def test_a_goal_is_judged_by_the_median_ratio(goal: Goal, met: bool) -> None:
    outcome = run(a_bench({"rota": giving(1), "peer": giving(2)}, goal=goal), rounds=1, tell=lambda _: None)
    assert outcome.compared()[0].met is met


def test_a_goal_without_a_peer_is_judged_by_our_own_median() -> None:
    bench = a_bench({"rota": giving(1, 3, 2)}, theirs=None, goal=Goal("at most", 2))
    assert run(bench, rounds=3, tell=lambda _: None).compared()[0].met is True


def test_discarded_rounds_are_run_and_not_counted() -> None:
    turns = {"rota": giving(9, 1, 1), "peer": giving(1, 1, 1)}
    (compared,) = run(a_bench(turns, discarded=1), rounds=2, tell=lambda _: None).compared()
    assert compared.ours == (1.0, 1.0)


def test_the_scratch_folder_is_gone_afterwards(tmp_path: Path) -> None:
    seen: list[Path] = []

    def prepare(scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        seen.append(scratch)
        return {"rota": giving(1)}

    bench = Bench(name="b", what="", prepare=prepare, figures=[Figure("late", "s", "rota")])
    run(bench, rounds=1, tell=lambda _: None, scratch=tmp_path)
    assert seen[0].parent == tmp_path
    assert not list(tmp_path.iterdir())
