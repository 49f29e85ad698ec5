"""`from rota import Cron`: what other programs may rely on."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from subprocess import run
from zoneinfo import ZoneInfo

import pytest

import rota
from rota import Cron

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_next_and_prev_are_in_the_zone_of_the_expression() -> None:
    cron = Cron.parse("0 2 * * *", timezone="Europe/Berlin")
    following = cron.next(NOON)
    assert following == datetime(2026, 11, 22, 2, tzinfo=BERLIN)
    assert following is not None and str(following.tzinfo) == "Europe/Berlin"
    assert cron.prev(NOON) == datetime(2026, 11, 21, 2, tzinfo=BERLIN)


def test_an_occurrence_itself_counts_only_when_it_is_included() -> None:
    cron = Cron.parse("0 12 * * *")
    assert cron.next(NOON) == NOON + timedelta(days=1)
    assert cron.next(NOON, inclusive=True) == NOON
    assert cron.prev(NOON) == NOON - timedelta(days=1)
    assert cron.prev(NOON, inclusive=True) == NOON


def test_between_has_its_start_and_not_its_end() -> None:
    cron = Cron.parse("0 */6 * * *")
    end = NOON + timedelta(days=1)
    assert [at.hour for at in cron.between(NOON, end)] == [12, 18, 0, 6]
    assert cron.count(NOON, end) == 4
    assert list(cron.between(end, NOON)) == []


def test_between_is_lazy() -> None:
    cron = Cron.parse("* * * * * *")
    first = islice(cron.between(NOON, datetime(9999, 12, 1, tzinfo=UTC)), 3)
    assert [at.second for at in first] == [0, 1, 2]


def test_matches_is_exact() -> None:
    cron = Cron.parse("30 9 * * 1-5", "America/New_York")
    assert cron.matches(datetime(2026, 11, 20, 14, 30, tzinfo=UTC))
    assert not cron.matches(datetime(2026, 11, 20, 14, 30, 0, 500_000, tzinfo=UTC))
    assert not cron.matches(datetime(2026, 11, 21, 14, 30, tzinfo=UTC))  # a Saturday


def test_there_is_none_when_the_years_are_over() -> None:
    cron = Cron.parse("0 0 0 1 1 ? 2026")
    assert cron.next(NOON) is None
    assert cron.prev(datetime(2025, 1, 1, tzinfo=UTC)) is None


def test_a_naive_datetime_is_refused() -> None:
    cron = Cron.parse("0 2 * * *")
    for ask in (cron.next, cron.prev, cron.matches, lambda naive: cron.between(naive, NOON)):
        with pytest.raises(ValueError, match="a datetime without a zone is no instant"):
            ask(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("0 25 * * *",), "has hour 25; expected 0-23"),
        (("0 2 * * *", "Europe/Zurch"), 'did you mean "Europe/Zurich"'),
        (("H 2 * * *",), "a number of the job's own, and there is no job"),
        (("@every 5m",), "is an interval, not cron"),
        (("",), "is empty"),
    ],
)
def test_what_cannot_be_read_is_a_value_error_with_the_reason(arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Cron.parse(*arguments)


def test_an_unknown_rule_for_clock_changes_is_refused_with_the_near_one() -> None:
    with pytest.raises(ValueError, match=r'gap "skipp" is no rule .* expected run_after or skip; did you mean "skip"'):
        Cron.parse("0 2 * * *", gap="skipp")


def test_rules_for_clock_changes_can_be_chosen() -> None:
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)
    for fold, offsets in (("first", [2]), ("second", [1]), ("both", [2, 1])):
        found = Cron.parse("30 2 * * *", "Europe/Berlin", fold=fold).between(*autumn)
        assert [at.utcoffset() for at in found] == [timedelta(hours=hours) for hours in offsets]
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert Cron.parse("30 2 * * *", "Europe/Berlin", gap="skip").count(*spring) == 0


def test_a_seed_gives_h_its_value() -> None:
    one, other = (Cron.parse("H * * * *", seed=name) for name in ("one", "other"))
    assert one == Cron.parse("H * * * *", seed="one")
    assert one != other


def test_expressions_that_mean_the_same_are_equal() -> None:
    assert Cron.parse("0 2 * * SUN") == Cron.parse("0 0 2 * * 7 *")
    assert Cron.parse("0 2 * * 0") != Cron.parse("0 2 * * 0", "Europe/Berlin")
    assert len({Cron.parse("@daily"), Cron.parse("0 0 * * *")}) == 1


def test_it_is_written_in_one_normal_form_and_keeps_what_was_typed() -> None:
    cron = Cron.parse("0,15,30,45   2 * jan MON-FRI")
    assert str(cron) == "0-45/15 2 * 1 1-5"
    assert cron.expression == "0,15,30,45 2 * jan MON-FRI"
    assert Cron.parse(str(cron)) == cron


def test_it_explains_itself() -> None:
    assert Cron.parse("0 2 * * *", "Europe/Berlin").explain() == "Every day at 02:00"


def test_importing_it_loads_nothing_of_the_server() -> None:
    code = (
        "import sys; from rota import Cron; Cron.parse('0 2 * * *', 'Europe/Berlin').explain();"
        "names = {name for name in sys.modules if name.startswith('rota.')};"
        "print(sorted(n for n in names if not n.startswith(('rota.domain', 'rota.library'))));"
        "print(sorted({'asyncio', 'sqlalchemy', 'fastapi', 'pydantic', 'click', 'sqlite3'} & set(sys.modules)))"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n[]\n"


def test_importing_rota_loads_not_even_the_time_engine() -> None:
    code = "import sys, rota; print([name for name in sys.modules if name.startswith('rota.')])"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Crom'"):
        getattr(rota, "Crom")  # noqa: B009 - mypy would refuse it
