"""The ladder of `steady`."""

from bench.harness import TurnFailed
from bench.steady import _highest


def climbed(*met: bool) -> float:
    """The highest of the rates 1, 2, 3 … when each rung was `met` or not."""
    latenesses = {rate: 0.001 if was_met else 9.0 for rate, was_met in enumerate(met, 1)}

    def climb(rate: int) -> tuple[float, float]:
        if latenesses[rate] > 1 and rate % 2:
            raise TurnFailed("starts are missing")
        return 0.001, latenesses[rate]

    return float(_highest(list(latenesses), climb).figures["highest rate"])


def test_a_stall_on_one_rung_does_not_end_the_climb() -> None:
    assert climbed(True, False, True, False, True) == 5


def test_two_missed_rungs_on_end_do() -> None:
    assert climbed(True, False, False, True) == 1


def test_a_rate_that_was_missed_is_not_the_highest() -> None:
    assert climbed(True, True, False) == 2
