"""What holds for every phrase, beyond the rows of the page."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import HOUR, parse_rfc3339
from rota.domain.trigger.phrase import PhraseError, read_description, read_phrase
from rota.domain.trigger.spec import from_dict, to_dict
from rota.domain.trigger.timetable import timetable
from tests.unit.phrase.test_phrases_page import NOW, REFUSED, UNDERSTOOD

PHRASES = [*(row.phrase for row in UNDERSTOOD), *(row.phrase for row in REFUSED)]
WORDS = sorted({word for phrase in PHRASES for word in phrase.split()})
PIECES = st.sampled_from([" ".join(phrase.split()[n:]) for phrase in PHRASES for n in range(len(phrase.split()))])
HEADS = st.sampled_from([" ".join(phrase.split()[: n + 1]) for phrase in PHRASES for n in range(len(phrase.split()))])
SENTENCES = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join),
    st.tuples(HEADS, PIECES).map(" ".join),
    st.tuples(HEADS, st.sampled_from(["and", ",", ";", "except", "at"]), PIECES).map(" ".join),
)


@settings(max_examples=400, deadline=None)
@given(SENTENCES)
def test_any_words_are_read_or_refused_with_readings_that_can_be_typed(phrase: str) -> None:
    try:
        reading = read_phrase(phrase, "Europe/Zurich", now=NOW)
    except PhraseError as error:
        for other in error.readings:
            assert read_phrase(other, "Europe/Zurich", now=NOW).triggers
    else:
        assert reading.reading
        for trigger in reading.triggers:
            assert from_dict(to_dict(trigger)) == trigger
            times = timetable(trigger)
            assert times is None or times.next(NOW) is not None, "a trigger that is never due"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_phrase(text, now=NOW)
    except PhraseError as error:
        assert error.happened


@settings(max_examples=100, deadline=None)
@given(SENTENCES)
def test_capitals_and_spaces_mean_nothing(phrase: str) -> None:
    def outcome(text: str) -> object:
        try:
            return read_phrase(text, now=NOW).triggers
        except PhraseError:
            return None

    assert outcome(phrase) == outcome(f"  {phrase.upper().replace(' ', '   ')} ") or "'" in phrase


def test_long_input_is_refused_at_once() -> None:
    started = time.process_time()
    for text in ("every " * 10_000, "1 " * 120, "and " * 60, "first " * 40, "in " * 80):
        with pytest.raises(PhraseError):
            read_phrase(text, now=NOW)
    assert time.process_time() - started < 2


def test_nothing_at_all_is_refused_with_an_example() -> None:
    with pytest.raises(PhraseError, match=r"nothing is said.*every weekday at 9am"):
        read_phrase("  ")


def test_an_unknown_zone_is_a_fault_of_its_own() -> None:
    with pytest.raises(InvalidInput, match="Zurich"):
        read_phrase("daily at 9", "Europe/Zurych")


def test_a_date_needs_to_know_what_day_it_is() -> None:
    with pytest.raises(PhraseError, match=r"without knowing what time it is.*now="):
        read_phrase("tomorrow at 8")
    assert read_phrase("every weekday at 9am").triggers


@pytest.mark.parametrize(
    ("phrase", "reading"),
    [
        ("Friday at 9", "every Friday at 9"),
        ("at 9am", "every day at 09:00"),
        ("on the 15th", "on the 15th of every month"),
        ("on May 5th", "every year on May 5th"),
    ],
)
def test_without_a_date_it_still_asks_whether_every_such_day_is_meant(phrase: str, reading: str) -> None:
    with pytest.raises(PhraseError) as caught:
        read_phrase(phrase)
    assert caught.value.readings == (reading,)


def test_the_reading_names_what_was_assumed() -> None:
    reading = read_phrase("weekly", "Europe/Berlin", now=NOW)
    assert reading.reading == "Every Monday at 09:00, Europe/Berlin time; Monday and 09:00 are assumed"
    assert reading.assumed == ("Monday", "09:00")


def test_an_error_says_what_it_might_be() -> None:
    with pytest.raises(PhraseError) as caught:
        read_phrase("every second Tuesday", now=NOW)
    assert caught.value.readings == ("every other Tuesday", "second Tuesday of the month")
    assert str(caught.value) == (
        '"second Tuesday" in "every second Tuesday" can be counted in weeks or within the month; '
        'expected one of "every other Tuesday", "second Tuesday of the month"; see docs/phrases.md'
    )


def test_a_zone_said_once_is_that_of_every_sentence() -> None:
    reading = read_phrase("weekdays at 9 and weekends at 11 Tokyo time", now=NOW)
    assert {trigger.zone for trigger in reading.triggers} == {"Asia/Tokyo"}  # type: ignore[union-attr]  # cron, both


def test_tomorrow_is_that_of_the_zone() -> None:
    late = parse_rfc3339("2026-03-04T22:30:00Z")  # already the 5th in Tokyo
    (trigger,) = read_phrase("tomorrow at 8 Tokyo time", now=late).triggers
    assert trigger == read_phrase("on 2026-03-06 at 8 Tokyo time", now=late).triggers[0]


@pytest.mark.parametrize(
    ("description", "phrase"),
    [
        ("check my inbox every morning", "every morning"),
        ("Every morning, check the prices", "every morning"),
        ("Monitor competitor prices every 2 hours", "every 2 hours"),
        ("every weekday at 9am, summarize the standup notes", "every weekday at 9am"),
        ("monitor prices daily at 6pm except on Sundays", "daily at 6pm except on Sundays"),
        ("watch the queue", "hourly"),
        ("tell me when the disk is full", "on demand"),
        ("always keep an eye on the queue", "always"),
    ],
)
def test_a_description_is_scheduled_by_the_part_that_says_when(description: str, phrase: str) -> None:
    assert read_description(description, now=NOW).triggers == read_phrase(phrase, now=NOW).triggers


@pytest.mark.parametrize(
    "description",
    [
        "do not run continuously",
        "check if the site is up",
        "summarize the second quarter report weekly",
        "send the report every Monday unless it rains",
        "every day check the five newest orders",
        "daily digest, but only in winter",
        "write a haiku",
    ],
)
def test_a_description_with_other_words_about_time_is_not_guessed_at(description: str) -> None:
    with pytest.raises(PhraseError):
        read_description(description, now=NOW)


def test_an_hour_is_what_a_task_that_watches_is_assumed_to_need() -> None:
    reading = read_description("watch the queue", now=NOW)
    assert reading.assumed == ("an hour",)
    assert reading.triggers[0].every == HOUR  # type: ignore[union-attr]  # an interval


@pytest.mark.parametrize(
    "phrase",
    [
        "every 99999999999 minutes",
        "every 999999999 hours",
        "in 999999999 hours",
        "in 99999999 days",
        "on 9999-12-31 at 23:59",
        "on 0001-01-01",
        "every 1.99999999999999999999999 hours",
        "daily at 99999999999",
        "on day 99999",
        "the 99th of each month",
        "every 9999999 weeks",
    ],
)
def test_numbers_out_of_this_world_are_refused(phrase: str) -> None:
    with pytest.raises(PhraseError):
        read_phrase(phrase, now=NOW)


def test_the_grammar_loads_nothing_of_the_server() -> None:
    script = (
        "import sys; from rota import read_phrase; read_phrase('every weekday at 9am');"
        "print([name for name in ('fastapi', 'sqlalchemy', 'pydantic', 'click', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
