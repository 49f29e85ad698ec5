"""`preview`: the next five instants of every job of an installation, as its list page and its calendar ask for them.

The jobs share 500 timetables, as jobs do ("every day at 02:00 in New York" is many people's idea). The peer is a
loop over cronsim, which keeps nothing between jobs. That both give the same instants is checked first, and the
timetables are such that cronsim can (its faults at clock changes are listed in `tests/oracle/test_cronsim.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice, product
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from cronsim import CronSim

from bench.harness import Bench, Figure, Goal, Sample, Turn, TurnFailed
from rota.domain.instant import Micros, to_micros
from rota.domain.trigger.kinds import CronTrigger
from rota.domain.trigger.timetable import timetable

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Sydney")
TIMETABLES, SHOWN = 500, 5
NOW = datetime(2026, 1, 15, 10, 7, 33, tzinfo=UTC)
ROTA, CRONSIM = "Rota preview", "cronsim loop"


def preview(jobs: int, goal: Goal | None = None) -> Bench:
    """Preview `jobs` jobs. The rate is of the thread's CPU time, as in `eval`."""

    def prepare(_scratch: Path, _stack: ExitStack) -> Mapping[str, Turn]:
        rules = _timetables()
        drawn = Random(jobs).choices(rules, k=jobs)
        if [_rota(rule) for rule in rules] != [_cronsim(rule) for rule in rules]:
            raise TurnFailed("the two do not give the same instants")
        return {ROTA: lambda: _rate(drawn, _rota), CRONSIM: lambda: _rate(drawn, _cronsim)}

    return Bench(
        name="preview",
        what=f"the next {SHOWN} instants of {jobs:,} jobs over {TIMETABLES} timetables, in a second of CPU time",
        prepare=prepare,
        figures=[Figure("jobs", "/s", ROTA, CRONSIM, goal)],
        warm_up="each timetable is asked once, when the answers are compared",
    )


def _timetables() -> list[CronTrigger]:
    random = Random(TIMETABLES)
    forms = (
        *("{minute} {hour} * * *", "{minute} {hour} * * 1-5", "{minute} {hour} 1,15 * *", "{minute} {hour} * * 0"),
        *("{minute} * * * *", "*/15 {hour}-23 * * *", "{minute} {hour} L * *", "{minute} {hour} * * 1#1"),
    )
    rules: dict[CronTrigger, None] = {}
    for form, zone in product(forms, ZONES * TIMETABLES):
        if len(rules) < TIMETABLES * (forms.index(form) + 1) / len(forms):
            rules[CronTrigger(form.format(minute=random.randrange(60), hour=random.randrange(6, 22)), zone)] = None
    return list(rules)


def _rota(rule: CronTrigger) -> list[Micros]:
    times = timetable(rule)
    assert times is not None
    found: list[Micros] = []
    at = times.next(to_micros(NOW))
    while at is not None and len(found) < SHOWN:
        found.append(at)
        at = times.next(at)
    return found


def _cronsim(rule: CronTrigger) -> list[Micros]:
    start = NOW.astimezone(ZoneInfo(rule.zone))
    return [to_micros(at) for at in islice(CronSim(rule.expression, start), SHOWN)]


def _rate(rules: Sequence[CronTrigger], ask: Callable[[CronTrigger], list[Micros]]) -> Sample:
    began = time.thread_time()
    for rule in rules:
        ask(rule)
    return Sample({"jobs": len(rules) / (time.thread_time() - began)})
