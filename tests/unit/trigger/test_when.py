"""Seed 5's short forms for `--when`, with its defects mended."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import MINUTE, SECOND, format_rfc3339, parse_rfc3339
from rota.domain.trigger.spec import (
    ContinuousTrigger,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    OnStartTrigger,
    TriggerSpec,
    parse_cron,
)
from rota.domain.trigger.when import find_when

NOW = parse_rfc3339("2026-11-21T13:02:00.5Z")
NEW_YORK = "America/New_York"


def when(text: str) -> TriggerSpec:
    found = find_when(text, now=NOW, zone=NEW_YORK)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("+90s", "2026-11-21T13:03:31Z"),
        ("in 5m", "2026-11-21T13:07:01Z"),
        ("after 1h30m", "2026-11-21T14:32:01Z"),
        ("36h", "2026-11-23T01:02:01Z"),
        ("+0s", "2026-11-21T13:02:01Z"),  # seed 5 refused what all of its recipes begin with
        ("now", "2026-11-21T13:02:01Z"),
        ("at now", "2026-11-21T13:02:01Z"),
        ("when-ready", "2026-11-21T13:02:01Z"),
        ("on-condition", "2026-11-21T13:02:01Z"),
        ("OnCondition", "2026-11-21T13:02:01Z"),
        ("at 17:30", "2026-11-21T22:30:00Z"),
        ("at 17:30:15", "2026-11-21T22:30:15Z"),
        ("at 8:02", "2026-11-22T13:02:00Z"),  # it is 08:02:00.5 there: tomorrow
        ("at 2026-12-01", "2026-12-01T05:00:00Z"),
        ("at 2026-12-01 10:00", "2026-12-01T15:00:00Z"),
        ("at 2026-12-01T10:00", "2026-12-01T15:00:00Z"),  # documented by seed 5, and refused by it
        ("2026-12-01 10:00:30", "2026-12-01T15:00:30Z"),  # likewise without `at`
        ("at 2026-12-01T10:00:00Z", "2026-12-01T10:00:00Z"),
        ("At 2026-12-01T10:00:00+05:30", "2026-12-01T04:30:00Z"),
        ("at 2027-03-14 02:30", "2027-03-14T07:00:00Z"),  # left out by the clock: the end of the gap
    ],
)
def test_once(text: str, at: str) -> None:
    rule = when(text)
    assert isinstance(rule, OnceTrigger)
    assert (format_rfc3339(rule.at), rule.zone) == (at, NEW_YORK)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("every 45m", 45), ("every 1d", 1440), ("@every 5m", 5), ("Every 36h", 2160), ("every 1w", 10080)],
)
def test_every(text: str, minutes: int) -> None:
    rule = when(text)
    assert isinstance(rule, IntervalTrigger)
    assert rule.every == minutes * MINUTE


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("cron:0 2 * * *", "0 2 * * *"),
        ("CRON: 0 2 * * MON-FRI", "0 2 * * MON-FRI"),
        ("0 2 * * *", "0 2 * * *"),
        ("*/5 8-17 * * mon,fri", "*/5 8-17 * * mon,fri"),
        ("30 0 2 * * *", "30 0 2 * * *"),
        ("0 9 LW * 5#3", "0 9 LW * 5#3"),
        ("@daily", "@daily"),
        ("@Midnight", "@midnight"),
    ],
)
def test_cron(text: str, expression: str) -> None:
    assert when(text) == parse_cron(expression, NEW_YORK)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("manual", ManualTrigger()),
        ("Triggered", ManualTrigger()),
        ("@reboot", OnStartTrigger()),
        ("on start", OnStartTrigger()),
        ("continuous", ContinuousTrigger()),
        ("continuous 30s", ContinuousTrigger(gap=30 * SECOND)),
        ("continuously 0s", ContinuousTrigger(gap=0)),
    ],
)
def test_what_no_clock_decides(text: str, rule: TriggerSpec) -> None:
    assert when(text) == rule


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("at 25:00", "not a time of day"),
        ("every 5x", "not a duration"),
        ("cron:61 * * * *", "minute 61"),
        ("@fortnightly", "shorthand"),
        ("+5q", "not a duration"),
        ("every 0s", "no time at all"),
        ("at 2026-02-30", "not a moment"),
        ("2026-13-01 10:00", "not a moment"),
    ],
)
def test_a_faulty_form_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        when(text)


@pytest.mark.parametrize(
    "text",
    ["every 2 hours", "in 5 minutes", "daily at 9", "at 9", "every weekday at 9am", "hourly", "every 2m30", "soon", ""],
)
def test_english_is_left_to_the_phrase_grammar(text: str) -> None:
    assert find_when(text, now=NOW, zone=NEW_YORK) is None


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        find_when(text, now=NOW, zone=NEW_YORK)
