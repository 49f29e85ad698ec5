"""No input hangs: whatever the text, zone, rule and instant, an answer or a refusal comes within two seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rota.domain.trigger.kinds import Fold, Gap
from rota.library import Cron
from tests.oracle.brute import draw
from tests.oracle.comparing import HARD_ZONES

BOUND = timedelta(seconds=2)
ITEMS = [
    "*",
    "?",
    "0",
    "1",
    "2",
    "5",
    "29",
    "30",
    "31",
    "59",
    "*/2",
    "*/7",
    "*/59",
    "0-59",
    "1-5/2",
    "L",
    "LW",
    "1W",
    "31W",
    "L-30",
    "5L",
    "7#5",
    "MON#5",
    "H",
    "~",
    "1,2,3",
    "FEB",
    "2026",
    "2099",
    "*/90",
    "5-1",
]
texts = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="0123456789*/,-?LW#H~() ", max_size=256),
    st.lists(st.sampled_from(ITEMS), min_size=5, max_size=7).map(" ".join),
    st.builds(
        lambda seed, seconds: draw(Random(seed), datetime(2026, 2, 1, tzinfo=UTC), seconds=seconds).text,
        st.integers(0, 10**9),
        st.booleans(),
    ),
)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


def ask_everything(text: str, zone: str, gap: Gap, fold: Fold, moment: datetime) -> None:
    """Read the text and put every question to it, from both ends of the calendar as well."""
    try:
        cron = Cron.parse(text, zone, seed="job", gap=gap, fold=fold)
    except ValueError:
        return
    first, last = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
    for at in (moment, first, last):
        cron.next(at)
        cron.prev(at)
        cron.matches(at)
        list(islice(cron.between(at, last), 50))
    cron.count(first, last)
    str(cron)


@settings(deadline=None, max_examples=60)
@given(texts, st.sampled_from(HARD_ZONES), st.sampled_from(Gap), st.sampled_from(Fold), moments)
@example("30 2 8-14 3 */7", "America/New_York", Gap.SKIP, Fold.FIRST, datetime(2026, 1, 1, tzinfo=UTC))
@example("*/30 2 8-14 3 */7", "America/New_York", Gap.RUN_AFTER, Fold.SECOND, datetime(1, 1, 2, tzinfo=UTC))
@example("0 0 29 2 */7", "Africa/Casablanca", Gap.SKIP, Fold.BOTH, datetime(9996, 1, 1, tzinfo=UTC))
@example("* * * * * *", "Australia/Lord_Howe", Gap.RUN_AFTER, Fold.FIRST, datetime(2026, 4, 5, tzinfo=UTC))
@example("0 0 0 1 1 ? 2099", "Africa/Monrovia", Gap.RUN_AFTER, Fold.BOTH, datetime(1970, 1, 1, tzinfo=UTC))
@example("0 0 31W 2-12/2 5#5", "Asia/Gaza", Gap.SKIP, Fold.SECOND, datetime(2040, 1, 1, tzinfo=UTC))
def test_any_input_is_answered_within_two_seconds(text: str, zone: str, gap: Gap, fold: Fold, moment: datetime) -> None:
    started = process_time()
    ask_everything(text, zone, gap, fold, moment)
    assert process_time() - started < BOUND.total_seconds()


@pytest.mark.parametrize("zone", ["America/New_York", "Africa/Casablanca", "Asia/Gaza"])
def test_a_search_through_all_of_history_in_a_fresh_zone_is_bounded(zone: str) -> None:
    started = process_time()
    cron = Cron.parse("*/30 2 8-14 3 */7", zone)
    found = cron.prev(datetime(9999, 12, 30, tzinfo=ZoneInfo(zone)))
    cron.count(datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
    assert process_time() - started < BOUND.total_seconds()
    assert found is not None
