"""The pause between the runs of a continuous job."""

from __future__ import annotations

import pytest

from rota.domain.instant import MINUTE, SECOND, Micros
from rota.domain.reasons import Reason
from rota.domain.states import RunState
from rota.domain.trigger.continuous import pause
from rota.domain.trigger.spec import ContinuousTrigger

OK, FAILED = (RunState.SUCCEEDED, None), (RunState.FAILED, Reason.STEP_FAILED)
CANCELLED = (RunState.CANCELLED, Reason.USER_CANCELLED)
CRASHED = (RunState.CANCELLED, Reason.DAEMON_CRASHED)
RULE = ContinuousTrigger(gap=10 * SECOND, backoff=5 * MINUTE)


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        ([], 10),
        ([OK, FAILED], 10),
        ([FAILED], 10),
        ([FAILED, FAILED], 20),
        ([FAILED, FAILED, FAILED, OK, FAILED], 40),
        ([FAILED] * 10, 300),
        ([(RunState.TIMED_OUT, Reason.RUN_TIMEOUT), (RunState.PARTIAL, None)], 20),
        ([CANCELLED, FAILED, FAILED], 10),
        ([CRASHED, CRASHED, CRASHED], 40),
    ],
)
def test_the_pause_doubles_with_each_failure_in_a_row(ends: list[tuple[RunState, Reason | None]], seconds: int) -> None:
    assert pause(RULE, ends) == seconds * SECOND


def test_without_a_gap_the_first_failure_still_waits_a_second() -> None:
    rule = ContinuousTrigger(gap=0, backoff=MINUTE)
    assert [pause(rule, [FAILED] * failures) for failures in range(4)] == _seconds(0, 1, 2, 4)


def test_the_pause_is_never_shorter_than_the_gap() -> None:
    assert pause(ContinuousTrigger(gap=10 * MINUTE, backoff=MINUTE), [FAILED] * 3) == 10 * MINUTE


def _seconds(*counts: int) -> list[Micros]:
    return [count * SECOND for count in counts]
