"""What holds for every expression, zone and instant; and a comparison with cronsim where cronsim is right."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, SECOND, from_micros, to_micros
from rota.domain.trigger.cron import cron_timetable
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.explain import describe_cron
from rota.domain.trigger.timetable import Timetable
from tests.unit.trigger.minute_oracle import Meaning, draw

ZONES = (
    *("UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Beirut", "America/Havana"),
    *("Antarctica/Troll", "Pacific/Apia", "Europe/Dublin", "Asia/Kathmandu", "America/Sao_Paulo", "Asia/Gaza"),
)
YEAR = 366 * DAY

meanings = st.builds(lambda seed, month: draw(Random(seed), month=month), st.integers(0, 10**9), st.integers(1, 12))
instants = st.integers(to_micros(datetime(1970, 1, 1, tzinfo=UTC)), to_micros(datetime(2100, 1, 1, tzinfo=UTC)))


@st.composite
def timetables(make: st.DrawFn) -> Timetable:
    while True:
        try:
            return cron_timetable(make(meanings).text, make(st.sampled_from(ZONES)))
        except InvalidInput:  # never fires
            continue


@given(timetables(), instants)
def test_next_is_later_and_nothing_lies_between(times: Timetable, after: int) -> None:
    following = times.next(after)
    assert following is not None
    assert following > after
    assert following % SECOND == 0
    assert times.count(after, following) == 1
    assert times.count(after, following - 1) == 0


@given(timetables(), instants)
def test_prev_is_the_mirror_of_next(times: Timetable, instant: int) -> None:
    occurrence = times.next(instant)
    assert occurrence is not None
    before = times.prev(occurrence)
    assert before is None or (before < occurrence and times.next(before) == occurrence)
    following = times.next(occurrence)
    assert following is None or times.prev(following) == occurrence


@given(timetables(), instants, st.integers(0, 2 * YEAR), st.integers(0, 2 * YEAR))
def test_counts_add_up(times: Timetable, start: int, first: int, second: int) -> None:
    middle, end = start + first, start + first + second
    assert times.count(start, middle) + times.count(middle, end) == times.count(start, end)
    assert times.count(end, start) == 0


@given(timetables(), instants, st.integers(0, 40))
def test_counting_agrees_with_walking(times: Timetable, start: int, steps: int) -> None:
    at = start
    for _ in range(steps):
        at = times.next(at) or at
    assert times.count(start, at) == steps
    assert times.last_at_or_before(at, start) == (at if steps else None)


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


@given(st.one_of(st.text(max_size=300), st.text(alphabet="0123456789*/,-? LW#@MONSUJAl\t", max_size=60)))
@example("*/5" + "0" * 250 + " * * * *")
@example("0 0 29 2 */7")
def test_any_text_is_read_or_refused_with_a_suggestion_that_works(text: str) -> None:
    read_or_suggest(text)


@given(st.lists(st.sampled_from(["*", "*/90", "61", "0", "5-2", "32", "FOO", "1/0", "", "7-99", "MON"]), max_size=7))
def test_a_suggestion_for_several_faults_works_too(parts: list[str]) -> None:
    read_or_suggest(" ".join(parts))


@settings(max_examples=300)
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
        fires = (fields.minute.mask, fields.hour.mask, times.count(start, start + 28 * YEAR))
        assert meant.setdefault(description, fires) == fires


# cronsim (Debian-like, BSD) is the best other implementation; its known faults are left out by name.


def cronsim_is_wrong(meaning: Meaning, start: datetime) -> str:
    """Return the class of fault that touches this comparison, empty if none."""
    utc = start.astimezone(UTC)
    if utc.astimezone(start.tzinfo).fold:
        return "starts inside the second copy of an hour: answers with an instant in the past"
    if str(start.tzinfo) == "Australia/Lord_Howe":
        return "half-hour shift: the minute is not reset"
    if str(start.tzinfo) in ("America/Havana", "Asia/Beirut", "America/Sao_Paulo") and meaning.is_wildcard:
        return "midnight gap: wildcard jobs fire at 01:00 though hour 1 was not asked for"
    if re.search(r"\b(\d+)-\1/", meaning.text):
        return "a range of one value with a step (5-5/2) is read as 5/2"
    return ""


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin", "America/Havana", "Asia/Kathmandu"])
def test_cronsim_agrees_where_it_is_right(zone: str) -> None:
    random = Random(zone)
    info = ZoneInfo(zone)
    compared = 0
    for _ in range(400):
        meaning = draw(random, month=random.randint(1, 12))
        changes = random.choice([(2026, 3, 8), (2026, 3, 29), (2026, 10, 25), (2026, 11, 1)])
        base = int(datetime(*changes, tzinfo=UTC).timestamp()) + random.randint(-86_400, 86_400)
        start = datetime.fromtimestamp(base, info)
        if cronsim_is_wrong(meaning, start):
            continue
        try:
            times = cron_timetable(meaning.text, zone)
        except InvalidInput:
            continue
        ours = times.next(to_micros(start))
        assert ours is not None
        theirs = next(CronSim(meaning.text.replace("?", "*"), start))
        assert from_micros(ours) == theirs.astimezone(UTC), f"{meaning.text} after {start}"
        compared += 1
    assert compared > 150
