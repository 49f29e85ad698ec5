"""Asks the evaluator and the brute force the same questions, and runs that over zones and clock changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from zoneinfo import available_timezones

from rota.domain.errors import InvalidInput
from rota.domain.instant import SECOND
from rota.domain.trigger.cron import CronTimetable, cron_timetable
from rota.domain.trigger.dialect import read_cron
from rota.domain.trigger.kinds import Fold, Gap
from tests.oracle.brute import DAY, Meaning, Window, draw, mix, transitions, year_begins

FIRST_YEAR, LAST_YEAR = 1970, 2100
ZONES = sorted(available_timezones() - {"Factory", "localtime", "posixrules"})
HARD_ZONES = (
    "Africa/Cairo",  # changes at midnight, on a Friday
    "Africa/Casablanca",  # negative DST around Ramadan: two changes within 31 days
    "Africa/Monrovia",  # 44:30 behind until 1972
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
    "Pacific/Kwajalein",  # 1993-08-21 never happened
)


@dataclass
class Tally:
    """What was compared, to be printed: agreement on nothing would be no agreement."""

    windows: int = 0
    occurrences: int = 0
    refused: int = 0
    meanings: list[Meaning] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.windows} windows, {self.occurrences} occurrences, {self.refused} refused as never firing; "
            f"{mix(self.meanings)}; 0 disagreements"
        )


def changes_of(zone: str) -> Iterator[int]:
    """Every change of the zone's offset from 1970 to 2100."""
    yield from transitions(zone, year_begins(FIRST_YEAR), year_begins(LAST_YEAR + 1))


def some_changes_of(zone: str, random: Random, count: int) -> list[int]:
    """Some changes, found by looking into a few years; where there is none, any instant."""
    found: list[int] = []
    for _ in range(6):
        year = random.randint(FIRST_YEAR, LAST_YEAR)
        found += transitions(zone, year_begins(year), year_begins(year + 1))
        if len(found) >= count:
            break
    spare = random.randint(year_begins(FIRST_YEAR), year_begins(LAST_YEAR + 1))
    return random.sample(found, min(count, len(found))) or [spare - spare % DAY]


def compare(zone: str, changes: Iterable[int], random: Random, tally: Tally, *, expressions: int = 3) -> None:
    """Compare random expressions around each change; one in twenty to the second, which is slow to walk."""
    for change in changes:
        by_seconds = random.random() < 0.05
        window = Window.around(zone, change, hours=0.75 if by_seconds else 5, by_seconds=by_seconds)
        near = datetime.fromtimestamp(change, UTC).date()
        tally.windows += 1
        for _ in range(1 if by_seconds else expressions):
            meaning = draw(random, near, seconds=by_seconds)
            tally.meanings.append(meaning)
            compare_in(window, meaning, random, tally)


def compare_in(window: Window, meaning: Meaning, random: Random, tally: Tally) -> None:
    """Compare one expression in one window, under Debian's rule and under one drawn at random."""
    try:
        read_cron(meaning.text)
    except InvalidInput as refusal:
        assert "never fires" in refusal.happened, f"{meaning.text}: {refusal}"
        assert window.fires(meaning) == [], meaning.text
        tally.refused += 1
        return
    for gap, fold in ((Gap.RUN_AFTER, Fold.FIRST), (random.choice([*Gap]), random.choice([*Fold]))):
        expected = [second * SECOND for second in window.fires(meaning, gap, fold)]
        times = cron_timetable(meaning.text, window.zone, gap=gap, fold=fold)
        what = f"{meaning.text} in {window.zone} from {window.first}, gap {gap}, fold {fold}"
        _check_walking(times, window, expected, what)
        _check_questions(times, window, expected, random, what)
        tally.occurrences += len(expected)
        if meaning.is_wildcard:
            break


def _check_walking(times: CronTimetable, window: Window, expected: list[int], what: str) -> None:
    first, last = window.first * SECOND, window.last * SECOND
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


def _check_questions(times: CronTimetable, window: Window, expected: list[int], random: Random, what: str) -> None:
    first, last = window.first * SECOND, window.last * SECOND
    assert times.count(first, last) == len(expected), what
    for _ in range(3):
        low, high = sorted((random.randint(first, last), random.randint(first, last)))
        inside = [at for at in expected if low < at <= high]
        assert times.count(low, high) == len(inside), what
        assert times.last_at_or_before(high, low) == (inside[-1] if inside else None), what
        later = [at for at in expected if at > low]
        assert not later or times.next(low) == later[0], what
