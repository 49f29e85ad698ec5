"""What a person is warned of who saves a trigger, and what is said of one instant at a clock change."""

from __future__ import annotations

import pytest

from rota.domain.instant import DAY, parse_rfc3339
from rota.domain.trigger.caution import clock_change_note, warnings_of
from rota.domain.trigger.spec import Fold, Gap, TriggerSpec, Unit, parse_calendar, parse_cron, parse_interval
from rota.domain.trigger.timetable import timetable

NOW = parse_rfc3339("2026-03-04T12:00:00Z")


def warned(expression: str, zone: str = "UTC", *, gap: Gap = Gap.RUN_AFTER, fold: Fold = Fold.FIRST) -> list[str]:
    return [*warnings_of(parse_cron(expression, zone, gap=gap, fold=fold), now=NOW)]


@pytest.mark.parametrize(
    "expression", ["0 2 * * *", "*/15 * * * *", "0 9 * * 1-5", "0 0 1-31 * 1", "@daily", "0 */6 * * *"]
)
def test_what_is_plain_needs_no_warning(expression: str) -> None:
    assert warned(expression) == []


def test_two_day_fields_of_which_either_will_do_are_told() -> None:
    assert warned("0 0 13 * 5") == [
        'day of month "13" or day of week "5": either will do, as cron has it; for both at once, use a calendar trigger'
    ]
    assert warned("0 9 L * MON")[0].startswith('day of month "L" or day of week "MON": either will do')
    assert warned("0 0 0 13 * 5 2027")[0].startswith('day of month "13" or day of week "5": either')


def test_two_day_fields_that_must_both_match_are_told() -> None:
    assert warned("0 0 */10 * 1") == [
        'day of month "*/10" and day of week "1" must both match, as one of them begins with *'
    ]


def test_an_uneven_step_is_told_with_the_interval_that_was_meant() -> None:
    (warning,) = warned("*/7 * * * *")
    assert warning == (
        "*/7 in the minute field is uneven: after minute 56 comes minute 0, 4 minutes later; "
        "for every 7 minutes use --every 7m"
    )
    assert warned("0 */5 * * *")[0].startswith("*/5 in the hour field is uneven: after hour 20 comes hour 0, 4 hours")


def test_a_time_in_a_gap_is_told_with_its_dates() -> None:
    assert warned("30 2 * * *", "America/New_York") == [
        f"{day} 02:30 does not exist in America/New_York, where the clock goes forward: it runs at 03:00 instead"
        for day in ("2026-03-08", "2027-03-14")
    ]
    assert warned("30 2 * * *", "America/New_York", gap=Gap.SKIP)[0].endswith("it does not run that day")


@pytest.mark.parametrize(
    ("fold", "runs"),
    [(Fold.FIRST, "the first time only"), (Fold.SECOND, "the second time only"), (Fold.BOTH, "both times")],
)
def test_a_time_that_comes_twice_is_told_with_its_dates(fold: Fold, runs: str) -> None:
    assert warned("30 1 * * *", "America/New_York", fold=fold) == [
        f"{day} 01:30 comes twice in America/New_York, where the clock goes back: it runs {runs}"
        for day in ("2026-11-01", "2027-11-07")
    ]


def test_what_follows_real_time_is_not_touched_by_clock_changes() -> None:
    assert warned("*/30 * * * *", "America/New_York") == []
    assert warnings_of(parse_interval(DAY, "America/New_York", created=NOW), now=NOW) == ()


def test_a_calendar_rule_is_warned_of_like_cron() -> None:
    rule = parse_calendar(Unit.MONTH, [9000], "Europe/Zurich", month_days=[-1], weekdays=[6])
    assert [words[:16] for words in warnings_of(rule, now=NOW)] == ["2027-10-31 02:30"]


def notes(rule: TriggerSpec, after: str, count: int) -> list[str | None]:
    times, at, found = timetable(rule), parse_rfc3339(after), []
    assert times is not None
    for _ in range(count):
        following = times.next(at)
        assert following is not None
        at = following
        found.append(clock_change_note(rule, at))
    return found


def test_the_instant_that_a_gap_moves_is_marked() -> None:
    rule = parse_cron("30 2 * * *", "America/New_York")
    assert notes(rule, "2026-03-07T00:00:00Z", 3) == [None, "02:30 is left out by a clock change", None]


def test_the_instant_that_a_fold_repeats_is_marked() -> None:
    rule = parse_cron("30 1 * * *", "America/New_York", fold=Fold.BOTH)
    assert notes(rule, "2026-10-31T12:00:00Z", 3) == [
        "first 01:30 of two: the clock goes back",
        "second 01:30 of two: the clock goes back",
        None,
    ]
