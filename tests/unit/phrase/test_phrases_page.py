"""Every row of docs/phrases.md, which was written before the grammar."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import NamedTuple

import pytest

from rota.domain.instant import DAY, SECOND, format_rfc3339, parse_rfc3339
from rota.domain.trigger.phrase import PhraseError, Reading, read_phrase
from rota.domain.trigger.spec import CalendarTrigger, OnceTrigger, TriggerSpec, ZonedTrigger, short_form
from rota.domain.trigger.zones import zone_named

PAGE = (Path(__file__).parents[3] / "docs" / "phrases.md").read_text()
NOW = parse_rfc3339("2026-03-04T12:00:00Z")


class Understood(NamedTuple):
    phrase: str
    kind: str
    means: str
    zone: str
    assumed: str


class Refused(NamedTuple):
    phrase: str
    because: str
    readings: str


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


UNDERSTOOD = [Understood(*row) for row in rows("Understood")]
REFUSED = [Refused(*row) for row in rows("Refused, or asked about")]


def read(phrase: str) -> Reading:
    return read_phrase(phrase, now=NOW)


def means(trigger: TriggerSpec) -> str:
    """The trigger in the words of the page."""
    if isinstance(trigger, OnceTrigger):
        wall = format_rfc3339(zone_named(trigger.zone).wall_at(trigger.at // SECOND) * SECOND)
        return wall[:16].replace("T", " ") if wall.endswith(":00Z") else wall[:19].replace("T", " ")
    text = short_form(trigger).removeprefix("continuous").removeprefix("on-start").removeprefix("manual").strip()
    if isinstance(trigger, CalendarTrigger):
        text += f" from {trigger.anchor}" if trigger.every > 1 else ""
    return text


def test_the_page_has_as_many_phrases_as_it_should() -> None:
    assert len({row.phrase for row in UNDERSTOOD}) == len(UNDERSTOOD) >= 150
    assert len({row.phrase for row in REFUSED}) == len(REFUSED) >= 40


@pytest.mark.parametrize("row", UNDERSTOOD, ids=lambda row: row.phrase)
def test_a_phrase_means_what_the_page_says(row: Understood) -> None:
    reading = read(row.phrase)
    assert " + ".join(trigger.kind for trigger in reading.triggers) == row.kind
    assert " + ".join(map(means, reading.triggers)).strip() == row.means
    assert {trigger.zone for trigger in reading.triggers if isinstance(trigger, ZonedTrigger)} <= {row.zone or "UTC"}
    assert ", ".join(reading.assumed) == row.assumed
    assert all(words in reading.reading for words in reading.assumed)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.phrase)
def test_what_is_unclear_is_refused_with_what_it_might_mean(row: Refused) -> None:
    with pytest.raises(PhraseError) as caught:
        read(row.phrase)
    assert row.because.strip('"') in caught.value.happened
    assert "; ".join(caught.value.readings) == row.readings
    for reading in caught.value.readings:
        assert read(reading).triggers


@pytest.mark.parametrize("row", [row for row in UNDERSTOOD if row.kind != "once"], ids=lambda row: row.phrase)
def test_a_zone_of_the_job_reaches_every_trigger_that_names_none(row: Understood) -> None:
    reading = read_phrase(row.phrase, "Asia/Kathmandu", now=NOW)
    wanted = row.zone or "Asia/Kathmandu"
    assert all(trigger.zone == wanted for trigger in reading.triggers if isinstance(trigger, ZonedTrigger))


def test_an_interval_of_the_page_is_exact() -> None:
    assert read("every 45 minutes").triggers[0].every * 32 == DAY  # type: ignore[union-attr]  # an interval, by the page


def test_the_example_of_the_page_is_what_python_prints() -> None:
    (example,) = doctest.DocTestParser().get_examples(PAGE)[-1:]
    namespace: dict[str, object] = {}
    for one in doctest.DocTestParser().get_examples(PAGE):
        if one.want:
            assert repr(eval(one.source, namespace)) == one.want.strip()
        else:
            exec(one.source, namespace)
    assert example.want
