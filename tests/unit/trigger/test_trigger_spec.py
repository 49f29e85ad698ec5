"""Triggers as they are saved, and the timetables of those that are not cron."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput
from rota.domain.instant import DAY, HOUR, MINUTE, SECOND, parse_rfc3339
from rota.domain.trigger.spec import (
    CalendarTrigger,
    ContinuousTrigger,
    CronTrigger,
    Fold,
    Gap,
    IntervalTrigger,
    ManualTrigger,
    OnceTrigger,
    OnStartTrigger,
    Overflow,
    TriggerSpec,
    Unit,
    from_dict,
    parse_cron,
    parse_interval,
    parse_once,
    short_form,
    to_dict,
)
from rota.domain.trigger.timetable import Timetable, timetable

CREATED = parse_rfc3339("2026-03-05T10:17:23Z")


def times_of(spec: TriggerSpec) -> Timetable:
    times = timetable(spec)
    assert times is not None
    return times


EACH_KIND: list[TriggerSpec] = [
    CronTrigger("0 2 * * *", "Europe/Zurich"),
    IntervalTrigger(20 * SECOND, CREATED, "UTC"),
    IntervalTrigger(1_500_000, CREATED, "UTC"),
    OnceTrigger(CREATED, "America/New_York"),
    ManualTrigger(),
    CronTrigger("0 2 * * *", "Europe/Zurich", Gap.SKIP, Fold.BOTH),
    CronTrigger("H 2 * * *", "UTC", seed="nightly"),
    CalendarTrigger(
        2, Unit.YEAR, (32_400, 61_200), "2026-03-05", "Asia/Tokyo", (0, 4), ((-1, 4), (2, 1)), (-1, 15), (1, 7),
        Overflow.LAST_DAY, Gap.SKIP, Fold.SECOND,
    ),
    CalendarTrigger(1, Unit.DAY, (0,), "", "UTC"),
    ContinuousTrigger(),
    ContinuousTrigger(500_000, 90 * MINUTE),
    OnStartTrigger(),
]  # fmt: skip


@pytest.mark.parametrize("spec", EACH_KIND, ids=lambda spec: spec.kind)
def test_json_is_read_back_unchanged(spec: TriggerSpec) -> None:
    assert from_dict(to_dict(spec)) == spec


def test_a_rule_without_clock_change_rules_is_written_as_it_was_before_there_were_any() -> None:
    assert to_dict(EACH_KIND[0]) == {"kind": "cron", "expression": "0 2 * * *", "zone": "Europe/Zurich"}


def test_triggered_is_another_word_for_manual() -> None:
    assert from_dict({"kind": "triggered"}) == ManualTrigger()


def test_a_seed_is_kept_only_where_the_expression_asks_for_one() -> None:
    assert parse_cron("0 2 * * *", "UTC", seed="nightly").seed == ""
    assert parse_cron("H 2 * * *", "UTC", seed="nightly").seed == "nightly"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12), st.lists, max_leaves=4
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([to_dict(spec) for spec in EACH_KIND]), st.dictionaries(st.text(max_size=9), JSON), st.data())
def test_any_json_is_read_or_refused(good: dict[str, object], more: dict[str, object], data: st.DataObject) -> None:
    changed = {key: data.draw(JSON) for key in data.draw(st.sets(st.sampled_from([*good]), max_size=2))}
    with suppress(InvalidInput):
        from_dict({**good, **more, **changed}, created=CREATED)


def test_json_has_rfc3339_instants_and_seconds() -> None:
    assert to_dict(EACH_KIND[1]) == {
        "kind": "interval",
        "every_seconds": 20,
        "anchor": "2026-03-05T10:17:23Z",
        "zone": "UTC",
    }


def test_a_zone_and_an_anchor_may_be_left_out() -> None:
    spec = from_dict({"kind": "interval", "every_seconds": 7}, zone="Asia/Tokyo", created=CREATED)
    assert spec == IntervalTrigger(7 * SECOND, CREATED, "Asia/Tokyo")
    assert from_dict({"kind": "cron", "expression": "@daily"}) == CronTrigger("@daily", "UTC")


def test_every_fault_of_a_json_trigger_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        from_dict({"kind": "cron", "expresion": "x", "expression": "0 25 * * *", "zone": "Zurich"}, path="trigger.")
    assert {error.field for error in caught.value.errors} == {
        "trigger.expresion",
        "trigger.expression",
        "trigger.zone",
    }
    assert 'did you mean "expression"?' in str(caught.value)
    assert 'did you mean "Europe/Zurich"?' in str(caught.value)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "kind"),
        ({"kind": "crn"}, "kind"),
        ({"kind": ["cron"]}, "kind"),
        ({"kind": "cron"}, "expression"),
        ({"kind": "cron", "expression": 5}, "expression"),
        ({"kind": "cron", "expression": "0 2 * * *", "zone": None}, "zone"),
        ({"kind": "interval", "every_seconds": 0.5, "anchor": "2026-03-05T00:00:00Z"}, "every"),
        ({"kind": "interval", "every_seconds": -1, "anchor": "2026-03-05T00:00:00Z"}, "every_seconds"),
        ({"kind": "interval", "every_seconds": True, "anchor": "2026-03-05T00:00:00Z"}, "every_seconds"),
        ({"kind": "interval", "every_seconds": float("nan"), "anchor": "2026-03-05T00:00:00Z"}, "every_seconds"),
        ({"kind": "interval", "every_seconds": 20}, "anchor"),
        ({"kind": "interval", "every_seconds": 20, "anchor": "soon"}, "anchor"),
        ({"kind": "once"}, "at"),
        ({"kind": "once", "at": "tomorrow"}, "at"),
        ({"kind": "manual", "zone": "UTC"}, "zone"),
        ({"kind": "on_start", "at": "x"}, "at"),
        ({"kind": "continuous", "gap_seconds": 8 * 86400}, "gap_seconds"),
        ({"kind": "continuous", "backoff_seconds": "5m"}, "backoff_seconds"),
        ({"kind": "cron", "expression": "0 2 * * *", "fold": "third"}, "fold"),
    ],
)
def test_a_faulty_json_trigger_is_refused_by_field(data: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_dict(data)
    assert [error.field for error in caught.value.errors] == [field]


def test_a_single_fault_of_a_cron_trigger_keeps_its_own_words() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_cron("0 25 * * *", "UTC")
    message = 'cron "0 25 * * *" has hour 25; expected 0-23; try: rota jobs preview --cron "0 1 * * *"'
    assert str(caught.value) == message


def test_cron_is_kept_as_written_but_for_spaces() -> None:
    assert parse_cron("  0  2 * *  MON ", "UTC").expression == "0 2 * * MON"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (EACH_KIND[0], "0 2 * * *"),
        (EACH_KIND[1], "every 20s"),
        (IntervalTrigger(90 * MINUTE, 0, "UTC"), "every 1h30m"),
        (IntervalTrigger(14 * DAY, 0, "UTC"), "every 14d"),
        (IntervalTrigger(1_500_000, 0, "UTC"), "every 1.5s"),
        (EACH_KIND[3], "at 2026-03-05T10:17:23Z"),
        (ManualTrigger(), "manual"),
    ],
)
def test_the_short_form_for_lists(spec: TriggerSpec, text: str) -> None:
    assert short_form(spec) == text


# Intervals


def test_an_interval_that_divides_a_day_is_anchored_at_midnight_of_its_zone() -> None:
    spec = parse_interval(15 * MINUTE, "America/New_York", created=CREATED)
    assert spec.anchor == parse_rfc3339("2026-03-05T00:00:00-05:00")
    assert times_of(spec).next(CREATED) == parse_rfc3339("2026-03-05T10:30:00Z")


def test_an_interval_that_does_not_is_anchored_at_its_creation() -> None:
    spec = parse_interval(7 * HOUR, "America/New_York", created=CREATED)
    assert times_of(spec).next(CREATED) == CREATED + 7 * HOUR


def test_a_missing_midnight_anchors_at_the_end_of_the_gap() -> None:
    created = parse_rfc3339("2026-03-29T12:00:00+03:00")
    assert parse_interval(HOUR, "Asia/Beirut", created=created).anchor == parse_rfc3339("2026-03-29T01:00:00+03:00")


@pytest.mark.parametrize("every", [0, -SECOND, SECOND - 1])
def test_an_interval_below_a_second_is_refused(every: int) -> None:
    with pytest.raises(InvalidInput, match="at least 1s"):
        parse_interval(every, "UTC", created=CREATED)


def test_an_interval_keeps_its_grid_in_both_directions() -> None:
    times = times_of(IntervalTrigger(7 * SECOND, CREATED, "UTC"))
    assert times.next(CREATED - 1) == CREATED
    assert times.next(CREATED) == CREATED + 7 * SECOND
    assert times.prev(CREATED) == CREATED - 7 * SECOND
    assert times.prev(CREATED + 1) == CREATED
    assert times.count(CREATED - 7 * SECOND, CREATED + 14 * SECOND) == 3
    assert times.count(CREATED, CREATED - DAY) == 0
    assert times.last_at_or_before(CREATED + 8 * SECOND, CREATED) == CREATED + 7 * SECOND
    assert times.last_at_or_before(CREATED + 6 * SECOND, CREATED) is None


def test_no_clock_change_moves_an_interval() -> None:
    spec = parse_interval(HOUR, "America/New_York", created=parse_rfc3339("2026-11-01T00:00:00-04:00"))
    start, end = parse_rfc3339("2026-11-01T00:00:00-04:00"), parse_rfc3339("2026-11-02T00:00:00-05:00")
    assert times_of(spec).count(start, end) == 25


def test_once_is_due_once() -> None:
    times = times_of(parse_once(CREATED, "UTC"))
    assert (times.next(CREATED - 1), times.next(CREATED)) == (CREATED, None)
    assert (times.prev(CREATED + 1), times.prev(CREATED)) == (CREATED, None)
    assert (times.count(0, CREATED), times.count(CREATED, CREATED + DAY)) == (1, 0)
    assert times.last_at_or_before(CREATED, 0) == CREATED
    assert times.last_at_or_before(CREATED + DAY, CREATED) is None


def test_manual_has_no_timetable() -> None:
    assert timetable(ManualTrigger()) is None


def test_equal_triggers_share_one_timetable() -> None:
    assert timetable(CronTrigger("0 2 * * *", "UTC")) is timetable(CronTrigger("0 2 * * *", "UTC"))
    assert timetable(CronTrigger("0 2 * * *", "UTC")) is not timetable(CronTrigger("0 2 * * *", "Asia/Tokyo"))
