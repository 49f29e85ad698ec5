"""How a run spreads over its hosts, in words and in numbers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.fanout import FanOut, OnOffline, Share, Throttle, read_fan_out
from rota.domain.instant import SECOND

NUMBERS = st.builds(Share, st.integers(1, 500)) | st.builds(Share, st.integers(1, 100), st.just(True))
RULES = st.builds(
    FanOut,
    on_offline=st.sampled_from(OnOffline),
    lock_hosts=st.booleans(),
    throttle=st.none() | st.builds(Throttle, st.integers(1, 100), st.sampled_from("smh")),
    batch=st.lists(NUMBERS, min_size=1, max_size=5).map(tuple),
    batch_pause_seconds=st.integers(0, 600).map(float),
    max_fail=st.none() | NUMBERS,
)


def rules(**given: object) -> FanOut:
    found, faults = read_fan_out(given)  # type: ignore[arg-type]  # JSON values
    assert faults == []
    return found


def faults(**given: object) -> list[tuple[str, str]]:
    return [(fault.field, fault.got) for fault in read_fan_out(given)[1]]  # type: ignore[arg-type]  # JSON values


@pytest.mark.parametrize(
    ("batch", "total", "sizes"),
    [
        ("1, 10%, 100%", 25, [1, 2, 22]),
        ("5", 12, [5, 5, 2]),
        ("30%", 10, [3, 3, 3, 1]),
        ("1%", 3, [1, 1, 1]),
        ("1,2", 8, [1, 2, 2, 2, 1]),
        ("100%", 4, [4]),
        ("50", 3, [3]),
        (None, 3, []),
    ],
)
def test_batches_have_these_sizes(batch: str | None, total: int, sizes: list[int]) -> None:
    assert list(rules(batch=batch).sizes(total)) == sizes


@given(RULES, st.integers(1, 3000))
def test_batches_hold_every_host_once_and_none_is_empty(rule: FanOut, total: int) -> None:
    sizes, numbers = list(rule.sizes(total)), list(rule.batch_numbers(total))
    assert sum(sizes) == total
    assert min(sizes) >= 1
    assert numbers == sorted(numbers)
    assert Counter(numbers) == dict(enumerate(sizes, start=1))


def test_without_batches_all_hosts_are_in_none() -> None:
    assert list(FanOut().batch_numbers(3)) == [0, 0, 0]


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({}, None),
        ({"batch": "1, 100%"}, 0),
        ({"max_fail": "3"}, 3),
        ({"max_fail": 3}, 3),
        ({"max_fail": "10%"}, 2),
        ({"max_fail": "0"}, 0),
        ({"batch": "5", "max_fail": "100%"}, 25),
    ],
)
def test_so_many_of_25_hosts_may_fail(given: dict[str, object], most: int | None) -> None:
    assert rules(**given).most_bad(25) == most


@pytest.mark.parametrize(
    ("text", "spacing"),
    [("10/s", SECOND // 10), ("30/m", 2 * SECOND), ("100/h", 36 * SECOND), ("1 / h", 3600 * SECOND)],
)
def test_a_throttle_is_the_time_between_two_starts(text: str, spacing: int) -> None:
    throttle = rules(throttle=text).throttle
    assert throttle is not None
    assert throttle.spacing == spacing


def test_a_throttle_is_never_faster_than_it_says() -> None:
    assert Throttle(3, "s").spacing * 3 >= SECOND


@pytest.mark.parametrize("text", ["", "10", "0/s", "10/d", "-1/s", "1.5/s", "101/s", "many/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    assert faults(throttle=text) == [("throttle", text)]


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-1", "a", "1,,2", "1.5"])
def test_what_is_no_batch_is_refused(text: str) -> None:
    assert {field for field, _ in faults(batch=text)} == {"batch"}


def test_all_faults_are_told_at_once() -> None:
    given = {"on_offline": "no", "lock_hosts": 1, "throttle": "x", "batch": "0, y", "batch_pause_seconds": -1,
             "max_fail": "z"}  # fmt: skip
    assert [field for field, _ in faults(**given)] == [
        "on_offline", "lock_hosts", "throttle", "batch", "batch", "batch_pause_seconds", "max_fail",
    ]  # fmt: skip


def test_a_pause_without_batches_is_refused() -> None:
    assert faults(batch_pause_seconds=60) == [("batch_pause_seconds", "")]


@given(RULES)
def test_what_is_written_is_read_back(rule: FanOut) -> None:
    assert FanOut.from_dict(rule.to_dict()) == rule


def test_null_takes_a_rule_away_and_what_is_not_said_stays() -> None:
    before = rules(batch="5", batch_pause_seconds=60, throttle="1/s", max_fail="2")
    after, wrong = read_fan_out({"throttle": None, "max_fail": None}, before)
    assert wrong == []
    assert after == rules(batch="5", batch_pause_seconds=60)


def test_who_says_nothing_has_no_rules() -> None:
    assert FanOut().rules is None
    assert rules(on_offline="fail", lock_hosts=False, throttle=None).rules is None
    assert rules(lock_hosts=True).rules is not None
