"""What holds for every expression, zone, instant and rule for clock changes."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, SECOND, to_micros
from rota.domain.trigger.cron import CronTimetable, cron_timetable
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.explain import describe_cron
from rota.domain.trigger.format import format_cron
from rota.domain.trigger.kinds import Fold, Gap
from tests.oracle.brute import Meaning, draw

ZONES = (
    *("UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Beirut", "America/Havana"),
    *("Antarctica/Troll", "Pacific/Apia", "Europe/Dublin", "Asia/Kathmandu", "America/Sao_Paulo", "Asia/Gaza"),
)
YEAR = 366 * DAY

days = st.dates(date(1970, 1, 1), date(2099, 12, 31))
meanings = st.builds(
    lambda seed, near, seconds: draw(Random(seed), near, seconds=seconds), st.integers(0, 10**9), days, st.booleans()
)
instants = st.integers(to_micros(datetime(1970, 1, 1, tzinfo=UTC)), to_micros(datetime(2100, 1, 1, tzinfo=UTC)))


@st.composite
def timetables(make: st.DrawFn) -> CronTimetable:
    gap, fold = make(st.sampled_from(Gap)), make(st.sampled_from(Fold))
    while True:
        try:
            return cron_timetable(make(meanings).text, make(st.sampled_from(ZONES)), gap=gap, fold=fold)
        except InvalidInput:  # never fires
            continue


@given(timetables(), instants)
def test_next_is_later_and_nothing_lies_between(times: CronTimetable, after: int) -> None:
    following = times.next(after)
    if following is None:  # its years are over
        assert times.count(after, after + 1000 * YEAR) == 0
        return
    assert following > after
    assert following % SECOND == 0
    assert times.count(after, following) == 1
    assert times.count(after, following - 1) == 0


@given(timetables(), instants)
def test_prev_is_the_mirror_of_next(times: CronTimetable, instant: int) -> None:
    occurrence = times.next(instant) or times.prev(instant)
    if occurrence is None:  # in this zone every occurrence falls into a gap that is skipped
        return
    before, following = times.prev(occurrence), times.next(occurrence)
    assert before is None or (before < occurrence and times.next(before) == occurrence)
    assert following is None or (following > occurrence and times.prev(following) == occurrence)


@given(timetables(), instants, st.integers(0, 2 * YEAR), st.integers(0, 2 * YEAR))
def test_counts_add_up(times: CronTimetable, start: int, first: int, second: int) -> None:
    middle, end = start + first, start + first + second
    assert times.count(start, middle) + times.count(middle, end) == times.count(start, end)
    assert times.count(end, start) == 0


@given(timetables(), instants, st.integers(0, 40))
def test_counting_agrees_with_walking(times: CronTimetable, start: int, steps: int) -> None:
    walked = [start]
    while len(walked) <= steps and (at := times.next(walked[-1])) is not None:
        walked.append(at)
    assert times.count(start, walked[-1]) == len(walked) - 1
    assert times.last_at_or_before(walked[-1], start) == (walked[-1] if len(walked) > 1 else None)


@given(meanings)
def test_what_is_written_back_is_read_as_the_same(meaning: Meaning) -> None:
    try:
        fields = read_cron(meaning.text)
    except InvalidInput:  # never fires
        return
    assert read_cron(format_cron(fields)) == fields


@given(st.text(min_size=1, max_size=20), st.sampled_from(["H H H H H", "H/20 ~ ? * ?", "H(0-9),H(30-39) 8~17 * * 1~5"]))
def test_a_hash_is_the_same_each_time_and_a_time_like_any_other(seed: str, expression: str) -> None:
    fields = read_cron(expression, seed)
    read_cron.cache_clear()
    assert read_cron(expression, seed) == fields
    assert read_cron(format_cron(fields)) == fields


def read_or_suggest(text: str) -> None:
    """Read the text; if it is refused, whatever is suggested instead must be readable."""
    try:
        read_cron(text)
    except InvalidInput as fault:
        assert fault.happened
        assert fault.expected or len(fault.errors) > 1
        suggestion = re.search(r'--cron "(.*)"$', fault.hint)
        if suggestion:
            read_cron(suggestion[1])


WORDS = [
    "*",
    "?",
    "0",
    "5",
    "59",
    "60",
    "7",
    "L",
    "LW",
    "15W",
    "L-3",
    "L-31",
    "5L",
    "MON#2",
    "5#6",
    "H",
    "H(0-5)/2",
    "~",
    "3~9",
    "*/7",
    "*/90",
    "5-2",
    "1-5/2",
    "JAN",
    "2026",
    "1/0",
    "30,31",
]


@given(
    st.one_of(
        st.text(max_size=300),
        st.text(alphabet="0123456789*/,-? LW#@HMONSUJAl~()\t", max_size=60),
        st.lists(st.sampled_from(WORDS), min_size=4, max_size=8).map(" ".join),
    )
)
@example("*/5" + "0" * 250 + " * * * *")
@example("0 0 29 2 */7")
@example("0 0 */20 * 5L")
@example("0 0 0 29 2 * 2099")
def test_any_text_is_read_or_refused_with_a_suggestion_that_works(text: str) -> None:
    read_or_suggest(text)


@given(st.lists(st.sampled_from(["*", "*/90", "61", "0", "5-2", "32", "FOO", "1/0", "", "7-99", "MON"]), max_size=7))
def test_a_suggestion_for_several_faults_works_too(parts: list[str]) -> None:
    read_or_suggest(" ".join(parts))


@settings(max_examples=150)
@given(st.lists(meanings, min_size=2, max_size=8))
def test_two_expressions_with_one_description_fire_alike(drawn: list[Meaning]) -> None:
    meant: dict[str, tuple[object, ...]] = {}
    for meaning in drawn:
        try:
            description = describe_cron(meaning.text)
        except InvalidInput:
            continue
        fields = read_cron(meaning.text)
        start = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
        times = cron_timetable(meaning.text, "UTC")
        fires = (fields.second.mask, fields.minute.mask, fields.hour.mask, times.count(start, start + 28 * YEAR))
        assert meant.setdefault(description, fires) == fires
