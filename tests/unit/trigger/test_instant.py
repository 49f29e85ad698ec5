"""Instants and lengths, and how they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    format_age,
    format_duration,
    format_rfc3339,
    format_span,
    from_micros,
    parse_duration,
    parse_rfc3339,
    to_micros,
)

LAST = to_micros(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
FIRST = to_micros(datetime(1, 1, 1, tzinfo=UTC))


@given(st.integers(FIRST, LAST))
def test_an_instant_survives_writing_and_reading(instant: int) -> None:
    assert parse_rfc3339(format_rfc3339(instant)) == instant
    assert to_micros(from_micros(instant)) == instant


def test_a_naive_datetime_is_no_instant() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        to_micros(datetime(2026, 1, 1))


def test_the_zone_of_a_datetime_does_not_matter() -> None:
    assert to_micros(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == to_micros(
        datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-02-20T10:30:00Z", "2026-02-20T10:30:00Z"),
        ("2026-02-20T10:30:00.000Z", "2026-02-20T10:30:00Z"),
        ("2026-02-20 10:30:00.120z", "2026-02-20T10:30:00.12Z"),
        ("2026-02-20T10:30:00.1234567Z", "2026-02-20T10:30:00.123456Z"),
        ("2026-02-20T10:30:00-05:00", "2026-02-20T15:30:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_rfc3339_is_read_and_written(text: str, written: str) -> None:
    assert format_rfc3339(parse_rfc3339(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        *("", "tomorrow", "2026-02-20", "2026-02-20T10:30:00", "2026-02-30T10:30:00Z", "2026-02-20T25:00:00Z"),
        *("2026-02-20T10:30Z", "0001-01-01T00:00:00+14:00", "٢026-02-20T10:30:00Z", "2026-02-20T10:30:00+99:00"),
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not an instant"):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30s", 30 * SECOND),
        ("45m", 45 * MINUTE),
        ("90m", 90 * MINUTE),
        ("36h", 36 * HOUR),
        ("1d", DAY),
        ("1w", WEEK),
        ("1h30m", 90 * MINUTE),
        (" 1w2d3h4m5s ", WEEK + 2 * DAY + 3 * HOUR + 4 * MINUTE + 5 * SECOND),
    ],
)
def test_durations_are_read(text: str, length: int) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text",
    [
        *("", "30", "s", "-30s", "1.5h", "30m1h", "5m5m", "1 h", "0s", "٣s", "1y", "30S"),
        *("999999999999w", "9" * 5_000 + "s"),
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_duration(text)
    assert "such as" in caught.value.hint


@given(st.integers(1, 100 * 365 * DAY // SECOND))
def test_a_span_is_written_in_the_words_it_is_read_in(seconds: int) -> None:
    assert parse_duration(format_span(seconds * SECOND)) == seconds * SECOND


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (3 * MINUTE + 12 * SECOND, "3m 12s"),
        (3 * MINUTE + 8 * SECOND, "3m 08s"),
        (45 * SECOND, "45s"),
        (45 * SECOND + 999_999, "45s"),
        (HOUR + 2 * MINUTE + 3 * SECOND, "1h 02m 03s"),
        (2 * DAY + 3 * HOUR, "2d 03h 00m 00s"),
        (400_000, "0.4s"),
        (999_999, "0.9s"),
        (12_000, "12ms"),
        (0, "0s"),
        (-5 * SECOND, "-5s"),
    ],
)
def test_durations_are_written_as_in_the_history(length: int, text: str) -> None:
    assert format_duration(length) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [(0, "0s"), (45 * SECOND, "45s"), (3 * MINUTE, "3m"), (2 * HOUR, "2h"), (14 * DAY, "14d"), (-1, "0s")],
)
def test_ages_are_written_in_their_largest_unit(length: int, text: str) -> None:
    assert format_age(length) == text
