"""The evaluator and a minute-by-minute search must agree on every occurrence around every clock change."""

from __future__ import annotations

from random import Random
from zoneinfo import available_timezones

import pytest

from rota.domain.errors import InvalidInput
from rota.domain.instant import SECOND
from rota.domain.trigger.cron import cron_timetable
from tests.unit.trigger.minute_oracle import Meaning, Window, draw, transitions

HARD_ZONES = (
    "Africa/Cairo",  # changes at midnight, on a Friday
    "Africa/Casablanca",  # negative DST around Ramadan: two changes within 31 days
    "America/Havana",  # midnight does not exist in spring
    "America/New_York",
    "America/Sao_Paulo",  # midnight did not exist until 2018
    "America/St_Johns",  # half-hour offset, and changes at 00:01 until 2011
    "Antarctica/Troll",  # two hours at once
    "Asia/Beirut",  # midnight gap; 2023 was undecided
    "Asia/Gaza",
    "Asia/Tehran",
    "Australia/Lord_Howe",  # half an hour at once
    "Europe/Dublin",  # negative DST in winter
    "Pacific/Apia",  # 2011-12-30 never happened
    "Pacific/Chatham",
)
YEARS = 2009, 2027


def check(window: Window, meaning: Meaning, random: Random) -> int:
    """Compare all four questions on one window; return how many occurrences were compared."""
    try:
        times = cron_timetable(meaning.text, window.zone)
    except InvalidInput:
        assert window.fires(meaning) == []  # refused because it never fires
        return 0
    first, last = window.first * SECOND, window.last * SECOND
    expected = [second * SECOND for second in window.fires(meaning)]
    what = f"{meaning.text} in {window.zone} from {window.first}"

    forwards, at = [], times.next(first)
    while at is not None and at <= last:
        forwards.append(at)
        at = times.next(at)
    assert forwards == expected, what

    backwards, at = [], times.prev(last + 1)
    while at is not None and at > first:
        backwards.append(at)
        at = times.prev(at)
    assert backwards[::-1] == expected, what

    assert times.count(first, last) == len(expected), what
    for _ in range(4):
        low, high = sorted((random.randint(first, last), random.randint(first, last)))
        inside = [at for at in expected if low < at <= high]
        assert times.count(low, high) == len(inside), what
        assert times.last_at_or_before(high, low) == (inside[-1] if inside else None), what
        later = [at for at in expected if at > low]
        assert not later or times.next(low) == later[0], what
    return len(expected)


def test_random_expressions_agree_at_the_changes_of_hard_zones() -> None:
    random = Random(20261121)
    compared = 0
    for zone in HARD_ZONES:
        changes = transitions(zone, *YEARS)
        for change in random.sample(changes, min(4, len(changes))):
            window = Window.around(zone, change)
            month = window.shown[-1][1].month
            compared += sum(check(window, draw(random, month=month), random) for _ in range(5))
    assert compared > 1_500


def test_random_expressions_agree_where_a_whole_day_is_missing() -> None:
    random = Random(1)
    (change,) = transitions("Pacific/Apia", 2011, 2011)[-1:]
    window = Window.around("Pacific/Apia", change, hours=60)
    assert sum(check(window, draw(random, month=12), random) for _ in range(40)) > 300


@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_random_expressions_agree_at_every_change_of_every_zone() -> None:
    random = Random(2)
    compared = 0
    for zone in sorted(available_timezones() - {"Factory", "localtime", "posixrules"}):
        for change in transitions(zone, *YEARS):
            window = Window.around(zone, change, hours=14)
            month = window.shown[-1][1].month
            compared += sum(check(window, draw(random, month=month), random) for _ in range(3))
    assert compared > 100_000
